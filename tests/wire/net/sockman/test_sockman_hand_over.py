"""SockMan without Lightning: connections adopted, released and closed at any moment; no byte and no fd is lost."""

import asyncio
import os
import random
import socket
import time
from typing import Any

import pytest

from tests.wire.net.sockman.recorder import ANY_PORT, Pair, Recorder, recv_all, reset, turns
from wire.net.sockman.sockman import SockMan, SockManOptions


async def test_adopted_bytes_go_first(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"unsent ", 700)
    assert id == 700
    man.send_bytes(id, b"new")
    assert await recv_all(pair[1], 10) == b"unsent new"


async def test_what_cannot_be_adopted_stays_the_callers(man: Recorder, pair: Pair) -> None:
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="non-socket"):
        man.adopt(reader, b"")
    os.close(reader)
    os.close(writer)
    man.adopt(pair[0].detach(), b"", 5)
    with pytest.raises(ValueError, match="connection 5 is here already"):
        man.adopt(pair[1].fileno(), b"", 5)
    pair[1].send(b"still open")


async def test_adopting_a_dead_socket_tells_it_later(man: Recorder, pair: Pair) -> None:
    pair[1].close()
    id = man.adopt(pair[0].detach(), b"unsent")
    assert man.log == []
    assert (await man.until_event("got_permanent_read_error"))[1] == id


