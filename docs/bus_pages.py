"""bus-messages.md: every message of the buses CTL, MSG and CHNL, from the declarations in wire/bus/bus_wire.py."""

import ast
import dataclasses
import functools
import inspect
import itertools
import types
import typing
from collections.abc import Callable, Iterator

from wire.bus import bus_wire
from wire.bus.bus_message import BusMessage

BUSES = {
    "ctl": ("CTL: who a service is, what it wants, and what happens", bus_wire.LIGHTNINGD, ""),
    "msg": ("MSG: what peers say and are told", bus_wire.CONNECTIOND, ""),
    "chnl": (
        "CHNL: services and their extensions",
        bus_wire.LIGHTNINGD,
        " Whatever has another address goes to the session of that name, whatever it is.",
    ),
}
MSGPACK = {bytes: "bin", str: "str", int: "int", bool: "bool", types.NoneType: "nil"}
MEANINGS = {
    "address": "`1.2.3.4:9735`, `[::1]:9735`, `x.onion:9735` or a path; of an incoming one, where it came from",
    "allow": "rules: a node id, an address or network, an .onion, `with:FEATURE`, `without:FEATURE` or `all`",
    "blob": "a backup of at most 65,531 bytes, of which only the service that has made it knows what it is",
    "channel_id": "32 bytes, of the message or of the channel; nil for a message that is about no channel",
    "channel_ids": "32 bytes each",
    "channel_update": "the message, its type first",
    "channels": "channels of the service",
    "conn_id": "which connection: never repeats",
    "context": "up to 128 bytes of the service's own, which come with what is sent along its path",
    "copy": "message types",
    "credit": "messages of each connection that may come before more credit is given",
    "deny": "rules, as `allow`",
    "error": "why, in one sentence",
    "events": "whether connections that come, go and move are told",
    "features": "the feature bits, as in init",
    "fields": "fields of onionmsg_tlv, with one payload at most",
    "here": "whether it can be given what it has registered for",
    "id": "whatever the asker chose; it comes back in the answer",
    "incoming": "whether the node has connected to us",
    "kind": "`program` or `bus`",
    "lost": "copies that were lost before this one",
    "message": "a BOLT message, its type first",
    "message_type": "the type of the message",
    "messages": "how many more",
    "msg": "the endpoint of the MSG bus; empty if there is none",
    "network": "bitcoin, testnet, testnet4, signet or regtest",
    "node_id": "33 bytes, a compressed point: the peer's, and our own in `welcome`",
    "node_ids": "33 bytes each",
    "offer": "features by name or number",
    "onion_messages": "types of payloads of onion messages",
    "own_path": "whether it came along a path that this service has made",
    "owner": "connectd, gossipd, master, or a service's name",
    "path": "a blinded_path, as BOLT 4 writes it",
    "path_key": "33 bytes, a point",
    "peer": "the connection",
    "peers": "all of them",
    "reason": "why, for the log",
    "seq": "counts from 1, in each direction of each connection and service",
    "service": "its name: 1 to 32 of a-z, 0-9, `_`, `.` and `-`, the first a letter or digit",
    "services": "all of them, programs of the options too",
    "short_channel_id": "as the number of the wire, or an alias",
    "signature": "64 bytes",
    "take": "message types",
    "ticket": "16 random bytes of `welcome` on CTL, which are said on MSG and CHNL",
    "type": "of the field",
    "value": "of the field",
    "version": "of lightningd-py",
}
"""What a field is, where the declaration itself does not say it."""

HEAD = """# Messages of the buses

What services and the node say to each other on CTL, MSG and CHNL. What the buses are for, and how a session goes, is in
[bus.md](bus.md). A message is two ZMQ frames: the address of the other end (to whom; on arrival, from whom), and a
msgpack map with string keys: `v` (int, 1), `type` (str, the message's name) and the fields below. A field that has a
default may be left out; a key that is not known is ignored. Numbers are 0 to 2^64 - 1, a body has 1 MiB at most, a list
10,000 entries. Declared in [wire/bus/bus_wire.py](../wire/bus/bus_wire.py).

"""


def bus_messages() -> str:
    """All messages by bus and sender, then the maps inside of them."""
    parts = [HEAD, "## On every bus\n\n", *_by_sender("every bus", lambda cls: cls.buses >= BUSES.keys())]
    for bus, (title, address, more) in BUSES.items():
        parts.append(f"## {title}\n\nThe node's address here is `{address.decode()}`.{more}\n\n")
        parts += _by_sender(bus.upper(), functools.partial(_is_of_some_buses, bus))
    parts.append("## Maps inside of messages\n\n")
    parts += [_section(cls) for cls in _inside()]
    return "".join(parts).rstrip() + "\n"


def _is_of_some_buses(bus: str, cls: type[BusMessage]) -> bool:
    """Whether it is said on this bus, and not on every one."""
    return bus in cls.buses and not cls.buses >= BUSES.keys()


def _by_sender(where: str, chosen: Callable[[type[BusMessage]], bool]) -> Iterator[str]:
    for sender, heading in (("service", "A service says"), ("node", "The node says")):
        messages = [cls for cls in BusMessage.registry.values() if chosen(cls) and sender in cls.senders]
        if messages:
            yield f"### {heading} on {where}\n\n" + "".join(_section(cls) for cls in messages)


def _section(cls: type) -> str:
    name = cls.name() if issubclass(cls, BusMessage) else cls.__name__
    rows = "".join(f"| {' | '.join(row)} |\n" for row in fields(cls))
    table = f"| field | msgpack | default | what |\n|---|---|---|---|\n{rows}\n" if rows else ""
    return f"#### {name}\n\n{inspect.cleandoc(cls.__doc__ or '')}\n\n{table}"


def fields(cls: type) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and meaning of each. Raises KeyError for one that nothing is said about."""
    hints = typing.get_type_hints(cls)
    said = _said_in(cls)
    for field in dataclasses.fields(cls):
        meaning = said[field.name] if field.name in said else MEANINGS[field.name]
        yield f"`{field.name}`", _msgpack(hints[field.name]), _default(field), meaning


def _said_in(cls: type) -> dict[str, str]:
    """The docstrings under the fields of a declaration."""
    body = typing.cast(ast.ClassDef, ast.parse(inspect.getsource(cls)).body[0]).body
    said = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            said[ast.unparse(field.target)] = " ".join(str(ast.literal_eval(text.value)).split())
    return said


def _msgpack(hint: object) -> str:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return f"array of {_msgpack(arguments[0])}"
    if arguments:
        return " or ".join(_msgpack(argument) for argument in arguments)
    assert isinstance(hint, type), hint
    return f"[{hint.__name__}](#{hint.__name__.lower()})" if dataclasses.is_dataclass(hint) else MSGPACK[hint]


def _default(field: "dataclasses.Field[object]") -> str:
    if field.default_factory is not dataclasses.MISSING:
        return "empty"
    if field.default is dataclasses.MISSING:
        return ""
    if field.default is None:
        return "nil"
    if field.default in (b"", ""):
        return "empty"
    return str(field.default).lower()


def _inside() -> list[type]:
    return [bus_wire.BusChannel, bus_wire.BusPeer, bus_wire.ServiceEntry]
