"""SockMan without Lightning: bytes in and out, pauses, ends and errors."""

import random
import socket

import pytest

from tests.wire.net.sockman.recorder import Pair, Recorder, recv_all, reset, turns


async def test_what_the_socket_does_not_take_is_kept_and_sent_in_order(man: Recorder, pair: Pair) -> None:
    near, far = pair
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    id = man.adopt(near.detach(), b"")
    payload = random.Random(2).randbytes(200_000)
    unsent = man.send_bytes(id, payload[:100_000])
    assert 0 < unsent < 100_000
    assert man.unsent_size(id) == unsent
    assert man.send_bytes(id, memoryview(payload)[100_000:]) == unsent + 100_000
    assert await recv_all(far, 200_000) == payload
    await turns()
    assert man.unsent_size(id) == 0
    assert man.send_bytes(id, b"") == 0


async def test_will_send_more_lets_the_kernel_wait(man: Recorder, tcp_pair: Pair) -> None:
    id = man.adopt(tcp_pair[0].detach(), b"")
    assert man.send_bytes(id, b"first ", will_send_more=True) == 0
    tcp_pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        tcp_pair[1].recv(100)
    man.send_bytes(id, b"second")
    assert await recv_all(tcp_pair[1], 12) == b"first second"


async def test_ready_to_send_comes_once_a_wish_and_when_nothing_is_unsent(man: Recorder, pair: Pair) -> None:
    near, far = pair
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    id = man.adopt(near.detach(), b"")
    man.want_to_send(id)
    await man.until_event("ready_to_send")
    man.send_bytes(id, bytes(100_000))
    man.want_to_send(id)
    await turns()
    assert man.names().count("ready_to_send") == 1
    await recv_all(far, 100_000)
    await man.until_event("ready_to_send", 2)
    await turns()
    assert man.names().count("ready_to_send") == 2
    assert man.unsent_size(id) == 0


async def test_a_stream_that_is_made_as_the_socket_takes_it(man: Recorder, pair: Pair) -> None:
    pieces = [bytes([number]) * 5000 for number in range(100)]
    waiting = list(pieces)

    def send_next(id: int) -> bool:
        while waiting and not man.send_bytes(id, waiting.pop(0)):
            pass
        if waiting:
            man.want_to_send(id)
        return False

    man.on["ready_to_send"] = send_next
    id = man.adopt(pair[0].detach(), b"")
    man.want_to_send(id)
    assert await recv_all(pair[1], 500_000) == b"".join(pieces)


