"""The node's log, written by real processes."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lightningd_py.errors import LogError
from lightningd_py.log import NodeLog

NODE = """
import os, subprocess, sys
from lightningd_py.log import NodeLog
log = NodeLog(sys.argv[1:])
def say(text):
    os.write(2, text)
    subprocess.run([sys.executable, "-c", f"import os; os.write(2, b'child ' + {text!r})"], check=True)
say(b"one\\n")
for line in sys.stdin:
    log.reopen()
    print("reopening", flush=True)
    say(b"more\\n")
log.close()
os.write(2, b"after\\n")
"""


def node(*files: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NODE, *files], input=stdin, capture_output=True, text=True, check=True, timeout=30
    )


def test_to_standard_output() -> None:
    done = node("-")
    assert (done.stdout, done.stderr) == ("one\nchild one\n", "after\n")


def test_to_a_file_which_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        done = node(str(log))
    assert log.read_text() == "one\nchild one\n" * 2
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert (done.stdout, done.stderr) == ("", "after\n")


def test_to_several_places(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    done = node("-", *map(str, files))
    assert [done.stdout, *(file.read_text() for file in files)] == ["one\nchild one\n"] * 3


def test_control_characters_do_not_reach_a_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = NODE.replace('b"one\\n"', 'b"\\x1b[2Jo\\x07ne \\xc3\\xa9\\r\\n"')
    assert written != NODE
    subprocess.run([sys.executable, "-c", written, str(log)], input=b"", capture_output=True, check=True, timeout=60)
    assert log.read_text() == "?[2Jo?ne \u00e9?\nchild ?[2Jo?ne \u00e9?\n"


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    """The signal reaches the writer before it has read everything: what counts is that no line is lost."""
    log, old = tmp_path / "log", tmp_path / "log.1"
    command = [sys.executable, "-c", NODE, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while not log.exists() or log.read_text() != "one\nchild one\n":
            assert process.poll() is None
        log.rename(old)
        process.communicate("go\n", timeout=60)
    assert log.exists()
    assert old.read_text() + log.read_text() == "one\nchild one\nmore\nchild more\n"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"cannot open log file .*nowhere/log: No such file or directory"):
        NodeLog([str(tmp_path / "nowhere" / "log")])


def test_each_line_goes_to_the_files_that_want_it(tmp_path: Path) -> None:
    """However the pipe cuts it; what a program prints goes to all, also if it is as long as never a line of ours."""
    quiet, own = tmp_path / "quiet", tmp_path / "own"
    style = f"unusual,debug:gossipd:{own};untimed"
    said = ["DEBUG   gossipd: a", "UNUSUAL hsmd: b", "INFO    hsmd: c", "printed é", "x" * 200_000, "no end"]
    writer = [sys.executable, "-P", "-m", "lightningd_py.log_writer", style, str(quiet), str(own)]
    with subprocess.Popen(writer, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        data = "\n".join(said).encode()
        for start in range(0, 60, 7):
            process.stdin.write(data[start : start + 7])
            process.stdin.flush()
        process.stdin.write(data[start + 7 :])
        process.stdin.close()
        assert process.wait(30) == 0
    assert own.read_text() == "\n".join([*said[:2], *said[3:]])
    assert quiet.read_text() == "\n".join([said[1], *said[3:]])


DYING = """
import asyncio, os, signal, sys
from lightningd_py.log import NodeLog
log = NodeLog(sys.argv[1:])
async def main():
    died = asyncio.get_running_loop().create_future()
    log.watch(died.set_result)
    os.write(2, b"one\\n")
    log._writer.send(signal.SIGKILL)
    print(await died, flush=True)
    os.write(2, b"meanwhile\\n")
    if "restart" in sys.argv[1]:
        await log.restart()
    os.write(2, b"two\\n")
    log.leave()
asyncio.run(main())
log.close()
"""


@pytest.mark.parametrize("name", ["restarted", "never"])
def test_a_writer_that_dies(tmp_path: Path, name: str) -> None:
    """Nothing is lost of what the pipe held, also if there is no other one before the end."""
    log = tmp_path / name
    done = subprocess.run([sys.executable, "-c", DYING, str(log)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("-9\n", "")
    assert log.read_text().removeprefix("one\n") == "meanwhile\ntwo\n"


def test_files_go_on_without_a_standard_output_that_is_not_read(tmp_path: Path) -> None:
    """Lines for it are lost, and the last line says how many."""
    log, line = tmp_path / "log", "x" * 99 + "\n"
    writer = [sys.executable, "-P", "-m", "lightningd_py.log_writer", "info", "-", str(log)]
    with subprocess.Popen(writer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(line * 50_000)
        process.stdin.flush()
        while not log.exists() or log.stat().st_size < 50_000 * len(line):
            assert process.poll() is None
        out, _ = process.communicate(timeout=60)
    assert 0 < out.count(line) < 50_000
    assert "UNUSUAL log writer: " in out
