"""Funding outputs are looked up at bitcoind: many at a time, each block once, and so that bitcoind never waits for us.

A look-up goes through three stages, and the requests of all stages share WORKERS connections:

    height -> hash of the block      getblockhash, batches
           -> its transactions' ids  getblock, one block a request; kept in a bounded cache
    output -> unspent or not         gettxout, batches; what is not there is looked at once more, for the reason

How many are under way is bounded by who asks: gossipd has a window of 1,000. While the node is down everything waits
where it is. What was learnt while a new block came in is asked again, so that no spend falls between.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from typing import Any

from lightningd_py.chain.bitcoin_rpc import MISC, BitcoinRpc, ChainDown, Refused, accepted, block_named
from lightningd_py.chain.source import Answered, NoOutput, Output
from lightningd_py.chain.watch import Watch
from wire.scid import block_of, output_of, transaction_of
from wire.start.late_dataclass import dataclass

WORKERS = 8
"""Requests in flight. bitcoind has 4 threads for them by default (16 since version 29) and a queue of 16 or more."""
OUTPUTS_A_REQUEST = 25
HASHES_A_REQUEST = 50
CACHED_TXIDS = 500_000
"""16 MB: 100 to 200 full blocks, or 1,000 of the average in which channels were opened."""
TXID_SIZE = 32
WRITE_AFTER = 0.05
"""Seconds in which outputs that were found gather for one transaction of the database."""
SAT_PER_BITCOIN = 100_000_000
MOST_SAT = 21_000_000 * SAT_PER_BITCOIN

Step = Callable[[], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Job:
    scid: int
    script: bytes
    answered: Answered
    txid: bytes = b""


class BlockCache:
    """The ids of the transactions of blocks: those used last, up to a number of transactions."""

    def __init__(self, limit: int = CACHED_TXIDS) -> None:
        self._limit = limit * TXID_SIZE
        self._size = 0
        self._blocks: OrderedDict[int, tuple[str, bytes]] = OrderedDict()

    def get(self, height: int) -> tuple[str, bytes] | None:
        """Hash in hex, and the ids one after the other."""
        if height in self._blocks:
            self._blocks.move_to_end(height)
        return self._blocks.get(height)

    def put(self, height: int, block_hash: str, txids: bytes) -> None:
        """Make room for it."""
        self._blocks[height] = (block_hash, txids)
        self._size += len(txids)
        while self._size > self._limit and len(self._blocks) > 1:
            _, (_, dropped) = self._blocks.popitem(last=False)
            self._size -= len(dropped)

    def clear(self) -> None:
        """The chain has been reorganised."""
        self._blocks.clear()
        self._size = 0


class Txouts:
    """Look-ups under way. `blockheight` is set by the follower of the chain; nothing is asked before `go`."""

    def __init__(self, rpc: BitcoinRpc, watch: Watch, down: Callable[[str], None]) -> None:
        """`down` hears why the node cannot be asked; `go` starts again what waits."""
        self._rpc = rpc
        self._watch = watch
        self._write_at: asyncio.TimerHandle | None = None
        self._down = down
        self._blocks = BlockCache()
        self._waiting: dict[int, list[_Job]] = {}
        """Height -> who needs that block's transactions."""
        self._heights: deque[int] = deque()
        self._hashes: deque[tuple[int, str]] = deque()
        self._outputs: deque[_Job] = deque()
        self._epoch = self._reorganisations = 0
        self._may_ask = asyncio.Event()
        self._work = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._workers = [loop.create_task(self._worker()) for _ in range(WORKERS)]
        for worker in self._workers:
            worker.add_done_callback(report)
        self.blockheight = 0
        self.unanswered = 0

    async def close(self) -> None:
        """Drop everything."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._write_at is not None:
            self._write_at.cancel()
            self._write()

    def go(self) -> None:
        """The node answers, and the chain has been followed to its end."""
        self._may_ask.set()

    def stop(self) -> None:
        """Ask nothing until `go`."""
        self._may_ask.clear()

    def chain_changed(self, blockheight: int, *, reorganised: bool = False) -> None:
        """What is being asked right now may be out of date when it is answered."""
        self.blockheight = blockheight
        self.ask_again()
        if reorganised:
            self._begin_again()

    def ask_again(self) -> None:
        """A block is about to be looked at: an output that was asked for before it may be spent by it, and is asked
        for again, since no one looks for its spend in that block any more."""
        self._epoch += 1

    def _begin_again(self) -> None:
        """What is known of blocks may be wrong now: all that waits starts from its height."""
        self._blocks.clear()
        self._reorganisations += 1
        waiting = [*self._hashes, *self._outputs]
        self._hashes.clear()
        self._outputs.clear()
        for item in waiting:
            self._from_its_height(item)

    def _from_its_height(self, item: Any) -> None:
        match item:
            case _Job():
                self._begin(item)
            case (int(height), str()) | int(height):
                self._heights.append(height)

    def look_up(self, scid: int, script: bytes, answered: Answered) -> None:
        """See ChainSource."""
        self.unanswered += 1
        self._begin(_Job(scid, script, answered))

    def _begin(self, job: _Job) -> None:
        height = block_of(job.scid)
        if self._blocks.get(height) is not None:
            self._locate(job)
        elif height in self._waiting:
            self._waiting[height].append(job)
        else:
            self._waiting[height] = [job]
            self._heights.append(height)
        self._work.set()

    def _answer(self, job: _Job, answer: Output | NoOutput) -> None:
        self.unanswered -= 1
        job.answered(answer)

    def _refuse(self, height: int, answer: NoOutput) -> None:
        for job in self._waiting.pop(height):
            self._answer(job, answer)

    def _locate(self, job: _Job) -> None:
        """The block is known: which transaction is it?"""
        block = self._blocks.get(block_of(job.scid))
        assert block is not None
        job.txid = txid_at(block[1], transaction_of(job.scid))
        if job.txid:
            self._outputs.append(job)
        else:
            reason = f"its block has only {len(block[1]) // TXID_SIZE} transactions"
            self._answer(job, NoOutput(reason, forged=True))

    # what is done next

    async def _worker(self) -> None:
        while True:
            await self._may_ask.wait()
            step = self._next_step()
            if step is None:
                self._work.clear()
                await self._work.wait()
                continue
            await step()

    def _next_step(self) -> Step | None:
        """Full batches of outputs first, for they set answers free; then what makes more of them."""
        if len(self._outputs) >= OUTPUTS_A_REQUEST or (self._outputs and not self._hashes and not self._heights):
            return self._step(self._outputs, OUTPUTS_A_REQUEST, self._find_outputs)
        if self._hashes:
            return self._step(self._hashes, 1, self._read_block)
        if self._heights:
            return self._step(self._heights, HASHES_A_REQUEST, self._find_hashes)
        return None

    def _step(self, queue: deque[Any], most: int, ask: Callable[[list[Any]], Awaitable[None]]) -> Step:
        """A part of the queue that leaves work for the other workers; it waits again if the node fails."""
        size = min(most, -(-len(queue) // WORKERS))
        items = [queue.popleft() for _ in range(size)]
        reorganisations = self._reorganisations

        async def step() -> None:
            try:
                await ask(items)
            except ChainDown as error:
                for item in items:  # behind the others: an answer that is always broken holds no other up
                    if self._reorganisations == reorganisations:
                        queue.append(item)
                    else:
                        self._from_its_height(item)
                self._may_ask.clear()
                self._down(str(error))

        return step

    # the three stages

    async def _find_hashes(self, heights: list[int]) -> None:
        reorganisations = self._reorganisations
        hashes = await self._rpc.batch([("getblockhash", (height,)) for height in heights])
        if reorganisations != self._reorganisations:
            self._heights.extend(heights)
            self._work.set()
            return
        for height, named in zip(heights, [block_named(found) for found in hashes], strict=True):
            if named is None:
                self._refuse(height, NoOutput("its block is beyond the end of the chain"))
            else:
                self._hashes.append((height, named[::-1].hex()))
        self._work.set()

    async def _read_block(self, wanted: list[tuple[int, str]]) -> None:
        ((height, block_hash),) = wanted
        epoch = self._epoch
        block = await self._rpc.call("getblock", block_hash, 1)
        if isinstance(block, Refused) and block.code == MISC:
            self._refuse(height, NoOutput(f"bitcoind does not give its block: {block.message}", is_known=False))
            return
        txids = txids_of(accepted("getblock", block))
        if epoch != self._epoch:  # the height may be another block's by now
            self._heights.append(height)
        else:
            self._blocks.put(height, block_hash, txids)
            for job in self._waiting.pop(height):
                self._locate(job)
        self._work.set()

    async def _find_outputs(self, jobs: list[_Job]) -> None:
        epoch = self._epoch
        found = await self._rpc.batch([("gettxout", (_txid(job), output_of(job.scid), False)) for job in jobs])
        outputs = [_output(output) for output in found]
        missing = [job for job, output in zip(jobs, outputs, strict=True) if output is None]
        reasons = dict(zip(missing, await self._why_missing(missing), strict=True)) if missing else {}
        if epoch != self._epoch:
            for job in jobs:
                self._begin(job)
            return
        there = [(job, output) for job, output in zip(jobs, outputs, strict=True) if output is not None]
        self._watch.add((job.scid, job.txid) for job, output in there if output.script == job.script)
        if self._write_at is None:
            self._write_at = asyncio.get_running_loop().call_later(WRITE_AFTER, self._write)
        for job, output in there:
            self._answer(job, output)
        for job, reason in reasons.items():
            self._answer(job, reason)

    def _write(self) -> None:
        self._write_at = None
        self._watch.write()

    async def _why_missing(self, jobs: list[_Job]) -> list[NoOutput]:
        """Spent, or never there? Their transactions tell. Nodes that do not find one by its block may have an index."""
        blocks = [self._blocks.get(block_of(job.scid)) for job in jobs]
        by_block = [(job, (block[0],) if block else ()) for job, block in zip(jobs, blocks, strict=True)]
        answers = await self._rpc.batch([("getrawtransaction", (_txid(job), True, *block)) for job, block in by_block])
        if all(isinstance(answer, Refused) for answer in answers):
            answers = await self._rpc.batch([("getrawtransaction", (_txid(job), True)) for job in jobs])
        return [_reason(job, answer) for job, answer in zip(jobs, answers, strict=True)]


def _txid(job: _Job) -> str:
    """As JSON-RPC writes it."""
    return job.txid[::-1].hex()


def report(task: asyncio.Task[None]) -> None:
    """A task that should never end has ended by an exception: our own bug, which the loop's handler makes BROKEN."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "following the chain has ended", "exception": error})


