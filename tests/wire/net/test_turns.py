"""Fair turns: how long one lasts, and what each source and each connection gets of it. The clock is the test's."""

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial

import pytest

from wire.net.turns import TURN, WORDS, FairTurns


class Loop:
    """A loop whose turns the test runs, and whose time passes with the work."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> object:
        """Keep it for `turn`."""
        self.soon.append(callback)
        return None

    def time(self) -> float:
        """Seconds of work done."""
        return self.now

    def turn(self) -> float:
        """Run one turn; returns how long it was."""
        begin = self.now
        self.step()
        if self.now == begin:  # it was only put behind what the loop has found at its sockets
            self.step()
        return self.now - begin

    def step(self) -> None:
        """Call what was to be called soon."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Floods:
    """Connections that always have more to do; `cost` is what a piece of it takes."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.turns = FairTurns(self.loop, self.loop.time)
        self.got: Counter[str] = Counter()
        """Pieces, by connection."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        """By source."""

    def begin(self, source: str, connection: str, cost: float) -> None:
        """One more connection."""
        self.turns.add(source, partial(self._work, source, connection, cost))

    def _work(self, source: str, connection: str, cost: float) -> None:
        self.loop.now += cost
        self.got[connection] += 1
        self.seconds[source] += cost
        self.begin(source, connection, cost)


def test_what_other_processes_do_meanwhile_is_not_the_sources_time() -> None:
    """Both compute as much; one is held up by the machine each time."""
    floods = Floods()
    computed = 0.0
    floods.turns = FairTurns(floods.loop, lambda: computed)

    def work(source: str, held_up: float) -> None:
        nonlocal computed
        computed += 0.001
        floods.loop.now += 0.001 + held_up
        floods.got[source] += 1
        floods.turns.add(source, partial(work, source, held_up))

    floods.turns.add("slow", partial(work, "slow", 0.05))
    floods.turns.add("fast", partial(work, "fast", 0.0))
    for _ in range(100):
        floods.loop.turn()
    assert abs(floods.got["slow"] - floods.got["fast"]) <= 1


@pytest.mark.parametrize("connections", [1, 60, 1_000])
def test_a_turn_ends_however_much_there_is_to_do(connections: int) -> None:
    floods = Floods()
    for number in range(connections):
        floods.begin("a", f"a{number}", 0.0007)
    for _ in range(50):
        assert TURN <= floods.loop.turn() <= TURN + 0.0007


def test_sources_get_the_same_whatever_their_connections_are() -> None:
    """One with 60 connections whose pieces are dear, one with a single one whose pieces are cheap."""
    floods = Floods()
    for number in range(60):
        floods.begin("many", f"many{number}", 0.0009)
    floods.begin("one", "one", 0.0001)
    for _ in range(200):
        floods.loop.turn()
    assert floods.seconds["one"] == pytest.approx(floods.seconds["many"], rel=0.01)
    pieces = [floods.got[f"many{number}"] for number in range(60)]
    assert max(pieces) - min(pieces) <= 1


def test_who_comes_seldom_is_next() -> None:
    """A thousand connections of a hundred sources flood: a ping of another one is dealt with in the same turn."""
    floods = Floods()
    for number in range(1_000):
        floods.begin(f"flood{number % 100}", f"flood{number}", 0.0005)
    pongs: list[int] = []
    for turn in range(100):
        floods.turns.add("honest", partial(pongs.append, turn))
        before = sum(floods.got.values())
        while pongs[-1:] != [turn]:
            floods.loop.turn()
        assert sum(floods.got.values()) - before <= 100 + TURN / 0.0005


def test_nothing_is_kept_of_who_has_nothing_to_do() -> None:
    floods = Floods()
    floods.begin("flood", "flood", 0.0005)
    for number in range(10_000):
        floods.turns.add(f"source{number}", lambda: None)
        floods.loop.turn()
    assert len(floods.turns) == 1
    assert len(floods.turns._used) < 200


def test_work_that_ends_ends_the_turns() -> None:
    floods, done = Floods(), list[int]()
    for number in range(5):
        floods.turns.add("a", partial(done.append, number))
    floods.loop.turn()
    assert done == list(range(5))
    assert floods.loop.soon == []
    assert len(floods.turns) == 0
    assert floods.turns._used == {}


def test_work_goes_on_as_long_as_no_other_waits_and_the_turn_lasts() -> None:
    floods, seen = Floods(), list[bool]()

    def look(seconds: float) -> None:
        floods.loop.now += seconds
        seen.append(floods.turns.may_go_on())

    def work() -> None:
        look(0.0)
        floods.turns.add("a", lambda: None)  # another connection of the same source
        look(0.0)

    floods.turns.add("a", work)
    floods.loop.turn()
    floods.turns.add("b", partial(look, 0.0))
    floods.turns.add("c", partial(look, 0.0))
    floods.loop.turn()
    floods.turns.add("d", partial(look, TURN))
    floods.loop.turn()
    assert seen == [True, False, False, True, False]


def test_a_source_that_waits_alone_is_measured_once_a_turn() -> None:
    """To look at the processor's clock is a call of the kernel; the turn ends all the same."""
    floods = Floods()
    looks = 0

    def spent() -> float:
        nonlocal looks
        looks += 1
        return floods.loop.now

    floods.turns = FairTurns(floods.loop, spent)
    floods.begin("alone", "one", TURN / 100)
    floods.begin("alone", "other", TURN / 100)
    assert floods.loop.turn() <= TURN * 1.02
    assert looks == 2
    assert abs(floods.got["one"] - floods.got["other"]) <= 1
    floods.begin("newcomer", "third", TURN / 100)
    for _ in range(20):
        floods.loop.turn()
    assert floods.seconds["newcomer"] == pytest.approx(10 * TURN, rel=0.1)


def test_a_word_waits_for_one_piece_of_bulk_however_many_streams_its_source_has() -> None:
    floods = Floods()
    sent: Counter[str] = Counter()

    def stream(name: str) -> None:
        floods.loop.now += 0.0005
        sent[name] += 1
        floods.turns.add("one source", partial(stream, name), bulk=True)

    for number in range(100):
        stream(f"stream{number}")
    floods.loop.turn()
    before = sum(sent.values())
    heard: list[int] = []
    floods.turns.add("one source", lambda: heard.append(sum(sent.values())))
    floods.loop.turn()
    assert heard[0] - before <= 1


def test_words_without_end_leave_a_fifth_of_the_pieces_to_bulk_of_the_same_source() -> None:
    floods = Floods()
    for number in range(20):
        floods.begin("one source", f"talks{number}", 0.0005)
    pieces: list[int] = []

    def stream() -> None:
        floods.loop.now += 0.0005
        pieces.append(1)
        floods.turns.add("one source", stream, bulk=True)

    floods.turns.add("one source", stream, bulk=True)
    for _ in range(50):
        floods.loop.turn()
    assert abs(WORDS * len(pieces) - sum(floods.got.values())) <= WORDS


def test_what_the_loop_finds_after_a_full_turn_is_done_in_the_next_one() -> None:
    """A turn is as long as may be, and a ping comes in it."""
    floods = Floods()
    for number in range(50):
        floods.begin("flood", f"flood{number}", 0.0005)
    floods.loop.turn()
    heard: list[float] = []
    floods.loop.step()  # what the last turn has left is called first, and then what select has found:
    floods.turns.add("honest", lambda: heard.append(floods.loop.now))
    before = floods.loop.now
    floods.loop.step()
    assert heard and heard[0] - before <= 0.0005
