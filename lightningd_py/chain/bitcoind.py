"""A Bitcoin node as the chain source: followed block by block, asked for funding outputs, waited for when it is away.

    txouts.py       what is at a short_channel_id?          bitcoin_rpc.py     JSON-RPC over HTTP
    watch.py        which outputs are watched, and how far  block_notices.py   when to look for a new block
    block.py        what a block spends                     bitcoin_access.py  where it is and how it lets us in

One task follows the chain. It begins where it stopped before the last end of ours; if that is more than CATCH_UP blocks
ago, the outputs themselves are looked at, which is less work than all the blocks. Whatever the node does ends in a
sentence in the log and in `warning`, and in another try.
"""

import asyncio
from itertools import groupby
from typing import Any

from lightningd_py.chain.bitcoin_access import BitcoindAccess
from lightningd_py.chain.bitcoin_rpc import (
    MISC,
    BitcoinRpc,
    ChainDown,
    Refused,
    accepted,
    block_named,
    hash_bytes,
    reason_of,
)
from lightningd_py.chain.block import BlockError, block_hash, inputs, previous_hash
from lightningd_py.chain.block_notices import BlockNotices
from lightningd_py.chain.source import Answered, Follower
from lightningd_py.chain.txouts import OUTPUTS_A_REQUEST, WORKERS, Txouts, report, txid_at, txids_of, unspent
from lightningd_py.chain.watch import KEPT_BLOCKS, Block, Watch
from lightningd_py.config.options import Options
from lightningd_py.database import Database
from wire.control.status import Status
from wire.scid import block_of, output_of, transaction_of
from wire.start.late_dataclass import dataclass
from wire.types import NETWORKS

CATCH_UP = 144
"""Blocks that are read one by one: about 300 MB."""
MOST_BLOCKS = (1 << 24) - 1
INPUTS_A_TURN = 2_000
"""Inputs that are looked at in one go, about 2 ms."""

status = Status("lightningd")


@dataclass(frozen=True, slots=True)
class _Tip:
    """What the node says of its best chain."""

    block: Block
    warning: str


class _Parted(Exception):
    """The block that came does not follow the last one: the chain has been reorganised meanwhile."""


