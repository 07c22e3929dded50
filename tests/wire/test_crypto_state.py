"""HKDF against RFC 5869."""

from hypothesis import given
from hypothesis import strategies as st

from wire.crypto_state import hkdf_pair, hkdf_sha256


def test_rfc_5869_case_1() -> None:
    out = hkdf_sha256(bytes.fromhex("000102030405060708090a0b0c"), b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 42)
    assert out.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


def test_rfc_5869_case_3_without_salt_and_info() -> None:
    out = hkdf_sha256(b"", b"\x0b" * 22, size=42)
    assert out.hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"


@given(st.binary(max_size=64), st.binary(max_size=100))
def test_pair_is_64_bytes_in_two(salt: bytes, secret: bytes) -> None:
    assert b"".join(hkdf_pair(salt, secret)) == hkdf_sha256(salt, secret, size=64)
