"""One epoll for many sockets: each has its turn, and nothing is called that is not watched for any more."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.wire.net.sockman.recorder import turns
from wire.net.sockman import polling
from wire.net.sockman.polling import READ, WRITE, Polling


@dataclass(eq=False)
class End:
    """A socket that is watched, and the one that speaks to it."""

    sock: socket.socket
    other: socket.socket
    watched: int = 0

    @property
    def fd(self) -> int:
        return self.sock.fileno()

    @fd.setter
    def fd(self, fd: int) -> None:
        raise NotImplementedError


@pytest.fixture
def ends() -> Iterator[list[End]]:
    found = [End(*socket.socketpair()) for _ in range(5)]
    yield found
    for end in found:
        end.sock.close()
        end.other.close()


def nothing(end: End) -> None:
    raise AssertionError("it is not watched for that")


async def test_each_has_its_turn_and_so_have_others(ends: list[End], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "MOST_EVENTS", 2)
    heard: list[End | str] = []

    def hear(end: End) -> None:
        """What came is left there, so that it is ready in each turn."""
        heard.append(end)
        if len(heard) == 1:
            asyncio.get_running_loop().call_soon(heard.append, "other work")

    watching = Polling(hear, nothing)
    for end in ends:
        end.other.send(b"x")
        watching.watch(end, READ)
    await turns(6)
    watching.close()
    assert heard.index("other work") == 2
    assert set(ends) <= set(heard[:6])


@pytest.mark.parametrize("then", [lambda watching, end: watching.watch(end, 0), lambda watching, end: watching.close()])
async def test_nothing_is_called_for_one_that_another_has_ended(
    ends: list[End], then: Callable[[Polling[End], End], None]
) -> None:
    heard: list[End] = []

    def hear(end: End) -> None:
        heard.append(end)
        for other in ends:
            if other is not end and other.watched:
                watching.watch(other, 0)
        then(watching, end)

    watching = Polling(hear, nothing)
    for end in ends:
        end.other.send(b"x")
        watching.watch(end, READ)
    await turns()
    watching.close()
    assert len(heard) == 1


@pytest.mark.parametrize("events", [READ, WRITE])
async def test_an_end_is_told_to_whichever_is_waited_for(ends: list[End], events: int) -> None:
    told: list[str] = []
    watching: Polling[End] = Polling(lambda end: told.append("readable"), lambda end: told.append("writable"))
    ends[0].other.close()
    watching.watch(ends[0], events)
    await turns(3)
    watching.watch(ends[0], 0)
    seen = len(told)
    await turns()
    watching.close()
    assert set(told) == {"readable" if events == READ else "writable"} and len(told) == seen
