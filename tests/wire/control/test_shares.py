"""The greediest source loses its own oldest entry, against a slow and obvious table; and the newest of all."""

from hypothesis import given
from hypothesis import strategies as st

from wire.control.shares import Newest, Shares

MOST, MOST_SIZE = 5, 20

steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "pop", "grow", "forget"]),
        st.integers(0, 9),
        st.sampled_from("abc"),
        st.integers(1, 6),
    ),
    max_size=80,
)


class Slow:
    """The same, by looking at everything each time."""

    def __init__(self) -> None:
        self.entries: list[list[object]] = []

    def size_of(self, source: object = None) -> int:
        return sum(int(str(size)) for _, _, of, size in self.entries if source in (None, of))

    def pop(self, key: int) -> None:
        self.entries = [entry for entry in self.entries if entry[0] != key]


@given(steps)
def test_against_the_slow_form(script: list[tuple[str, int, str, int]]) -> None:
    table, slow = Shares[int, str](MOST, MOST_SIZE), Slow()
    for what, key, source, size in script:
        if what == "put":
            gone = table.put(key, f"{key}", source, size)
            slow.pop(key)
            slow.entries.append([key, f"{key}", source, size])
            for dropped, value in gone:
                sizes = {of: slow.size_of(of) for _, _, of, _ in slow.entries}
                (entry,) = [entry for entry in slow.entries if entry[0] == dropped]
                assert value == entry[1]
                assert sizes[entry[2]] == max(sizes.values())
                assert next(each[0] for each in slow.entries if each[2] == entry[2]) == dropped
                slow.pop(dropped)
        elif what == "pop":
            table.pop(key)
            slow.pop(key)
        elif what == "forget":
            table.forget(source)
            slow.entries = [entry for entry in slow.entries if entry[2] != source]
        elif key in table:
            table.grow(key, size)
            for entry in slow.entries:
                if entry[0] == key:
                    entry[3] = int(str(entry[3])) + size
        assert set(table) == {entry[0] for entry in slow.entries}
        assert table.size == slow.size_of()
        if what == "put":
            assert len(table) <= MOST
            assert table.size <= MOST_SIZE


def test_a_stranger_pushes_out_only_its_own() -> None:
    table = Shares[int, str](100)
    for key in range(10):
        table.put(key, "honest", "peer")
    gone = [key for key in range(10, 10_000) for key, _ in table.put(key, "junk", "stranger")]
    assert min(gone) == 10
    assert [table.get(key) for key in range(10)] == ["honest"] * 10
    assert len(table) == 100
    assert (table.refuses("stranger"), table.refuses("peer")) == (True, False)
    table.pop(0)
    assert not table.refuses("stranger")


def test_one_that_is_larger_than_all_there_is_room_for_does_not_stay() -> None:
    table = Shares[int, str](10, 100)
    table.put(1, "small", "peer", 10)
    assert table.put(2, "large", "stranger", 101) == [(2, "large")]
    assert table.get(1) == "small"
    table.clear()
    assert (len(table), table.size) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from(["put", "put", "put", "pop"]), st.integers(0, 9)), max_size=40))
def test_newest_against_the_slow_form(script: list[tuple[str, int]]) -> None:
    table, slow = Newest[int, str](MOST), list[int]()
    for what, key in script:
        if what == "put":
            table.put(key, f"{key}")
            slow = [*(known for known in slow if known != key), key][-MOST:]
        else:
            assert table.pop(key) == (f"{key}" if key in slow else None)
            slow = [known for known in slow if known != key]
        assert list(table) == slow
        assert [table.get(key) for key in range(10)] == [f"{key}" if key in slow else None for key in range(10)]
        assert (len(table), 3 in table) == (len(slow), 3 in slow)
    table.clear()
    assert len(table) == 0


def test_sources_that_come_and_go_leave_nothing_behind() -> None:
    shares: Shares[int, None] = Shares(10)
    for number in range(1_000):
        shares.put(number, None, f"source{number}")
        shares.pop(number)
    assert not shares._grown
    assert not shares._greedy
