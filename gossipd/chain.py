"""What the chain does to the map: channels that are spent, alive again, or deep enough, and those never looked up.

Alive again are those whose funding outputs a reorganisation has made unspent. They are written again, behind
`delete_chan`: flags in the file cannot be taken back for readers that have seen them, and the peers that were not sent
the dying ones are sent these.

Never looked up are channels of a store that another node wrote, or that were taken while no chain was followed. They
are asked for after the start, when nothing else is to be asked.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from gossipd.ingest.txout import Txout
from gossipd.map.forget import Forgetting
from gossipd.map.index import MapIndex
from gossipd.map.keeper import Keeper
from gossipd.map.writer import MapWriter
from gossipd.store.writer import GossipStore
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_wire import UnwatchedChannels, UnwatchedChannelsReply
from wire.control.status import Status
from wire.gossip_layout import channel_keys
from wire.scid import scid_to_text

AT_ONCE = 200
PAUSE = 0.05
"""Seconds between two looks at whether there is room for more."""

GATHER = 0.2
"""Seconds in which channels are gathered that turn out to be spent: a pass over the whole map takes out any number."""

status = Status("gossipd")


class OnChain:
    """The chain's news for the map, as the master tells them."""

    def __init__(
        self, master: ControlChannel, keeper: Keeper, txout: Txout, besides: Callable[[], Iterable[int]] = tuple
    ) -> None:
        """`txout`: the stage that asks for funding outputs. `besides`: channels that are to be watched and not on the
        map."""
        self._master = master
        self._store, self._index = keeper.store, keeper.index
        self._forgetting = keeper.forgetting
        self._flush_then = keeper.flush.then
        self._txout = txout
        self._besides = besides
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._left: list[int] = []
        self._spent: list[int] = []
        self._spend_timer: asyncio.TimerHandle | None = None
        self._blockheight = 0

    def new_blockheight(self, blockheight: int) -> None:
        """The chain ends here: spent channels are forgotten in their time, early ones are deep enough in theirs."""
        self._blockheight = blockheight
        if self._forgetting.block(blockheight):
            self._flush_then(_nothing_more)
        if self._task is None:  # before anything is asked for that the master could let go again
            self._task = asyncio.get_running_loop().create_task(self._look_up_the_rest())
            self._task.add_done_callback(_report)
        self._txout.new_blockheight(blockheight)

    def outpoints_spent(self, blockheight: int, scids: list[int], done: Callable[[], None]) -> None:
        """These channels are dying. `done` is called when the store has it, be it that the disk is full for a while."""
        if self._forgetting.spend(scids, blockheight):
            status.info(f"spent in block {blockheight}: {', '.join(map(scid_to_text, scids))}")
        self._flush_then(done)

    def reorganised(self, blockheight: int, unspent: list[int], done: Callable[[], None]) -> None:
        """The blocks above this one are undone: these channels live again."""
        self._spend_gathered()
        if blockheight == 0:  # what was closed is looked up when it is announced again
            self._forgetting.closed.clear()
        alive = unspend(self._store, self._index, self._forgetting, unspent)
        status.info(f"the chain is reorganised from block {blockheight} on: {alive} channels are not spent any more")
        self._txout.reorganised()
        self._flush_then(done)

    def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._spend_gathered()

    # what was never looked up

    async def _look_up_the_rest(self) -> None:
        try:
            known = UnwatchedChannels(sorted({*self._index.channels, *self._besides()}))
            scids = (await self._master.request(known, UnwatchedChannelsReply)).short_channel_ids
        except ChannelClosed:
            return
        if scids:
            status.info(f"{len(scids)} channels on the map were never looked up on the chain: they are now")
        self._left = scids[::-1]
        self._step()

    def _step(self) -> None:
        if self._txout.unfinished <= AT_ONCE:
            batch, self._left = self._left[-AT_ONCE:], self._left[:-AT_ONCE]
            for scid in reversed(batch):
                self._ask(scid)
        if self._left:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._step)

    def _ask(self, scid: int) -> None:
        row = self._index.channels.get(scid)
        if row is not None and scid not in self._index.dying:
            announcement = self._store.read(self._index.announce_off[row])
            if not announcement:
                return
            self._txout.ask(
                scid,
                channel_keys(announcement)[2:],
                partial(self._there, scid),
                partial(self._gone, scid),
                partial(self._stays, scid),
            )

    def _there(self, scid: int, amount_sat: int) -> None:
        row = self._index.channels.get(scid)
        if row is not None and self._index.amount_sat[row] != amount_sat:
            self._store.set_amount(self._index.announce_off[row], amount_sat)
            self._index.amount_sat[row] = amount_sat

    def _stays(self, scid: int, why: str, *, forged: bool = False, dropped: bool = False) -> None:
        status.debug(f"channel {scid_to_text(scid)} stays, unchecked: {why}")

    def _gone(self, scid: int, why: str, *, forged: bool = False, dropped: bool = False) -> None:
        status.info(f"channel {scid_to_text(scid)} goes: {why}")
        self._spent.append(scid)
        if self._spend_timer is None:
            self._spend_timer = asyncio.get_running_loop().call_later(GATHER, self._spend_gathered)

    def _spend_gathered(self) -> None:
        if self._spend_timer is None:
            return
        self._spend_timer.cancel()
        self._spend_timer = None
        spent, self._spent = self._spent, []
        self._forgetting.spend(spent, self._blockheight)
        self._flush_then(_nothing_more)


def _nothing_more() -> None:
    """What is done after a flush that has no further end."""


def _report(task: asyncio.Task[None]) -> None:
    """An exception that ends it is our own bug."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "looking channels up has ended", "exception": error})


def unspend(store: GossipStore, index: MapIndex, forgetting: Forgetting, scids: Iterable[int]) -> int:
    """Returns how many are alive again. Those that are not on the map any more may be announced again."""
    alive = []
    for scid in scids:
        forgetting.closed.discard(scid)
        if scid in index.dying and store.read(index.announce_off[index.channels[scid]]):
            alive.append(_Kept(store, index, scid))
    forgetting.drop(kept.scid for kept in alive)
    writer = MapWriter(store, index, forgetting)
    for kept in alive:
        kept.write_again(writer, index)
    return len(alive)


class _Kept:
    """What a map has of a channel, so that it can be written again: its own records and its nodes'."""

    def __init__(self, store: GossipStore, index: MapIndex, scid: int) -> None:
        row = index.channels[scid]
        self.scid = scid
        self._announcement, self._amount_sat = store.read(index.announce_off[row]), max(0, index.amount_sat[row])
        self._updates = [_kept(store, column[row]) for column in index.update_off]
        self._node_ids = index.node_ids[index.node1[row]], index.node_ids[index.node2[row]]
        self._nodes = [_kept(store, index.node_announce_off[index.nodes[node_id]]) for node_id in self._node_ids]

    def write_again(self, writer: MapWriter, index: MapIndex) -> None:
        first = min((update[1] for update in self._updates if update), default=0)
        row = writer.write_channel(self._announcement, self.scid, self._node_ids, first, self._amount_sat)
        for direction, update in enumerate(self._updates):
            if update:
                writer.write_update(row, direction, update[1], update[0])
        for node_id, announcement in zip(self._node_ids, self._nodes, strict=True):
            node = index.nodes[node_id]
            if announcement and not index.node_announce_off[node]:  # it went with its last channel
                writer.write_node(node, announcement[1], announcement[0])


def _kept(store: GossipStore, offset: int) -> tuple[bytes, int] | None:
    message = store.read(offset) if offset else b""
    return (message, store.timestamp(offset)) if message else None
