"""One service and what it has registered, and what is wrong with a registration by itself.

Everything of a bus service's comes from a stranger to the code, if not to the operator: sizes are bounded here, points
are points, and what is wrong is one sentence.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import field
from typing import Any, TypeVar

from lightningd_py.config.values import Service
from wire.bus.bus_wire import BusChannel, Register, ServiceEntry, Unregister
from wire.control.access import parse_what
from wire.features import Features, parse_feature
from wire.onion.payloads import FIRST_OF_FINAL
from wire.peer_wire import message_name
from wire.routing import Action, default_action
from wire.secp256k1 import is_point
from wire.start.late_dataclass import dataclass

MOST_OF_ONE_SERVICE = 10_000
"""Nodes and channels of one service."""
MOST_RULES = 1_000
"""Allow and deny rules of one service."""
MOST_OFFERED = 32
"""Features of one service."""
MOST_TYPES = 65_536
MOST_PAYLOADS = 100
"""Types of onion messages of one service."""
_BOTH = "nodes and channels"
_OF_SESSION = ("take", "copy", "offer", "allow", "deny", "onion_messages")
"""What ends with a service's session."""
_PLAIN_PARTS = ("node_ids", "take", "copy", "offer", "allow", "deny", "onion_messages")
"""Those that have one name in a service's registrations, in `register` and in `unregister`."""

V = TypeVar("V")


class Refused(Exception):
    """A registration that cannot be. The text is one sentence for the service."""


@dataclass(slots=True, eq=False)
class Registered:
    """A service of ours, and what it wants. What is in dicts is in the order in which it was registered."""

    name: str
    program: Service | None = None
    """What is started for its connections; None for a bus service."""
    ticket: bytes = field(default=b"", repr=False)
    """Of its session on CTL; empty while it has none."""
    present: bool = False
    """Whether it can be given connections: a program always, a bus service while it is on MSG, too."""
    node_ids: dict[bytes, None] = field(default_factory=dict)
    channels: dict[bytes, BusChannel] = field(default_factory=dict)
    take: dict[int, None] = field(default_factory=dict)
    copy: dict[int, None] = field(default_factory=dict)
    offer: dict[str, None] = field(default_factory=dict)
    allow: dict[str, None] = field(default_factory=dict)
    deny: dict[str, None] = field(default_factory=dict)
    onion_messages: dict[int, None] = field(default_factory=dict)

    @property
    def keeps(self) -> bool:
        """Whether it has registered what outlasts its session."""
        return bool(self.node_ids or self.channels)

    @property
    def takes(self) -> bool:
        """Whether it wants connections, and not just copies."""
        return self.keeps or bool(self.take)

    @property
    def here(self) -> bool:
        """Whether it does what it has registered for: a bus service that takes nothing needs no session on MSG."""
        return self.present or bool(self.ticket and not self.takes)

    @property
    def wanted_nodes(self) -> dict[bytes, None]:
        """Its nodes, and those of its channels."""
        return self.node_ids | dict.fromkeys(channel.node_id for channel in self.channels.values())

    def entry(self) -> ServiceEntry:
        """As buses and RPC show it."""
        return ServiceEntry(
            service=self.name,
            kind="bus" if self.program is None else "program",
            here=self.here,
            node_ids=list(self.node_ids),
            channels=list(self.channels.values()),
            take=list(self.take),
            copy=list(self.copy),
            offer=list(self.offer),
            allow=list(self.allow),
            deny=list(self.deny),
            onion_messages=list(self.onion_messages),
        )

    def session(self) -> "SessionLeft":
        """Its session, for the next program of this process."""
        return SessionLeft(
            self.name,
            self.ticket,
            self.present,
            list(self.take),
            list(self.copy),
            list(self.offer),
            list(self.allow),
            list(self.deny),
            list(self.onion_messages),
        )

    def resume(self, left: "SessionLeft") -> None:
        """Go on with the session of the program before us."""
        self.ticket, self.present = left.ticket, left.present
        for name in _OF_SESSION:
            getattr(self, name).update(dict.fromkeys(getattr(left, name)))

    def end_session(self) -> None:
        """Only nodes and channels stay."""
        self.ticket, self.present = b"", False
        for name in _OF_SESSION:
            getattr(self, name).clear()


@dataclass(frozen=True, slots=True)
class SessionLeft:
    """A bus service's session, for the next program of the master's process; nodes and channels are in the database."""

    name: str
    ticket: bytes = field(repr=False)
    present: bool = False
    take: list[int] = field(default_factory=list)
    copy: list[int] = field(default_factory=list)
    offer: list[str] = field(default_factory=list)
    allow: list[str] = field(default_factory=list)
    deny: list[str] = field(default_factory=list)
    onion_messages: list[int] = field(default_factory=list)


