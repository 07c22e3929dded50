"""The relay without a process: keys of a secret that is at hand, channels of a table, and a clock that stands."""

import asyncio
from collections.abc import Sequence

import pytest

from lightningd_py.oniond import relay as relay_module
from lightningd_py.oniond.path_ids import PathIds, Purpose
from lightningd_py.oniond.relay import MOST_HOPS, MOST_TURNS, CannotSend, ForUs, Relay
from wire.onion.blinding import BlindedPath, blind, path_to, read_path
from wire.onion.keys import OnionKeys, PathKeys, keys_of_onion
from wire.onion.message import Final, Forward, open_message, read_message, seal, write_message
from wire.onion.payloads import REPLY_PATH, RecipientData, encode_data
from wire.secp256k1 import public_key

SECRETS = [bytes([number]) * 32 for number in range(1, 30)]
US, A, B, C, *OTHERS = (public_key(secret) for secret in SECRETS)
SESSION, OTHER_SESSION = b"\x61" * 32, b"\x62" * 32
SHOP = Purpose("shop", b"order 7")
OURS, ALIENS = 7, 8
"""short_channel_ids: of a channel of ours with B, and of one of others."""


class Around:
    """What oniond is to the relay."""

    def __init__(self) -> None:
        self.said: list[tuple[bytes, bytes]] = []
        self.told: list[ForUs] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0

    async def keys(self, path_key: bytes, key: bytes) -> tuple[PathKeys, OnionKeys]:
        self.asked += 1
        await self.gate.wait()
        return keys_of_onion(SECRETS[0], path_key, key)

    async def channel(self, short_channel_id: int) -> Sequence[bytes]:
        return {OURS: sorted([US, B]), ALIENS: sorted([A, B])}.get(short_channel_id, [])

    def say(self, node_id: bytes, message: bytes, source: bytes) -> None:
        self.said.append((node_id, message))

    def for_us(self, message: ForUs) -> None:
        self.told.append(message)


@pytest.fixture
def around() -> Around:
    return Around()


@pytest.fixture
def relay(around: Around) -> Relay:
    made = Relay(US, PathIds(b"\7" * 32), around, lambda: 0.0)
    made.known = frozenset({64})
    return made


def opened_by(secret: bytes, raw: bytes) -> Forward | Final:
    sealed = read_message(raw)
    return open_message(sealed, keys_of_onion(secret, sealed.path_key, sealed.packet.public_key), {64})


def message(path: BlindedPath, fields: dict[int, bytes] | None = None) -> bytes:
    return write_message(seal(path, {64: b"hello"} if fields is None else fields, OTHER_SESSION))


def by_scid(scid: int) -> BlindedPath:
    return blind([US, B], [encode_data(RecipientData(short_channel_id=scid)), b""], SESSION)


# of peers


@pytest.mark.bolt("B4-120", "B4-121")
@pytest.mark.parametrize("path", [path_to([US, B], None, SESSION), by_scid(OURS)], ids=["node_id", "scid"])
async def test_forwarded(relay: Relay, around: Around, path: BlindedPath) -> None:
    await relay.heard(A, message(path))
    ((node_id, said),) = around.said
    assert node_id == B
    assert opened_by(SECRETS[2], said) == Final({64: b"hello"}, None)
    assert relay.outcomes == {"forwarded": 1}


@pytest.mark.bolt("B4-120")
@pytest.mark.parametrize("scid", [ALIENS, 9])
async def test_a_channel_that_is_not_ours_or_not_known(relay: Relay, around: Around, scid: int) -> None:
    await relay.heard(A, message(by_scid(scid)))
    assert (around.said, around.told) == ([], [])
    assert relay.outcomes == {"unknown_next": 1}


@pytest.mark.bolt("B4-130")
async def test_what_is_wrong_is_counted_and_nothing_is_said(relay: Relay, around: Around) -> None:
    raw = message(path_to([US, B], None, SESSION))
    await relay.heard(A, raw[:-1] + bytes([raw[-1] ^ 1]))
    await relay.heard(A, raw[:50])
    await relay.heard(A, message(path_to([A, B], None, SESSION)))
    await relay.heard(A, message(path_to([US], None, SESSION), {66: b""}))
    await relay.heard(A, message(blind([US], [b"\x10\0"], SESSION)))
    assert (around.said, around.told) == ([], [])
    assert relay.outcomes == {"hmac": 2, "malformed": 1, "payload": 1, "recipient_data": 1}


