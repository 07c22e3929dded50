"""CURVE for buses on tcp: the server's certificate, made at need, and the clients that may come, one by one.

In the directory, which is its owner's alone: `server.key`, the public key that clients need; `server.key_secret`;
and `clients/NAME.key` for each client that is admitted, in the form that `zmq.auth.create_certificates` writes. A
client is admitted as soon as its file is there, and no more (for new connections) when the file has gone.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import zmq.auth
from zmq.utils import z85

from wire.bus.socket import ZAP_DOMAIN, BusSocket, CurveKeys, NoRoom, Unreachable
from wire.control.status import Status, sane

if TYPE_CHECKING:
    from zmq import Context, Socket

SERVER = "server"
CLIENTS = "clients"
MAX_CLIENTS = 1_000
"""Key files that are read."""
KEY_SIZE = 40
"""Characters of a key in Z85."""
ZAP = "inproc://zeromq.zap.01"
ZAP_VERSION = b"1.0"

status = Status("bus")


class CurveError(Exception):
    """The keys cannot be used. The text is one sentence."""


def server_keys(directory: Path) -> CurveKeys:
    """The certificate of this directory, made if there is none. Raises CurveError."""
    secret = directory / f"{SERVER}.key_secret"
    try:
        for needed in (directory, directory / CLIENTS):
            needed.mkdir(mode=0o700, exist_ok=True)
        with _locked(directory):
            if not secret.exists():
                _make(directory)
        if secret.stat().st_mode & 0o077:
            raise CurveError(f"{secret} may be read by others: it has to have permissions 0600")
        public_key, secret_key = zmq.auth.load_certificate(secret)
    except (OSError, ValueError) as error:
        raise CurveError(f"the CURVE keys in {directory} cannot be used: {error}") from error
    if secret_key is None or len(secret_key) != KEY_SIZE or zmq.curve_public(secret_key) != public_key:
        raise CurveError(f"{secret} holds no secret key with its public key")
    return CurveKeys(public_key, secret_key)


def _make(directory: Path) -> None:
    """The secret key's file comes last: with it the certificate is complete, whenever we are interrupted."""
    umask = os.umask(0o077)
    try:
        with tempfile.TemporaryDirectory(dir=directory) as made:
            public, secret = map(Path, zmq.auth.create_certificates(made, SERVER))
            public.replace(directory / public.name)
            secret.replace(directory / secret.name)
    finally:
        os.umask(umask)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Several processes of one node may need the keys at the same time."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class Clients:
    """The clients that are admitted: the public keys in a directory, read again when something there has changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: list[tuple[str, int, int]] | None = None
        self._names: dict[bytes, str] = {}

    def name_of(self, public_key: bytes) -> str | None:
        """The client that has this key (Z85), None if there is none."""
        try:
            files = self._files()
        except OSError as error:
            status.unusual(f"no client is admitted: {self._directory} cannot be read: {error.strerror}")
            return None
        if files != self._seen:
            self._seen = files
            self._names = {key: name.removesuffix(".key") for name, _, _ in files if (key := self._key_in(name))}
        return self._names.get(public_key)

    def _files(self) -> list[tuple[str, int, int]]:
        """Name, time of change, and size of each file that may hold a key."""
        with os.scandir(self._directory) as entries:
            found = sorted((entry.name, entry) for entry in entries if entry.name.endswith(".key") and entry.is_file())
        if len(found) > MAX_CLIENTS and self._seen is None:
            status.unusual(f"{self._directory} has {len(found)} keys: only the first {MAX_CLIENTS} are admitted")
        stats = [(name, entry.stat()) for name, entry in found[:MAX_CLIENTS]]
        return [(name, found.st_mtime_ns, found.st_size) for name, found in stats]

    def _key_in(self, name: str) -> bytes:
        try:
            public_key, _ = zmq.auth.load_certificate(self._directory / name)
            if len(public_key) != KEY_SIZE:
                raise ValueError(f"a key has {KEY_SIZE} characters")
        except (OSError, ValueError, KeyError) as error:
            status.unusual(f"{self._directory / name} is no client's key: {error!r}")
            return b""
        return public_key


class Curve:
    """The keys of this process's tcp endpoints, and the doorkeeper that ZMQ asks about each client (ZAP, RFC 27)."""

    def __init__(self, context: "Context[Socket[bytes]]", directory: Path) -> None:
        """On the running loop; one for each context. Raises CurveError."""
        self.keys = server_keys(directory)
        self._clients = Clients(directory / CLIENTS)
        self._refused = 0
        self._socket = BusSocket(context, self._asked)
        self._socket.bind(ZAP)

    def _asked(self, frames: list[bytes]) -> None:
        """May this one come in? Without an answer it is not admitted."""
        route, _, _, request_id, domain, address, _, mechanism, *credentials = frames
        key = z85.encode(credentials[0]) if mechanism == b"CURVE" and domain == ZAP_DOMAIN else b""
        name = self._clients.name_of(key) if key else None
        if name is None:
            self._refuse(f"{sane(address)} with the unknown key {sane(key)}")
        verdict = [b"400", b"unknown key", b""] if name is None else [b"200", b"OK", name.encode()]
        try:
            self._socket.send([route, b"", ZAP_VERSION, request_id, *verdict, b""])
        except (Unreachable, NoRoom):
            status.debug("a client of a bus has gone before it was admitted")

    def without_key(self) -> None:
        """A client that speaks no CURVE, or not to us: ZMQ has refused it without asking."""
        self._refuse("it has no key, or not ours, or has gone too soon")

    def _refuse(self, who: str) -> None:
        self._refused += 1
        if self._refused.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            status.unusual(f"a client of a bus is refused: {who} ({self._refused} so far)")

    def close(self) -> None:
        """All are refused from here on."""
        self._socket.close()
