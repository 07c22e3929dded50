"""JSON-RPC 2.0 on a Unix socket, in CLN's framing: pyln-client and CLN's own lightning-cli work with it unchanged.

Requests are JSON objects back to back; each reply ends with an empty line. A client's requests are handled one at a
time, in order, and it is not read while one is handled or while it does not take a reply: so whatever a client does,
the server holds one request and one reply for it. A listing of the map is not held at all: listingd writes it.
"""

import asyncio
import contextlib
import functools
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightningd_py.daemons.listing_control import ListingControl, NoListing
from lightningd_py.errors import NotSaved
from lightningd_py.listingd.result_filter import EXAMPLES, apply_filter
from lightningd_py.news.topics import Topics
from lightningd_py.rpc.clients import GRACE, Clients, ClientsLeft
from lightningd_py.rpc.connection import Client, Gone, HalfRequest
from lightningd_py.rpc.json_stream import Number, ParseError, TooLarge, parse_json
from lightningd_py.rpc.notifications import PARAMETERS, Asker, Wanted, asker, wanted_of
from lightningd_py.rpc.params import (
    INTERNAL_ERROR,
    INVALID_PARAMETERS,
    INVALID_REQUEST,
    PARSE_ERROR,
    UNKNOWN_COMMAND,
    Parameter,
    RpcError,
    optional,
    read_params,
    required,
    text,
)
from lightningd_py.unix_socket import inode, listen
from wire.control.control_wire import MapListing
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

__all__ = ["GRACE", "PIECE", "Command", "RpcServer"]

PIECE = 1_000
"""Entries of a long list that are encoded in one go: about 4 ms."""

BEHIND_PAUSE = 0.1
"""Seconds until it is looked again whether all daemons keep up."""
ALWAYS = ("help", "stop", "getinfo")
"""Commands that tell the daemons nothing."""

RESTART = "restart"
NOT_TWICE = ("sendcustommsg",)
"""Commands that are not done again, when it is not known whether they were done."""

RequestId = str | int
Handler = Callable[..., Awaitable[Any]]
status = Status("jsonrpc")


@dataclass(frozen=True, slots=True)
class Command:
    """One method. The handler gets every parameter by keyword and gives a JSON value, or a MapListing in its place, or
    raises RpcError.
    """

    name: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    summary: str = ""
    others: str = ""
    """What further parameters are, where any may follow: the handler gets them, unread, as `others`."""

    @property
    def usage(self) -> str:
        """`connect id [host] [port]`, as CLN's `help` writes it."""
        named = [p.name if p.required else f"[{p.name}]" for p in self.parameters]
        return " ".join([self.name, *named, *([f"[{self.others}]"] if self.others else [])])

    def read(self, params: Any) -> dict[str, Any]:
        """The handler's arguments. Raises RpcError -32602."""
        if not self.others:
            return read_params(self.parameters, params)
        ours: Any = params
        others: Any = []
        if isinstance(params, dict):
            names = {parameter.name for parameter in self.parameters}
            ours = {name: value for name, value in params.items() if name in names}
            others = {name: value for name, value in params.items() if name not in names}
        elif isinstance(params, list):
            count = len(self.parameters)
            ours, others = params[:count], params[count:]
        return {**read_params(self.parameters, ours), "others": others}


