"""What a stranger can have us log is cut, and counted per peer, source and kind."""

import logging
import subprocess
import sys

import pytest

from wire.control.control_wire import PeerInfo
from wire.control.status import (
    FREE,
    INFO,
    LONGEST,
    MOST_COUNTED,
    REMEMBERED,
    Status,
    StrangersLines,
)
from wire.log.line import LONGEST_LINE
from wire.net.duties import log_trouble
from wire.peer_types import ALL_CHANNELS
from wire.peer_wire import WarningMessage


def peer(number: int, address: str) -> PeerInfo:
    return PeerInfo(bytes([2]) + number.to_bytes(32, "big"), number, address, True, None, b"", [])


def test_a_flood_of_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    status, flooder, other = Status("flooded"), peer(1, "192.0.2.1:1"), peer(2, "192.0.2.2:1")
    warning = WarningMessage(ALL_CHANNELS, b"x" * 60_000).encode()
    for _ in range(1_000):
        log_trouble(status, warning, flooder)
    log_trouble(status, WarningMessage(ALL_CHANNELS, b"a word").encode(), other)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10 + 1
    assert max(map(len, lines)) < LONGEST + 40
    assert lines[-2].endswith(" (512 times so far)")
    assert lines[-1] == "peer's warning: a word"


def test_a_kind_takes_no_other_kind_s_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    status, flooder = Status("flooded"), peer(3, "192.0.2.3:1")
    for kind in ("one", "one", "one", "two"):
        status.by_stranger(kind, kind, flooder.node_id, flooder.address, INFO)
    assert [record.getMessage() for record in caplog.records] == ["one", "one (2 times so far)", "two"]


def test_what_is_not_worth_its_place_is_for_developers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    status, flooder = Status("flooded"), peer(4, "192.0.2.4:1")
    for _ in range(3):
        status.by_stranger("one", "a line", flooder.node_id, flooder.address)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "DEBUG"]


@pytest.mark.parametrize("address", ["192.0.2.1:{0}", "[2001:db8::{0:x}]:9735"])
def test_one_source_with_many_node_ids(address: str) -> None:
    lines = StrangersLines()
    logged = sum(
        bool(lines.worth("left", bytes([i % 256, i // 256]), address.format(i), 0.0)) for i in range(1, 20_000)
    )
    assert FREE < logged < FREE + 16
    assert len(lines.counts) <= MOST_COUNTED
    assert lines.worth("left", b"another", "198.51.100.1:1", 0.0) == 1


def test_many_sources_are_bounded() -> None:
    lines = StrangersLines()
    for i in range(2 * MOST_COUNTED):
        lines.worth("left", str(i), f"10.0.{i // 256}.{i % 256}:1", 0.0)
    assert len(lines.counts) == len(lines.sources) == MOST_COUNTED


def test_after_an_hour_they_count_from_one() -> None:
    lines = StrangersLines()
    assert [lines.worth("left", b"a", "192.0.2.1:1", now) for now in (0.0, 1.0, 2.0, REMEMBERED)] == [1, 2, 0, 1]


def logged(said: str) -> list[str]:
    """What a process writes to its log."""
    code = f"from wire.control.status import *\nset_up_logging()\nstatus = Status('connectiond')\n{said}\nend_logging()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    return done.stderr.decode().split("\n")[:-1]


def test_whatever_stands_in_it_a_message_is_one_line() -> None:
    reason = "\x1b[31mgone\x07\n2026-11-29T10:00:00.000Z BROKEN  hsmd: a lie\r\u2028\u202eend"
    (line,) = logged(f"status.info('service ended: ' + {reason!r})")
    assert line.partition(" INFO    connectiond: ")[2] == (
        "service ended: ?[31mgone??2026-11-29T10:00:00.000Z BROKEN  hsmd: a lie???end"
    )


def test_every_line_is_cut() -> None:
    (line,) = logged("status.broken('x' * 1_000_000)")
    assert len(line) < LONGEST_LINE + 100
    *lines, last = logged(
        "try: raise ValueError('y' * 1_000_000)\nexcept ValueError: status.broken('no', exc_info=True)"
    )
    assert all(" BROKEN  connectiond: " in line for line in [*lines, last])
    assert len(last) < LONGEST_LINE + 100


def test_an_alias_in_the_log_is_as_it_was_written() -> None:
    (line,) = logged("status.info('👩\u200d🚀\u00a0\U0001fae9')")
    assert line.endswith("👩\u200d🚀\u00a0\U0001fae9")


def test_frames_of_strangers_are_not_logged() -> None:
    """Whatever level the master asks for, the library that reads WebSockets says only what is its own fault."""
    lines = logged(
        "import logging\nfrom wire.control.status import change_levels\n"
        "change_levels('debug')\nchange_levels('debug,debug:websockets')\n"
        "logging.getLogger('websockets.server').debug('a frame')\nstatus.debug('a line')"
    )
    assert len(lines) == 1 and lines[0].endswith("connectiond: a line")
