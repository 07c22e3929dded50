"""Attacks with gossip: what is forged, invented, or never said where it was asked for."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

from tests.gossipd.messages import signed
from tests.harness.siege.attacker import Attacker
from tests.harness.siege.stranger import Stranger
from wire.encoded import encode_short_ids
from wire.peer_wire import (
    ChannelAnnouncement,
    ChannelUpdate,
    NodeAnnouncement,
    Ping,
    Pong,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    decode,
)
from wire.scid import make_scid
from wire.secp256k1 import double_sha256, public_key, sign
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]
UNSIGNED = (bytes(64), bytes(64), bytes(64), bytes(64))
ANNOUNCEMENTS = 4_000


def secrets_of(number: int) -> list[bytes]:
    """Four of the attacker's keys, those of the nodes in their order."""
    keys = [number.to_bytes(31, "big") + bytes([each]) for each in range(1, 5)]
    return sorted(keys[:2], key=public_key) + keys[2:]


def self_signed(scid: int, number: int) -> bytes:
    """An announcement of this channel by keys of one's own: each signature of it is right."""
    secrets = secrets_of(number)
    message = ChannelAnnouncement(*UNSIGNED, b"", CHAIN, scid, *map(public_key, secrets))
    return signed(message, secrets)


def signed_update(scid: int, secret: bytes, direction: int = 0) -> bytes:
    """An update of it, of now."""
    fields = (int(time.time()), 1, direction, 40, 1, 1_000, 1, 10**8)
    message = ChannelUpdate(bytes(64), CHAIN, scid, *fields)
    return replace(message, signature=sign(secret, double_sha256(message.encode()[66:]))).encode()


def scids(truth: list[bytes]) -> list[int]:
    """Of the true channels."""
    return [m.short_channel_id for raw in truth if isinstance(m := decode(raw), ChannelAnnouncement)]


async def self_signed_announcements(at: Attacker) -> None:
    """Of channels that are others', with updates."""
    lies: list[bytes] = []
    for number, scid in enumerate(scids(at.truth)):
        lies += [self_signed(scid, number), signed_update(scid, secrets_of(number)[0])]
    await asyncio.gather(*(at.flood(lies, at.source(number), pause=0.5) for number in range(3)))


def _forged(raw: bytes) -> Iterator[bytes]:
    """The message with a later timestamp and a signature of the attacker's."""
    message = decode(raw)
    if isinstance(message, ChannelUpdate | NodeAnnouncement):
        later = replace(message, timestamp=int(time.time()))
        yield replace(later, signature=sign(bytes([7]) * 32, double_sha256(later.encode()[66:]))).encode()


async def forged_updates_and_nodes(at: Attacker) -> None:
    """Newer than the true ones, badly signed."""
    lies = [lie for raw in at.truth for lie in _forged(raw)]
    await asyncio.gather(*(at.flood(lies, at.source(number), pause=0.2) for number in range(3)))


async def updates_of_channels_that_do_not_exist(at: Attacker) -> None:
    """2,500 a second."""
    lies = [signed_update(make_scid(300_000 + number, 1, 0), bytes([9]) * 32) for number in range(2_500)]
    await at.flood(lies, at.source(3), pause=1.0)


async def announcements_without_outputs(at: Attacker) -> None:
    """4,000, in blocks that the chain has; with updates, so that they would count for something."""

    async def over(peer: Stranger) -> None:
        async with peer.swallowing():
            for number in range(ANNOUNCEMENTS):
                scid = make_scid(1 + number % 400, 500 + number, 0)
                await at.say(peer, [self_signed(scid, number), signed_update(scid, secrets_of(number)[0])])
            await asyncio.Event().wait()

    await at.again(over, at.source(4))


async def drip(at: Attacker) -> None:
    """The first streamer says something new each half second, and never that it has said all."""

    async def over(peer: Stranger) -> None:
        async with peer.swallowing():
            for number in range(ANNOUNCEMENTS):
                scid = make_scid(400_000 + number, 1, 0)
                await at.say(peer, [self_signed(scid, number)])
                await asyncio.sleep(0.5)

    await at.again(over, at.source(5))


async def empty_replies(at: Attacker) -> None:
    """Each query is answered by nothing, and not once: ranges go on for ever, and channels are never sent."""

    async def over(peer: Stranger) -> None:
        peer.auto_pong = False
        while True:
            match await peer.hear(timeout=3_600):
                case Ping(num_pong_bytes=wanted):
                    await peer.say(Pong(bytes(wanted)))
                case QueryChannelRange(first_blocknum=first):
                    await at.say(peer, [ReplyChannelRange(CHAIN, first, 1, 0, encode_short_ids([]))])
                case QueryShortChannelIds():
                    await at.say(peer, [ReplyShortChannelIdsEnd(CHAIN, 1)])

    await asyncio.gather(*(at.again(over, at.source(6 + number)) for number in range(4)))


async def one_bad_message_in_an_honest_map(at: Attacker) -> None:
    """A relay that has a malformed update, a node with a wrong length and a bad signature among what is true."""
    update = next(raw for raw in at.truth if raw[:2] == b"\x01\x02")
    node = next(raw for raw in at.truth if raw[:2] == b"\x01\x01")
    bad = [update[:130], node[:-1], update[:2] + bytes(64) + update[66:]]
    middle = len(at.truth) // 2
    whole = [*at.truth[:middle], *bad, *at.truth[middle:]]
    await at.flood(whole, at.source(10), pause=1.0)
