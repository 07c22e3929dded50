"""The stage that asks for outputs: depth, failures, bounds, and holding back."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from gossipd.ingest.txout import ANY_SCRIPT, MAX_EARLY, WINDOW, Failures, Txout
from gossipd.verdict import Verdict
from tests.gossipd.messages import BITCOIN_KEYS
from tests.harness.waiting import until
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import GetTxout, GetTxoutReply
from wire.gossip_v2.keys import multisig_script
from wire.scid import make_scid

KEYS = tuple(public for _, public in BITCOIN_KEYS)
SCRIPT = multisig_script(*KEYS)
HEIGHT = 1_000


class Stage:
    """A Txout whose master answers from `outputs`; `heard` are the scids that were asked for."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            sock.setblocking(False)
        self.near = ControlChannel(ours, "master", lambda _: None, lambda _: None, window=WINDOW)
        self.far = ControlChannel(theirs, "gossipd", self._asked, lambda _: None)
        self.drained = 0
        self.txout = Txout(self.near, True, self._drained)
        self.heard: list[int] = []
        self.unanswered: list[GetTxout] = []
        self.answers: dict[int, GetTxoutReply] = {}
        self.results: dict[int, int | str] = {}
        self.forged = False
        self.answering = True

    def _drained(self) -> None:
        self.drained += 1

    def _asked(self, message: ControlMessage) -> None:
        assert isinstance(message, GetTxout)
        self.heard.append(message.short_channel_id)
        if self.answering:
            self.answer(message)
        else:
            self.unanswered.append(message)

    def answer(self, message: GetTxout) -> None:
        self.far.reply(message, self.answers.get(message.short_channel_id) or GetTxoutReply(5_000, SCRIPT, ""))

    def ask(self, scid: int, source: int = 1) -> None:
        def passed(amount_sat: int) -> None:
            self.results[scid] = amount_sat

        def failed(reason: str, *, forged: bool = False, dropped: bool = False) -> None:
            self.results[scid] = reason
            self.forged |= forged

        self.txout.ask(scid, KEYS, passed, failed, source=source)

    async def settled(self) -> None:
        async def there() -> bool:
            return not self.txout.unfinished

        await until(there, "questions are left")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.near.close()
    stage.far.close()
    await asyncio.sleep(0)  # the tasks end


def at(height: int, number: int = 1) -> int:
    return make_scid(height, number, 0)


async def test_nothing_is_asked_before_the_height_is_known(stage: Stage) -> None:
    stage.ask(at(10))
    stage.ask(at(HEIGHT - 2))
    await asyncio.sleep(0)
    assert stage.heard == []
    stage.txout.new_blockheight(HEIGHT)
    await stage.settled()
    assert (stage.heard, stage.results, stage.txout.early) == ([at(10)], {at(10): 5_000}, 1)


@pytest.mark.bolt("B7-61")
async def test_early_outputs_wait_for_their_sixth_confirmation(stage: Stage) -> None:
    stage.txout.new_blockheight(HEIGHT)
    stage.ask(at(HEIGHT - 5))
    stage.ask(at(HEIGHT - 4))
    stage.ask(at(HEIGHT + 12))
    await stage.settled()
    assert list(stage.results) == [at(HEIGHT - 5)]
    stage.txout.new_blockheight(HEIGHT + 1)
    await stage.settled()
    assert list(stage.results) == [at(HEIGHT - 5), at(HEIGHT - 4)]
    stage.txout.new_blockheight(HEIGHT + 17)
    await stage.settled()
    assert stage.results[at(HEIGHT + 12)] == 5_000
    assert stage.txout.refuses(at(HEIGHT + 29), KEYS) is None
    assert stage.txout.refuses(at(HEIGHT + 30), KEYS) is Verdict.TOO_EARLY


async def test_too_many_early_ones(stage: Stage) -> None:
    stage.txout.new_blockheight(HEIGHT)
    for number in range(MAX_EARLY + 1):
        stage.ask(at(HEIGHT, number))
    assert list(stage.results) == [at(HEIGHT, MAX_EARLY)]
    stage.ask(at(HEIGHT, MAX_EARLY + 1), source=2)
    assert list(stage.results) == [at(HEIGHT, MAX_EARLY), at(HEIGHT, 0)], "the greediest source makes room"
    assert "too many like it wait" in str(stage.results[at(HEIGHT, MAX_EARLY)])