async def test_sending_can_be_held_back(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    man.may_send = False
    man.want_to_send(id)
    await turns()
    assert man.log == []
    man.may_send = True
    await turns()
    assert man.log == []  # the socket is not looked at
    man.want_to_send(id)
    await man.until_event("ready_to_send")


async def test_ready_to_send_can_cancel_receiving(man: Recorder, pair: Pair) -> None:
    order: list[str] = []
    man.on["got_data"] = lambda id, data: order.append("read")

    def send_first(id: int) -> bool:
        order.append("send")
        if order.count("send") < 5:
            man.want_to_send(id)
        return order.count("send") < 5

    man.on["ready_to_send"] = send_first
    man.want_to_send(man.adopt(pair[0].detach(), b""))
    await turns(2)  # one send before there is anything to read
    pair[1].send(b"x")
    await man.until_event("got_data")
    assert order == ["send"] * 5 + ["read"]


# receiving


async def test_a_paused_socket_is_not_looked_at(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    man.may_recv = False
    pair[1].send(b"x" * 10)
    await turns()
    assert man.log == []
    assert not man._connections[id].watched
    man.may_recv = True
    man.update_receiving(id)
    await man.until_event("got_data")
    man.may_recv = False
    man.update_receiving(id)
    man.update_receiving(id)
    pair[1].send(b"y")
    await turns()
    assert man.data[id] == b"x" * 10


async def test_one_recv_a_connection_and_turn(man: Recorder, pair: Pair) -> None:
    near, far = pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    far.sendall(bytes(300_000))
    counts: list[int] = []
    man.on["completed_for_all_peers"] = lambda: counts.append(man.recvs)
    id = man.adopt(near.detach(), b"")
    await man.until(lambda: len(man.data.get(id, b"")) == 300_000)
    await man.until_event("completed_for_all_peers", man.recvs)
    assert man.recvs >= 5
    assert counts == list(range(1, man.recvs + 1))
    assert man.log[:3] == [("got_data", id, bytes(65_536)), ("completed_for_node", id), ("completed_for_all_peers",)]


async def test_a_turn_completes_after_all_connections_of_it(man: Recorder) -> None:
    ends = [socket.socketpair() for _ in range(5)]
    ids = {man.adopt(near.detach(), b"") for near, _ in ends}
    for _, far in ends:
        far.send(b"x")
    await man.until_event("completed_for_all_peers")
    before = man.log[: man.names().index("completed_for_all_peers")]
    assert {entry[1] for entry in before if entry[0] == "got_data"} == ids
    for _, far in ends:
        far.close()


async def test_after_eof_sending_goes_on(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    pair[1].send(b"the last")
    pair[1].shutdown(socket.SHUT_WR)
    await man.until_event("got_eof")
    await turns()
    man.update_receiving(id)
    await turns()
    assert man.names().count("got_eof") == 1
    assert man.data[id] == b"the last"
    payload = bytes(1_000_000)
    assert man.send_bytes(id, payload) > 0
    assert await recv_all(pair[1], len(payload)) == payload
    assert man.close_connection(id)
    assert not man.close_connection(id)
    assert pair[1].recv(1) == b""


async def test_a_reset_is_a_permanent_error(man: Recorder, tcp_pair: Pair) -> None:
    id = man.adopt(tcp_pair[0].detach(), b"")
    reset(tcp_pair[1])
    _, which, error = await man.until_event("got_permanent_read_error")
    assert which == id
    assert isinstance(error, ConnectionResetError)
    assert man.send_bytes(id, b"thrown away") == 0
    man.want_to_send(id)
    man.update_receiving(id)
    before = list(man.log)
    await turns()
    assert [entry for entry in man.log if entry not in before] in ([], [("completed_for_all_peers",)])
    assert man.close_connection(id)


async def test_a_failed_write_is_told_later_and_after_the_last_words(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    pair[1].send(b"you are wrong")
    pair[1].close()
    assert man.send_bytes(id, b"hello?") == 0
    assert man.send_bytes(id, b"hello?") == 0
    man.want_to_send(id)
    assert man.log == []
    _, _, error = await man.until_event("got_permanent_read_error")
    assert isinstance(error, BrokenPipeError)
    assert [what for what in man.names() if what.startswith("got")] == ["got_data", "got_permanent_read_error"]
    assert man.data[id] == b"you are wrong"


async def test_a_failed_write_of_a_paused_connection_is_told(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    man.may_recv = False
    man.update_receiving(id)
    pair[1].close()
    man.send_bytes(id, b"hello?")
    await man.until_event("got_permanent_read_error")
    assert man.data == {}


async def test_a_failed_write_of_what_was_kept_is_told(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    assert man.send_bytes(id, bytes(1_000_000)) > 0
    pair[1].close()
    await man.until_event("got_permanent_read_error")
    assert man.close_connection(id)


async def test_farewells_have_a_bound(man: Recorder) -> None:
    """Of more than that the oldest is closed at once."""
    man._farewells.most = 2
    pairs = [socket.socketpair() for _ in range(3)]
    for near, _ in pairs:
        man.close_when_sent(man.adopt(near.detach(), b""), 60.0)
    far = [far for _, far in pairs]
    far[0].settimeout(60)
    assert far[0].recv(1) == b""
    with pytest.raises(BrokenPipeError):
        far[0].send(b"?")
    for other in far[1:]:
        other.send(b"?")
    for other in far:
        other.close()
