"""How many programs may run, how those that hang end, and what is left of a connection when its program is gone."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.config.values import Service
from lightningd_py.owners.peers import MovingConnection
from lightningd_py.owners.programs import Programs, no_room
from lightningd_py.owners.service_process import PeerEnd, Program, environment, start_program
from tests.lightningd_py.ownership_among_fakes import STATE, OwnershipAmongFakes, info
from wire.control import status
from wire.control.control_message import Fd
from wire.control.control_wire import HandlePeer
from wire.control.limits import Limits
from wire.control.process import Process
from wire.control.timing import Timing
from wire.routing import answer_without_service

LIMITS = Limits(programs=16, programs_per_service=8)


def programs(*running: tuple[str, str | None]) -> list[Program]:
    nothing: Any = None
    return [Program(Service(name, ("x",)), 1, nothing, nothing, source=source) for name, source in running]


def test_bound_of_a_service() -> None:
    """Strangers get three quarters of it; the rest is for nodes that are wanted."""
    strangers = [("one", f"network {number}") for number in range(6)]
    assert no_room(programs(*strangers[:5]), "one", "another", LIMITS) is None
    assert "6 programs of service one run for strangers" in str(no_room(programs(*strangers), "one", "other", LIMITS))
    wanted: list[tuple[str, str | None]] = [("one", None)] * 2
    assert no_room(programs(*strangers, *wanted[:1]), "one", None, LIMITS) is None
    assert "8 programs of service one run" in str(no_room(programs(*strangers, *wanted), "one", None, LIMITS))
    assert no_room(programs(*strangers, *wanted), "two", "another", LIMITS) is None


def test_share_of_a_network() -> None:
    crowd = [("one", "1.2.0.0/16")] * 4
    assert "4 programs of service one run for 1.2.0.0/16" in str(no_room(programs(*crowd), "one", "1.2.0.0/16", LIMITS))
    assert no_room(programs(*crowd), "one", "1.3.0.0/16", LIMITS) is None


def test_bound_of_all_services() -> None:
    crowd: list[tuple[str, str | None]] = [(f"service {number % 4}", f"network {number}") for number in range(12)]
    assert "12 programs of all services run for strangers" in str(no_room(programs(*crowd), "one", "n", LIMITS))
    crowd += [(f"service {number}", None) for number in range(4)]
    assert "16 programs of all services run" in str(no_room(programs(*crowd), "one", None, LIMITS))


@pytest.mark.parametrize("bound", [1, 2])
def test_the_least_bounds_let_a_stranger_in(bound: int) -> None:
    assert no_room([], "one", "network", Limits(programs=bound, programs_per_service=bound)) is None


@pytest.mark.bolt("B1-36")
async def test_one_program_too_many(around: OwnershipAmongFakes) -> None:
    """The peer is told so, as if there were no such service, and stays with gossipd. Who has left makes room."""
    around.ownership.programs.limits = Limits(programs_per_service=1)
    around.with_program()
    peer = around.taken(2)
    around.nongossip(2)
    (order,) = around.gossipd.take()
    assert isinstance(order, HandlePeer)
    assert order.send == answer_without_service(32, bytes(range(32)))
    assert (peer.owner, len(around.programs)) == ("gossipd", 1)
    process: Any = around.programs[0][0].process
    process.exit(0)
    around.taken(2)
    around.nongossip(2)
    assert (peer.owner, len(around.programs)) == ("s", 2)


async def test_program_that_has_let_go_counts_until_it_has_exited(around: OwnershipAmongFakes) -> None:
    around.ownership.programs.limits = Limits(programs_per_service=1)
    around.with_program()
    around.programs[0][2]("eof")
    around.taken(2)
    around.nongossip(2)
    assert len(around.programs) == 1


async def test_program_that_a_peer_makes_fail_each_time(
    around: OwnershipAmongFakes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such lines are counted per peer: the 1st, 2nd, 4th, 8th and 16th are logged. No line was logged before."""
    monkeypatch.setattr(status, "_strangers_lines", status.StrangersLines())
    around.with_program()
    for conn_id in range(200, 220):
        around.taken(conn_id)
        around.nongossip(conn_id)
        process: Any = around.programs[-1][0].process
        process.exit(7)
    assert caplog.text.count("exited with 7") == 5