async def test_a_released_connection_is_unknown(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    fd, unsent = man.release(id)
    assert unsent == b""
    for method in (man.release, man.unsent_size, man.want_to_send, man.update_receiving):
        with pytest.raises(KeyError):
            method(id)
    with pytest.raises(KeyError):
        man.send_bytes(id, b"")
    os.close(fd)


async def test_a_released_fd_with_data_costs_its_old_owner_nothing(man: Recorder, pair: Pair) -> None:
    loop = asyncio.get_running_loop()
    id = man.adopt(pair[0].detach(), b"")
    man.want_to_send(id)
    pair[1].send(b"x")
    fd, _ = man.release(id)
    iterations = 0
    select = loop._selector.select  # type: ignore[attr-defined]

    def counted(timeout: float | None = None) -> Any:
        nonlocal iterations
        iterations += 1
        return select(timeout)

    loop._selector.select = counted  # type: ignore[attr-defined]
    cpu = time.process_time()
    await asyncio.sleep(0.1)
    assert iterations <= 3
    assert time.process_time() - cpu < 0.05
    assert man.log == []
    assert os.read(fd, 10) == b"x"
    os.close(fd)


async def test_unsent_bytes_go_along(man: Recorder, pair: Pair) -> None:
    other = Recorder()
    payload = random.Random(3).randbytes(1_000_000)
    id = man.adopt(pair[0].detach(), b"")
    assert man.send_bytes(id, payload) > 0
    fd, unsent = man.release(id)
    assert payload.endswith(unsent)
    other.adopt(fd, unsent)
    assert await recv_all(pair[1], len(payload)) == payload
    other.close_sockets()


async def test_back_and_forth_under_traffic_no_byte_is_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection changes its owner after every few reads, with bytes on the way in both directions."""
    monkeypatch.setattr("wire.net.sockman.sockman.RECV_SIZE", 7000)
    owners, chance = [Recorder(), Recorder()], random.Random(4)
    incoming, outgoing = chance.randbytes(2_000_000), chance.randbytes(2_000_000)
    received, sent, moves, all_received = bytearray(), 0, 0, asyncio.Event()
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)

    def send_some(man: Recorder, id: int) -> None:
        nonlocal sent
        if not man.unsent_size(id):
            piece = outgoing[sent : sent + chance.randrange(1, 40_000)]
            sent += len(piece)
            man.send_bytes(id, piece, will_send_more=chance.random() < 0.5)
        if sent < len(outgoing):
            man.want_to_send(id)

    def move(man: Recorder, id: int) -> None:
        nonlocal moves
        moves += 1
        other = owners[owners.index(man) ^ 1]
        fd, unsent = man.release(id)
        other.adopt(fd, unsent, id)
        send_some(other, id)

    def take(man: Recorder, id: int, data: bytes) -> None:
        received.extend(data)
        if len(received) == len(incoming):
            all_received.set()
        send_some(man, id)
        if chance.random() < 0.7:
            move(man, id)

    def ready(man: Recorder, id: int) -> bool:
        send_some(man, id)
        if chance.random() < 0.3:
            move(man, id)
        return chance.random() < 0.2

    for man in owners:
        man.on["got_data"] = lambda id, data, man=man: take(man, id, data)
        man.on["ready_to_send"] = lambda id, man=man: ready(man, id)
    far = Recorder()
    far_id = far.adopt(pair[1].detach(), incoming)
    send_some(owners[0], owners[0].adopt(pair[0].detach(), b"", 9))
    await far.until(lambda: len(far.data.get(far_id, b"")) == len(outgoing))
    await asyncio.wait_for(all_received.wait(), 60)
    assert received == incoming
    assert far.data[far_id] == outgoing
    assert moves > 200
    for man in (*owners, far):
        man.close_sockets()


@pytest.mark.parametrize("end", ["close", "release"])
@pytest.mark.parametrize(
    "event", ["got_data", "got_eof", "got_permanent_read_error", "ready_to_send", "completed_for_node", "accepted"]
)
async def test_a_handler_may_end_its_connection_in_any_event(man: Recorder, event: str, end: str) -> None:
    kept: list[int] = []
    ended: list[int] = []

    def finish(id: int, *details: Any) -> bool:
        ended.append(id)
        if end == "close":
            man.close_connection(id)
        else:
            kept.append(man.release(id)[0])
        return True

    man.on["new_connection_accepted" if event == "accepted" else event] = finish
    address = man.bind_and_start_listening(ANY_PORT)
    man.start(SockManOptions())
    peer = socket.create_connection((address.host, address.port))
    if event != "accepted":
        _, id, *_ = await man.until_event("new_connection_accepted")
        if event == "ready_to_send":
            man.want_to_send(id)
        peer.send(b"x" * 100_000 if event in ("got_data", "ready_to_send") else b"x")
        if event == "got_eof":
            peer.shutdown(socket.SHUT_WR)
    if event == "got_permanent_read_error":
        reset(peer)
    await man.until(lambda: bool(ended))
    at_end = [entry for entry in man.log if entry[0] != "completed_for_all_peers"]
    await turns()
    assert [entry for entry in man.log if entry[0] != "completed_for_all_peers"] == at_end
    assert len(ended) == 1
    assert man._connections == {}
    peer.close()
    for fd in kept:
        os.close(fd)


@pytest.mark.parametrize("question", ["should_try_to_recv", "should_try_to_send"])
async def test_a_handler_may_end_its_connection_when_it_is_asked(man: Recorder, pair: Pair, question: str) -> None:
    id = man.adopt(pair[0].detach(), b"")
    if question == "should_try_to_send":
        man.want_to_send(id)
    else:
        pair[1].send(b"x")
    setattr(man, question, man.close_connection)
    await turns()
    assert set(man.names()) <= {"completed_for_all_peers"}
    assert man._connections == {}


async def test_an_event_may_close_the_others_of_its_turn(man: Recorder) -> None:
    ends = [socket.socketpair() for _ in range(10)]
    man.on["got_data"] = lambda id, data: man.close_sockets()
    for near, far in ends:
        man.adopt(near.detach(), b"")
        far.send(b"x")
    await man.until_event("got_data")
    await turns()
    assert man.names().count("got_data") == 1
    for _, far in ends:
        far.close()


async def test_an_fd_number_used_again_in_the_same_turn_is_another_connection(man: Recorder) -> None:
    """The second connection of a turn is closed by the first, and its number given to a new one."""
    ends = [socket.socketpair() for _ in range(2)]
    ids = [man.adopt(near.detach(), b"") for near, _ in ends]
    fresh = socket.socketpair()
    numbers: list[tuple[int, int]] = []

    def replace(id: int, data: bytes) -> None:
        if data != b"old":
            return
        (other,) = set(ids) - {id}
        number = man._connections[other].fd
        man.close_connection(other)
        numbers.append((number, os.dup(fresh[0].fileno())))
        man.adopt(numbers[0][1], b"", 100)

    man.on["got_data"] = replace
    for _, far in ends:
        far.send(b"old")
    fresh[1].send(b"new")
    await man.until(lambda: 100 in man.data)
    await turns()
    assert man.data[100] == b"new"
    assert numbers[0][0] == numbers[0][1]
    assert man.names().count("got_data") == 2
    for sock in (ends[0][1], ends[1][1], *fresh):
        sock.close()


async def test_join_waits_for_the_last_connection(man: Recorder, pair: Pair) -> None:
    await man.join()
    id = man.adopt(pair[0].detach(), b"")
    address = man.bind_and_start_listening(ANY_PORT)
    man.start(SockManOptions())
    joined = [asyncio.create_task(man.join()) for _ in range(2)]
    await turns()
    assert not any(task.done() for task in joined)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))
    joined.pop().cancel()
    man.close_connection(id)
    await joined[0]


async def test_ids_are_overridable_and_never_repeat(man: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [man.get_new_id() for _ in range(3)] == [1, 2, 3]
    monkeypatch.setattr(man, "get_new_id", lambda: 900)
    ends = socket.socketpair()
    assert man.adopt(ends[0].detach(), b"") == 900
    ends[1].close()


async def test_events_do_nothing_by_themselves(pair: Pair) -> None:
    man = SockMan()
    assert man.event_new_connection_accepted(1, ANY_PORT, ANY_PORT)
    assert not man.event_ready_to_send(1)
    assert man.should_try_to_recv(1)
    assert man.should_try_to_send(1)
    assert man.should_try_to_accept()
    man.event_onion_listen("x.onion:9735")
    man.event_accept_failed(OSError())
    id = man.adopt(pair[0].detach(), b"hello")
    man.want_to_send(id)
    pair[1].send(b"x")
    await turns()
    pair[1].close()
    await turns()
    assert man.close_connection(id)
