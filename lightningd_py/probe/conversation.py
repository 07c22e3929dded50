"""The talk with one node: hands are shaken, its list and then its channels are asked for, its gossip is heard."""

import asyncio
import contextlib
import time

from lightningd_py.probe.survey import Survey
from lightningd_py.tools.scripted_peer import NO_PONG_FROM, PeerClosed, ScriptedPeer
from wire.cursor import WireError
from wire.encoded import decode_short_ids, encode_short_ids
from wire.frames import FrameError
from wire.noise import HandshakeError
from wire.peer_wire import (
    ErrorMessage,
    GossipTimestampFilter,
    Ping,
    Pong,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    WarningMessage,
    decode,
)
from wire.types import NETWORKS

CONNECT_TIME = 20.0
QUERY_TIME = 30.0
"""Seconds for an answer; a peer that takes longer is asked nothing more."""
TICK = 0.5
"""Seconds after which there may be something more to ask: another peer may have failed to give what this one has."""
ALL_BLOCKS = 0xFFFFFFFF
GOSSIP = frozenset({256, 257, 258})


class Conversation:
    """With peer `number` of the survey; `began` is when the probe did, on the loop's clock."""

    def __init__(self, survey: Survey, number: int, network: str, began: float) -> None:
        self._survey = survey
        self._number = number
        self._network = network
        self._chain_hash = NETWORKS[network]
        self._began = began
        self._given = survey.peers[number]
        self._asked_at: float | None = None
        self._pinged_at: float | None = None
        self._silent = False

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def run(self) -> None:
        """Until it is cancelled, or the node hangs up. What went wrong stands in the survey."""
        started = self._now()
        try:
            peer = await ScriptedPeer.connect(self._given.target, networks=[self._network], timeout=CONNECT_TIME)
            self._given.connected = self._now() - started
            async with peer:
                await self._talk(peer)
        except TimeoutError:
            self._given.error = f"no connection within {CONNECT_TIME:g} s"
        except (OSError, PeerClosed, FrameError, HandshakeError, WireError, ValueError) as error:
            self._given.error = str(error) or type(error).__name__
        finally:
            self._survey.answered(self._number, None)

    async def _talk(self, peer: ScriptedPeer) -> None:
        self._pinged_at = self._asked_at = self._now()
        await peer.say(
            Ping(num_pong_bytes=1, ignored=b""),
            GossipTimestampFilter(self._chain_hash, int(time.time()), ALL_BLOCKS),
            QueryChannelRange(self._chain_hash, 0, ALL_BLOCKS),
        )
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    raw = await peer.hear_raw()
                await self._hear(peer, raw)
            await self._ask(peer)

    async def _hear(self, peer: ScriptedPeer, raw: bytes) -> None:
        if int.from_bytes(raw[:2], "big") in GOSSIP:
            self._survey.arrives(self._number, raw, self._now())
            return
        match decode(raw):
            case Ping() as ping if ping.num_pong_bytes < NO_PONG_FROM:
                await peer.say(Pong(ignored=bytes(ping.num_pong_bytes)))
            case Pong() if self._pinged_at is not None:
                self._given.ping = self._now() - self._pinged_at
                self._pinged_at = None
            case ReplyChannelRange() as part:
                self._listed(part)
            case ReplyShortChannelIdsEnd() if self._given.listed_after is not None and self._asked_at is not None:
                self._survey.answered(self._number, self._now() - self._asked_at)
                self._asked_at = None
            case (ErrorMessage() | WarningMessage()) as said:
                self._given.error = said.text()

    def _listed(self, part: ReplyChannelRange) -> None:
        if self._given.listed_after is not None or self._asked_at is None:
            return
        self._survey.lists(self._number, decode_short_ids(part.encoded_short_ids))
        if part.first_blocknum + part.number_of_blocks >= ALL_BLOCKS or self._given.overflow:
            self._survey.listed_all(self._number, self._now() - self._asked_at)
            self._asked_at = None

    async def _ask(self, peer: ScriptedPeer) -> None:
        """The next question, if the last one is answered."""
        if self._asked_at is not None:
            if self._now() - self._asked_at > QUERY_TIME and not self._silent:
                self._silent = True
                self._survey.answered(self._number, None)
            return
        scids = self._survey.question(self._number)
        if scids:
            self._asked_at = self._now()
            await peer.say(QueryShortChannelIds(self._chain_hash, encode_short_ids(scids)))
