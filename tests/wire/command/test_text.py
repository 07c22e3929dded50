"""Strangers' texts that are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.command.text import UNSAFE, escaped, replaced


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d🚀",
        "a\u00a0b",
        "café",
        "電気",
        "\U0001fae9 of Unicode 16",
        "\U0001f9fa\ufe0f",
        "¯\\_(ツ)_/¯",
        "\u0646\u200c\u0647",
    ],
)
def test_what_people_write_stays(text: str) -> None:
    """Joiners, spaces that do not break, and characters that are younger than this Python's tables."""
    assert (replaced(text), escaped(text.encode())) == (text, text)


@pytest.mark.parametrize("char", "\0\n\r\x1b\x07\x7f\x9b\u2028\u202e\u2066\u200b\ufeff")
def test_what_could_mislead_goes(char: str) -> None:
    assert replaced(f"a{char}b") == "a?b"
    assert escaped(f"a{char}b".encode()) == "a" + "".join(rf"\x{byte:02x}" for byte in char.encode()) + "b"


def test_no_text_can_be_mistaken_for_an_escaped_byte() -> None:
    assert escaped(rb"\x41") == r"\x5cx41"
    assert escaped(b"A\xff") == r"A\xff"
    assert escaped(rb"A\xff") == r"A\x5cxff"


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_what_looks_the_same_is_the_same(one: bytes, other: bytes) -> None:
    assert not UNSAFE.search(escaped(one))
    assert (escaped(one) == escaped(other)) == (one == other)


@given(st.lists(st.sampled_from([b"\\", b"x", b"4", b"\xff", b"\n", "é".encode()]), max_size=8))
def test_every_byte_can_be_had_back(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    found, text = b"", escaped(data)
    while text:
        if text.startswith("\\x"):
            found, text = found + bytes.fromhex(text[2:4]), text[4:]
        else:
            found, text = found + text[0].encode(), text[1:]
    assert found == data
