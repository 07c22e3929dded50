"""Programs that are started, and what they print."""

import pytest

from lightningd_py.config.values import Service
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
    assert not await program.process.wait(10)
    assert exits == [5]
    program.channel.close()


async def printed(caplog: pytest.LogCaptureFixture, script: str) -> list[tuple[str, str]]:
    """(name, text) of the log's lines about a program that prints this and exits."""
    caplog.set_level("INFO")
    program = start_program(Service("x", ("sh", "-c", script)), 7, print, print, lambda exit_status: None)
    assert await program.process.wait(10)
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