class Bitcoind:
    """See ChainSource."""

    name = "bitcoind"
    checks_outputs = True

    def __init__(self, options: Options, database: Database) -> None:
        timing = options.timing
        access = BitcoindAccess.of(options)
        self._who = str(access)
        self._genesis = NETWORKS[options.network]
        self._network = options.network
        self._rpc = BitcoinRpc(access, timing.chain_timeout, WORKERS + 1)
        self._notices = BlockNotices(access.host, timing.chain_poll)
        self._retry, self._longest_retry = timing.chain_retry, timing.chain_poll
        self._watch = Watch(database)
        self._txouts = Txouts(self._rpc, self._watch, self._lookup_failed)
        self._warning = f"{self._who} has not been asked yet"
        self._trouble = ""
        """Why it cannot be asked; empty if it can."""
        self._task: asyncio.Task[None] | None = None

    @property
    def blockheight(self) -> int:
        """See ChainSource."""
        return self._txouts.blockheight

    @property
    def warning(self) -> str:
        """See ChainSource."""
        return self._warning

    @property
    def rpc(self) -> BitcoinRpc:
        """For those who count requests."""
        return self._rpc

    def start(self, follower: Follower) -> None:
        """See ChainSource."""
        self._follower = follower
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(report)

    def look_up(self, scid: int, script: bytes, answered: Answered) -> None:
        """See ChainSource."""
        self._txouts.look_up(scid, script, answered)

    def unwatched(self, scids: list[int]) -> list[int]:
        """See ChainSource."""
        return self._watch.unwatched(scids)

    async def close(self) -> None:
        """See ChainSource."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._txouts.close()
        await self._rpc.close()
        self._notices.close()

    # up and down

    def _lookup_failed(self, reason: str) -> None:
        self._say_down(reason)
        self._notices.wake()

    def _say_down(self, reason: str) -> None:
        """Once for each reason."""
        self._warning = f"{self._who} {reason}"
        if reason.partition(":")[0] != self._trouble.partition(":")[0]:  # not for each block that it gets
            status.unusual(f"{self._warning}: new channels wait until it answers as it should")
        self._trouble = reason

    def _say_up(self) -> None:
        if self._trouble:
            status.info(f"{self._who} answers again; {self._txouts.unanswered} outputs have waited")
        self._trouble = ""
        self._txouts.go()

    async def _run(self) -> None:
        """Follow the chain for ever."""
        pause = self._retry
        while True:
            try:
                await self._meet()
                while True:
                    await self._follow()
                    self._say_up()
                    await self._notices.wait()
                    if self._trouble:  # a look-up has met it
                        break
                    pause = self._retry
            except ChainDown as error:
                self._say_down(str(error))
            self._txouts.stop()
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._longest_retry)

    async def _meet(self) -> None:
        """Is it the node that we want, and does it tell of blocks by itself? Raises ChainDown."""
        if hash_bytes(await self._ask("getblockhash", 0)) != self._genesis:
            raise ChainDown(f"is on another chain than {self._network}")
        self._notices.subscribe(await self._rpc.call("getzmqnotifications"))

    async def _tip(self) -> _Tip:
        """Raises ChainDown also while the node builds its chain: what it will have is not there yet, or is gone."""
        info = await self._ask("getblockchaininfo")
        try:
            block = Block(_height(info["blocks"]), hash_bytes(info["bestblockhash"]))
            tip = _Tip(block, _warning(self._who, info))
        except (TypeError, KeyError, ValueError) as error:
            raise ChainDown("answers getblockchaininfo with something else") from error
        if info.get("initialblockdownload") is True:
            headers = reason_of(str(info.get("headers")))
            raise ChainDown(f"is still catching up with the chain: it has block {block.height} of {headers}")
        if self._watch.last is not None and block.height < self._watch.last.height:
            raise ChainDown(f"has lost blocks: it has block {block.height}, and had block {self._watch.last.height}")
        return tip

    # following

    async def _follow(self) -> None:
        """Go on to the end of the chain, undoing first what is not part of it any more."""
        while (tip := await self._tip()).block != self._watch.last or self._watch.look_again_above is not None:
            await self._undo()
            try:
                await self._go_on(tip.block.height)
            except _Parted:
                await asyncio.sleep(self._retry)  # a node that contradicts itself is not asked in a loop
                continue
            self._txouts.chain_changed(tip.block.height)
            if self._watch.look_again_above is not None:
                await self._look_again(self._watch.look_again_above)
            self._follower.new_blockheight(self.blockheight)
        if not self.blockheight:  # nothing has happened since we ended
            self._txouts.chain_changed(tip.block.height)
            self._follower.new_blockheight(tip.block.height)
        if bool(tip.warning) != bool(self._warning) and tip.warning:
            status.unusual(tip.warning)
        self._warning = tip.warning

    async def _ask(self, method: str, *params: object) -> Any:
        return accepted(method, await self._rpc.call(method, *params))

    async def _hash_at(self, height: int) -> bytes | None:
        return block_named(await self._rpc.call("getblockhash", height))

    async def _undo(self) -> None:
        """Step back to the last block that both chains have. If none is remembered nothing that we know need be so."""
        last = self._watch.last
        if last is None or (common := await self._common_block()) == last:
            return
        height = common.height if common else 0
        if common:
            status.unusual(f"the chain is reorganised: {last.height - height} blocks above {height} are undone")
        else:
            status.unusual("the chain is reorganised, deeper than is remembered: every channel is looked at again")
        self._txouts.chain_changed(height, reorganised=True)
        await self._follower.reorganised(height, self._watch.spent_above(height))
        self._watch.undo_above(common)

    async def _common_block(self) -> Block | None:
        for block in self._watch.remembered():
            if await self._hash_at(block.height) == block.hash:
                return block
        return None

    async def _go_on(self, height: int) -> None:
        last = self._watch.last
        if last is None or height - last.height > CATCH_UP:
            await self._jump(height)
            return
        for next_height in range(last.height + 1, height + 1):
            await self._take_block(next_height)

    async def _take_block(self, height: int) -> None:
        """What does the next block spend?"""
        named = await self._hash_at(height)
        if named is None:
            raise _Parted
        raw = await self._ask("getblock", named[::-1].hex(), 0)
        try:
            block = bytes.fromhex(raw)
        except (TypeError, ValueError) as error:
            raise ChainDown("answers getblock with something else than a block") from error
        if block_hash(block) != named:
            raise ChainDown("answers getblock with another block")
        if self._watch.last is None or previous_hash(block) != self._watch.last.hash:
            raise _Parted
        self._txouts.ask_again()
        await self._taken(Block(height, named), await self._spent_in(block))

    async def _taken(self, block: Block, spent: list[int]) -> None:
        if spent:
            await self._follower.outpoints_spent(block.height, spent)
        self._watch.take(block, spent)
        self._txouts.chain_changed(block.height)

    async def _spent_in(self, block: bytes) -> list[int]:
        spent: list[int] = []
        try:
            for number, outpoint in enumerate(inputs(block)):
                if number % INPUTS_A_TURN == INPUTS_A_TURN - 1:
                    await asyncio.sleep(0)
                spent += self._watch.channels_at(outpoint)
        except BlockError as error:
            raise ChainDown(f"answers getblock with no block: {error}") from error
        return spent

    async def _jump(self, height: int) -> None:
        """We know nothing yet, or have missed too much: start from here, and look at each output itself."""
        below = await self._blocks(max(0, height - KEPT_BLOCKS + 1), height)
        self._txouts.ask_again()
        outputs = self._watch.outputs()
        spent = await self._no_longer_there(outputs)
        if await self._hash_at(height) != below[-1].hash:
            raise _Parted
        if outputs:
            status.info(f"{len(outputs)} channels were looked at, {len(spent)} of them are closed")
        self._watch.remember(below[:-1])
        await self._taken(below[-1], spent)

    async def _blocks(self, first: int, last: int) -> list[Block]:
        heights = range(first, last + 1)
        hashes = await self._rpc.batch([("getblockhash", (height,)) for height in heights])
        blocks = [
            Block(height, named) for height, found in zip(heights, hashes, strict=True) if (named := block_named(found))
        ]
        if len(blocks) < len(heights):
            raise _Parted
        return blocks

    async def _no_longer_there(self, outputs: list[tuple[int, bytes]]) -> list[int]:
        gone = []
        for start in range(0, len(outputs), OUTPUTS_A_REQUEST):
            some = outputs[start : start + OUTPUTS_A_REQUEST]
            answers = await self._rpc.batch(
                [("gettxout", (txid[::-1].hex(), output_of(scid), False)) for scid, txid in some]
            )
            gone += [scid for (scid, _), there in zip(some, unspent(answers), strict=True) if not there]
        return gone

    async def _look_again(self, above: int) -> None:
        """Channels that were funded in blocks which are undone: those that are elsewhere now, or nowhere, are gone."""
        moved = []
        for height, outputs in groupby(self._watch.outputs(above), lambda output: block_of(output[0])):
            txids = await self._txids_at(height)
            if txids is not None:
                moved += [scid for scid, txid in outputs if txid_at(txids, transaction_of(scid)) != txid]
        if moved:
            status.info(f"{len(moved)} channels are not where they were before the reorganisation")
            await self._follower.outpoints_spent(self.blockheight, moved)
        self._watch.looked_again(moved)

    async def _txids_at(self, height: int) -> bytes | None:
        """Of a block's transactions. None if the node has not kept it: so old a block was not undone."""
        named = await self._hash_at(height)
        if named is None:
            return b""
        block = await self._rpc.call("getblock", named[::-1].hex(), 1)
        if isinstance(block, Refused) and block.code == MISC:
            return None
        return txids_of(accepted("getblock", block))


def _height(blocks: Any) -> int:
    """Raises ValueError if it is none that a short_channel_id could name."""
    if isinstance(blocks, int) and 0 <= blocks <= MOST_BLOCKS:
        return blocks
    raise ValueError(blocks)


def _warning(who: str, info: Any) -> str:
    """What getblockchaininfo says that an operator should know."""
    if info.get("pruned") is True:
        return (
            f"{who} is pruned below block {info.get('pruneheight', 0)}: channels that were opened in older blocks"
            " cannot be proven and are not taken"
        )
    return ""
