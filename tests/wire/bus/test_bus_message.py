"""The messages of the buses: what is written is read back, and whatever else comes is one sentence."""

import contextlib
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.bus import bus_wire
from wire.bus.bus_message import MAX_BODY, BusError, BusMessage, asked_in, is_deeper
from wire.bus.bus_wire import BusChannel, Hello, Register

NODE, CHANNEL = bytes([2]) * 33, bytes(32)


def body(**fields: Any) -> bytes:
    return bytes(msgpack.packb({"v": 1, **fields}))


@pytest.mark.parametrize(
    "message",
    [
        Hello("channels", ticket=b"t", credit=3, id="first"),
        Register(node_ids=[NODE], channels=[BusChannel(CHANNEL, NODE, 7)], take=[32], events=True, id=9),
        bus_wire.Message(1, 2, b"\0\x20"),
    ],
)
def test_what_is_written_is_read(message: BusMessage) -> None:
    bus = next(iter(message.buses))
    assert BusMessage.decode(message.encode(), bus, "service") == message


def test_unknown_keys_are_ignored_and_defaults_left_out() -> None:
    assert BusMessage.decode(body(type="hello", service="x", colour="red"), "ctl", "service") == Hello("x")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (b"", "that is no msgpack"),
        (b"\xc1", "that is no msgpack"),
        (b"\xdf\xff\xff\xff\xff", "that is no msgpack"),
        (b"\xdd\xff\xff\xff\xff", "that is no msgpack"),
        (b"\x91" * 100_000, "that is no msgpack"),
        (bytes(MAX_BODY + 1), f"a message of {MAX_BODY + 1} bytes is too long, {MAX_BODY} may be"),
        (msgpack.packb([1]), "a message is a map, not list"),
        (msgpack.packb({1: 2}), "that is no msgpack"),
        (msgpack.packb({"type": "hello"}), "version None is not spoken here, 1 is"),
        (msgpack.packb({"v": 2, "type": "hello"}), "version 2 is not spoken here, 1 is"),
        (b"\x82\xa1v" + b"\x91" * 1_000 + b"\xc0\xa1x\x00", "lists and maps are nested more than 16 deep"),
        (b"\x82\xa1v\x01\xa4type" + b"\x91" * 1_000 + b"\xc0", "lists and maps are nested more than 16 deep"),
        (b"\x82\xa1v\x01\xa4type" + b"\x81\xa1x" * 1_000 + b"\xc0", "lists and maps are nested more than 16 deep"),
        (body(type="hello", service="x", id=[[]] * 20_000), "that is no msgpack"),
        (body(type="hello"), "hello: service is missing"),
        (body(type="hello", service=b"x"), "hello: service: bytes instead of str"),
        (body(type="hello", service="x", id=b"x"), "hello: id: bytes instead of int or str"),
        (body(type="register", take=[True]), "register: take: bool instead of int"),
        (body(type="register", take=[-1]), "register: take: -1 is out of range"),
        (body(type="register", take=list(range(10_001))), "register: take: 10001 are too many, 10000 may be"),
        (body(type="register", channels=[{}]), "register: channels: channel_id is missing"),
        (body(type="register", channels=[3]), "register: channels: int instead of a map"),
        (body(type="welcome", service="x"), "there is no message of type 'welcome' from a service on ctl"),
        (body(type=["hello"]), "there is no message of type ['hello'] from a service on ctl"),
    ],
)
def test_what_is_wrong_is_one_sentence(wrong: bytes, sentence: str) -> None:
    with pytest.raises(BusError) as caught:
        BusMessage.decode(wrong, "ctl", "service")
    assert str(caught.value) == sentence


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(data: bytes) -> None:
    with contextlib.suppress(BusError):
        BusMessage.decode(data, "msg", "service")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(BusMessage.registry)), st.data())
def test_any_fields_are_a_message_or_an_error(kind: str, data: st.DataObject) -> None:
    names = [*BusMessage.registry[kind].__dataclass_fields__, "other"]  # type: ignore[attr-defined]
    fields = data.draw(st.dictionaries(st.sampled_from(names), PLAIN))
    wrong = body(type=kind, **fields)
    asked_in(wrong)
    for bus in ("ctl", "msg", "chnl"):
        for sender in ("service", "node"):
            try:
                read = BusMessage.decode(wrong, bus, sender)
            except BusError:
                continue
            assert BusMessage.decode(read.encode(), bus, sender) == read


def test_the_asker_is_found_in_a_wrong_message() -> None:
    assert asked_in(body(type="nonsense", id="a", conn_id=4)) == ("a", 4)
    assert asked_in(body(type="nonsense", id=True, conn_id="x")) == (None, None)
    assert asked_in(b"\xc1") == (None, None)


def test_depth_is_counted_without_recursion() -> None:
    nest: Any = 1
    for depth in range(100_000):
        if 0 < depth < 40:
            assert [is_deeper(nest, most) for most in (depth - 1, depth)] == [True, False]
        nest = {"x": 3, "y": nest} if depth % 2 else [0, nest]
    assert is_deeper(nest, 1_000)


def test_a_message_of_empty_lists_is_not_many_times_as_large_in_memory() -> None:
    """1 MB of them were 64 MB."""
    tracemalloc.start()
    with pytest.raises(BusError):
        BusMessage.decode(b"\x81\xa1v\xdd\x00\x0f\x00\x00" + b"\x90" * 0xF0000, "ctl", "service")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * MAX_BODY