class RpcServer:
    """The registry of commands, and the socket on which they are offered."""

    def __init__(
        self,
        commands: Iterable[Command] = (),
        listingd: ListingControl | None = None,
        behind: Callable[[], bool] = lambda: False,
        topics: Topics | None = None,
    ) -> None:
        """`listingd`: who makes what a handler gives as a MapListing; None if none does that. `behind`: a daemon does
        not keep up, and nothing is to be asked of it. `topics`: what clients may be notified of.
        """
        self._topics = Topics() if topics is None else topics
        self._behind = behind
        self._commands: dict[str, Command] = {}
        self._listingd = listingd
        farewell = _error(None, RpcError(INTERNAL_ERROR, "there are too many clients"))
        self.clients = Clients(self._serve, farewell, self._gone)
        self._path: tuple[Path, int] | None = None
        self.notifications_lost = 0
        """Of clients that have gone."""
        self.restarted: Callable[[], Awaitable[Any]] = _nothing_was_restarted
        """The answer to the client that has had this process restarted, see `resume`."""
        self.add(
            Command(
                "help",
                self._help,
                (optional("command", text, "this one alone, with its parameters"),),
                "List all commands, or describe one.",
            )
        )
        name = required("command_to_check", text, "the method")
        self.add(Command("check", self._check, (name,), "Look at a request, and do nothing.", "its parameters"))
        self.add(Command("notifications", self._notifications, PARAMETERS, "Be told of what happens, unasked."))
        for command in commands:
            self.add(command)

    def add(self, command: Command) -> None:
        """Offer a command. Raises ValueError if there is one of that name."""
        if command.name in self._commands:
            raise ValueError(f"command {command.name} is registered twice")
        self._commands[command.name] = command

    @property
    def commands(self) -> list[Command]:
        """All commands by name."""
        return [self._commands[name] for name in sorted(self._commands)]

    async def start(self, path: Path, mode: int = 0o600) -> None:
        """Listen on this socket file, with these permissions. A dead node's socket file is replaced.

        Raises DirectoryError if a living process listens there, or the file cannot be made.
        """
        listener = listen(path, mode)
        self._path = path, inode(path)
        self.clients.begin(listener)

    # another program in this process

    @property
    def in_hand(self) -> int:
        """Requests of clients."""
        return self.clients.requests

    @property
    def writing(self) -> int:
        """Clients that are in the middle of their answers."""
        return self.clients.writing

    def pause(self) -> None:
        """Take no more clients and no more requests: they wait in the sockets."""
        self.clients.pause()

    def go_on(self) -> None:
        """After `pause`."""
        self.clients.go_on()

    def leave(self) -> ClientsLeft:
        """Let go of all clients, for the next program of this process. None may be `writing`."""
        return self.clients.leave()

    def resume(self, path: Path, left: ClientsLeft) -> None:
        """Go on with the clients of the program before us. What was in hand is done again; the one that has asked for
        all this hears what has come of it.
        """
        self._path = path, inode(path)
        self.clients.resume(left)
        for client in self.clients:
            self._topics.take(client.hearing.hear, client.hearing.wanted.topics)

    def _gone(self, client: Client) -> None:
        self.notifications_lost += client.hearing.outbox.lost_in_all
        self._topics.take(client.hearing.hear, frozenset())

    @property
    def all_notifications_lost(self) -> int:
        """How many found no room, of all clients that there were."""
        return self.notifications_lost + sum(client.hearing.outbox.lost_in_all for client in self.clients)

    async def close(self) -> None:
        """Stop listening, give requests in hand GRACE seconds, end all clients, remove the socket file.

        Not to be awaited by a handler: its own request would wait for itself.
        """
        await self.clients.close()
        self._remove_socket()

    def _remove_socket(self) -> None:
        if self._path is not None:
            path, made = self._path
            with contextlib.suppress(FileNotFoundError):
                if inode(path) == made:
                    path.unlink()

    async def call(self, method: str, params: Any = ()) -> Any:
        """Run a command as if a client had asked. Raises RpcError."""
        command = self._commands.get(method)
        if command is None:
            raise RpcError(UNKNOWN_COMMAND, f"Unknown command '{method}'")
        values = command.read(list(params) if isinstance(params, tuple) else params)
        return await command.handler(**values)

    async def _check(self, command_to_check: str, others: Any) -> dict[str, Any]:
        """Whether there is such a method, and its parameters can be read. What it would come to is not known."""
        command = self._commands.get(command_to_check)
        if command is None:
            raise RpcError(UNKNOWN_COMMAND, f"Unknown command '{command_to_check}'")
        command.read(others)
        return {"command_to_check": command_to_check}

    async def carry_out(self, request: dict[str, Any], encode: Callable[[Any], Awaitable[bytes]]) -> bytes:
        """The encoded result of a request, of which `method`, `params` and `filter` count.

        Raises RpcError for whatever goes wrong; a bug of ours is logged as broken. `encode` may raise Gone.
        """
        try:
            _check_method(request)
            while self._behind() and request["method"] not in ALWAYS:  # noqa: ASYNC110 - several channels, 30 s at most
                await asyncio.sleep(BEHIND_PAUSE)
            result = await self.call(request["method"], request.get("params", []))
            return await encode(_filtered(result, request["filter"]) if "filter" in request else result)
        except (RpcError, Gone):
            raise
        except NoListing as reason:
            raise RpcError(INTERNAL_ERROR, str(reason)) from reason
        except NotSaved as error:
            raise RpcError(INTERNAL_ERROR, str(error)) from error
        except Exception as error:
            status.broken(f"{request['method']}: {error!r}", exc_info=True)
            raise RpcError(INTERNAL_ERROR, f"internal error: {type(error).__name__}") from error

    async def packed(self, listing: MapListing) -> tuple[int, bytes]:
        """How many entries the listing has, and these in msgpack. Raises NoListing."""
        assert self._listingd is not None
        return await self._listingd.packed(listing)

    async def _serve(self, client: Client) -> None:
        try:
            while (request := await client.next_request()) is not None:
                await client.write(await self._answer(client, parse_json(request)))
        except HalfRequest as error:
            await client.write(_error(None, RpcError(INVALID_REQUEST, str(error))))
        except TooLarge as error:
            await client.write(_error(None, RpcError(INVALID_REQUEST, f"request is {error}")))
        except ParseError as error:
            await client.write(_error(None, RpcError(PARSE_ERROR, f"Parse error: {error}")))

    async def _answer(self, client: Client, request: Any) -> bytes:
        """The reply to one request, whatever it is; empty if listingd has written it."""
        request_id = None
        try:
            request_id = _id_of(request)
            _check_version(request)
            asker.set(Asker(client.hearing, request_id, functools.partial(self._want, client)))
            if client.is_again and request.get("method") == RESTART:
                return _encode(request_id, "result", await self.restarted())
            if client.is_again and request.get("method") in NOT_TWICE:
                raise RpcError(INTERNAL_ERROR, f"the node was restarted before {request['method']} was answered")
            return await self.carry_out(request, functools.partial(self._encoded, client, request_id))
        except RpcError as error:
            return _error(request_id, error)

    async def _encoded(self, client: Client, request_id: RequestId, result: Any) -> bytes:
        if not isinstance(result, MapListing):
            return await _encode_result(request_id, result)
        assert self._listingd is not None
        before = f'{_head(request_id)}"result": {{"{result.what}": ['.encode()
        try:
            async with client.lent() as fd:
                await self._listingd.write(result, before, b"]}}\n\n", fd)
        except NoListing as reason:
            if reason.begun:
                raise Gone(str(reason)) from reason
            raise
        return b""

    def _want(self, client: Client, wanted: Wanted) -> None:
        client.want(wanted)
        self._topics.take(client.hearing.hear, wanted.topics)

    async def _notifications(self, enable: bool, topics: list[str], level: str) -> dict[str, Any]:
        """On this connection: of how its own commands go, as CLN does it, and of these topics besides. See
        [notifications](#notifications-that-a-client-gets).
        """
        who = asker.get()
        if who is not None:
            who.take(wanted_of(topics, level) if enable else Wanted())
        elif topics:
            raise RpcError(INTERNAL_ERROR, "notifications are for clients of the JSON-RPC socket")
        return {}

    async def _help(self, command: str | None) -> dict[str, Any]:
        if command is not None and command not in self._commands:
            raise RpcError(UNKNOWN_COMMAND, f"Unknown command '{command}'")
        if command is not None:
            chosen = self._commands[command]
            parameters = [parameter.content for parameter in chosen.parameters]
            shown: list[dict[str, Any]] = [
                {"command": chosen.usage, "summary": chosen.summary, "parameters": parameters}
            ]
        else:
            shown = [{"command": entry.usage, "summary": entry.summary} for entry in self.commands]
        return {"help": shown, "format-hint": "simple"}