def txids_of(block: Any) -> bytes:
    """The ids of a block's transactions, one after the other. Raises ChainDown for anything else.

    As JSON-RPC writes them, so the wrong way round: there are thousands, and one or two will be looked at.
    """
    txids = block.get("tx") if isinstance(block, dict) else None
    try:
        if isinstance(txids, list) and set(map(len, txids)) == {2 * TXID_SIZE}:
            return bytes.fromhex("".join(txids))
    except (TypeError, ValueError):
        pass
    raise ChainDown("answers getblock with something else than a block")


def txid_at(txids: bytes, index: int) -> bytes:
    """One of them, in the byte order of blocks; empty if there are not so many."""
    return txids[index * TXID_SIZE : (index + 1) * TXID_SIZE][::-1]


def _output(found: Any) -> Output | None:
    """gettxout's answer, which is null for what is spent or was never there. Raises ChainDown for anything else."""
    if accepted("gettxout", found) is None:
        return None
    try:
        amount_sat = Decimal(found["value"]) * SAT_PER_BITCOIN
        if 0 <= amount_sat <= MOST_SAT and amount_sat == int(amount_sat):
            return Output(int(amount_sat), bytes.fromhex(found["scriptPubKey"]["hex"]))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ChainDown("answers gettxout with something else than an output") from error
    raise ChainDown("answers gettxout with an amount that is none")


def _reason(job: _Job, transaction: Any) -> NoOutput:
    """`transaction` as getrawtransaction answers, or why it does not: then nothing is known for certain."""
    try:
        outputs = transaction["vout"]
        count = len(outputs)
        if output_of(job.scid) >= count:
            return NoOutput(f"its transaction has only {count} outputs", forged=True)
        script = bytes.fromhex(outputs[output_of(job.scid)]["scriptPubKey"]["hex"])
    except (KeyError, TypeError, ValueError):
        return NoOutput("its output is spent or was never there")
    if script != job.script:
        return NoOutput("its output is spent, and paid to another script", forged=True)
    return NoOutput("its output is spent")


def unspent(answers: Iterable[Any]) -> list[bool]:
    """For each answer to gettxout, whether the output is there. Raises ChainDown."""
    return [_output(answer) is not None for answer in answers]