def checked(asked: Register, own_id: bytes) -> Register:
    """What was asked for, in the one form of each part. Raises Refused for what cannot be registered."""
    for node_id in [*asked.node_ids, *(channel.node_id for channel in asked.channels)]:
        _check_node(node_id, own_id)
    for channel in asked.channels:
        if len(channel.channel_id) != 32 or channel.channel_id == bytes(32):
            raise Refused(f"{channel.channel_id.hex()[:66] or 'nothing'} is no channel_id")
    for number in (*asked.take, *asked.copy):
        check_type(number)
    for number in asked.onion_messages:
        if number < FIRST_OF_FINAL:
            raise Refused(f"{number} is no type of a payload: they begin at {FIRST_OF_FINAL}")
    offer, allow, deny = _forms(asked)
    payloads = asked.onion_messages
    return Register(asked.node_ids, asked.channels, asked.take, asked.copy, offer, allow, deny, onion_messages=payloads)


def in_one_form(asked: Unregister) -> Unregister:
    """What is taken back, in the form in which it was registered. Raises Refused for what has no form."""
    offer, allow, deny = _forms(asked)
    payloads = asked.onion_messages
    return Unregister(
        asked.node_ids, asked.channel_ids, asked.take, asked.copy, offer, allow, deny, onion_messages=payloads
    )


def refuse_if_others(owner: Registered | None, service: Registered, what: str) -> None:
    """Raises Refused if it is another service's."""
    if owner is not None and owner is not service:
        raise Refused(f"{what} is {owner.name}'s")


def _forms(asked: Register | Unregister) -> tuple[list[str], list[str], list[str]]:
    return (
        [_form(_feature, text) for text in asked.offer],
        [_form(parse_what, text) for text in asked.allow],
        [_form(parse_what, text) for text in asked.deny],
    )


def _form(parse: Callable[[str], str], text: str) -> str:
    try:
        return parse(text)
    except ValueError as error:
        raise Refused(f"'{text:.80}' {error}" if parse is parse_what else str(error)) from error


def _feature(text: str) -> str:
    """`option_provide_storage/odd` for each way of saying that."""
    (name,) = Features.of([parse_feature(text[:80])]).names()
    return name


def _check_node(node_id: bytes, own_id: bytes) -> None:
    if not is_point(node_id):
        raise Refused(f"{node_id.hex()[:66] or 'nothing'} is no node id")
    if node_id == own_id:
        raise Refused("this node's own id cannot be registered")


def check_type(number: int) -> None:
    """Raises Refused for a message that its owner or gossipd must have."""
    if number >= MOST_TYPES:
        raise Refused(f"{number} is no message type")
    if default_action(number) in (Action.ANSWER, Action.GOSSIP):
        raise Refused(f"message {number} ({message_name(number)}) cannot be registered")


def add(entry: Registered, asked: Register) -> None:
    """To the service's registrations. Raises Refused, with nothing done, if it would have too much."""
    channels = {channel.channel_id: channel for channel in asked.channels}
    for count, most, what in (
        (_together(entry.node_ids, asked.node_ids) + _together(entry.channels, channels), MOST_OF_ONE_SERVICE, _BOTH),
        (_together(entry.allow, asked.allow) + _together(entry.deny, asked.deny), MOST_RULES, "rules"),
        (_together(entry.offer, asked.offer), MOST_OFFERED, "features"),
        (_together(entry.onion_messages, asked.onion_messages), MOST_PAYLOADS, "types of onion messages"),
    ):
        if count > most:
            raise Refused(f"{count} {what} are too many for one service, {most} may be")
    for channel_id in channels:
        entry.channels.pop(channel_id, None)  # it comes to the end, as in the database
    entry.channels |= channels
    for name in _PLAIN_PARTS:
        getattr(entry, name).update(dict.fromkeys(getattr(asked, name)))


def _together(there: Collection[V], new: Iterable[V]) -> int:
    """How many different ones there would be; no look at those that are there."""
    return len(there) + sum(value not in there for value in set(new))


def remove(entry: Registered, asked: Unregister) -> None:
    """From the service's registrations. What is not there is no error."""
    for channel_id in asked.channel_ids:
        entry.channels.pop(channel_id, None)
    for name in _PLAIN_PARTS:
        part: dict[Any, None] = getattr(entry, name)
        for value in getattr(asked, name):
            part.pop(value, None)


def features_of(names: Iterable[str]) -> Features:
    """By names as `Features.names` gives them."""
    return Features.of(_bit(name) for name in names)


def _bit(name: str) -> int:
    return parse_feature(name.removeprefix("option_unknown_"))
