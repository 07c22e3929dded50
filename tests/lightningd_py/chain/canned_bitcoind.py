"""A Bitcoin node that answers what it is told to, from a chain that a test makes up, and fails in every way."""

import asyncio
import base64
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Self

from wire.types import NETWORKS

GENESIS = NETWORKS["regtest"]
BLOCK_AGE = 600
USER, PASSWORD = "alice", "pässword"


def double_sha256(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


@dataclass
class Transaction:
    """One with these inputs (outpoints) and outputs (satoshi, script); `salt` makes it different from others."""

    inputs: list[bytes]
    outputs: list[tuple[int, bytes]]
    salt: int = 0
    witness: bool = False

    def raw(self, *, witness: bool = False) -> bytes:
        data = struct.pack("<I", 2) + (b"\0\1" if witness else b"") + compact(len(self.inputs))
        for outpoint in self.inputs:
            data += outpoint + b"\0" + struct.pack("<I", 0xFFFFFFFF)
        data += compact(len(self.outputs))
        for value, script in self.outputs:
            data += struct.pack("<Q", value) + compact(len(script)) + script
        if witness:
            data += b"".join(b"\2\1a\0" for _ in self.inputs)
        return data + struct.pack("<I", self.salt)

    @property
    def txid(self) -> bytes:
        return double_sha256(self.raw())


def compact(number: int) -> bytes:
    return bytes([number]) if number < 0xFD else b"\xfd" + struct.pack("<H", number)


@dataclass
class Block:
    previous: bytes
    transactions: list[Transaction]
    salt: int = 0

    def raw(self) -> bytes:
        header = struct.pack("<I", 4) + self.previous + bytes(32) + struct.pack("<III", self.salt, 0, 0)
        return (
            header + compact(len(self.transactions)) + b"".join(tx.raw(witness=tx.witness) for tx in self.transactions)
        )

    @property
    def hash(self) -> bytes:
        return double_sha256(self.raw()[:80])


class Refusal(Exception):
    """The node's error for one call: code, message."""


@dataclass
class Chain:
    """The genesis block, of which nothing but the hash is known, and blocks above it."""

    blocks: list[Block] = field(default_factory=list)
    salt: int = 0

    @property
    def height(self) -> int:
        return len(self.blocks)

    def hash_at(self, height: int) -> bytes:
        return self.blocks[height - 1].hash if height else GENESIS

    def add(self, *transactions: Transaction) -> int:
        """A block with a coinbase and these; its height."""
        self.salt += 1
        coinbase = Transaction([bytes(32) + b"\xff" * 4], [(50, b"\x51")], self.salt)
        self.blocks.append(Block(self.hash_at(self.height), [coinbase, *transactions], self.salt))
        return self.height

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.add()

    def find(self, block_hash: str) -> tuple[int, Block]:
        for height, block in enumerate(self.blocks, 1):
            if block.hash[::-1].hex() == block_hash:
                return height, block
        raise Refusal(-5, "Block not found")

    def transaction(self, txid: str) -> Transaction | None:
        found = (tx for block in self.blocks for tx in block.transactions if tx.txid[::-1].hex() == txid)
        return next(found, None)

    def is_spent(self, outpoint: bytes) -> bool:
        return any(outpoint in tx.inputs for block in self.blocks for tx in block.transactions)

    # JSON-RPC

    def getblockchaininfo(self) -> Any:
        return {"chain": "regtest", "blocks": self.height, "bestblockhash": self.hash_at(self.height)[::-1].hex()}

    def getblockhash(self, height: int) -> Any:
        if height > self.height:
            raise Refusal(-8, "Block height out of range")
        return self.hash_at(height)[::-1].hex()

    def getblock(self, block_hash: str, verbosity: int) -> Any:
        _, block = self.find(block_hash)
        return {"tx": [tx.txid[::-1].hex() for tx in block.transactions]} if verbosity else block.raw().hex()

    def gettxout(self, txid: str, number: int, mempool: bool) -> Any:
        assert mempool is False
        tx = self.transaction(txid)
        if tx is None or number >= len(tx.outputs) or self.is_spent(tx.txid + struct.pack("<I", number)):
            return None
        value, script = tx.outputs[number]
        return {"value": value / 100_000_000, "scriptPubKey": {"hex": script.hex()}}

    def getrawtransaction(self, txid: str, verbose: bool, block_hash: str) -> Any:
        tx = self.transaction(txid)
        assert tx is not None
        return {"vout": [{"scriptPubKey": {"hex": script.hex()}} for _, script in tx.outputs]}


class CannedBitcoind:
    """The HTTP server. `fault` is what happens instead of an answer; `delay` seconds pass before each answer."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.fault: Callable[[list[Any]], bytes | None] | None = None
        self.delay = 0.0
        self.silent = False
        self.methods: list[str] = []
        """Of all calls, in order."""
        self.requests = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def start_again(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 24)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        calls = json.loads(await reader.readexactly(int(fields["content-length"])))
        self.requests += 1
        self.methods += [call["method"] for call in calls]
        if self.silent:
            await asyncio.Event().wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode().lower()
        answer = None if self.fault is None else self.fault(calls)
        if answer is None and credentials not in fields["authorization"]:
            answer = http(b"", 401)
        writer.write(answer or http(json.dumps([self._reply(call) for call in calls]).encode()))
        await writer.drain()
        return answer is None

    def _reply(self, call: dict[str, Any]) -> dict[str, Any]:
        method = getattr(self.chain, call["method"], None)
        try:
            if method is None:
                raise Refusal(-32601, "Method not found")
            return {"id": call["id"], "result": method(*call["params"]), "error": None}
        except Refusal as refusal:
            code, message = refusal.args
            return {"id": call["id"], "result": None, "error": {"code": code, "message": message}}


def http(body: bytes, status: int = 200, length: int | None = None) -> bytes:
    """A whole HTTP reply; with a `length` that is not the body's it is half a one."""
    return f"HTTP/1.1 {status} X\r\nContent-Length: {length or len(body)}\r\n\r\n".encode() + body


def error(code: int, message: str) -> bytes:
    """What bitcoind answers a whole request with."""
    return http(json.dumps({"result": None, "error": {"code": code, "message": message}, "id": None}).encode(), 500)
