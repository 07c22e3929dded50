"""Options about peers: bounds, rules, features, whom to stay connected with."""

import math
from pathlib import Path

import pytest

from lightningd_py.config.options import parse
from lightningd_py.config.values import NodeToKeep
from lightningd_py.errors import UsageError
from wire.address import WireAddr
from wire.control.limits import Limits
from wire.features import default_init_features

NODE_ID = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without config files."""
    monkeypatch.setenv("HOME", str(tmp_path))


def test_bounds() -> None:
    assert parse([]).limits == Limits()
    options = parse(
        [
            "--max-half-open=1",
            "--max-half-open-per-source=2",
            "--max-inbound-per-source=11",
            "--max-connect-rate=3",
            "--max-inbound=4",
            "--max-read-rate=5",
            "--slow-reader-timeout=6",
            "--gossip-peer-rate=7",
            "--gossip-total-rate=8",
            "--gossip-store-compact-size=0",
            "--gossip-store-compact-ratio=9",
            "--gossip-listen=14",
            "--max-programs=12",
            "--max-programs-per-service=13",
        ]
    )
    assert options.limits == Limits(
        half_open=1,
        half_open_per_source=2,
        inbound_per_source=11,
        connect_rate=3,
        inbound=4,
        read_rate=5,
        slow_reader=6.0,
        gossip_peer_rate=7,
        gossip_total_rate=8,
        gossip_listen=14,
        compact_size=0,
        compact_ratio=9,
        programs=12,
        programs_per_service=13,
    )


def test_how_many_peers_are_listened_to() -> None:
    assert parse(["--gossip-listen=all"]).limits.gossip_listen == 0
    for wrong in ("0", "ALL", "", "-1"):
        with pytest.raises(UsageError, match=r"--gossip-listen: .*(nor all|needs a value)"):
            parse([f"--gossip-listen={wrong}"])


def test_what_a_vantage_point_is_called() -> None:
    assert parse([]).vantage is None
    assert parse(["--vantage=zh-1.example_2"]).vantage == "zh-1.example_2"
    for wrong in ("", "../x", "a/b", ".hidden", "two words", "x" * 65, "é"):
        with pytest.raises(UsageError, match="--vantage: "):
            parse([f"--vantage={wrong}"])


def test_rules() -> None:
    options = parse(["--allow=10.1.2.3/8", f"--allow={NODE_ID}", "--deny=ALL"])
    assert (options.allow, options.deny) == (("10.0.0.0/8", NODE_ID), ("all",))


def test_features() -> None:
    ours = {*default_init_features().bits(), 43}
    assert set(parse([]).features.bits()) == ours
    assert set(parse(["--peer-storage=none"]).features.bits()) == ours - {43}
    options = parse(["--feature=option_onion_messages", "--feature=gossip_queries/even", "--disable-feature=10"])
    assert set(options.features.bits()) == (ours | {39, 6}) - {7, 11}
    assert {260, 263} <= set(parse(["--feature=260", "--feature=262/odd"]).features.bits())


def test_peers_to_keep() -> None:
    options = parse(["--regtest", f"--keepconnected={NODE_ID}", f"--keepconnected={NODE_ID}@1.2.3.4"])
    node_id = bytes.fromhex(NODE_ID)
    assert options.keepconnected == (
        NodeToKeep(node_id, None),
        NodeToKeep(node_id, WireAddr("ipv4", "1.2.3.4", 19846)),
    )


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], 10),
        (["--regtest"], 0),
        (["--regtest", "--autoconnect-seeker-peers=3"], 3),
        (["--offline"], 0),
        (["--developer", "--dev-no-reconnect"], 0),
    ],
)
def test_how_many_peers_to_seek(argv: list[str], wanted: int) -> None:
    assert parse(argv).seeker_peers == wanted


def test_nobody_is_pinged() -> None:
    assert parse(["--developer", "--dev-no-ping-timer"]).timing.ping_idle == math.inf


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--allow=nobody!", "--allow: 'nobody!' is no node id, address, network"),
        ("--deny=with:magic", "--deny: 'with:magic' names no feature"),
        ("--feature=magic", "--feature: 'magic' is no feature"),
        ("--feature=gossip_queries/7", "--feature: 'gossip_queries/7' ends neither in /odd nor in /even"),
        ("--feature=basic_mpp", None),
        ("--disable-feature=payment_secret", None),
        ("--feature=option_zeroconf", "--feature: option_zeroconf needs option_scid_alias"),
        ("--max-half-open=0", "--max-half-open: '0' is not a number from 1"),
        ("--keepconnected=02" + "ff" * 32, "is no node id"),
        ("--announce-addr-discovered=maybe", "'maybe' is not one of auto, true, false"),
    ],
)
def test_one_clear_sentence(option: str, sentence: str | None) -> None:
    if sentence is None:
        parse([option])
        return
    with pytest.raises(UsageError) as caught:
        parse([option])
    assert sentence in str(caught.value)


def test_features_that_a_service_does() -> None:
    ours = set(default_init_features().bits())
    service = ["--service=store=/bin/true", "--peer-storage=none"]
    options = parse([*service, "--offer=store=option_provide_storage,option_onion_messages"])
    assert set(options.features.bits()) == ours | {43, 39}
    without = parse([*service, "--offer=store=option_provide_storage", "--disable-feature=option_provide_storage"])
    assert set(without.features.bits()) == ours


@pytest.mark.parametrize(
    ("offer", "sentence"),
    [("nobody=option_provide_storage", "'nobody' is no service"), ("store=x", "'x' is no feature")],
)
def test_offer_that_cannot_be_made(offer: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        parse(["--service=store=/bin/true", f"--offer={offer}"])
