"""The secret's file in all of CLN's forms, and what is derived from it, against identities that CLN's tests name."""

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest
from mnemonic import Mnemonic
from nacl import bindings
from nacl.pwhash import argon2id

from lightningd_py.hsm.secret import SecretError, derive_node_key, load_secret
from wire.secp256k1 import public_key

MNEMONIC = b"abandon " * 11 + b"about"
LONG_MNEMONIC = b"legal winner thank year wave sausage worth useful legal winner thank yellow"
PASSPHRASE = "passphrase ⚡".encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hsm_secret"


def written(path: Path, content: bytes, mode: int = 0o400) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def node_id(secret: bytes) -> str:
    return public_key(derive_node_key(secret)).hex()


def seed(passphrase: bytes = b"") -> bytes:
    """As the reference implementation of BIP 39 makes it."""
    return Mnemonic.to_seed(MNEMONIC.decode(), passphrase.decode())


def with_passphrase() -> bytes:
    return hashlib.sha256(seed(PASSPHRASE)).digest() + MNEMONIC


def encrypted(secret: bytes, passphrase: bytes) -> bytes:
    """As CLN has written it."""
    salt = b"c-lightning\0\0\0\0\0"
    key = argon2id.kdf(32, passphrase, salt, argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    header = bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    return bytes(header + bindings.crypto_secretstream_xchacha20poly1305_push(state, secret))


def never() -> bytes:
    raise AssertionError("no user is to be asked")


def test_node_key_of_a_plain_secret(path: Path) -> None:
    secret = load_secret(written(path, b"lightning-1".ljust(32, b"\0")))
    assert node_id(secret) == "0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518"


def test_node_key_of_a_mnemonic(path: Path) -> None:
    secret = load_secret(written(path, bytes(32) + MNEMONIC))
    assert secret == seed()[:32]
    assert node_id(secret) == "03653e90c1ce4660fd8505dd6d643356e93cfe202af109d382787639dd5890e87d"


def test_mnemonic_with_a_passphrase(path: Path) -> None:
    written(path, with_passphrase())
    assert load_secret(path, lambda: PASSPHRASE) == seed(PASSPHRASE)[:32]
    with pytest.raises(SecretError, match=f"^wrong passphrase for {path}$"):
        load_secret(path, lambda: PASSPHRASE[:-1])


def test_encrypted_secret(path: Path) -> None:
    content = encrypted(b"lightning-1".ljust(32, b"\0"), PASSPHRASE)
    assert len(content) == 73
    secret = load_secret(written(path, content), lambda: PASSPHRASE)
    assert node_id(secret) == "0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518"
    with pytest.raises(SecretError, match=f"^wrong passphrase for {path}$"):
        load_secret(path, lambda: b"")


def test_a_missing_file_is_made_once_as_cln_makes_it(path: Path) -> None:
    old_umask = os.umask(0)
    try:
        secret = load_secret(path)
    finally:
        os.umask(old_umask)
    assert load_secret(path) == secret
    content = path.read_bytes()
    assert content[:32] == bytes(32)
    assert len(content[32:].split(b" ")) == 12
    assert Mnemonic("english").check(content[32:].decode())
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_a_missing_file_is_made_with_a_passphrase(path: Path) -> None:
    secret = load_secret(path, never, lambda: PASSPHRASE)
    assert load_secret(path, lambda: PASSPHRASE, never) == secret
    assert path.read_bytes()[:32] != bytes(32)


def test_each_file_is_another_secret(tmp_path: Path) -> None:
    assert load_secret(tmp_path / "one") != load_secret(tmp_path / "two")


def test_no_file_stays_behind_if_it_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
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
        (b"", "is empty: put a copy of it back, or remove it, and the node begins with a new identity"),
        (b"\x01" * 31, "has 31 bytes instead of 32: it was cut short, put a copy of it back"),
        (b"\x01" * 33, "has 33 bytes instead of 32: something was added to it, put a copy of it back"),
        (b"\x01" * 32 + b"\n", "has 33 bytes instead of 32: something was added to it, put a copy of it back"),
        (bytes(32), "holds 32 zero bytes, which are no secret: it was cut short, put a copy of it back"),
        (b"5a" * 32, r"holds 64 hex digits instead of the 32 bytes that they stand for \(xxd -r -p makes them\)"),
        (
            b"5A" * 32 + b"\n",
            r"holds 64 hex digits instead of the 32 bytes that they stand for \(xxd -r -p makes them\)",
        ),
        (MNEMONIC, r"holds a mnemonic only: 32 zero bytes stand before it \(if it has no passphrase\)"),
        (MNEMONIC + b"\n", r"holds a mnemonic only: 32 zero bytes stand before it \(if it has no passphrase\)"),
        (LONG_MNEMONIC, r"holds a mnemonic only: 32 zero bytes stand before it \(if it has no passphrase\)"),
        (b"\x01" * 32 + MNEMONIC[:-6], "holds neither 32 bytes nor a valid mnemonic"),
        (b"\x01" * 73, "has a passphrase: start with --hsm-passphrase"),
        (b"\x01" * 32 + MNEMONIC, "has a passphrase: start with --hsm-passphrase"),
        (bytes(33), "has 33 bytes instead of 32: something was added to it, put a copy of it back"),
        (bytes(34), "holds neither 32 bytes nor a valid mnemonic"),
        (bytes(32) + MNEMONIC + b"\n", "holds neither 32 bytes nor a valid mnemonic"),
        (bytes(32) + MNEMONIC[:-6], "holds neither 32 bytes nor a valid mnemonic"),
        (bytes(32) + b"abandon " * 11 + b"abandon", "holds neither 32 bytes nor a valid mnemonic"),
    ],
)
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes, error: str) -> None:
    with pytest.raises(SecretError, match=f"{error}$"):
        load_secret(written(path, content))


