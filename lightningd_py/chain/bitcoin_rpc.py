"""bitcoind's JSON-RPC over HTTP: batches of calls, and one sentence for everything that can go wrong.

Two kinds of failure. `ChainDown`: nothing can be had from the node now (it is away, loading, too busy, or answers what
is no answer), so the same is to be asked again later. `Refused`: the node has understood one call of the batch and says
no; that stands in the call's place among the results.
"""

import itertools
import json
from decimal import Decimal
from typing import Any

import aiohttp

from lightningd_py.chain.bitcoin_access import BitcoindAccess, NoAccess
from wire.control.status import sane
from wire.start.late_dataclass import dataclass

LONGEST_REASON = 200
"""Characters of what bitcoind says that reach the log."""

LARGEST_REPLY = 64 << 20
"""Bytes: a block of 4 MB has twice as many as hex, and batches of smaller things never come near."""
CONNECT_TIMEOUT = 10.0
HASH_SIZE = 32

INVALID_PARAMETER, IN_WARMUP, MISC = -8, -28, -1
"""bitcoind's error codes. MISC is that of a block that it has not kept, or not fetched yet."""

Call = tuple[str, tuple[object, ...]]


class ChainDown(Exception):
    """The node cannot be asked now. A sentence without its subject: "does not answer"."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The node's error for one call."""

    code: int
    message: str


class BitcoinRpc:
    """A client with as many connections as there are requests in flight."""

    def __init__(self, access: BitcoindAccess, timeout: float, connections: int) -> None:
        """`timeout`: seconds without a byte after which a request is given up."""
        self._access = access
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=timeout),
            trust_env=False,
        )
        self.requests = self.calls = self.received_bytes = 0
        self.in_flight = 0
        """Requests whose reply has not been read yet."""

    async def close(self) -> None:
        """Give up what is in flight."""
        await self._session.close()

    async def call(self, method: str, *params: object) -> Any:
        """The result of one call, or Refused. Raises ChainDown."""
        (result,) = await self.batch([(method, params)])
        return result

    async def batch(self, calls: list[Call]) -> list[Any]:
        """The results in the order of the calls, Refused for those that failed. Raises ChainDown."""
        ids = [next(self._ids) for _ in calls]
        request = [
            {"jsonrpc": "1.0", "id": number, "method": method, "params": list(params)}
            for number, (method, params) in zip(ids, calls, strict=True)
        ]
        self.calls += len(calls)
        replies = _parsed(*await self._post(json.dumps(request).encode()))
        return _in_order(replies, ids)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        """HTTP status and body of the reply."""
        self.requests += 1
        self.in_flight += 1
        try:
            try:
                return await self._post_once(body)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    raise
                return await self._post_once(body)  # it had closed an idle connection: nothing that we ask changes it
        except NoAccess as error:
            raise ChainDown(f"does not know us: {error}") from error
        except TimeoutError as error:
            raise ChainDown(f"has said nothing for {self._timeout:.0f} seconds") from error
        except aiohttp.ClientConnectorError as error:
            raise ChainDown(f"cannot be reached: {error.strerror or error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ChainDown(f"broke off before the end of its reply ({type(error).__name__})") from error
        finally:
            self.in_flight -= 1

    async def _post_once(self, body: bytes) -> tuple[int, bytes]:
        headers = {"Authorization": self._access.authorization(), "Content-Type": "application/json"}
        async with self._session.post(self._access.url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status, await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > LARGEST_REPLY:
                raise ChainDown(f"sent a reply of more than {LARGEST_REPLY >> 20} MB")
            pieces.append(piece)
        self.received_bytes += size
        return b"".join(pieces)


def _parsed(http_status: int, body: bytes) -> list[Any]:
    """The replies to the calls of a batch. Raises ChainDown."""
    if http_status == 401:
        raise ChainDown("refuses our user and password, or its cookie")
    if http_status == 403:
        raise ChainDown("does not let us in (HTTP 403): see its rpcallowip and rpcwhitelist")
    if http_status == 503:
        raise ChainDown("is too busy (HTTP 503): see its rpcworkqueue")
    try:
        replies = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        if http_status != 200:
            raise ChainDown(f"answers with HTTP status {http_status}") from error
        raise ChainDown("answers with broken JSON") from error
    if isinstance(replies, dict) and isinstance(replies.get("error"), dict):
        refused = _refused(replies["error"])
        raise ChainDown(f"refuses our requests: {refused.message} (code {refused.code})")
    if not isinstance(replies, list):
        raise ChainDown(f"answers with HTTP status {http_status} and no list of replies")
    return replies


def _in_order(replies: list[Any], ids: list[int]) -> list[Any]:
    by_id = {reply["id"]: reply for reply in replies if isinstance(reply, dict) and isinstance(reply.get("id"), int)}
    if by_id.keys() != set(ids) or len(replies) != len(ids):
        raise ChainDown("answers with the id of another request")
    return [_result(by_id[number]) for number in ids]


def _result(reply: dict[str, Any]) -> Any:
    error = reply.get("error")
    return reply.get("result") if error is None else _refused(error)


def _refused(error: Any) -> Refused:
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        raise ChainDown("answers with an error that has no code")
    refused = Refused(error["code"], reason_of(str(error.get("message", ""))))
    if refused.code == IN_WARMUP:
        raise ChainDown(f"is still loading ({refused.message})")
    return refused


def accepted(method: str, answer: Any) -> Any:
    """The result of a call that the node has no reason to refuse. Raises ChainDown if it does."""
    if isinstance(answer, Refused):
        raise ChainDown(f"refuses {method}: {answer.message} (code {answer.code})")
    return answer


def hash_bytes(text: Any) -> bytes:
    """A hash as JSON-RPC writes it, in the byte order of blocks. Raises ChainDown if it is none."""
    if isinstance(text, str) and len(text) == 2 * HASH_SIZE:
        try:
            return bytes.fromhex(text)[::-1]
        except ValueError:
            pass
    raise ChainDown("answers with something else than a hash")


def block_named(answer: Any) -> bytes | None:
    """getblockhash's answer; None if the chain is not so high. Raises ChainDown for anything else than a hash."""
    if isinstance(answer, Refused) and answer.code == INVALID_PARAMETER:
        return None
    return hash_bytes(accepted("getblockhash", answer))


def reason_of(text: str) -> str:
    """The node's own words, as far as they fit on a line."""
    return sane(text[:LONGEST_REASON])
