"""The table of message types: names, and the place of the channel_id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.peer_wire import BoltMessage, channel_id_of, is_channel_message, message_name

CHANNEL_ID = bytes(range(32))
CHAIN_HASH = b"\xcc" * 32
BOLT_2 = [2, *range(32, 37), *range(38, 42), *range(64, 75), 77, 80, 81, 127, 128, *range(130, 137)]


def test_names_are_those_of_the_classes() -> None:
    for number, cls in BoltMessage.registry.items():
        assert message_name(number) == cls.name()


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (32, "open_channel"),
        (136, "channel_reestablish"),
        (513, "onion_message"),
        (40001, "unknown_40001"),
        (3, "unknown_3"),
    ],
)
def test_names(number: int, name: str) -> None:
    assert message_name(number) == name


def test_channel_messages() -> None:
    assert {number for number in range(65536) if is_channel_message(number)} == {2, *range(32, 256), 259}
    assert all(not message_name(number).startswith("unknown") for number in BOLT_2)


@pytest.mark.bolt("B7-56")
def test_announcement_signatures_belong_to_the_channel() -> None:
    assert is_channel_message(259)
    assert channel_id_of(b"\x01\x03" + CHANNEL_ID) == CHANNEL_ID


@pytest.mark.bolt("B1-36")
@pytest.mark.parametrize("number", [1, 17, 259, *BOLT_2])
def test_channel_id(number: int) -> None:
    before = CHAIN_HASH if message_name(number) in ("open_channel", "open_channel2") else b""
    raw = number.to_bytes(2, "big") + before + CHANNEL_ID
    assert channel_id_of(raw) == channel_id_of(raw + b"more") == CHANNEL_ID
    for size in range(len(raw)):
        assert channel_id_of(raw[:size]) is None


@pytest.mark.parametrize("number", [0, 7, 9, 16, 18, 19, 33 + 4, 256, 258, 513, 40001])
def test_other_types_have_none(number: int) -> None:
    assert channel_id_of(number.to_bytes(2, "big") + bytes(200)) is None


@given(st.binary(max_size=80))
def test_any_bytes(raw: bytes) -> None:
    assert channel_id_of(raw) in (None, raw[2:34], raw[34:66])
