"""Who may do what at a real NATS server: TLS, credentials of an operator's users, and one recorder for each name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.jetstream import Archiving, NatsServer, Talk, make_streams, recording, same_arrivals
from tests.harness.nats_users import Operator, certified
from tests.harness.observatories import arrivals_of, refused, until


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    found = Talk(tmp_path / "east")
    yield found
    found.end()


@pytest.mark.long
def test_tls_and_credentials(tmp_path: Path, talk: Talk) -> None:
    """A user of a vantage point may publish to its subjects alone; the certificate has to be vouched for."""
    operator, config = Operator(), tmp_path / "config"
    config.write_text(operator.config + certified(tmp_path))
    all_ = operator.user(tmp_path / "all.creds")
    mine = ["ln.*.*.east", "ln.*.messages.*", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.LN_VANTAGES"]
    east = operator.user(tmp_path / "east.creds", publish=mine)
    stranger = Operator().user(tmp_path / "stranger.creds")
    ca = ("--nats-ca", str(tmp_path / "ca.pem"))
    with NatsServer(tmp_path, "-c", str(config)) as server:
        server.url = server.url.replace("nats://", "tls://")
        assert "its certificate is not trusted" in refused("init", "--nats", server.url, "--nats-creds", str(all_))
        said = refused("init", "--nats", server.url, *ca, "--nats-creds", str(stranger))
        assert "Authorization Violation" in said
        make_streams(server, "--max-bytes", "64M", *ca, "--nats-creds", str(all_))
        record, archive = tmp_path / "a", tmp_path / "x"
        with (
            recording(record, talk, server, *ca, "--nats-creds", str(east)) as recorder,
            Archiving(archive, server, *ca, "--nats-creds", str(all_)),
        ):
            recorder.heard("is recorded into")
            until(lambda: talk.said.total() > 500, "some talk")
            with recording(
                tmp_path / "b", talk, server, *ca, "--nats-creds", str(east), "--vantage", "west"
            ) as of_another:
                of_another.heard("permissions violation for publish to")
            talk.end()
            until(lambda: same_arrivals(archive, record), "all of it")


@pytest.mark.long
def test_name_that_another_recorder_has(tmp_path: Path, talk: Talk) -> None:
    """The second is refused with one sentence, while its spool keeps all; a recorder that was killed has its name back
    at once, and one that ends leaves it to the other."""
    archive, records = tmp_path / "x", [tmp_path / "a", tmp_path / "b"]
    with NatsServer(tmp_path) as server, Archiving(archive, server):
        make_streams(server)
        first = recording(records[0], talk, server)
        first.heard("is recorded into")
        until(lambda: (archive / "spool").is_dir() and bool(arrivals_of(archive)), "the first one's")
        with recording(records[1], talk, server) as second:
            second.heard("another recorder, at ")
            first.kill()
            first = recording(records[0], talk, server)
            first.heard("is recorded into")
            before = talk.said.total()
            until(lambda: talk.said.total() > before + 500, "more talk")
            talk.end()
            until(lambda: same_arrivals(archive, records[0]), "all of the first one, and none of the second")
            assert "records as east" not in first.end()
            second.heard("batches are sent")
            until(lambda: same_arrivals(archive, *records), "all of both")
