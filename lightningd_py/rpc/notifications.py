"""Notifications of a client: what it is told beside its answers, each a JSON-RPC object without `id`.

Two kinds, as CLN has them: how a command of the client's goes (`message`, and `progress` for those that ask for it),
and what happens in the node, by topics (`lightningd_py.news.topics`). What a client does not take waits here,
MOST_WAITING bytes at most for each client; then it is lost, and the next one that finds room says how many were.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import field
from typing import Any

from lightningd_py.news.topics import LOG, TOPICS, named
from lightningd_py.rpc.params import OneOf, boolean, optional, required
from wire.log.style import LEVELS
from wire.start.late_dataclass import dataclass

MOST_WAITING = 256 << 10
"""Bytes of one client's."""
PROGRESS = "progress"
LOST = "lost"
"""The notification that says how many are missing before it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client has asked for. Without `enabled` it gets nothing."""

    enabled: bool = False
    topics: frozenset[str] = frozenset()
    progress: bool = False
    level: str = "info"
    """Of lines of the log."""


def wanted_of(words: list[str], level: str) -> Wanted:
    """What these topics mean; `progress` is one of them. Raises ValueError."""
    topics = named(word for word in words if word != PROGRESS)
    return Wanted(True, topics, PROGRESS in words, level)


@dataclass(slots=True)
class Outbox:
    """What waits for one client."""

    waiting: deque[bytes] = field(default_factory=deque)
    size: int = 0
    lost: int = 0
    """Since the client was told of it;"""
    lost_in_all: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, method: str, params: dict[str, Any]) -> None:
        """One more, or it is lost."""
        data = encoded(method, params)
        if self.size + len(data) > MOST_WAITING:
            self.lost += 1
            self.lost_in_all += 1
            return
        if self.lost:
            self._add(encoded(LOST, {"lost": self.lost}))
            self.lost = 0
        self._add(data)

    def _add(self, data: bytes) -> None:
        self.waiting.append(data)
        self.size += len(data)
        self.ready.set()

    def take_all(self) -> bytes:
        """All that waits, in one piece."""
        data = b"".join(self.waiting)
        self.waiting.clear()
        self.size = 0
        self.ready.clear()
        return data

    def take(self) -> bytes:
        """The oldest one."""
        data = self.waiting.popleft()
        self.size -= len(data)
        if not self.waiting:
            self.ready.clear()
        return data

    def put_first(self, data: bytes) -> None:
        """What the program before us has left."""
        if data:
            self.waiting.appendleft(data)
            self.size += len(data)
            self.ready.set()


def encoded(method: str, params: dict[str, Any]) -> bytes:
    """As it goes over the socket."""
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n\n"


class Hearing:
    """A client's side of it: what it wants, and what waits for it."""

    def __init__(self) -> None:
        self.wanted = Wanted()
        self.outbox = Outbox()

    def hear(self, topic: str, event: dict[str, Any]) -> None:
        """An event of a topic that it has taken."""
        if topic != LOG or LEVELS[event["level"]] >= LEVELS[self.wanted.level]:
            self.outbox.put(topic, event)

    def message(self, request_id: str | int, text: str, progress: dict[str, int]) -> None:
        """How a command goes, in words. pyln-client shows `progress` with them."""
        if self.wanted.enabled:
            said = {"id": request_id, "message": text, "level": "info"}
            self.outbox.put("message", said | ({"progress": progress} if progress else {}))

    def progress(self, request_id: str | int, num: int, total: int) -> None:
        """CLN's `progress`. pyln-client takes it for the answer, so only those get it that ask for it."""
        if self.wanted.enabled and self.wanted.progress:
            self.outbox.put(PROGRESS, {"id": request_id, "num": num, "total": total})


Tell = Callable[[str, int, int], None]
"""Gets what is done now, in words, and which step it is of how many: from 0 on."""


@dataclass(frozen=True, slots=True)
class Asker:
    """The client whose request is carried out."""

    hearing: Hearing
    request_id: str | int
    take: Callable[[Wanted], None]
    """Puts in force what the client wants to hear from now on."""

    def tell(self, text: str, num: int, total: int) -> None:
        """A step of the command begins."""
        self.hearing.progress(self.request_id, num, total)
        self.hearing.message(self.request_id, text, {"num": num, "total": total})


asker: ContextVar[Asker | None] = ContextVar("asker", default=None)
"""Of the task that carries out a request; None where no client of the socket has asked."""


def tell_asker() -> Tell:
    """For a command that takes long: it may be called at any time, by any task."""
    who = asker.get()
    return (lambda text, num, total: None) if who is None else who.tell


def topics_parameter(value: Any) -> list[str]:
    """A topic, or a list of them."""
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("should be a topic or an array of topics")
    try:
        wanted_of(words, "info")
    except ValueError as error:
        raise ValueError(f"should be of {', '.join((PROGRESS, *TOPICS))}") from error
    return words


PARAMETERS = (
    required("enable", boolean, "whether"),
    optional("topics", topics_parameter, "what to hear of besides; a word that ends with a dot means all under it", []),
    optional("level", OneOf(tuple(LEVELS)), "for the topic log: lines of this level and above", "info"),
)
"""Of the method `notifications`."""
