"""Is the channel's funding output there, and deep enough? The third stage: it asks the master, which asks the chain.

An announcement that is `early` waits here until its output has DEPTH confirmations; none is asked before the height of
the chain is known. With chain `none` nothing is asked and every announcement passes, unchecked.

What has failed is remembered for a while, so that it costs no signature check when it is sent again: a wrong script
only together with that script, for another may announce the same output rightly.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gossipd.verdict import Verdict
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_wire import GetTxout, GetTxoutReply
from wire.control.shares import Shares
from wire.gossip_v2.keys import multisig_script
from wire.scid import block_of
from wire.start.late_dataclass import dataclass

WINDOW = 1_000
"""Questions at the master at a time; as many more wait before reading of peers stops."""
DEPTH = 6
"""Confirmations that a funding output must have. BOLT 7, channel_announcement."""
FARTHEST = 12
"""An announcement of a block so many above the end of the chain is not kept (CLN's figure)."""
MAX_EARLY = 2_000
MAX_FAILURES = 10_000
FAILURE_AGE = 3_600.0
"""Seconds after which a failure may be forgotten, and after twice as many is; so many failures make it sooner. CLN's
figures."""

UNKNOWN_AMOUNT = 0
ANY_SCRIPT = b""

Passed = Callable[[int], None]
Seen = Callable[[int, bytes], None]
"""Gets an output's amount in sat, and its script."""


class Failed(Protocol):
    """Gets the reason. `forged`: the announcement claims another's output, which no honest node says. `dropped`: it had
    to make room, and is to be asked for again.
    """

    def __call__(self, reason: str, *, forged: bool = False, dropped: bool = False) -> None: ...


@dataclass(slots=True)
class _Question:
    scid: int
    script: bytes
    passed: Passed
    failed: Failed
    unknown: Failed
    source: int = 0
    seen: Seen | None = None
    """Instead of `passed`: whichever script it has."""

    @property
    def key(self) -> int:
        """Of those that wait there is one a channel, and one for each of gossip v2's announcements of it."""
        return self.scid if self.seen is None else -id(self)


class Failures:
    """Channels whose output was not there, in two generations. Of a full one the greediest source loses its own."""

    def __init__(self, limit: int = MAX_FAILURES) -> None:
        self._young: Shares[int, bytes] = Shares(limit)
        self._old: Shares[int, bytes] = Shares(limit)
        self._since = 0.0

    def add(self, scid: int, script: bytes, now: float, source: int) -> None:
        """`script`: the one that was wrong, or ANY_SCRIPT. `now` in seconds of any clock. `source`: who said it."""
        self._age(now)
        self._young.put(scid, script, source)

    def __bool__(self) -> bool:
        return bool(self._young.values or self._old.values)

    def get(self, scid: int, now: float) -> bytes | None:
        """The script that was wrong, None if nothing was."""
        self._age(now)
        return self._young.values.get(scid, self._old.values.get(scid))

    def _age(self, now: float) -> None:
        if now - self._since > 2 * FAILURE_AGE:
            self.clear()
        if now - self._since > FAILURE_AGE:
            self._young, self._old, self._since = self._old, self._young, now
            self._young.clear()

    def clear(self) -> None:
        """All may be different now."""
        self._young.clear()
        self._old.clear()


class Txout:
    """The stage. `drained` is called when there is room again."""

    def __init__(self, master: ControlChannel, check: bool, drained: Callable[[], None]) -> None:
        self._master = master
        self._check = check
        self._drained = drained
        self._loop = asyncio.get_running_loop()
        self._blockheight = 0
        self._waiting: deque[_Question] = deque()
        self.early_table: Shares[int, _Question] = Shares(MAX_EARLY)
        self._failures = Failures()
        self._tasks: set[asyncio.Task[None]] = set()
        self.results: dict[str, int] = dict.fromkeys(["there", "none", "unknown", "other_script", "early"], 0)
        """What became of questions; `early`: of those, so many have waited for confirmations."""

    @property
    def queues(self) -> tuple[int, int]:
        """How many questions wait, and how many are at the master."""
        return len(self._waiting), len(self._tasks)

    @property
    def unfinished(self) -> int:
        """Questions that are open and will be answered soon, as far as it is ours to say."""
        return len(self._waiting) + len(self._tasks)

    @property
    def early(self) -> int:
        """How many wait for more confirmations."""
        return len(self.early_table)

    @property
    def has_room(self) -> bool:
        """False: reading of peers should stop for a moment."""
        return len(self._waiting) < WINDOW

    def refuses(self, scid: int, bitcoin_keys: tuple[bytes, ...]) -> Verdict | None:
        """What can be said of an announcement before its signatures are checked."""
        script = self._failures.get(scid, self._loop.time()) if self._failures else None
        if script is not None and script in (ANY_SCRIPT, multisig_script(*bitcoin_keys)):
            return Verdict.NO_OUTPUT
        return Verdict.TOO_EARLY if self.is_far(scid) else None

    def is_far(self, scid: int) -> bool:
        """Its block is so far above the end of the chain that it is not waited for."""
        return bool(self._blockheight) and block_of(scid) > self._blockheight + FARTHEST

    @property
    def blockheight(self) -> int:
        """Of the end of the chain; 0 while it is unknown."""
        return self._blockheight

    def has_failed(self, scid: int) -> bool:
        """Its output was looked for lately and not found, whatever the script."""
        return self._failures.get(scid, self._loop.time()) == ANY_SCRIPT

    @property
    def asks(self) -> bool:
        """Outputs are looked at: what passes is proven."""
        return self._check

    def ask(
        self,
        scid: int,
        bitcoin_keys: tuple[bytes, ...],
        passed: Passed,
        failed: Failed,
        unknown: Failed | None = None,
        source: int = 0,
    ) -> None:
        """Look the output of `scid` up and compare it with that of these keys (B7-60), for the connection `source`.

        One of `passed`, with the amount in sat, and `failed`, with the reason, will be called; or `unknown`, if the
        reason is that it cannot be told.
        """
        if not self._check:
            passed(UNKNOWN_AMOUNT)
            return
        self._begin(_Question(scid, multisig_script(*bitcoin_keys), passed, failed, unknown or failed, source))

    def ask_any(self, scid: int, script: bytes, seen: Seen, failed: Failed, source: int) -> None:
        """Look the output of `scid` up, whatever it pays to; the chain watches it if that is `script`.

        One of `seen` and `failed` will be called.
        """
        self._begin(_Question(scid, script, _unasked, failed, failed, source, seen))

    def _begin(self, question: _Question) -> None:
        if self._is_early(question.scid):
            self._keep(question)
        else:
            self._waiting.append(question)
            self._go_on()

    def new_blockheight(self, blockheight: int) -> None:
        """The chain ends here: it may be the first time that we hear of it."""
        self._blockheight = blockheight
        early = self.early_table.values.items()
        deep_enough = [key for key, question in early if not self._is_early(question.scid)]
        for key in deep_enough:
            if (question := self.early_table.pop(key)) is not None:
                self._waiting.append(question)
        self._go_on()

    def reorganised(self) -> None:
        """What was not there may be there now."""
        self._failures.clear()

    def _is_early(self, scid: int) -> bool:
        return bool(self._blockheight) and block_of(scid) > self._blockheight - DEPTH + 1

    def _keep(self, question: _Question) -> None:
        self.results["early"] += 1
        if self.early_table.refuses(question.source):
            lost = [question]
        else:
            lost = [each for _, each in self.early_table.put(question.key, question, question.source)]
        for each in lost:
            reason = f"its output has not {DEPTH} confirmations, and too many like it wait for theirs"
            each.unknown(reason, dropped=True)

    def _go_on(self) -> None:
        if not self._blockheight:
            return
        was_full = not self.has_room
        while self._waiting and len(self._tasks) < WINDOW:
            question = self._waiting.popleft()
            if self._is_early(question.scid):  # it came before the height was known
                self._keep(question)
                continue
            task = self._loop.create_task(self._ask(question))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        if was_full and self.has_room:
            self._drained()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._go_on()

    async def _ask(self, question: _Question) -> None:
        try:
            reply = await self._master.request(GetTxout(question.scid, question.script), GetTxoutReply)
        except ChannelClosed:
            return  # the master is gone, and so are we in a moment
        now = self._loop.time()
        self.results[_result(reply, question)] += 1
        if reply.reason:
            self._failures.add(question.scid, ANY_SCRIPT, now, question.source)
            if reply.is_known:
                question.failed(reply.reason, forged=reply.forged)
            else:
                question.unknown(reply.reason)
        elif question.seen is not None:
            question.seen(reply.amount_sat, reply.script)
        elif reply.script != question.script:
            self._failures.add(question.scid, question.script, now, question.source)
            question.failed("its output pays to another script", forged=True)
        else:
            question.passed(reply.amount_sat)


def _unasked(amount_sat: int) -> None:
    """In the place of `passed` where `seen` is called."""


def _result(reply: GetTxoutReply, question: _Question) -> str:
    if reply.reason:
        return "none" if reply.is_known else "unknown"
    return "there" if reply.script == question.script else "other_script"
