"""What the owner of a connection does with a message: by its type alone, and where no service is there for it.

The same table is in force in every owner (gossipd, a program on fd 3, connectiond); the master changes it with
`set_message_routes`. The answers without a service are the spec's, and the same from every owner. docs/programs.md.
"""

from collections.abc import Iterable
from enum import Enum, auto

from wire.gossip_layout import GOSSIP_2_TYPES, GOSSIP_TYPES
from wire.peer_wire import (
    ErrorMessage,
    GossipTimestampFilter,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
    WarningMessage,
    is_channel_message,
    message_name,
)


class Action(Enum):
    """What happens to a message."""

    __hash__ = object.__hash__  # Enum's is Python code, and dictionaries ask for it

    ANSWER = "answer"
    """The owner answers it itself: pings, errors, warnings."""
    GOSSIP = "gossip"
    """gossipd's: taken in there, or written to the gossip fd."""
    TAKE = "take"
    """The connection moves to the service that wants it, with this message."""
    COPY = "copy"
    """A copy goes up, the connection stays."""
    IGNORE = "ignore"
    """Nothing happens."""
    CLOSE = "close"
    """The connection ends: an even type that is unknown here (B1-6)."""


TROUBLE = (WarningMessage.number, ErrorMessage.number)
"""A copy goes to the master, and each service that they concern hears them (B1-31, B1-34)."""


class Deed(Enum):
    """What an owner is to do about a message."""

    NOTHING = auto()
    ANSWER = auto()
    """`wire.net.duties.Duties` deals with it."""
    SAY = auto()
    """The peer is to be told what comes with this: a pong."""
    GOSSIP = auto()
    TAKE = auto()
    COPY = auto()
    TROUBLE = auto()
    CLOSE = auto()


_DEEDS = {
    Action.ANSWER: Deed.ANSWER,
    Action.GOSSIP: Deed.GOSSIP,
    Action.TAKE: Deed.TAKE,
    Action.COPY: Deed.COPY,
    Action.IGNORE: Deed.NOTHING,
    Action.CLOSE: Deed.CLOSE,
}
_ANSWERED = frozenset({1, 16, 17, 18, 19})
_QUERIES = (QueryShortChannelIds, ReplyShortChannelIdsEnd, QueryChannelRange, ReplyChannelRange, GossipTimestampFilter)
_GOSSIP = frozenset({*GOSSIP_TYPES, *GOSSIP_2_TYPES, *(query.number for query in _QUERIES)})


def default_action(number: int) -> Action:
    """What happens to a type that no service has registered for.

    Odd unknown messages are ignored, even ones end the connection (B1-5, B1-6). Channel messages are taken up to the
    master, which knows the spec's answer when there is no service (docs/programs.md).
    """
    if number in _GOSSIP:
        return Action.GOSSIP
    if number in _ANSWERED:
        return Action.ANSWER
    if is_channel_message(number):
        return Action.TAKE
    return Action.IGNORE if number % 2 else Action.CLOSE


def is_custom(number: int) -> bool:
    """A message that is no BOLT's and may be ignored."""
    return default_action(number) is Action.IGNORE and message_name(number).startswith("unknown_")


class Routes:
    """The table in force. Looking up is one dict access; at most 65,536 types exist."""

    def __init__(self) -> None:
        self._actions: dict[int, Action] = {}
        self._named: dict[int, Action] = {}
        self._deeds: dict[int, Deed] = {}
        self._copies_custom = False
        self.news = frozenset(GOSSIP_TYPES)
        """Announcements and updates, as far as they are gossipd's. Hot: nearly all that is heard."""

    def replace(self, routes: Iterable[tuple[int, str]]) -> None:
        """Put these in force over the defaults. Raises ValueError for an action that is none."""
        self._named = {number: Action(action) for number, action in routes}
        self._actions = dict(self._named)
        self._deeds = {}
        self.news = frozenset(number for number in GOSSIP_TYPES if self.action(number) is Action.GOSSIP)

    def copy_custom(self, *, wanted: bool) -> None:
        """Whether a copy goes up of custom messages for which there is no other route."""
        self._copies_custom = wanted
        self._actions = dict(self._named)
        self._deeds = {}

    def action(self, number: int) -> Action:
        """What happens to a message of this type."""
        action = self._actions.get(number)
        if action is None:
            copied = self._copies_custom and is_custom(number)
            action = self._actions[number] = Action.COPY if copied else default_action(number)
        return action

    def deed(self, number: int) -> Deed:
        """The same as its owner sees it. Hot: each message that any peer sends."""
        deed = self._deeds.get(number)
        if deed is None:
            deed = self._deeds[number] = self._deed(number)
        return deed

    def _deed(self, number: int) -> Deed:
        action = self.action(number)
        if number in TROUBLE and action not in (Action.IGNORE, Action.CLOSE):
            return Deed.TROUBLE
        return _DEEDS[action]


OPENINGS = (32, 64)
"""open_channel and open_channel2."""


def answer_without_service(number: int, channel_id: bytes | None) -> list[bytes]:
    """What a peer is told when there is no service for its message.

    An opening gets an `error` for its temporary_channel_id. Any other channel message gets a `warning`, never an
    `error`, which would force-close a channel (B1-36). What is about no channel gets no answer.
    """
    if channel_id is None or not is_channel_message(number):
        return []
    if number in OPENINGS:
        return [ErrorMessage(channel_id, b"no channel can be opened here now").encode()]
    return [WarningMessage(channel_id, f"no service here handles {message_name(number)}".encode()).encode()]


def flaw_without_service(number: int, channel_id: bytes | None) -> str | None:
    """Why a connection ends over a message without a service: of no BOLT and even (B1-6), or cut short (B1-7).

    All channel messages that have a name have a channel_id.
    """
    name = message_name(number)
    if name.startswith("unknown_"):
        return None if number % 2 else f"unknown even message type {number}"
    return f"{name} is too short" if is_channel_message(number) and channel_id is None else None