def test_a_new_file_is_whole_or_not_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power failure could leave, looked at before each step that the kernel takes."""
    seen: list[bytes | None] = []

    def looking(name: str) -> None:
        real = getattr(os, name)

        def look(*args: object, **kwargs: object) -> object:
            seen.append(path.read_bytes() if path.exists() else None)
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, look)

    for name in ("open", "write", "fsync", "link", "close"):
        looking(name)
    load_secret(path)
    monkeypatch.undo()
    assert set(seen) == {None, path.read_bytes()}
    assert list(path.parent.iterdir()) == [path]


def test_what_a_crash_has_left_of_a_new_file_is_in_nobody_s_way(path: Path) -> None:
    path.with_name("hsm_secret.new").write_bytes(bytes(32))
    load_secret(path)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_nlink == 1


def test_a_file_that_has_come_meanwhile_is_not_replaced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(fd: int) -> None:
        if not path.exists():
            path.write_bytes(b"somebody else's")

    monkeypatch.setattr(os, "fsync", first)
    with pytest.raises(SecretError, match="cannot be used: File exists"):
        load_secret(path)
    assert path.read_bytes() == b"somebody else's"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"\x01" * 32, bytes(32) + MNEMONIC])
def test_a_passphrase_that_is_not_needed(path: Path, content: bytes) -> None:
    with pytest.raises(SecretError, match=r"has no passphrase: start without --hsm-passphrase$"):
        load_secret(written(path, content), never)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="no regular file"):
        load_secret(tmp_path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(SecretError, match="no regular file"):
        load_secret(tmp_path / "fifo")
    with pytest.raises(SecretError, match="cannot be used: No such file or directory"):
        load_secret(tmp_path / "nowhere" / "hsm_secret")


def test_a_symbolic_link_to_nothing(path: Path) -> None:
    """A new secret beside the one that is not mounted would be another node."""
    path.symlink_to(path.with_name("disk"))
    with pytest.raises(SecretError, match="is a symbolic link to nothing"):
        load_secret(path)
    assert list(path.parent.iterdir()) == [path]
