"""The node's secret: CLN's file `hsm_secret`, in all its forms, and CLN's derivation of the node key.

    32 bytes            the secret itself
    73 bytes            the secret, encrypted with a passphrase (libsodium's secretstream; argon2id makes the key)
    32 zeros, words     a mnemonic; BIP 39's seed is the secret
    hash, words         a mnemonic with a passphrase; the hash is SHA-256 of the seed, and tells if it is the right one

A new one is a mnemonic, as CLN makes it. So a node can be moved here from CLN with its identity (never run both). Only
hsmd imports this. PyNaCl and mnemonic are loaded for the files that need them.
"""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from wire import secp256k1
from wire.control.status import Status
from wire.crypto_state import hkdf_sha256

SECRET_SIZE = 32
ENCRYPTED_SIZE = 73
_HEADER_SIZE = 24
_LARGEST_FILE = 4096
_SALT = b"c-lightning".ljust(16, b"\0")
_NO_PASSPHRASE = bytes(32)
"""In the hash's place."""

Ask = Callable[[], bytes]
"""Gets the passphrase from the operator."""

status = Status("hsmd")


class SecretError(Exception):
    """The secret cannot be used; the text is one sentence for the user."""


def load_secret(path: Path, ask: Ask | None = None, ask_new: Ask | None = None) -> bytes:
    """The secret; of a mnemonic's 64 bytes the first 32, from which CLN derives the node key.

    A missing file is made, with a passphrase if there is `ask_new`. Without `ask` a file that has one is refused, with
    it one that has none. Raises SecretError, and what the two raise.
    """
    try:
        if not path.exists():
            if path.is_symlink():
                raise SecretError(f"{path} is a symbolic link to nothing: mount what it leads to, or remove it")
            content, secret = _new_secret(None if ask_new is None else ask_new())
            _create(path, content)
            status.info(f"created {path}")
            return secret
        return _secret_in(path, _read(path), ask)
    except OSError as error:
        raise SecretError(f"{path} cannot be used: {error.strerror}") from error


def _new_secret(passphrase: bytes | None) -> tuple[bytes, bytes]:
    """Content of the file, and the secret: twelve words, as CLN makes them."""
    from mnemonic import Mnemonic

    words = Mnemonic("english").generate(strength=128).encode()
    seed = _seed_of(words, passphrase or b"")
    return (_NO_PASSPHRASE if passphrase is None else hashlib.sha256(seed).digest()) + words, seed[:SECRET_SIZE]


def _create(path: Path, content: bytes) -> None:
    """Write a new file: under another name first, so that it is there whole or not at all. Raises OSError."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)  # a crash may have left it; no node has ever used it
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        os.write(fd, content)
        os.fsync(fd)
        os.link(unfinished, path)
    finally:
        os.close(fd)
        unfinished.unlink()
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(path: Path) -> bytes:
    # Non-blocking, so that a FIFO in its place cannot make us wait.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise SecretError(f"{path} is no regular file")
        if mode & 0o077:
            raise SecretError(f"{path} is open to other users (mode {stat.S_IMODE(mode):04o}): chmod 600 it")
        return os.read(fd, _LARGEST_FILE)
    finally:
        os.close(fd)


def _secret_in(path: Path, content: bytes, ask: Ask | None) -> bytes:
    if reason := _why_none(content):
        raise SecretError(f"{path} {reason}")
    is_hashed = len(content) > SECRET_SIZE and content[:SECRET_SIZE] != _NO_PASSPHRASE
    words = _words(path, content[SECRET_SIZE:]) if len(content) not in (SECRET_SIZE, ENCRYPTED_SIZE) else b""
    passphrase = _passphrase_for(path, ask, is_needed=is_hashed)
    if len(content) == SECRET_SIZE:
        return content
    if len(content) == ENCRYPTED_SIZE:
        return _decrypted(path, content, passphrase or b"")
    seed = _seed_of(words, passphrase or b"")
    if is_hashed and hashlib.sha256(seed).digest() != content[:SECRET_SIZE]:
        raise SecretError(f"wrong passphrase for {path}")
    return seed[:SECRET_SIZE]


def _why_none(content: bytes) -> str | None:
    """What a file is that is in none of the forms, as far as can be seen, and what to do about it."""
    match len(content):
        case 0:
            return "is empty: put a copy of it back, or remove it, and the node begins with a new identity"
        case size if size < SECRET_SIZE:
            return f"has {size} bytes instead of {SECRET_SIZE}: it was cut short, put a copy of it back"
        case 33:
            return f"has 33 bytes instead of {SECRET_SIZE}: something was added to it, put a copy of it back"
    if content == _NO_PASSPHRASE:
        return f"holds {SECRET_SIZE} zero bytes, which are no secret: it was cut short, put a copy of it back"
    if re.fullmatch(b"[0-9A-Fa-f]{64}\n?", content):
        return "holds 64 hex digits instead of the 32 bytes that they stand for (xxd -r -p makes them)"
    if _is_mnemonic(content.rstrip()):
        return "holds a mnemonic only: 32 zero bytes stand before it (if it has no passphrase)"
    return None


def _passphrase_for(path: Path, ask: Ask | None, *, is_needed: bool) -> bytes | None:
    if is_needed and ask is None:
        raise SecretError(f"{path} has a passphrase: start with --hsm-passphrase")
    if not is_needed and ask is not None:
        raise SecretError(f"{path} has no passphrase: start without --hsm-passphrase")
    return None if ask is None else ask()


def _decrypted(path: Path, content: bytes, passphrase: bytes) -> bytes:
    from nacl import bindings
    from nacl.exceptions import CryptoError
    from nacl.pwhash import argon2id

    key = argon2id.kdf(32, passphrase, _SALT, argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, content[:_HEADER_SIZE], key)
    try:
        secret, _ = bindings.crypto_secretstream_xchacha20poly1305_pull(state, content[_HEADER_SIZE:])
    except CryptoError as error:
        raise SecretError(f"wrong passphrase for {path}") from error
    return bytes(secret)


def _words(path: Path, words: bytes) -> bytes:
    if not _is_mnemonic(words):
        raise SecretError(f"{path} holds neither 32 bytes nor a valid mnemonic")
    return words


def _is_mnemonic(words: bytes) -> bool:
    if not words.replace(b" ", b"").isalpha():
        return False
    from mnemonic import Mnemonic

    return Mnemonic("english").check(words.decode())


def _seed_of(words: bytes, passphrase: bytes) -> bytes:
    """BIP 39's, 64 bytes. The passphrase is taken as it was typed, as CLN takes it."""
    return hashlib.pbkdf2_hmac("sha512", words, b"mnemonic" + passphrase, 2048)


def derive_secrets_root(hsm_secret: bytes) -> bytes:
    """What `makesecret` derives from, as CLN does: it cannot lead back to the node key."""
    return hkdf_sha256(b"", hsm_secret, b"derived secrets", SECRET_SIZE)


def derive_secret(root: bytes, info: bytes) -> bytes:
    """CLN's `makesecret`: 32 bytes, for any `info`."""
    return hkdf_sha256(b"", root, info, SECRET_SIZE)


def derive_node_key(hsm_secret: bytes) -> bytes:
    """The node's secret key, as CLN derives it: HKDF, salted with a counter (u32, little endian), until it is valid."""
    counter = 0
    while True:
        key = hkdf_sha256(counter.to_bytes(4, "little"), hsm_secret, b"nodeid", SECRET_SIZE)
        with contextlib.suppress(ValueError):
            secp256k1.public_key(key)
            return key
        counter += 1