async def test_dummy_hops_are_peeled(relay: Relay, around: Around) -> None:
    await relay.heard(A, message(path_to([US] * MOST_TURNS, None, SESSION)))
    assert [told.fields for told in around.told] == [{64: b"hello"}]
    await relay.heard(A, message(path_to([US, US, A], None, SESSION)))
    assert [node_id for node_id, _ in around.said] == [A]


async def test_a_loop_ends(relay: Relay, around: Around) -> None:
    await relay.heard(A, message(path_to([US] * (MOST_TURNS + 1), None, SESSION)))
    assert (around.said, around.told) == ([], [])
    assert around.asked == MOST_TURNS
    assert relay.outcomes == {"loop": 1}


async def test_an_override_that_is_no_point_is_not_asked_about(relay: Relay, around: Around) -> None:
    wrong = b"\x02" + b"\xff" * 32
    data = encode_data(RecipientData(next_node_id=US, next_path_key_override=wrong))
    await relay.heard(A, message(blind([US, US], [data, b""], SESSION)))
    assert around.asked == 1
    assert relay.outcomes == {"malformed": 1}


async def test_so_many_of_all_peers_together(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MOST_A_SECOND", 3)
    relay = Relay(US, PathIds(b""), around, lambda: 0.0)
    for node_id in (A, B, C, *OTHERS[:2]):
        await relay.heard(node_id, message(path_to([US, B], None, SESSION)))
    assert relay.outcomes == {"forwarded": 3, "too_many": 2}


@pytest.mark.bolt("B4-128")
@pytest.mark.parametrize("messages", [True, False], ids=["messages", "bytes"])
async def test_a_flood_of_many_leaves_a_share_for_others(
    around: Around, monkeypatch: pytest.MonkeyPatch, messages: bool
) -> None:
    """Of what there is in a second half goes to those that come first, the rest to those that have said nothing."""
    raw, now = message(path_to([US, B], None, SESSION)), 0.0
    if messages:
        monkeypatch.setattr(relay_module, "MOST_A_SECOND", 20)
    else:
        monkeypatch.setattr(relay_module, "MOST_BYTES_A_SECOND", 20 * len(raw))
    relay = Relay(US, PathIds(b""), around, lambda: now)
    for node_id in 8 * [A, B, C]:
        await relay.heard(node_id, raw)
    taken = 11  # half is still there when ten have gone
    assert relay.outcomes == {"forwarded": taken, "too_many": 24 - taken}
    for node_id in OTHERS[:3]:
        await relay.heard(node_id, raw)
    assert relay.outcomes["forwarded"] == taken + 3
    now = 0.1
    await relay.heard(A, raw)
    assert relay.outcomes["forwarded"] == taken + 3
    now = 1.0
    await relay.heard(A, raw)
    assert relay.outcomes["forwarded"] == taken + 4


async def test_so_many_wait_for_their_keys(relay: Relay, around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the places are for peers that have said nothing in this second."""
    most = 60
    monkeypatch.setattr(relay_module, "MOST_IN_HAND", most)
    around.gate.clear()
    raw = message(path_to([US, B], None, SESSION))
    tasks = [asyncio.ensure_future(relay.heard(A, raw)) for _ in range(most)]
    await asyncio.sleep(0)
    assert relay.in_hand == most // 2
    tasks += [asyncio.ensure_future(relay.heard(B + bytes([n]), raw)) for n in range(most)]
    await asyncio.sleep(0)
    assert relay.in_hand == most
    assert relay.outcomes == {"too_many": most}
    around.gate.set()
    await asyncio.gather(*tasks)
    assert (relay.in_hand, len(around.said)) == (0, most)


# for us


@pytest.mark.bolt("B4-123", "B4-124")
async def test_along_a_path_of_ours_and_not(relay: Relay, around: Around) -> None:
    ours = read_path(relay.path_to_us([], SHOP))
    await relay.heard(A, message(ours))
    await relay.heard(A, message(path_to([US], None, SESSION)))
    await relay.heard(A, message(path_to([US], b"invented", SESSION)))
    assert [told.purpose for told in around.told] == [SHOP, None, None]
    assert around.told[0].path_key == ours.first_path_key


async def test_with_a_reply_path(relay: Relay, around: Around) -> None:
    back = path_to([B, A], b"id", SESSION).encode()
    await relay.heard(A, message(path_to([US], None, SESSION), {REPLY_PATH: back, 64: b"ask"}))
    await relay.heard(A, message(path_to([US], None, SESSION), {REPLY_PATH: back[:-1], 64: b"ask"}))
    assert [(told.fields, told.reply_path) for told in around.told] == [({64: b"ask"}, back)]
    assert relay.outcomes == {"for_us": 1, "payload": 1}


# of services


@pytest.mark.bolt("B4-123")
async def test_a_path_to_us_by_way_of_others(relay: Relay, around: Around) -> None:
    path = read_path(relay.path_to_us([A, B], SHOP))
    assert path.first_node_id == A
    raw = message(path)
    for secret, after in ((SECRETS[1], B), (SECRETS[2], US)):
        onward = opened_by(secret, raw)
        assert isinstance(onward, Forward)
        assert onward.next_node_id == after
        raw = write_message(onward.message)
    await relay.heard(A, raw)
    assert [told.purpose for told in around.told] == [SHOP]


async def test_sent_to_a_node_by_way_of_another(relay: Relay) -> None:
    first, raw = await relay.send([A, B], b"", {64: b"x"})
    assert first == A
    onward = opened_by(SECRETS[1], raw)
    assert isinstance(onward, Forward)
    assert opened_by(SECRETS[2], write_message(onward.message)) == Final({64: b"x"}, None)


@pytest.mark.bolt("B4-127")
async def test_sent_along_a_path_of_anothers(relay: Relay) -> None:
    theirs = path_to([B, C], b"theirs", SESSION)
    first, raw = await relay.send([], theirs.encode(), {64: b"x"})
    assert first == B
    assert read_message(raw).path_key == theirs.first_path_key
    onward = opened_by(SECRETS[2], raw)
    assert isinstance(onward, Forward)
    assert opened_by(SECRETS[3], write_message(onward.message)) == Final({64: b"x"}, b"theirs")


@pytest.mark.bolt("B4-127")
async def test_sent_by_way_of_others_along_a_path_of_anothers(relay: Relay) -> None:
    first, raw = await relay.send([A], path_to([B, C], b"theirs", SESSION).encode(), {64: b"x"})
    assert first == A
    onward = opened_by(SECRETS[1], raw)
    assert isinstance(onward, Forward)
    assert onward.next_node_id == B


@pytest.mark.bolt("B4-127")
async def test_a_path_that_begins_with_us(relay: Relay, around: Around) -> None:
    assert await relay.send([], path_to([US, B], b"theirs", SESSION).encode(), {64: b"x"}) == (None, b"")
    ((node_id, raw),) = around.said
    assert node_id == B
    assert opened_by(SECRETS[2], raw) == Final({64: b"x"}, b"theirs")


async def test_a_path_that_begins_at_a_channel(relay: Relay) -> None:
    path = path_to([B, C], None, SESSION)
    for direction, node_id in enumerate(sorted([A, B])):
        named = BlindedPath(bytes([direction]) + ALIENS.to_bytes(8, "big"), path.first_path_key, path.hops)
        first, _ = await relay.send([], named.encode(), {64: b"x"})
        assert first == node_id
    unknown = BlindedPath(b"\0" + bytes(8), path.first_path_key, path.hops)
    with pytest.raises(CannotSend, match="a channel that is not known"):
        await relay.send([], unknown.encode(), {})


@pytest.mark.parametrize(
    ("node_ids", "path", "says"),
    [
        ([], b"", "neither nodes"),
        ([], b"\x02", "blinded_path"),
        ([b"\x02" + b"\xff" * 32], b"", "no node id"),
        ([A] * MOST_HOPS, b"", "19 nodes are the most"),
        ([], blind([US, A], [b"", b""], SESSION).encode(), "the path begins with this node, and"),
        ([], by_scid(9).encode(), "leads nowhere: unknown_next"),
    ],
)
async def test_what_cannot_be_sent(relay: Relay, node_ids: list[bytes], path: bytes, says: str) -> None:
    with pytest.raises(CannotSend, match=says):
        await relay.send(node_ids, path, {64: b"x"})


async def test_sent_to_ourselves_by_way_of_ourselves(relay: Relay, around: Around) -> None:
    assert await relay.send([US, US], b"", {64: b"x"}) == (None, b"")
    assert [told.fields for told in around.told] == [{64: b"x"}]
    assert around.said == []


async def test_what_is_too_long(relay: Relay) -> None:
    with pytest.raises(CannotSend, match="do not fit"):
        await relay.send([A], b"", {64: bytes(40_000)})
    with pytest.raises(CannotSend, match="128 bytes"):
        relay.path_to_us([], Purpose("shop", bytes(129)))
