"""The secret's file and what is derived from it, against identities that CLN's own tests name."""

import errno
import os
import stat
from pathlib import Path

import pytest

from lightningd_py import hsm_secret
from lightningd_py.hsm_secret import SecretError, derive_node_key, load_secret
from wire.secp256k1 import public_key

MNEMONIC = b"abandon " * 11 + b"about"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hsm_secret"


def written(path: Path, content: bytes, mode: int = 0o400) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_node_key_of_a_plain_secret(path: Path) -> None:
    secret = load_secret(written(path, b"lightning-1".ljust(32, b"\0")))
    assert (
        public_key(derive_node_key(secret)).hex()
        == "0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518"
    )


def test_node_key_of_a_mnemonic(path: Path) -> None:
    secret = load_secret(written(path, bytes(32) + MNEMONIC))
    assert (
        public_key(derive_node_key(secret)).hex()
        == "03653e90c1ce4660fd8505dd6d643356e93cfe202af109d382787639dd5890e87d"
    )


def test_a_missing_file_is_made_once(path: Path) -> None:
    old_umask = os.umask(0)
    try:
        secret = load_secret(path)
    finally:
        os.umask(old_umask)
    assert len(secret) == 32
    assert path.read_bytes() == load_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_file_is_another_secret(tmp_path: Path) -> None:
    assert load_secret(tmp_path / "one") != load_secret(tmp_path / "two")


def test_no_file_stays_behind_if_it_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hsm_secret.os, "fsync", full)
    with pytest.raises(SecretError, match="cannot be used: No space left on device"):
        load_secret(path)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o610])
def test_a_file_that_is_open_to_others_is_refused(path: Path, mode: int) -> None:
    with pytest.raises(SecretError, match=rf"open to other users \(mode {mode:04o}\): chmod 600 it$"):
        load_secret(written(path, b"\x01" * 32, mode))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "has 0 bytes instead of 32"),
        (b"\x01" * 31, "has 31 bytes instead of 32"),
        (b"\x01" * 33, "has 33 bytes, not 32: secrets with a passphrase cannot be read"),
        (b"\x01" * 73, "has 73 bytes, not 32: secrets with a passphrase cannot be read"),
        (b"\x01" * 32 + MNEMONIC, "secrets with a passphrase cannot be read"),
        (bytes(33), "holds neither 32 bytes nor a mnemonic of 12 to 24 words"),
        (bytes(32) + MNEMONIC + b"\n", "holds neither 32 bytes nor a mnemonic of 12 to 24 words"),
        (bytes(32) + MNEMONIC[:-6], "holds neither 32 bytes nor a mnemonic of 12 to 24 words"),
    ],
)
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes, error: str) -> None:
    with pytest.raises(SecretError, match=f"{error}$"):
        load_secret(written(path, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="no regular file"):
        load_secret(tmp_path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(SecretError, match="no regular file"):
        load_secret(tmp_path / "fifo")
    with pytest.raises(SecretError, match="cannot be used: No such file or directory"):
        load_secret(tmp_path / "nowhere" / "hsm_secret")
