"""Programs that are started, and what they print."""

import asyncio

import pytest

from lightningd_py.config.values import Service
from lightningd_py.owners import service_process
from lightningd_py.owners.service_process import LONGEST_LINE, start_program
from wire.control.control_wire import SetMessageRoutes


async def test_program_that_cannot_be_started_leaves_nothing() -> None:
    with pytest.raises(OSError):
        start_program(Service("x", ("/no/such/program",)), 1, print, print, print)


async def test_program_has_its_control_socket_as_fd_3() -> None:
    """The program is told something, and its end of the socket closes with it."""
    closed: list[str] = []
    exits: list[int] = []
    program = start_program(
        Service("x", ("sh", "-c", "head -c1 <&3 >&2; exit 5")), 7, print, closed.append, exits.append
    )
    assert (program.conn_id, program.finished) == (7, False)
    program.channel.send(SetMessageRoutes([]))
    assert not await program.process.wait(60)
    assert exits == [5]
    program.channel.close()


@pytest.fixture(autouse=True)
def no_service_has_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_process, "_allowances", {})


async def printed(caplog: pytest.LogCaptureFixture, script: str) -> list[tuple[str, str]]:
    """(name, text) of the log's lines about a program that prints this and exits."""
    caplog.set_level("INFO")
    program = start_program(Service("x", ("sh", "-c", script)), 7, print, print, lambda exit_status: None)
    assert await program.process.wait(60)
    program.channel.close()
    lines = [(record.name, record.getMessage()) for record in caplog.records]
    lead = f"[{program.process.pid}] "
    assert all(text.startswith(lead) for _, text in lines)
    return [(name, text.removeprefix(lead)) for name, text in lines]


async def test_what_a_program_prints_is_printable_and_under_its_name(caplog: pytest.LogCaptureFixture) -> None:
    """On standard error and standard output; it cannot pass for a line of another process."""
    forged = "2026-01-01T00:00:00.000Z BROKEN  lightningd: all is lost"
    script = f"printf '\\033[2J\\007bell\\n{forged}\\r\\n' >&2; printf 'out, and no newline'"
    assert await printed(caplog, script) == [
        ("service x", "?[2J?bell"),
        ("service x", f"{forged}?"),
        ("service x", "out, and no newline"),
    ]
    assert {record.levelname for record in caplog.records} == {"INFO"}


async def test_a_line_that_never_ends_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """What is kept of it has a bound."""
    lines = await printed(caplog, "head -c 300000 /dev/zero | tr '\\0' a >&2")
    assert max(len(text) for _, text in lines) == LONGEST_LINE
    assert sum(len(text) for _, text in lines) == 300_000


async def run(service: str, script: str) -> None:
    """One program of the service, to its end."""
    program = start_program(Service(service, ("sh", "-c", script)), 7, print, print, lambda exit_status: None)
    assert await program.process.wait(60)
    program.channel.close()


async def test_what_a_service_prints_without_end_is_left_out_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its programs together; another service's lines are logged meanwhile, and its own again afterwards."""
    caplog.set_level("INFO")
    monkeypatch.setattr(service_process, "MOST_PRINTED", 2_000)
    monkeypatch.setattr(service_process, "PRINTED_PER_SECOND", 0)
    monkeypatch.setattr(service_process, "LEFT_OUT_FOR", 0.01)
    for _ in range(5):
        await run("x", "yes 123456789 | head -n 100 >&2")
    await run("y", "echo here >&2")

    def logged(service: str) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == f"service {service}"]

    async with asyncio.timeout(60):
        while sum(int(text.split()[0]) for text in logged("x") if "were left out" in text) < 500 - 222:
            await run("y", "echo here >&2")
    assert sum(text.endswith("] 123456789") for text in logged("x")) == 222
    assert logged("y")
    monkeypatch.setattr(service_process, "PRINTED_PER_SECOND", 1e9)
    await run("x", "echo again >&2")
    assert logged("x")[-1].endswith("] again")
