"""What the shell, the terminal or the environment does to a command ends in one sentence and an exit status."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.logged import PATIENCE
from tests.harness.node import PROGRAMS, Nodes

Command = tuple[str, str, str]
NODE = ("lightningd-py", "--regtest", "--offline")
CLI = ("lightning-cli-py", "--regtest", "getinfo")
ALONE = ("connectiond", "--listen", "127.0.0.1:0")
ALL = [NODE, CLI, ALONE]
USAGE = {NODE: 1, CLI: 3, ALONE: 2}
"""Exit status where the command line has to say more."""
FAILED = {NODE: 1, CLI: 2, ALONE: 1}
SOMEBODY = 54_321
"""A user without an entry in /etc/passwd."""
named = pytest.mark.parametrize("command", ALL, ids=lambda command: command[0])


def where(command: Command, directory: Path | str) -> list[str]:
    return [str(PROGRAMS / command[0]), f"--{'dir' if command is ALONE else 'lightning-dir'}={directory}", *command[1:]]


def one_sentence(done: subprocess.CompletedProcess[str], command: Command, status: int) -> str:
    assert done.returncode == status, done.stderr
    assert re.fullmatch(rf"{command[0]}: .+\n", done.stderr), done.stderr
    assert done.stdout == ""
    return done.stderr


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Without HOME."""
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


MODULES = {
    NODE: "lightningd_py.master",
    CLI: "lightningd_py.cli.cli",
    ALONE: "connectd.connectiond.alone.standalone",
}
AS_SOMEBODY = f"""
import importlib, locale, os, sys
importlib.import_module(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({SOMEBODY})
    os.setuid({SOMEBODY})
del sys.argv[:2]
"""
"""A command as an ordinary user, who may not be able to read the files that it is loaded from: it is loaded before."""


def as_somebody(argv: list[str], command: Command) -> subprocess.CompletedProcess[str]:
    code = AS_SOMEBODY + Path(argv[0]).read_text().partition("\n")[2]
    return run([sys.executable, "-c", code, MODULES[command], *argv])


@named
def test_directory_of_another_user(tmp_path: Path, command: Command) -> None:
    """For an ordinary user one that is closed to all is as good as another's."""
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    done = as_somebody(where(command, theirs / "ln"), command)
    theirs.chmod(0o700)
    assert "Permission denied" in one_sentence(done, command, FAILED[command])


@named
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without an entry in /etc/passwd")
def test_no_home(command: Command) -> None:
    argv = [str(PROGRAMS / command[0]), *command[1:]]
    assert "HOME is not set" in one_sentence(as_somebody(argv, command), command, USAGE[command])


@named
def test_working_directory_that_is_gone(tmp_path: Path, command: Command) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone}; rmdir {gone}; exec {' '.join(where(command, 'relative'))}"
    assert "no working directory" in one_sentence(run(["/bin/sh", "-c", script]), command, USAGE[command])


def test_node_without_a_working_directory(tmp_path: Path) -> None:
    """All its paths are absolute: it needs none."""
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"cd {gone}; rmdir {gone}; exec {' '.join(where(NODE, tmp_path / 'ln'))}"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        assert any("listens on nowhere" in line for line in node.stdout)
        node.terminate()
        assert node.wait(PATIENCE) == 0


@named
def test_component_that_is_too_long(tmp_path: Path, command: Command) -> None:
    assert "File name too long" in one_sentence(run(where(command, tmp_path / ("a" * 256))), command, FAILED[command])


def test_socket_name_that_is_too_long(tmp_path: Path) -> None:
    """Python's own error has no words of the system."""
    name = tmp_path / ("a" * 120)
    assert "too long" in one_sentence(run([*where(CLI, tmp_path), f"--rpc-file={name}"]), CLI, 2)
    done = run([*where(NODE, tmp_path), f"--rpc-file={name}", f"--log-file={tmp_path / 'log'}"])
    assert "too long" in one_sentence(done, NODE, 1)


@named
def test_command_line_that_is_not_utf_8(tmp_path: Path, command: Command) -> None:
    argv = [os.fsencode(word) for word in where(command, tmp_path)]
    done = subprocess.run(
        [argv[0], argv[1] + b"/\xff", *argv[2:]], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "UTF-8" in one_sentence(done, command, USAGE[command])


@named
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_output_that_cannot_be_written(command: Command, option: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [PROGRAMS / command[0], option], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE
        )
    assert done.returncode == {NODE: 1, CLI: 4, ALONE: 1}[command]
    assert done.stderr == f"{command[0]}: standard output cannot be written: No space left on device\n"


@named
def test_reader_that_has_seen_enough(command: Command) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [PROGRAMS / command[0], "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=PATIENCE
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@named
def test_closed_standard_files(command: Command) -> None:
    done = run(["/bin/sh", "-c", f"{PROGRAMS / command[0]} --help >&- <&-"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run(["/bin/sh", "-c", f"{PROGRAMS / command[0]} --nonsense >&- 2>&-"]).returncode == USAGE[command]


def test_terminal_that_is_not_utf_8(nodes: Nodes) -> None:
    node = nodes.start("--alias=é…", name="l1")
    command: list[str | Path] = [
        PROGRAMS / "lightning-cli-py",
        "--regtest",
        f"--lightning-dir={node.lightning_dir}",
        "--human-readable",
        "getinfo",
    ]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"alias: \\xe9\\u2026\n" in done.stdout


# Signals while a command starts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("command", "module"),
    [
        (NODE, "asyncio.base_events"),
        (NODE, "lightningd_py.node"),
        (NODE, "lightningd_py.hsm.sign"),
        (NODE, "connectd.reach.dial"),
        (NODE, "gossipd.ingest.pipeline"),
        (ALONE, "asyncio.base_events"),
        (ALONE, "lightningd_py.hsm.sign"),
    ],
)
def test_signal_while_it_starts(tmp_path: Path, command: Command, module: str, number: signal.Signals) -> None:
    """As from a terminal, to the whole group, when the command or one of its daemons has just loaded this module."""
    with subprocess.Popen(
        where(command, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.endswith(f" {module}\n"):
                os.killpg(process.pid, number)
                module = "-"
        assert module == "-", "".join(lines)
        assert process.wait(PATIENCE) == 0
    said = [line for line in lines if "import time:" not in line]
    assert [line for line in said if not re.match(r"\S+Z (INFO|UNUSUAL) ", line)] == []


def test_ctrl_c_while_the_cli_is_loaded(tmp_path: Path) -> None:
    with subprocess.Popen(
        where(CLI, tmp_path), stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.endswith(" argparse\n"):
                process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert [line for line in lines if "import time:" not in line] == []
