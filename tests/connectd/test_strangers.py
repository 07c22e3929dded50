"""Bounds for each source, without sockets."""

import pytest

from connectd import strangers
from connectd.strangers import BURST, Established, Rates, Strangers
from wire.address import WireAddr
from wire.control.control_wire import PeerInfo
from wire.control.limits import Limits

A, B = (WireAddr("ipv4", f"192.0.2.{host}", 9735) for host in (1, 2))
LOCAL = WireAddr("ipv4", "127.0.0.1", 9735)


def test_rate() -> None:
    rates = Rates(60)
    assert [rates.take("a", 100.0) for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert rates.take("b", 100.0)
    assert not rates.take("a", 100.9)
    assert [rates.take("a", 102.5) for _ in range(3)] == [True, True, False]
    assert [rates.take("a", 10_000.0) for _ in range(BURST + 1)].count(True) == BURST
    assert all(Rates(0).take("a", 0.0) for _ in range(1_000))
    assert [Rates(1).take("a", now) for now in (0.0, 0.0)] == [True, True], "one bucket each"


def test_the_table_of_rates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MAX_SOURCES", 3)
    rates = Rates(60)
    for source in "abcdab":
        rates.take(source, 0.0)
    assert list(rates._buckets) == ["d", "a", "b"]


def test_bound_of_a_source() -> None:
    table = Strangers(Limits(half_open_per_source=2, connect_rate=0), Established())
    for conn_id in (1, 2):
        assert table.refuses(A, 0.0) is None
        table.came(conn_id, A)
    assert table.refuses(A, 0.0) == "too many handshakes under way from there"
    assert table.refuses(B, 0.0) is None
    table.went(1)
    table.went(1)
    assert table.refuses(A, 0.0) is None


def peer(address: WireAddr, *, incoming: bool = True) -> PeerInfo:
    return PeerInfo(bytes(33), 1, str(address), incoming, None, b"", [])


def test_established_connections_of_a_source() -> None:
    established = Established()
    table = Strangers(Limits(inbound_per_source=2, connect_rate=0), established)
    for address in (A, A, B):
        established.came(peer(address))
    established.came(peer(B, incoming=False))
    assert table.refuses(A, 0.0) == "too many peers from there"
    assert table.refuses(B, 0.0) is None
    established.went(peer(A))
    assert table.refuses(A, 0.0) is None
    for address in (A, B):
        established.went(peer(address))
    assert len(established) == 0


def test_established_ones_of_this_machine_have_no_bound() -> None:
    established = Established()
    table = Strangers(Limits(inbound_per_source=1), established)
    for _ in range(5):
        established.came(peer(LOCAL))
    assert table.refuses(LOCAL, 0.0) is None


def test_rate_of_a_source() -> None:
    table = Strangers(Limits(connect_rate=1), Established())
    assert table.refuses(A, 0.0) is None
    assert table.refuses(A, 0.0) == "too many connections from there"


def test_this_machine_has_no_bounds_of_its_own() -> None:
    table = Strangers(Limits(half_open_per_source=1, connect_rate=1), Established())
    for conn_id in range(10):
        assert table.refuses(LOCAL, 0.0) is None
        table.came(conn_id, LOCAL)


def test_who_goes_is_the_oldest_of_the_source_that_has_most() -> None:
    table = Strangers(Limits(half_open=4), Established())
    for conn_id, address in enumerate([A, B, B, A, B]):
        assert not table.too_many
        table.came(conn_id, address)
    assert table.too_many
    assert table.next_to_go() == 1
    table.went(1)
    assert not table.too_many
    assert table.next_to_go() in (0, 2)
    for conn_id in (0, 2, 3, 4):
        table.went(conn_id)
    assert table.next_to_go() is None
    assert len(table) == 0
