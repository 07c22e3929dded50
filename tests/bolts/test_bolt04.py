"""BOLT 4's vectors of blinded paths and of onion messages, hop by hop."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from wire.onion.blinding import BlindedHop, BlindedPath, blind, next_path_key, path_by
from wire.onion.keys import blinding_factor, derived, keys_of_onion, keys_of_path
from wire.onion.message import Final, Forward, open_message, read_message, seal, write_message
from wire.onion.payloads import RecipientData, decrypt, encode_data
from wire.secp256k1 import ecdh, multiply_secret, public_key

VECTORS = Path(__file__).parent / "vectors"
ROUTE = json.loads((VECTORS / "bolt04_route_blinding.json").read_text())
MESSAGE = json.loads((VECTORS / "bolt04_onion_message.json").read_text())
HOPS = MESSAGE["generate"]["hops"]
DECRYPT = MESSAGE["decrypt"]["hops"]
hexed = bytes.fromhex


def alias(hop: dict[str, Any]) -> str:
    return str(hop["alias"])


def hops_of(route: dict[str, Any], data: str) -> tuple[BlindedHop, ...]:
    return tuple(BlindedHop(hexed(hop["blinded_node_id"]), hexed(hop[data])) for hop in route["hops"])


# blinded paths


@pytest.mark.bolt("B4-113")
def test_route_blinding_generate() -> None:
    bob, carol, dave, eve = ROUTE["generate"]["hops"]
    made = [blind_two(bob, carol), blind_two(dave, eve)]
    assert made[0].first_node_id.hex() == ROUTE["route"]["first_node_id"]
    assert made[0].first_path_key.hex() == ROUTE["route"]["first_path_key"]
    assert made[0].hops + made[1].hops == hops_of(ROUTE["route"], "encrypted_data")
    assert made[1].first_path_key.hex() == carol["tlvs"]["next_path_key_override"]


def blind_two(one: dict[str, Any], two: dict[str, Any]) -> BlindedPath:
    data = [hexed(hop["encoded_tlvs"]) for hop in (one, two)]
    return blind([hexed(one["node_id"]), hexed(two["node_id"])], data, hexed(one["session_key"]))


@pytest.mark.bolt("B4-113", "B4-115")
@pytest.mark.parametrize(
    ("hop", "made"), list(zip(ROUTE["unblind"]["hops"], ROUTE["generate"]["hops"], strict=True)), ids=alias
)
def test_route_blinding_unblind(hop: dict[str, Any], made: dict[str, Any]) -> None:
    secret, path_key = hexed(hop["node_privkey"]), hexed(hop["path_key"])
    shared = ecdh(secret, path_key)
    assert shared.hex() == made["shared_secret"]
    assert multiply_secret(secret, derived(b"blinded_node_id", shared)).hex() == hop["blinded_privkey"]
    keys = keys_of_path(secret, path_key)
    assert keys.rho.hex() == made["rho"]
    assert next_path_key(path_key, RecipientData(), keys).hex() == hop["next_path_key"]
    data = decrypt(keys.rho, hexed(made["encrypted_data"]))
    override = hop.get("next_path_key_override")
    assert data.next_path_key_override == (override and hexed(override))
    assert next_path_key(path_key, data, keys).hex() == (override or hop["next_path_key"])
    scid = made["tlvs"].get("short_channel_id")
    assert data.short_channel_id == (scid and int(scid.split("x")[2]))
    assert data.path_id == (hexed("deadbeef") if hop["alias"] == "Eve" else None)
    assert data.allowed_features == hexed("020000000000000000000000000000" if hop["alias"] == "Eve" else "")


# onion messages


@pytest.mark.bolt("B4-113")
@pytest.mark.parametrize("hop", HOPS, ids=alias)
def test_onion_message_hop(hop: dict[str, Any]) -> None:
    secret = hexed(hop["path_key_secret"])
    key = public_key(secret)
    assert key.hex() == hop["E"]
    shared = hexed(hop["ss"])
    assert derived(b"rho", shared).hex() == hop["rho"]
    assert derived(b"blinded_node_id", shared).hex() == hop["HMAC256('blinded_node_id', ss)"]
    assert blinding_factor(key, shared).hex() == hop["H(E || ss)"]
    assert multiply_secret(secret, blinding_factor(key, shared)).hex() == hop["next_e"][:64]


def daves_path() -> BlindedPath:
    bob = HOPS[1]
    ids = [hexed(HOPS[0]["tlvs"]["next_node_id"]), *(hexed(hop["tlvs"]["next_node_id"]) for hop in HOPS[1:3])]
    data = [hexed(hop["encrypted_data_tlv"]) for hop in HOPS[1:]]
    return blind(ids, data, hexed(bob["path_key_secret"]))


@pytest.mark.bolt("B4-113", "B4-115", "B4-127")
def test_onion_message_route() -> None:
    alice, secret = hexed(MESSAGE["route"]["first_node_id"]), hexed(HOPS[0]["path_key_secret"])
    path = daves_path()
    joined = path_by([alice], path, path.first_node_id, secret)
    assert joined.first_path_key.hex() == MESSAGE["route"]["first_path_key"]
    assert joined.hops[1:] == hops_of(MESSAGE["route"], "encrypted_recipient_data")[1:]
    of_alice = decrypt(keys_of_path(b"\x41" * 32, joined.first_path_key).rho, joined.hops[0].encrypted_recipient_data)
    assert encode_data(of_alice).hex() == HOPS[0]["encrypted_data_tlv"]


@pytest.mark.bolt("B4-125", "B4-126", "B4-111")
def test_onion_message_is_built() -> None:
    route = MESSAGE["route"]
    hops = hops_of(route, "encrypted_recipient_data")
    path = BlindedPath(hexed(route["first_node_id"]), hexed(route["first_path_key"]), hops)
    sealed = seal(path, {1: b"hello"}, hexed(MESSAGE["generate"]["session_key"]))
    assert sealed.packet.encode().hex() == MESSAGE["onionmessage"]["onion_message_packet"]
    assert write_message(sealed).hex() == DECRYPT[0]["onion_message"]


@pytest.mark.bolt("B4-109", "B4-111", "B4-114", "B4-115", "B4-121")
@pytest.mark.parametrize(("hop", "after"), list(itertools.pairwise(DECRYPT)), ids=alias)
def test_onion_message_is_forwarded(hop: dict[str, Any], after: dict[str, Any]) -> None:
    sealed = read_message(hexed(hop["onion_message"]))
    keys = keys_of_onion(hexed(hop["privkey"]), sealed.path_key, sealed.packet.public_key)
    opened = open_message(sealed, keys, ())
    assert isinstance(opened, Forward)
    assert opened.next_node_id is not None
    assert opened.next_node_id.hex() == hop["next_node_id"]
    assert opened.short_channel_id is None
    assert write_message(opened.message).hex() == after["onion_message"]


@pytest.mark.bolt("B4-109", "B4-114")
def test_onion_message_is_for_dave() -> None:
    dave = DECRYPT[3]
    sealed = read_message(hexed(dave["onion_message"]))
    keys = keys_of_onion(hexed(dave["privkey"]), sealed.path_key, sealed.packet.public_key)
    path_id = hexed(HOPS[3]["tlvs"]["path_id"])
    assert open_message(sealed, keys, ()) == Final({1: b"hello"}, path_id)
