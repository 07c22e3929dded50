"""Gossip v2's signatures: of a node, of four keys, of three; each record that is signed, and each that is not."""

import hashlib
from collections.abc import Callable

import pytest

from lightningd_py.tools.synthetic_gossip_v2 import (
    FUNDINGS,
    KEYLESS,
    P2WSH,
    TAPROOT,
    TWEAKED,
    SyntheticGossip2,
    even_secret,
    sum_of_secrets,
)
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.wire.gossip_v2.test_messages import instead, without
from wire.cursor import write_tlvs
from wire.gossip_v2.keys import aggregate, multisig_script, taproot_script
from wire.gossip_v2.messages import ChannelAnnouncement2
from wire.gossip_v2.records import read_records, signature_tag, tagged_digest
from wire.gossip_v2.signatures import digest_of, holds, output_key
from wire.secp256k1 import public_key, sign_schnorr, verify_schnorr

MADE = SyntheticMap(random_edges(2, 8, 5), 2, 1_700_000_000)
GOSSIP = SyntheticGossip2(MADE, 1_000, FUNDINGS)
NO_POINT = b"\x02" + bytes(32)


def key_of(number: int) -> bytes:
    """What `holds` is told of a channel_announcement_2: the key of its output, if it says none."""
    return output_key(GOSSIP.channel(number).script) if FUNDINGS[number % 4] == KEYLESS else b""


@pytest.mark.bolt("G2-6", "G2-7")
@pytest.mark.parametrize("number", range(8), ids=lambda number: f"{FUNDINGS[number % 4]} {number}")
def test_channel_announcement_of_each_kind(number: int) -> None:
    channel = GOSSIP.channel(number)
    assert holds(channel.announcement, key_of(number))
    message = ChannelAnnouncement2.decode(channel.announcement)
    keys = message.bitcoin_keys or (b"", b"")
    scripts: dict[str, Callable[[], bytes | None]] = {
        P2WSH: lambda: multisig_script(*keys),
        TAPROOT: lambda: taproot_script(*keys, None),
        TWEAKED: lambda: taproot_script(*keys, message.merkle_root_hash),
        KEYLESS: lambda: channel.script,
    }
    assert scripts[FUNDINGS[number % 4]]() == channel.script
    assert len(channel.script) == 34


@pytest.mark.bolt("G2-2", "G2-6")
@pytest.mark.parametrize("number", [0, 4, 6, 8, 10, 12, 14, 18, 240])
def test_each_record_of_an_announcement_is_signed(number: int) -> None:
    raw = GOSSIP.channel(0).announcement
    value = read_records(raw)[number]
    changed = instead(raw, number, value[:-1] + bytes([value[-1] ^ 1]))
    assert changed != raw
    assert not holds(changed, b"")


@pytest.mark.bolt("G2-2")
def test_what_is_outside_of_the_signed_ranges_may_be_added() -> None:
    raw = GOSSIP.channel(0).announcement
    for number in (241, 999_999_999, 3_000_000_001):
        assert holds(instead(raw, number, b"x"), b"")
    for number in (1, 239, 1_000_000_001, 2_999_999_999):
        assert not holds(instead(raw, number, b"x"), b"")


@pytest.mark.bolt("G2-2")
def test_a_default_that_is_said_is_signed() -> None:
    update = GOSSIP.update(0, 0, 500)
    node = public_key(min((MADE.node_secret(each) for each in MADE.edges[0][:2]), key=public_key))
    assert holds(update, node)
    assert not holds(instead(update, 20, b""), node)
    assert not holds(without(update, 0), node)


@pytest.mark.bolt("G2-16")
def test_update_is_signed_by_the_node_of_its_direction() -> None:
    for number in range(4):
        nodes = sorted(public_key(MADE.node_secret(each)) for each in MADE.edges[number][:2])
        for direction, update in enumerate(GOSSIP.channel(number).updates):
            assert holds(update, nodes[direction])
            assert not holds(update, nodes[1 - direction])
            assert not holds(update, NO_POINT)


@pytest.mark.bolt("G2-12")
def test_node_announcement_is_signed_by_its_node() -> None:
    raw = GOSSIP.node_announcement(1, 5)
    assert holds(raw, b"")
    assert not holds(instead(raw, 2, (6).to_bytes(4)), b"")
    assert not holds(instead(raw, 4, public_key(MADE.node_secret(2))), b"")
    assert not holds(instead(raw, 4, NO_POINT), b"")


@pytest.mark.bolt("G2-7")
def test_announcement_without_keys_by_another_output() -> None:
    number = FUNDINGS.index(KEYLESS)
    assert holds(GOSSIP.channel(number).announcement, key_of(number))
    assert not holds(GOSSIP.channel(number).announcement, output_key(GOSSIP.channel(0).script))
    assert not holds(GOSSIP.channel(number).announcement, b"")


def test_keys_that_are_no_points() -> None:
    raw = GOSSIP.channel(0).announcement
    for number in (8, 10, 12, 14):
        assert not holds(instead(raw, number, NO_POINT), b"")
    assert aggregate(NO_POINT, public_key(b"\1" * 32)) is None
    assert taproot_script(NO_POINT, public_key(b"\1" * 32), None) is None


@pytest.mark.bolt("G2-2")
def test_the_digest_step_by_step() -> None:
    raw = GOSSIP.node_announcement(1, 5)
    records = read_records(raw)
    tag = hashlib.sha256(b"lightningnode_announcement_2signature").digest()
    signed = write_tlvs({number: value for number, value in records.items() if number != 240})
    assert raw == b"\x01\x0d" + signed + write_tlvs({240: records[240]})
    assert digest_of(269, records) == hashlib.sha256(tag + tag + signed).digest()
    assert signature_tag("node_announcement_2") == "lightningnode_announcement_2signature"


@pytest.mark.parametrize("secrets", [(1,), (1, 2), (3, 3), (5, 6, 7, 8)], ids=str)
def test_the_sum_of_secrets_has_the_sum_of_keys(secrets: tuple[int, ...]) -> None:
    """The generator's way, in Python, against libsecp256k1's KeyAgg."""
    each = [secret.to_bytes(32) for secret in secrets]
    assert public_key(sum_of_secrets(each))[1:] == aggregate(*map(public_key, each))


def test_even_secrets() -> None:
    for number in range(1, 6):
        secret = number.to_bytes(32)
        assert public_key(even_secret(secret)) == b"\2" + public_key(secret)[1:]


def test_tagged_digest_is_that_of_bip_340() -> None:
    tag = hashlib.sha256(b"TapTweak").digest()
    assert tagged_digest("TapTweak", b"x") == hashlib.sha256(tag + tag + b"x").digest()


def test_a_signature_without_aux_rand() -> None:
    """libsecp256k1 makes the one of 32 zeros, as in vector 0 of BIP 340; any other holds as well."""
    secret, digest = (3).to_bytes(32), bytes(32)
    signatures = [sign_schnorr(secret, digest, aux_rand) for aux_rand in (None, bytes(32), b"\1" * 32)]
    assert signatures[0] == signatures[1] != signatures[2]
    assert all(verify_schnorr(digest, signature, public_key(secret)[1:]) for signature in signatures)
