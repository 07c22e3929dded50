"""GSP as lntopo has it; and what is none."""

import bz2
from io import BytesIO
from pathlib import Path

import pytest

from lightningd_py.observatory.exchange.gsp import read_gsp, write_gsp
from lightningd_py.observatory.tables.errors import ObservatoryError

MESSAGES = [b"\x01\x02" + bytes(size) for size in (0, 136, 250, 251, 430, 65_533)]


def written() -> bytes:
    out = BytesIO()
    assert write_gsp(out, MESSAGES) == len(MESSAGES)
    return out.getvalue()


def test_lengths_are_big_endian() -> None:
    out = BytesIO()
    write_gsp(out, [b"\x01\x02" + bytes(428)])
    assert out.getvalue()[:9] == b"GSP\x01\xfd\x01\xae\x01\x02"


@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_read_back(tmp_path: Path, pack: "type[bytes]") -> None:
    (tmp_path / "x").write_bytes(pack(written()))
    assert list(read_gsp(tmp_path / "x")) == MESSAGES


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is no GSP file"),
        (b"GSP\x02", "is no GSP file"),
        (b"GSP\x01\x05abc", "is cut off in message 1"),
        (b"GSP\x01\x02ab\xfd\x01", "cannot be 1 bytes long"),
        (b"GSP\x01\xfe\xff\xff\xff\xff", "cannot be 4294967295 bytes long"),
        (b"GSP\x01\xfe\xae\x01\x00\x00", "is it little-endian?"),
        (bz2.compress(b"GSP\x01" + bytes(500))[:-5], "is damaged|cannot be 0 bytes"),
    ],
)
def test_what_is_none_is_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ObservatoryError, match=sentence):
        list(read_gsp(tmp_path / "x"))
