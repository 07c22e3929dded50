"""Attacks with questions: what is asked costs more than asking."""

import asyncio

from tests.harness.siege.attacker import Attacker
from tests.harness.siege.lies import scids
from tests.harness.siege.stranger import Stranger
from wire.cursor import encode_bigsize
from wire.encoded import encode_short_ids
from wire.peer_wire import GossipTimestampFilter, Ping, QueryChannelRange, QueryShortChannelIds
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]
ALL = 0xFFFFFFFF
SAME_ID = 8_186
"""As many as fit into a message."""
RANGE = QueryChannelRange(CHAIN, 0, ALL, 3).encode()
FILTER = GossipTimestampFilter(CHAIN, ALL - 1, 1).encode()


async def ranges_with_checksums(at: Attacker) -> None:
    """All blocks, timestamps and checksums, again and again."""
    await asyncio.gather(*(at.flood([RANGE] * 10, at.source(11), pause=0.01) for _ in range(5)))


async def filters_that_match_nothing(at: Attacker) -> None:
    """A look at the whole map for no byte of it."""
    await asyncio.gather(*(at.flood([FILTER] * 10, at.source(12), pause=0.01) for _ in range(10)))


async def one_id_repeated(at: Attacker) -> None:
    """8,186 times in a query."""
    query = QueryShortChannelIds(CHAIN, encode_short_ids([scids(at.truth)[0]] * SAME_ID)).encode()
    await asyncio.gather(*(at.flood([query], at.source(13), pause=0.01) for _ in range(3)))


async def odd_tlvs(at: Attacker) -> None:
    """16,000 and more of them in a query: numbers of three bytes, no value."""
    query = QueryChannelRange(CHAIN, 0, ALL).encode()
    records = b"".join(encode_bigsize(number) + b"\0" for number in range(253, 33_000, 2))
    message = (query + records)[:65_000]
    await asyncio.gather(*(at.flood([message], at.source(14), pause=0.01) for _ in range(3)))


async def sixty_floods(at: Attacker) -> None:
    """60 connections of one address: small pings, ranges and filters, as fast as they are taken."""
    kinds = [[Ping(0, b"").encode()] * 200, [RANGE] * 20, [FILTER] * 20]
    await asyncio.gather(*(at.flood(kinds[number % 3]) for number in range(60)))


async def slow_readers(at: Attacker) -> None:
    """The whole map is asked for, by filter and by queries, and never read."""
    everything = GossipTimestampFilter(CHAIN, 0, ALL).encode()
    query = QueryShortChannelIds(CHAIN, encode_short_ids(scids(at.truth))).encode()

    async def over(peer: Stranger) -> None:
        for _ in range(1_000):
            await at.say(peer, [everything, query, Ping(60_000, b"").encode()])
            await asyncio.sleep(0.05)

    await asyncio.gather(*(at.again(over, at.source(15 + number // 10)) for number in range(20)))