def test_the_copy_of_a_peer_fd_ends_the_connection_for_all() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        end = PeerEnd(ours.fileno())
        end.shut_down()
        end.shut_down()
        assert peer.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            ours.send(b"1")


def test_the_copy_of_a_connection_that_was_given_back_does_not() -> None:
    ours, peer = socket.socketpair()
    with ours, peer:
        end = PeerEnd(ours.fileno())
        end.close()
        end.shut_down()
        ours.send(b"1")
        assert peer.recv(1) == b"1"


def of_processes(timing: Timing) -> tuple[Programs, list[tuple[int, str]]]:
    lost: list[tuple[int, str]] = []
    return Programs(timing, lambda service: None, print, lambda *what: lost.append(what), Limits()), lost


def start(programs: Programs, conn_id: int, script: str) -> socket.socket:
    """A program with a connection; the peer's end of it."""
    ours, peer = socket.socketpair()
    gossip, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gossip.close()
    moving = MovingConnection(STATE, Fd(ours.detach()), Fd(theirs.detach()))
    service = Service("x", ("sh", "-c", script))
    assert programs.start(service, info(conn_id), moving, None, [], None)
    peer.setblocking(False)
    return peer


async def end_of(peer: socket.socket) -> None:
    async with asyncio.timeout(60):
        while await asyncio.get_running_loop().sock_recv(peer, 1):
            pass


async def test_program_that_hangs_is_killed() -> None:
    """A program that does not look at fd 3."""
    programs, lost = of_processes(Timing(heartbeat=0.05, control_timeout=0.3, release_timeout=5.0))
    with start(programs, 1, "exec sleep 1000") as peer:
        await end_of(peer)
    assert lost == [(1, "service x has left it")]
    await programs.close()


async def test_programs_end_side_by_side() -> None:
    """Four that do not end by themselves take as long as one."""
    programs, _ = of_processes(Timing(release_timeout=2.0))
    peers = [start(programs, conn_id, "exec sleep 1000") for conn_id in range(1, 5)]
    then = asyncio.get_running_loop().time()
    await programs.close()
    assert asyncio.get_running_loop().time() - then < 4 * 2.0
    for peer in peers:
        with peer:
            await end_of(peer)


@pytest.mark.parametrize("how", ["", "setsid"], ids=["in its process group", "in another one"])
async def test_child_of_a_program_does_not_keep_the_connection(how: str, tmp_path: Path) -> None:
    """The child has fd 3, with `take_peer` and its fds unread in it."""
    programs, lost = of_processes(Timing())
    os.mkfifo(tmp_path / "until")
    with (
        (tmp_path / "until").open("r+b", buffering=0),
        start(programs, 1, f"{how} cat {tmp_path}/until & exit 0") as peer,
    ):
        await end_of(peer)
    assert lost == [(1, "service x has left it")]
    await programs.close()


async def test_process_group_ends_with_its_leader() -> None:
    exited = asyncio.get_running_loop().create_future()
    reading, writing = os.pipe()
    Process(["sh", "-c", "sleep 1000 & exit 3"], {4: writing}, exited.set_result, group=True)
    os.close(writing)
    assert await exited == 3
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"", "the child had it, and has ended"


def test_a_programs_python_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert environment()["PYTHONSAFEPATH"] == "1"
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    assert environment()["PYTHONSAFEPATH"] == ""
    first, *others = environment()["PATH"].split(os.pathsep)
    assert (Path(first, "python3").exists(), others) == (True, ["/usr/bin"])


async def test_no_such_program() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        start_program(Service("x", ("no-such-program",)), 1, print, print, print)
