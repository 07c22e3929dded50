"""430-byte messages through our frames, through gossipd, through pyln-proto and through a bare loop."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tests.bench.gossipds import Meter, running_gossipd, send_all
from tests.bench.harness import Bench, Row
from tests.gossipd.ends import mirrored
from tests.interop.conftest import pyln_environment
from wire.crypto_state import READ_SIZE
from wire.frames import Frames

SIZE, COUNT, ROUNDS = 430, 20_000, 3
ODD = b"\x80\x01" + bytes(SIZE - 2)
"""A message that everybody ignores (B1-5)."""

_PYLN_SCRIPT = Path(__file__).with_name("pyln_frames.py")


def _best(function: Callable[[], float]) -> float:
    """The least CPU for a message, in µs."""
    return min(function() for _ in range(ROUNDS)) / COUNT * 1e6


def _send() -> float:
    frames, batch = Frames(mirrored()[0]), bytearray()
    begin = time.process_time()
    for number in range(COUNT):
        frames.encrypt_into(batch, ODD)
        if not number % 64:
            batch.clear()
    return time.process_time() - begin


def _stream() -> bytes:
    frames, batch = Frames(mirrored()[0]), bytearray()
    for _ in range(COUNT):
        frames.encrypt_into(batch, ODD)
    return bytes(batch)


def _receive() -> float:
    stream, frames, received = _stream(), Frames(mirrored()[1]), 0
    begin = time.process_time()
    for at in range(0, len(stream), READ_SIZE):
        for _ in frames.feed(stream[at : at + READ_SIZE]):
            received += 1
    spent = time.process_time() - begin
    assert received == COUNT
    return spent


def _send_bare() -> float:
    cipher, nonce, header = ChaCha20Poly1305(bytes(32)), bytes(12), SIZE.to_bytes(2, "big")
    begin = time.process_time()
    for _ in range(COUNT):
        batch = bytearray()
        batch += cipher.encrypt(nonce, header, None)
        batch += cipher.encrypt(nonce, ODD, None)
    return time.process_time() - begin


def _receive_bare() -> float:
    cipher, nonce = ChaCha20Poly1305(bytes(32)), bytes(12)
    frame = cipher.encrypt(nonce, SIZE.to_bytes(2, "big"), None) + cipher.encrypt(nonce, ODD, None)
    buffer, begin = frame * 64, time.process_time()
    for number in range(COUNT):
        start = number % 64 * len(frame)
        length = int.from_bytes(cipher.decrypt(nonce, buffer[start : start + 18], None), "big")
        cipher.decrypt(nonce, buffer[start + 18 : start + 34 + length], None)
    return time.process_time() - begin


def _pyln() -> tuple[float, float] | tuple[None, None]:
    """µs to send and to receive with pyln-proto, over a pipe in memory; (None, None) where it cannot be installed."""
    try:
        command: list[str | Path] = [pyln_environment(), _PYLN_SCRIPT, str(COUNT // 4), str(SIZE)]
    except pytest.skip.Exception:
        return None, None
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(ROUNDS)]
    sent, received = (min(float(run[column]) for run in runs) for column in (0, 1))
    return sent, received


async def _through_gossipd(bench: Bench) -> float:
    """µs of gossipd's CPU for a message that it reads from a socket and ignores."""
    async with running_gossipd(bench.directory / "frames") as gossipd:
        spent = []
        for _ in range(ROUNDS):
            peer = await gossipd.connect(tcp=True)
            stream = peer.encrypt(*[ODD] * COUNT)
            meter = await Meter.settled(gossipd)
            await send_all(peer, stream)
            await peer.sync()
            spent.append(meter.read().main)
    return min(spent) / COUNT * 1e6


async def measure(bench: Bench) -> Iterator[Row]:
    """Rows of our frames and of gossipd."""
    pyln_sent, pyln_received = _pyln()
    unit, pyln = "µs CPU/message", "pyln-proto"
    send, receive = _best(_send), _best(_receive)
    return iter(
        [
            Row("430 bytes encrypted", send, unit, pyln_sent, pyln),
            Row("the same", send, unit, _best(_send_bare), "bare loop"),
            Row("430 bytes decrypted", receive, unit, pyln_received, pyln),
            Row("the same", receive, unit, _best(_receive_bare), "bare loop"),
            Row("430 bytes received by gossipd", await _through_gossipd(bench), unit, pyln_received, pyln, "<= 5"),
        ]
    )
