"""Signed messages, against signatures of other people's nodes that CLN's tests keep."""

import pytest

from lightningd_py.hsm.signmessage import digest_of, from_zbase, signer_of, to_zbase
from wire.secp256k1 import public_key, recover, sign, sign_recoverable

CORPUS = [
    (
        "is this compatible?",
        "rbgfioj114mh48d8egqx8o9qxqw4fmhe8jbeeabdioxnjk8z3t1ma1hu1fiswpakgucwwzwo6ofycffbsqusqdimugbh41n1g698hr9t",
        "02b80cabdf82638aac86948e4c06e82064f547768dcef977677b9ea931ea75bab5",
    ),
    (
        "hi",
        "rnrphcjswusbacjnmmmrynh9pqip7sy5cx695h6mfu64iac6qmcmsd8xnsyczwmpqp9shqkth3h4jmkgyqu5z47jfn1q7gpxtaqpx4xg",
        "02de60d194e1ca5947b59fe8e2efd6aadeabfb67f2e89e13ae1a799c1e08e4a43b",
    ),
    (
        "hi",
        "ry8bbsopmduhxy3dr5d9ekfeabdpimfx95kagdem7914wtca79jwamtbw4rxh69hg7n6x9ty8cqk33knbxaqftgxsfsaeprxkn1k48p3",
        "022b8ece90ee891cbcdac0c1cc6af46b73c47212d8defbce80265ac81a6b794931",
    ),
]


@pytest.mark.parametrize(("message", "zbase", "key"), CORPUS)
def test_signatures_of_others(message: str, zbase: str, key: str) -> None:
    signature = from_zbase(zbase)
    signer = signer_of(message.encode(), *signature)
    assert signer is not None and signer.hex() == key
    assert signer_of(message.encode() + b".", *signature) != signer
    assert to_zbase(*signature) == zbase


def test_what_we_sign() -> None:
    for number in range(1, 9):
        secret = bytes([number]) * 32
        signature, recovery_id = sign_recoverable(secret, digest_of(b"x"))
        assert signature == sign(secret, digest_of(b"x"))
        assert signer_of(b"x", *from_zbase(to_zbase(signature, recovery_id))) == public_key(secret)


@pytest.mark.parametrize(
    ("zbase", "error"),
    [
        ("wrong zbase format", "zbase is not valid zbase32"),
        ("", "zbase is too short"),
        ("yyyyyyyy", "zbase is too short"),
        ("yyy", "zbase is not valid zbase32"),
        ("r" * 112, "zbase is too long"),
        ("y" * 104, "cannot parse zbase signature"),
        ("Ü" * 104, "zbase is not valid zbase32"),
    ],
)
def test_what_is_no_signature(zbase: str, error: str) -> None:
    with pytest.raises(ValueError, match=f"^{error}$"):
        from_zbase(zbase)


def test_numbers_that_no_key_fits() -> None:
    with pytest.raises(ValueError, match="no recoverable signature"):
        recover(bytes(32), b"\xff" * 64, 0)
    with pytest.raises(ValueError, match="no recoverable signature"):
        recover(bytes(32), b"\1" * 64, 4)
    assert recover(bytes(32), b"\xff" * 0 + (5).to_bytes(32) + b"\1" * 32, 2) is None
    with pytest.raises(ValueError, match="no digest"):
        sign_recoverable(b"\1" * 32, b"")
