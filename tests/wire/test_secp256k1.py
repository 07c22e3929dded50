"""secp256k1: each private function of coincurve that is used is touched here, since a new release may drop it."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from wire import secp256k1
from wire.secp256k1 import (
    double_sha256,
    ecdh,
    is_point,
    multiply_point,
    multiply_secret,
    new_secret,
    public_key,
    sign,
    verify,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECRET = b"\x11" * 32
POINT = bytes.fromhex("034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa")
DIGEST = hashlib.sha256(b"digest").digest()
NO_SECRETS = [bytes(32), ORDER.to_bytes(32), b"\xff" * 32, b"", b"\x11" * 31, b"\x11" * 33]
NO_POINTS = [b"", POINT[:-1], POINT + b"\0", b"\x04" + POINT[1:], b"\x02" + b"\xff" * 32, b"\x02" + bytes(32)]


def test_new_secret_is_valid_and_new() -> None:
    first, second = new_secret(), new_secret()
    assert len(first) == 32
    assert first != second
    assert is_point(public_key(first))


def test_public_key() -> None:
    assert public_key(SECRET) == POINT


@pytest.mark.parametrize("secret", NO_SECRETS)
def test_public_key_of_no_secret(secret: bytes) -> None:
    with pytest.raises(ValueError, match="no secret key"):
        public_key(secret)


@pytest.mark.bolt("B8-43")
def test_ecdh_is_the_digest_of_the_compressed_product() -> None:
    product = int.from_bytes(SECRET) * 2 % ORDER
    assert ecdh((2).to_bytes(32), POINT) == hashlib.sha256(public_key(product.to_bytes(32))).digest()
    assert ecdh(SECRET, public_key((2).to_bytes(32))) == ecdh((2).to_bytes(32), POINT)


def test_a_point_and_its_secret_times_the_same_factor() -> None:
    factor = b"\x77" * 32
    product = int.from_bytes(SECRET) * int.from_bytes(factor) % ORDER
    assert multiply_secret(SECRET, factor) == product.to_bytes(32)
    assert multiply_point(POINT, factor) == public_key(product.to_bytes(32))


@pytest.mark.parametrize("factor", NO_SECRETS)
def test_no_factors(factor: bytes) -> None:
    with pytest.raises(ValueError, match="no factor"):
        multiply_point(POINT, factor)
    for pair in ((SECRET, factor), (factor, SECRET)):
        with pytest.raises(ValueError, match="no secret key, or no factor"):
            multiply_secret(*pair)


@pytest.mark.parametrize("point", NO_POINTS)
def test_no_points(point: bytes) -> None:
    assert not is_point(point)
    assert not verify(DIGEST, sign(SECRET, DIGEST), point)
    with pytest.raises(ValueError, match="no point"):
        ecdh(SECRET, point)
    with pytest.raises(ValueError, match="no point"):
        multiply_point(point, SECRET)


@pytest.mark.parametrize("secret", NO_SECRETS)
def test_ecdh_and_sign_with_no_secret(secret: bytes) -> None:
    with pytest.raises(ValueError, match="no secret key"):
        ecdh(secret, POINT)
    with pytest.raises(ValueError, match="no secret key"):
        sign(secret, DIGEST)


def test_sign_refuses_what_is_no_digest() -> None:
    with pytest.raises(ValueError, match="no digest"):
        sign(SECRET, DIGEST + b"\0")


def test_signature_is_deterministic_low_s_and_verifies() -> None:
    signature = sign(SECRET, DIGEST)
    assert signature == sign(SECRET, DIGEST)
    assert len(signature) == 64
    assert int.from_bytes(signature[32:]) <= ORDER // 2
    assert verify(DIGEST, signature, POINT)


def test_verify_is_false_for_anything_wrong() -> None:
    signature = sign(SECRET, DIGEST)
    r, s = signature[:32], signature[32:]
    high_s = (ORDER - int.from_bytes(s)).to_bytes(32)
    wrong = [r + high_s, bytes(64), b"\xff" * 64, r + b"\xff" * 32, ORDER.to_bytes(32) + s, signature[:-1], b""]
    assert [verify(DIGEST, signature, POINT) for signature in wrong] == [False] * len(wrong)
    assert not verify(DIGEST[::-1], signature, POINT)
    assert not verify(DIGEST + b"\0", signature, POINT)
    assert not verify(DIGEST[:-1], signature, POINT)
    assert not verify(DIGEST, signature, public_key(b"\x12" * 32))


def test_each_flipped_bit_of_a_signature_is_noticed() -> None:
    signature = int.from_bytes(sign(SECRET, DIGEST))
    assert not any(verify(DIGEST, (signature ^ 1 << bit).to_bytes(64), POINT) for bit in range(512))


def test_parsed_keys_are_bounded_and_those_in_use_stay() -> None:
    cache = secp256k1._ParsedKeys(limit=8)
    kept = cache.get(POINT)
    for number in range(1, 100):
        cache.get(public_key(number.to_bytes(32)))
        assert cache.get(POINT) is kept
        assert len(cache) <= 8


def test_no_point_takes_no_room_in_the_cache() -> None:
    cache = secp256k1._ParsedKeys(limit=8)
    assert cache.get(b"\x02" + bytes(32)) is None
    assert len(cache) == 0


def test_threads_agree() -> None:
    secrets = [bytes([number]) * 32 for number in range(1, 41)]
    cases = [(DIGEST, sign(secret, DIGEST), public_key(secret)) for secret in secrets] * 10
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda case: verify(*case), cases))


def test_double_sha256_of_bytes_and_views() -> None:
    expected = "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50"
    assert double_sha256(b"hello").hex() == expected
    assert double_sha256(memoryview(b"-hello-")[1:-1]).hex() == expected
