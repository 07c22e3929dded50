"""`record` as a process: which topics it takes, and that it ends well."""

import time
from pathlib import Path

import pytest

from lightningd_py.observatory.replay.publisher import Publisher
from tests.harness.observatories import Recording, arrivals_of, until
from tests.lightningd_py.observatory.recorded import update

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(("options", "taken"), [((), False), (("--sent",), True)])
def test_what_the_node_says_is_taken_only_if_that_is_wanted(
    tmp_path: Path, options: tuple[str, ...], taken: bool
) -> None:
    with Publisher(tmp_path / "feed") as publisher:
        with Recording(tmp_path / "record", tmp_path / "feed", "--vantage", "east", *options) as recording:
            assert publisher.wait(30.0)
            fields = {"node_id": b"\2" * 33, "conn_id": 1, "incoming": False, "raw": update(1)}
            publisher.say("gossip.channel_update", time.time_ns(), outcome="new", reason="", **fields)
            until(lambda: arrivals_of(tmp_path / "record").total() == 1, "the arrival")
            assert publisher.has_subscriber("sent.channel_update") == taken
            assert publisher.has_subscriber("gossip.channel_update")
        assert recording.process.returncode == 0


def test_name_of_the_vantage_point_comes_from_the_feed(tmp_path: Path) -> None:
    with Publisher(tmp_path / "feed", "Köln east") as publisher:
        with Recording(tmp_path / "record", tmp_path / "feed") as recording:
            assert publisher.wait(30.0)
            fields = {"node_id": b"\2" * 33, "conn_id": 1, "incoming": False, "raw": update(1)}
            publisher.say("gossip.channel_update", time.time_ns(), outcome="new", reason="", **fields)
            assert "Köln east is recorded into" in recording.heard("is recorded into")
            until(lambda: arrivals_of(tmp_path / "record").total() == 1, "the arrival")
        assert {vantage for vantage, _, _ in arrivals_of(tmp_path / "record")} == {"Köln east"}