@pytest.mark.parametrize("forged", [False, True])
async def test_only_a_liar_pays_for_an_output_that_is_not_there(stage: Stage, forged: bool) -> None:
    """One that is spent may be announced by any peer that does not watch the chain."""
    stage.txout.new_blockheight(HEIGHT)
    stage.answers[at(1)] = GetTxoutReply(0, b"", "its output is not there", forged=forged)
    stage.ask(at(1))
    await stage.settled()
    assert stage.forged is forged


async def test_failures_are_remembered(stage: Stage) -> None:
    stage.txout.new_blockheight(HEIGHT)
    stage.answers[at(1)] = GetTxoutReply(0, b"", "its output is spent")
    stage.answers[at(2)] = GetTxoutReply(7, b"another", "")
    assert stage.txout.refuses(at(1), KEYS) is None
    stage.ask(at(1))
    stage.ask(at(2))
    await stage.settled()
    assert stage.results == {at(1): "its output is spent", at(2): "its output pays to another script"}
    assert stage.forged
    for keys in (KEYS, (KEYS[0], KEYS[0])):
        assert stage.txout.refuses(at(1), keys) is Verdict.NO_OUTPUT
    assert stage.txout.refuses(at(2), KEYS) is Verdict.NO_OUTPUT
    assert stage.txout.refuses(at(2), (KEYS[0], KEYS[0])) is None, "those may be the right ones"
    stage.txout.reorganised()
    assert stage.txout.refuses(at(1), KEYS) is None


def test_failures_have_a_bound_and_an_age() -> None:
    failures = Failures(limit=3)
    for scid in range(7):
        failures.add(scid, ANY_SCRIPT, 10_000.0, 1)
    assert [failures.get(scid, 10_000.0) is not None for scid in range(7)] == [False] * 4 + [True] * 3
    failures.add(8, ANY_SCRIPT, 14_000.0, 1)
    failures.add(9, ANY_SCRIPT, 18_000.0, 1)
    assert [failures.get(scid, 18_000.0) is not None for scid in (6, 8, 9)] == [False, True, True]


def test_a_source_with_many_failures_loses_its_own() -> None:
    failures = Failures(limit=10)
    failures.add(1, ANY_SCRIPT, 10_000.0, 1)
    for scid in range(100, 200):
        failures.add(scid, ANY_SCRIPT, 10_000.0, 2)
    assert failures.get(1, 10_000.0) == ANY_SCRIPT
    assert sum(failures.get(scid, 10_000.0) is not None for scid in range(100, 200)) == 9


@pytest.mark.parametrize("looked_at", [[17_000.0], [11_000.0, 14_000.0], [13_000.0, 17_000.0]])
def test_a_failure_is_forgotten_when_no_others_come(looked_at: list[float]) -> None:
    """bitcoind may have got its block by now."""
    failures = Failures()
    failures.add(1, ANY_SCRIPT, 9_000.0, 1)
    assert failures.get(1, 10_000.0) == ANY_SCRIPT
    for now in looked_at:
        failures.get(2, now)
    assert failures.get(1, 18_001.0) is None


async def test_more_than_the_window_holds_reading_back(stage: Stage) -> None:
    stage.answering = False
    stage.txout.new_blockheight(HEIGHT)
    for number in range(2 * WINDOW):
        assert stage.txout.has_room
        stage.ask(at(1, number))
    assert not stage.txout.has_room
    assert stage.txout.unfinished == 2 * WINDOW

    async def asked(count: int) -> None:
        async def there() -> bool:
            return len(stage.heard) == count

        await until(there, f"{count} questions")

    await asked(WINDOW)
    assert stage.drained == 0
    stage.answer(stage.unanswered.pop())
    await asked(WINDOW + 1)
    assert (stage.drained, stage.txout.has_room) == (1, True)
    stage.answering = True
    for message in stage.unanswered:
        stage.answer(message)
    await stage.settled()
    assert len(stage.results) == 2 * WINDOW


async def test_without_a_chain_all_passes() -> None:
    results: list[int] = []
    Txout(None, False, list).ask(at(1), KEYS, results.append, lambda _: None)  # type: ignore[arg-type]
    assert results == [0]
