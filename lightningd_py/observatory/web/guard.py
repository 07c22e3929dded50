"""Which requests are answered: the method, Host and Origin (DNS rebinding), and the token.

The page's own files are public, so that a browser can show the field for the token; what is under /api/ is not.
"""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from lightningd_py.observatory.tables.errors import ObservatoryError

METHODS = ("GET", "HEAD")
TOKEN_BYTES = 32
LONGEST_TOKEN = 1_000
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "lightning-observatory",
}
"""Of every answer."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")


class Refusal(NamedTuple):
    """An HTTP status, and one sentence."""

    status: int
    sentence: str


class Guard:
    """`names`: hosts by which the page may be called, besides localhost and addresses. `token`: None, none is asked."""

    def __init__(self, names: Collection[str] = (), token: str | None = None) -> None:
        self._names = {"localhost", *(name.lower() for name in names)}
        self._digest = None if token is None else _digest(token)

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """None if the request may be answered. `headers`: of any case, one value each."""
        if method not in METHODS:
            return Refusal(405, "this server only reads: GET and HEAD")
        host = headers.get("Host", "")
        if not self._is_ours(host):
            return Refusal(421, "no such host here; --host NAME allows a name")
        origin = headers.get("Origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return Refusal(403, "another origin's page may not read this")
        if not path.startswith("/api/"):
            return None
        if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return Refusal(403, "another site's page may not read this")
        if not self._has_token(headers.get("Authorization", "")):
            return Refusal(401, "the token is needed")
        return None

    def _is_ours(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].lower()
        return name in self._names or _is_ip(name.strip("[]"))

    def _has_token(self, authorization: str) -> bool:
        if self._digest is None:
            return True
        scheme, _, token = authorization[: LONGEST_TOKEN + 7].partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(_digest(token.strip()), self._digest)


def _digest(token: str) -> bytes:
    """Of one length, so that a comparison takes the same time for all."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def _is_ip(name: str) -> bool:
    """An address cannot be given to somebody else by DNS."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def read_token(path: Path) -> str:
    """The token in a file that its owner alone may read; made there if there is none. Raises ObservatoryError."""
    try:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return _checked_token(path)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with os.fdopen(fd, "w") as file:
            file.write(token + "\n")
    except OSError as error:
        raise ObservatoryError(f"the token's file {path} cannot be used: {error.strerror}") from error
    return token


def _checked_token(path: Path) -> str:
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        found = os.fstat(file.fileno())
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ObservatoryError(f"others may read the token's file {path}: chmod 600 {path} first")
        token = file.read(LONGEST_TOKEN).strip()
    if len(token) < 16:
        raise ObservatoryError(f"the token in {path} is shorter than 16 characters: remove the file, and one is made")
    return token
