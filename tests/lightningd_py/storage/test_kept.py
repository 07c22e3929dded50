"""Whose blob is kept, how much room there is, and what expires."""

import pytest

from lightningd_py.storage.kept import ALL, CHANNELS, EXPIRES, LEAST, NETWORK, STRANGERS, Kept, KeptTable, Refusal

QUOTA = 64 * LEAST
HERE, THERE = "1.2.0.0/16", "5.6.0.0/16"


class Table(KeptTable):
    """With channels that a test can change."""

    def __init__(self, mode: str = ALL, quota: int = QUOTA) -> None:
        self.channels: set[bytes] = set()
        super().__init__(mode, quota, self.channels.__contains__)

    def keep(self, *numbers: int, size: int = LEAST, network: str = HERE, now: float = 0.0) -> list[Refusal | None]:
        return [self.put(bytes([number]), size, network, now)[0] for number in numbers]


def node_ids(numbers: range) -> list[bytes]:
    return [bytes([number]) for number in numbers]


@pytest.mark.bolt("B1-152")
def test_with_mode_channels_a_channel_is_needed() -> None:
    table = Table(CHANNELS)
    table.channels.add(b"\1")
    assert table.keep(1, 2) == [None, Refusal.NO_CHANNEL]
    table.channels.clear()
    assert table.keep(1, now=5.0) == [Refusal.NO_CHANNEL]
    assert table.kept[b"\1"].stored == 0.0, "the one before stays"


@pytest.mark.bolt("B1-154")
@pytest.mark.parametrize("mode", [ALL, CHANNELS])
def test_expires_when_it_has_been_of_no_use_for_thirty_days(mode: str) -> None:
    table = Table(mode)
    table.channels.add(b"\1")
    table.keep(1)
    assert not table.look(b"\1", 10.0, connected=False), "it has a channel"
    assert table.expired(100 * EXPIRES) == []
    table.channels.clear()
    assert table.look(b"\1", 100.0, connected=True) == (mode == CHANNELS), "connected is of use in mode all"
    assert table.look(b"\1", 200.0, connected=False) == (mode == ALL)
    begun = 100.0 if mode == CHANNELS else 200.0
    assert not table.look(b"\1", 300.0, connected=False), "the time runs on"
    assert table.expired(begun + EXPIRES - 1) == []
    assert (table.expired(begun + EXPIRES), table.kept, table.bytes) == ([b"\1"], {}, 0)


def test_a_channel_in_time_ends_the_time() -> None:
    table = Table(CHANNELS)
    table.channels.add(b"\1")
    table.keep(1)
    table.channels.clear()
    table.look(b"\1", 100.0, connected=False)
    table.channels.add(b"\1")
    assert table.look(b"\1", EXPIRES, connected=False)
    assert table.expired(3 * EXPIRES) == []


def test_strangers_have_half_of_the_quota_and_a_network_an_eighth() -> None:
    table = Table()
    of_network, of_strangers = QUOTA // NETWORK // LEAST, QUOTA // STRANGERS // LEAST
    assert table.keep(*range(of_network)) == [None] * of_network
    assert table.keep(100) == [Refusal.NETWORK]
    assert table.keep(0, now=1.0) == [None], "the same peer again"
    for number in range(of_network, of_strangers):
        assert table.keep(number, network=str(number)) == [None]
    assert table.keep(100, network=THERE) == [Refusal.STRANGERS]
    assert table.keep(of_strangers - 1, network=HERE) == [Refusal.NETWORK], "it comes from another network now"
    assert table.bytes == QUOTA // STRANGERS


def test_peers_with_channels_take_the_room_of_strangers_who_were_away_longest() -> None:
    table = Table()
    for number in range(16):
        table.keep(number, network=str(number))
        table.look(bytes([number]), float(number), connected=number == 0)
    with_channel = range(100, 148)
    table.channels.update(node_ids(with_channel))
    assert table.keep(*with_channel) == [None] * 48
    assert table.bytes == QUOTA
    table.channels.add(b"\xff")
    refusal, gone = table.put(b"\xff", 3 * LEAST, HERE, 0.0)
    assert refusal is None
    assert gone == node_ids(range(1, 5)), "three, and a little more room; the one that is connected stays"
    table.channels.update(node_ids(range(200, 214)))
    gone = [node_id for number in range(200, 213) for node_id in table.put(bytes([number]), LEAST, HERE, 0.0)[1]]
    assert gone == [*node_ids(range(5, 16)), b"\0"], "the one that is connected is the last one"
    assert (table.bytes, table.keep(213)) == (QUOTA, [Refusal.QUOTA])


def test_strangers_take_no_room_from_anyone() -> None:
    table = Table()
    with_channel = range(64)
    table.channels.update(node_ids(with_channel))
    assert table.keep(*with_channel) == [None] * 64
    assert table.keep(200) == [Refusal.QUOTA]


def test_small_ones_count_a_page_and_large_ones_what_they_have() -> None:
    table = Table()
    table.keep(1, size=0)
    assert table.bytes == LEAST
    table.keep(1, size=LEAST + 1)
    assert table.bytes == LEAST + 1
    assert (table.drop(b"\1"), table.drop(b"\1"), table.bytes) == (True, False, 0)


def test_a_stranger_with_a_channel_is_none_any_more() -> None:
    table = Table()
    of_network = QUOTA // NETWORK // LEAST
    table.keep(*range(of_network))
    table.channels.add(b"\0")
    table.look(b"\0", 0.0, connected=True)
    assert table.keep(100, 101) == [None, Refusal.NETWORK]
    table.channels.clear()
    table.look(b"\0", 0.0, connected=True)
    table.drop(b"\1")
    assert table.keep(102) == [Refusal.NETWORK]


def test_what_was_there_may_be_more_than_a_smaller_quota() -> None:
    table = Table(quota=LEAST)
    for number in range(10):
        table.add(bytes([number]), Kept(LEAST, 0.0, 0.0, HERE))
    assert table.keep(100) == [Refusal.QUOTA]
    table.channels.add(b"\xff")
    assert table.put(b"\xff", 1, HERE, 0.0) == (None, node_ids(range(10)))
