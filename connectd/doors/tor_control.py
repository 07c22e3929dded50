"""Tor's control port: as much of its protocol as an onion service needs. Tor's control-spec, 2, 3.5, 3.21, 3.24, 3.27.

Whatever goes wrong is a TorError, whose text is one sentence for the operator. A port that is not Tor's own learns
nothing: of the two ways to authenticate by Tor's cookie file only SAFECOOKIE is spoken, which proves that we have read
the file and does not tell what is in it. The other way would send any file of 32 bytes that the port asks for, and
hsm_secret is such a file.
"""

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import socket
import stat
from pathlib import Path

from wire.address import WireAddr, parse_address
from wire.control.status import sane

LONGEST_LINE = 4_096
MOST_LINES = 100
"""Of one reply."""
COOKIE_SIZE = 32

_LINE = re.compile(r"([0-9]{3})([- +])(.*)")
_KEYWORD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_SERVER_HASH = b"Tor safe cookie authentication server-to-controller hash"
_CONTROLLER_HASH = b"Tor safe cookie authentication controller-to-server hash"
_NO_TOR = "this does not speak Tor's control protocol"


class TorError(Exception):
    """Tor's control port cannot be used, or has refused; the text is one sentence."""


class TorControl:
    """One conversation. What was added by it lasts as long as it: Tor ends the onion services of who hangs up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: WireAddr) -> None:
        self._reader = reader
        self._writer = writer
        self._where = where

    @classmethod
    async def connect(cls, where: WireAddr) -> "TorControl":
        """Raises TorError."""
        try:
            reader, writer = await asyncio.open_connection(where.host, where.port, limit=LONGEST_LINE)
        except OSError as error:
            raise TorError(f"Tor's control port {where}: {_reason(error)}") from None
        return cls(reader, writer, where)

    @classmethod
    async def adopt(cls, fd: int, where: WireAddr) -> "TorControl":
        """A conversation that another process has begun, in which nothing is under way. The fd is ours from here on.
        Raises OSError.
        """
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock, limit=LONGEST_LINE)
        return cls(reader, writer, where)

    def copy(self) -> int:
        """For another process, which goes on with it: an fd that is the caller's. Raises OSError."""
        return os.dup(self._writer.get_extra_info("socket").fileno())

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def closed(self) -> None:
        """Returns when Tor has hung up. It tells nothing meanwhile, for it was asked for no events."""
        try:
            while await self._reader.read(LONGEST_LINE):
                pass
        except ConnectionError:
            pass

    async def authenticate(self, password: str | None) -> None:
        """By what Tor offers: nothing, the password, or its cookie file. Raises TorError."""
        methods, cookie_file = await self._protocol_info()
        if "NULL" in methods:
            proof = ""
        elif "HASHEDPASSWORD" in methods and password is not None:
            proof = " " + _quoted(password)
        elif "SAFECOOKIE" in methods and cookie_file is not None:
            proof = " " + await self._prove_cookie(cookie_file)
        elif "HASHEDPASSWORD" in methods:
            raise self._error("it wants a password: --tor-service-password")
        else:
            raise self._error(f"it offers no way to authenticate that we know: {sane(os.fsencode(','.join(methods)))}")
        await self._ask("AUTHENTICATE" + proof)

    async def add_onion(self, key: str, port: int, target: WireAddr) -> tuple[WireAddr, str]:
        """An onion service on `port` that leads to `target`: its address, and its key. Raises TorError.

        `key` is "ED25519-V3:..." of a service that was there before, or "NEW:ED25519-V3".
        """
        reply = await self._ask(f"ADD_ONION {key} Port={port},{target}")
        found = dict(line.partition("=")[::2] for line in reply)
        try:
            onion = parse_address(f"{found['ServiceID']}.onion:{port}", port)
        except (KeyError, ValueError):
            raise self._error("it has named no onion service") from None
        return onion, found.get("PrivateKey", key)

    # The conversation

    async def _protocol_info(self) -> tuple[list[str], Path | None]:
        """How one may authenticate, and where the cookie is."""
        for line in await self._ask("PROTOCOLINFO 1"):
            if line.startswith("AUTH "):
                values = {name: _unquoted(value) for name, value in _KEYWORD.findall(line)}
                cookie = values.get("COOKIEFILE")
                return values.get("METHODS", "").split(","), Path(cookie) if cookie else None
        raise self._error(_NO_TOR)

    async def _prove_cookie(self, file: Path) -> str:
        cookie = self._cookie(file)
        nonce = secrets.token_bytes(32)
        (line, *_) = await self._ask(f"AUTHCHALLENGE SAFECOOKIE {nonce.hex()}")
        values = dict(_KEYWORD.findall(line))
        try:
            theirs, their_nonce = bytes.fromhex(values["SERVERHASH"]), bytes.fromhex(values["SERVERNONCE"])
        except (KeyError, ValueError):
            raise self._error(_NO_TOR) from None
        known = cookie + nonce + their_nonce
        if not hmac.compare_digest(theirs, hmac.digest(_SERVER_HASH, known, hashlib.sha256)):
            raise self._error(f"it does not know what is in its cookie file {sane(os.fsencode(file))}")
        return hmac.digest(_CONTROLLER_HASH, known, hashlib.sha256).hex()

    def _cookie(self, file: Path) -> bytes:
        try:
            cookie = _content(file)
        except OSError as error:
            raise self._error(f"its cookie file {sane(os.fsencode(file))}: {error.strerror}") from None
        except ValueError:
            raise self._error(_NO_TOR) from None
        if len(cookie) != COOKIE_SIZE:
            raise self._error(f"its cookie file {sane(os.fsencode(file))} has not {COOKIE_SIZE} bytes")
        return cookie

    async def _ask(self, command: str) -> list[str]:
        """A command's reply, line by line, without the codes. Raises TorError for one that says no."""
        try:
            self._writer.write(f"{command}\r\n".encode())
            await self._writer.drain()
            return await self._reply()
        except asyncio.IncompleteReadError:
            raise self._error("hung up") from None
        except asyncio.LimitOverrunError:
            raise self._error(_NO_TOR) from None
        except OSError as error:
            raise self._error(_reason(error)) from None

    async def _reply(self) -> list[str]:
        lines: list[str] = []
        for _ in range(MOST_LINES):
            match = _LINE.fullmatch(await self._line())
            if match is None:
                break
            code, more, text = match.groups()
            if code == "650":  # an event, which was not asked for
                continue
            if code[0] != "2":
                raise self._error(sane(text.encode()))
            if more == "+":
                break
            lines.append(text)
            if more == " ":
                return lines
        raise self._error(_NO_TOR)

    async def _line(self) -> str:
        line = await self._reader.readuntil(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def _error(self, what: str) -> TorError:
        return TorError(f"Tor's control port {self._where}: {what}")


def _content(file: Path) -> bytes:
    """Of a small file that the other end has named: nothing is waited for, whatever lies there. Raises OSError, and
    ValueError for what is no file's name."""
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        return os.read(fd, COOKIE_SIZE + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)


def _reason(error: OSError) -> str:
    """The system's words; asyncio has its own for some failures, and a negative number is the resolver's."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def _quoted(text: str) -> str:
    """A QuotedString. Control-spec, 2.1.1."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    """A QuotedString, or a word. Tor writes bytes that are no ASCII as C does: \\n, \\r, \\t, and in octal digits."""
    if not text.startswith('"'):
        return text
    return os.fsdecode(_ESCAPE.sub(_escaped_byte, text[1:-1].encode(errors="surrogateescape")))


def _escaped_byte(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8) & 255]) if code.isdigit() else _LETTERS.get(code, code)
