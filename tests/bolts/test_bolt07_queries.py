"""BOLT 7, extended-queries.json: the ten messages that the spec gives. Those packed with zlib must not be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from wire.cursor import WireError
from wire.peer_wire import (
    BoltMessage,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    decode,
    decode_short_ids,
    encode_short_ids,
)
from wire.scid import scid_from_text, scid_to_text

VECTORS = json.loads((Path(__file__).parent / "vectors" / "bolt07_extended_queries.json").read_text())
PACKED = "COMPRESSED_ZLIB"


def packed_in_tlv(message: dict[str, Any]) -> bool:
    records = message.get("tlvStream", {}).get("records", [])
    arrays = [message.get("timestamps", {}), *(record for record in records if isinstance(record, dict))]
    return any(array.get("encoding") == PACKED for array in arrays)


def short_ids(message: QueryShortChannelIds | ReplyChannelRange) -> list[str]:
    return [scid_to_text(scid) for scid in decode_short_ids(message.encoded_short_ids)]


def pairs(listed: list[dict[str, int]]) -> list[tuple[int, ...]]:
    return [tuple(pair.values()) for pair in listed]


def check(decoded: BoltMessage, message: dict[str, Any]) -> None:
    match decoded:
        case QueryChannelRange():
            wanted = 3 if message["tlvStream"]["records"] else None
            assert decoded.query_option == wanted
            assert (decoded.first_blocknum, decoded.number_of_blocks) == (
                message["firstBlockNum"],
                message["numberOfBlocks"],
            )
        case QueryShortChannelIds():
            assert short_ids(decoded) == message["shortChannelIds"]["array"]
        case ReplyChannelRange():
            assert short_ids(decoded) == message["shortChannelIds"]["array"]
            assert decoded.sync_complete == message["complete"]
            timestamps, checksums = message.get("timestamps"), message.get("checksums")
            assert decoded.timestamps_tlv == (pairs(timestamps["timestamps"]) if timestamps else None)
            assert decoded.checksums_tlv == (pairs(checksums["checksums"]) if checksums else None)


@pytest.mark.bolt("B7-90", "B7-94")
@pytest.mark.parametrize("number", range(len(VECTORS)))
def test_extended_queries(number: int) -> None:
    raw, message = bytes.fromhex(VECTORS[number]["hex"]), VECTORS[number]["msg"]
    if packed_in_tlv(message):
        with pytest.raises(WireError, match="encoding type 1"):
            decode(raw)
        return
    decoded = decode(raw)
    assert type(decoded).__name__ == message["type"]
    assert decoded.encode() == raw
    if message.get("shortChannelIds", {}).get("encoding") == PACKED:
        assert isinstance(decoded, QueryShortChannelIds | ReplyChannelRange)
        with pytest.raises(WireError, match="encoding type 1"):
            decode_short_ids(decoded.encoded_short_ids)
    else:
        check(decoded, message)


@pytest.mark.bolt("B7-94")
def test_all_ten_are_there() -> None:
    assert len(VECTORS) == 10


@pytest.mark.bolt("B7-90")
def test_encoded_short_ids() -> None:
    ids = [scid_from_text(text) for text in ("0x0x142", "0x0x15465", "69x42692x0")]
    assert decode_short_ids(encode_short_ids(ids)) == ids
    assert decode_short_ids(b"\0") == []
    assert decode_short_ids(encode_short_ids(reversed(ids))) == ids[::-1], "the order is not enforced on reading"


@pytest.mark.bolt("B7-90", "B7-91")
@pytest.mark.parametrize(
    ("encoded", "why"), [(b"", "0 left"), (bytes(8), "whole number"), (b"\2", "type 2"), (b"\xff" * 9, "type 255")]
)
def test_encoded_short_ids_that_are_none(encoded: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        decode_short_ids(encoded)
