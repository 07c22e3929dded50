"""The first peers of a node that knows no other: from DNS seeds (BOLT 10), then from a file of the operator's.

As soon as one of them is connected its gossip tells of all others, and neither is asked again: what they can learn or
say of us is as little as it can be.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from lightningd_py.errors import UsageError
from wire.address import parse_peer
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_wire import BootstrapReply, PeerInfo, ReachPeerReplyfail
from wire.control.status import Status

FIRST_PEERS = 3
"""Peers that are enough to learn of all others."""
MOST_LINES = 1_000
"""Of the file of fallback peers."""
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3_600.0
"""Seconds between rounds that reached no node, doubling."""

Candidate = tuple[bytes, str]
"""node_id and address."""
Reach = Callable[[bytes, list[str]], Awaitable[PeerInfo]]
AskSeeds = Callable[[Sequence[str]], Awaitable[BootstrapReply]]

status = Status("lightningd")


def read_peers(file: Path, default_port: int) -> list[Candidate]:
    """The peers of a file, `id@host:port` in a line; what follows a # is a comment. Raises UsageError."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--fallback-peers: {file}: {reason}") from error
    if len(lines) > MOST_LINES:
        raise UsageError(f"--fallback-peers: {file} has more than {MOST_LINES} lines")
    found = []
    for number, line in enumerate(lines, 1):
        if text := line.partition("#")[0].strip():
            found.append(_peer(text, default_port, f"{file}:{number}"))
    return found


def _peer(text: str, default_port: int, where: str) -> Candidate:
    try:
        node_id, address = parse_peer(text, default_port)
    except ValueError as error:
        raise UsageError(f"--fallback-peers: {where}: {error}") from error
    if address is None:
        raise UsageError(f"--fallback-peers: {where}: '{text}' has no address")
    return node_id, str(address)


class Bootstrap:
    """Looks for the first peers. `knows_a_node` is asked before each round, and ends it all if so."""

    def __init__(
        self,
        seeds: Sequence[str],
        fallback: Sequence[Candidate],
        ask_seeds: AskSeeds,
        reach: Reach,
        knows_a_node: Callable[[], bool],
        *,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._seeds = seeds
        self._fallback = fallback
        self._ask_seeds = ask_seeds
        self._reach = reach
        self._knows_a_node = knows_a_node
        self._pause = pause

    async def run(self) -> None:
        """Until a node is known, or for ever."""
        pause = self._pause
        while (self._seeds or self._fallback) and not self._knows_a_node():
            try:
                if await self._connect(await self._from_seeds()) or await self._connect(self._fallback):
                    return
            except ChannelClosed:
                return  # the node ends, or connectd does
            status.unusual(f"no node is known that could tell of others; next try in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _from_seeds(self) -> list[Candidate]:
        if not self._seeds:
            return []
        status.info(f"no other node is known: asking {', '.join(self._seeds)}")
        reply = await self._ask_seeds(self._seeds)
        for seed, reason in reply.errors:
            status.unusual(f"DNS seed {seed}: {reason}")
        return reply.candidates

    async def _connect(self, candidates: Sequence[Candidate]) -> bool:
        """Whether any was reached. No more are tried than are needed."""
        todo = random.sample(candidates, len(candidates))
        reached = 0
        while todo and reached < FIRST_PEERS:
            now, todo = todo[: FIRST_PEERS - reached], todo[FIRST_PEERS - reached :]
            reached += sum(await asyncio.gather(*(self._try(node_id, address) for node_id, address in now)))
        return reached > 0

    async def _try(self, node_id: bytes, address: str) -> bool:
        try:
            await self._reach(node_id, [address])
        except RequestFailed as failed:
            reasons = failed.refusal.errors if isinstance(failed.refusal, ReachPeerReplyfail) else []
            status.debug(f"{address}: {'; '.join(reason for _, reason in reasons) or failed}", node_id)
            return False
        return True
