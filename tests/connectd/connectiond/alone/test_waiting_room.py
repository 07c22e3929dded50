"""The waiting room without sockets: what happens while a line is given away."""

from typing import Any

from connectd.connectiond.alone.waiting_room import WaitingRoom
from tests.connectd.connectiond.fake_bus import FakeLine
from tests.gossipd.gossipd_process import peer_info


class Line(FakeLine):
    """One that remembers what it is to say again."""

    def __init__(self, conn_id: int) -> None:
        super().__init__(peer_info(conn_id))
        self.again: list[bytes] = []

    def hear_again(self, messages: list[bytes]) -> None:
        self.again += messages


def test_a_look_in_the_midst_of_a_look_gives_each_line_once() -> None:
    """One service is told that another has got a line, is found to be gone, and so all lines are looked at again."""
    here: list[str] = []
    given: list[int] = []

    def give(line: Any, service: str) -> None:
        given.append(line.peer.conn_id)
        room.look()

    room = WaitingRoom(lambda peer, held: here[0] if here else None, give)
    lines: list[Any] = [Line(conn_id) for conn_id in (1, 2, 3)]
    for line in lines:
        room.enter(line)
        room.heard(line, bytes([0, 40 + line.peer.conn_id]))
    here.append("alice")
    room.look()
    assert given == [1, 2, 3]
    assert [line.again for line in lines] == [[b"\0)"], [b"\0*"], [b"\0+"]]
    assert list(room) == []
