"""BOLT 1, Appendices A to D: all test vectors, by the spec's names."""

import itertools
import json
from pathlib import Path
from typing import Annotated, Any

import pytest

from wire.cursor import Cursor, WireError, encode_bigsize
from wire.peer_wire import BoltMessage, decode
from wire.scid import scid_to_text
from wire.types import S8, S16, S32, S64, U16, U64, Codec, Point, ShortChannelId, Tlv, Tu32, Tu64

VECTORS = Path(__file__).parent / "vectors"


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


BIGSIZE = vectors("bolt01_bigsize")
TLV = vectors("bolt01_tlv")
EXTENSIONS = vectors("bolt01_init_extension")
SIGNED = vectors("bolt01_signed_integers")


def codec(hint: Any) -> Codec:
    found = hint.__metadata__[0]
    assert isinstance(found, Codec)
    return found


def together(**hints: Any) -> Codec:
    """Fields one after the other, as a dict: what a record with more than one field holds."""
    codecs = {name: codec(hint) for name, hint in hints.items()}
    return Codec(
        lambda cursor: {name: inner.read(cursor) for name, inner in codecs.items()},
        lambda values: b"".join(inner.write(values[name]) for name, inner in codecs.items()),
    )


class N1(BoltMessage):
    """The namespace `n1` of Appendix B, as the TLVs of a message."""

    tlv1: Annotated[dict[str, int] | None, Tlv(1, together(amount_msat=Tu64))] = None
    tlv2: Annotated[dict[str, int] | None, Tlv(2, together(scid=ShortChannelId))] = None
    tlv3: Annotated[dict[str, Any] | None, Tlv(3, together(node_id=Point, amount_msat_1=U64, amount_msat_2=U64))] = None
    tlv4: Annotated[dict[str, int] | None, Tlv(254, together(cltv_delta=U16))] = None


class N2(BoltMessage):
    """The namespace `n2`."""

    tlv1: Annotated[dict[str, int] | None, Tlv(0, together(amount_msat=Tu64))] = None
    tlv2: Annotated[dict[str, int] | None, Tlv(11, together(cltv_expiry=Tu32))] = None


NAMESPACES: dict[str, list[type[BoltMessage]]] = {"any": [N1, N2], "n1": [N1], "n2": [N2]}


def streams(part: str) -> list[Any]:
    return [
        pytest.param(namespace, bytes.fromhex(vector["stream"]), vector, id=f"{namespace.__name__}-{vector['name']}")
        for name, listed in TLV[part].items()
        for vector in ({"name": vector["stream"], **vector} for vector in listed)
        for namespace in NAMESPACES[name]
    ]


def read(namespace: type[BoltMessage], stream: bytes) -> BoltMessage:
    return namespace.decode(bytes(2) + stream)


@pytest.mark.bolt("B1-16")
@pytest.mark.parametrize("vector", BIGSIZE["decoding"], ids=lambda vector: vector["name"])
def test_bigsize_decoding(vector: dict[str, Any]) -> None:
    cursor = Cursor(bytes.fromhex(vector["bytes"]))
    if "exp_error" in vector:
        with pytest.raises(WireError, match="minimal" if "canonical" in vector["exp_error"] else "wanted"):
            cursor.bigsize()
    else:
        assert cursor.bigsize() == vector["value"]
        assert cursor.remaining == 0


@pytest.mark.bolt("B1-16")
@pytest.mark.parametrize("vector", BIGSIZE["encoding"], ids=lambda vector: vector["name"])
def test_bigsize_encoding(vector: dict[str, Any]) -> None:
    assert encode_bigsize(vector["value"]).hex() == vector["bytes"]


@pytest.mark.bolt("B1-9", "B1-10", "B1-11", "B1-12", "B1-13", "B1-17", "B1-19")
@pytest.mark.parametrize(("namespace", "stream", "vector"), streams("failures"))
def test_tlv_decoding_failures(namespace: type[BoltMessage], stream: bytes, vector: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        read(namespace, stream)


@pytest.mark.bolt("B1-14", "B1-15", "B1-17")
@pytest.mark.parametrize(("namespace", "stream", "vector"), streams("successes"))
def test_tlv_decoding_successes(namespace: type[BoltMessage], stream: bytes, vector: dict[str, Any]) -> None:
    message = read(namespace, stream)
    assert message.encode() == bytes(2) + stream
    if "values" not in vector:
        assert message == namespace(extension=stream)
        return
    text = {
        name: scid_to_text(value) if name == "scid" else value.hex() if isinstance(value, bytes) else str(value)
        for name, value in getattr(message, vector["record"]).items()
    }
    assert text == vector["values"]


@pytest.mark.bolt("B1-17")
def test_appending_an_invalid_stream_to_a_valid_stream_fails() -> None:
    for valid, invalid in itertools.product(TLV["successes"]["n1"], TLV["failures"]["n1"]):
        with pytest.raises(WireError):
            read(N1, bytes.fromhex(valid["stream"] + invalid["stream"]))


@pytest.mark.bolt("B1-9", "B1-17")
def test_appending_a_valid_stream_succeeds_if_it_is_higher_numbered() -> None:
    for first, second in itertools.product(TLV["successes"]["n1"], repeat=2):
        stream = bytes.fromhex(first["stream"] + second["stream"])
        if int(first["record"][-1]) < int(second["record"][-1]):
            assert read(N1, stream).encode() == bytes(2) + stream
        else:
            with pytest.raises(WireError, match="after"):
                read(N1, stream)


@pytest.mark.bolt("B1-8", "B1-18")
@pytest.mark.parametrize("vector", EXTENSIONS["valid"], ids=lambda vector: vector["name"])
def test_valid_message_extension(vector: dict[str, str]) -> None:
    raw = bytes.fromhex(vector["message"])
    assert decode(raw).encode() == raw


@pytest.mark.bolt("B1-8", "B1-18")
@pytest.mark.parametrize("vector", EXTENSIONS["invalid"], ids=lambda vector: vector["name"])
def test_invalid_message_extension(vector: dict[str, str]) -> None:
    with pytest.raises(WireError, match=r"^init: "):
        decode(bytes.fromhex(vector["message"]))


@pytest.mark.bolt("B1-19")
@pytest.mark.parametrize("vector", SIGNED, ids=lambda vector: str(vector["value"]))
def test_signed_integers(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["bytes"])
    signed = codec({1: S8, 2: S16, 4: S32, 8: S64}[len(data)])
    assert signed.read(Cursor(data)) == vector["value"]
    assert signed.write(vector["value"]) == data
    assert Cursor(data).signed(len(data)) == vector["value"]