async def _nothing_was_restarted() -> None:
    raise RpcError(INTERNAL_ERROR, "nothing was restarted")


def _id_of(request: Any) -> RequestId:
    if not isinstance(request, dict):
        raise RpcError(INVALID_REQUEST, "Expected {} for json command")
    request_id = request.get("id")
    if request_id is None:
        raise RpcError(INVALID_REQUEST, "No id")
    if not isinstance(request_id, str | int) or isinstance(request_id, bool):
        raise RpcError(INVALID_REQUEST, "Expected string/primitive for id")
    return request_id


def _check_version(request: dict[str, Any]) -> None:
    if request.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'jsonrpc: "2.0" must be specified in the request')


def _check_method(request: dict[str, Any]) -> None:
    if not isinstance(request.get("method"), str):
        raise RpcError(INVALID_REQUEST, "Expected string for method" if "method" in request else "No method")


def _filtered(result: Any, wanted: Any) -> Any:
    try:
        return _filtered_listing(result, wanted) if isinstance(result, MapListing) else apply_filter(result, wanted)
    except ValueError as error:
        raise RpcError(INVALID_PARAMETERS, f"filter: {error}") from error


def _filtered_listing(listing: MapListing, wanted: Any) -> Any:
    """The filter for each entry goes to listingd; it is looked at here, since an answer that has begun is no error."""
    apply_filter({listing.what: [EXAMPLES[listing.what]]}, wanted)
    if wanted is True:
        return listing
    if listing.what not in wanted:
        return {}
    of_list = wanted[listing.what]
    return listing if of_list is True else replace(listing, wanted=json.dumps(of_list[0]))


def _error(request_id: RequestId | None, error: RpcError) -> bytes:
    return _encode(request_id, "error", error.content)


async def _encode_result(request_id: RequestId, result: Any) -> bytes:
    """As _encode; a long list in pieces between which others get their turn."""
    if not isinstance(result, dict) or not any(isinstance(value, list) for value in result.values()):
        return _encode(request_id, "result", result)
    fields = []
    for name, value in result.items():
        encoded = await _encode_list(value) if isinstance(value, list) else json.dumps(value)
        fields.append(f"{json.dumps(name)}: {encoded}")
    return f'{_head(request_id)}"result": {{{", ".join(fields)}}}}}\n\n'.encode()


async def _encode_list(values: list[Any]) -> str:
    pieces = []
    for start in range(0, len(values), PIECE):
        pieces.append(json.dumps(values[start : start + PIECE])[1:-1])
        await asyncio.sleep(0)
    return f"[{', '.join(pieces)}]"


def _encode(request_id: RequestId | None, key: str, value: Any) -> bytes:
    """No empty line can be inside: JSON without indentation has none."""
    return f'{_head(request_id)}"{key}": {json.dumps(value)}}}\n\n'.encode()


def _head(request_id: RequestId | None) -> str:
    """How each reply begins. A number is said as it was heard."""
    said = request_id if isinstance(request_id, Number) else json.dumps(request_id)
    return f'{{"jsonrpc": "2.0", "id": {said}, '
