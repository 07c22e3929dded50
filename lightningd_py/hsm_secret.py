"""The node's secret: CLN's file `hsm_secret`, in its plain forms, and CLN's derivation of the node key.

So a node can be moved here from CLN with its identity (never run both). Only hsmd imports this.
"""

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from wire import secp256k1
from wire.hkdf import hkdf_sha256
from wire.status import Status

SECRET_SIZE = 32
_LARGEST_FILE = 4096
_WORD_COUNTS = (12, 15, 18, 21, 24)

status = Status("hsmd")


class SecretError(Exception):
    """The secret cannot be used; the text is one sentence for the user."""


def load_secret(path: Path) -> bytes:
    """The 32 bytes from which all keys are derived; the file is made if it is missing. Raises SecretError."""
    try:
        if not path.exists():
            _create(path)
            status.info(f"created {path}")
        return _secret_in(path, _read(path))
    except OSError as error:
        raise SecretError(f"{path} cannot be used: {error.strerror}") from error


def _create(path: Path) -> None:
    """Write a new secret, complete and on the disk, or leave no file. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, secp256k1.new_secret())
        os.fsync(fd)
        _sync_directory(path.parent)
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(fd)


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


def _secret_in(path: Path, content: bytes) -> bytes:
    """The secret in one of CLN's forms: 32 bytes, or 32 zero bytes and a mnemonic that has no passphrase."""
    if len(content) == SECRET_SIZE:
        return content
    if len(content) > SECRET_SIZE and not any(content[:SECRET_SIZE]):
        return _secret_of_mnemonic(path, content[SECRET_SIZE:])
    if len(content) > SECRET_SIZE:
        raise SecretError(f"{path} has {len(content)} bytes, not 32: secrets with a passphrase cannot be read")
    raise SecretError(f"{path} has {len(content)} bytes instead of 32")


def _secret_of_mnemonic(path: Path, words: bytes) -> bytes:
    """BIP 39's seed, of which the node key takes the first 32 bytes. The words' checksum is not looked at."""
    if len(words.split(b" ")) not in _WORD_COUNTS or not words.replace(b" ", b"").isalpha():
        raise SecretError(f"{path} holds neither 32 bytes nor a mnemonic of 12 to 24 words")
    return hashlib.pbkdf2_hmac("sha512", words, b"mnemonic", 2048)[:SECRET_SIZE]


def derive_node_key(hsm_secret: bytes) -> bytes:
    """The node's secret key, as CLN derives it: HKDF, salted with a counter (u32, little endian), until it is valid."""
    counter = 0
    while True:
        key = hkdf_sha256(counter.to_bytes(4, "little"), hsm_secret, b"nodeid", SECRET_SIZE)
        with contextlib.suppress(ValueError):
            secp256k1.public_key(key)
            return key
        counter += 1
