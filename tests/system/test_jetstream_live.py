"""What all vantage points hear, as it comes, at a real NATS server: `feed --nats`, `top --nats`."""

import contextlib
import json
import os
import pty
import select
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.jetstream import NatsServer, Talk, make_streams, recording
from tests.harness.node import PROGRAMS
from tests.harness.observatories import PATIENCE, until

PROGRAM = PROGRAMS / "lightning-cli-py"


@pytest.fixture
def talks(tmp_path: Path) -> Iterator[list[Talk]]:
    found = [Talk(tmp_path / name, 200) for name in ("east", "west")]
    yield found
    for talk in found:
        talk.end()


@pytest.mark.long
def test_feed_and_top_of_all(tmp_path: Path, talks: list[Talk]) -> None:
    """From a recorder's first batch on each arrival is said once."""
    with NatsServer(tmp_path) as server:
        make_streams(server)
        words: list[str | Path] = [PROGRAM, "--network=regtest", "feed", "--json", "--nats", server.url, "gossip."]
        with feed(*words) as of_all, feed(*words, "--vantage", "west") as of_one:
            until(lambda: connections(server) >= 2, "both subscribers")
            with recording(tmp_path / "a", talks[0], server), recording(tmp_path / "b", talks[1], server):
                heard = take(of_all, 400)
                assert {each["vantage"] for each in heard} == {"east", "west"}
                assert {each["topic"] for each in heard} == {"gossip.channel_update"}
                assert sum(1 for each in heard if each["raw"]) > 300, "the messages themselves have come"
                assert not [each for each in heard if each.get("lost")]
                counts = Counter((each["vantage"], each["conn_id"], each["hash"]) for each in heard)
                assert set(counts.values()) == {1}
                assert {each["vantage"] for each in take(of_one, 100)} == {"west"}
                screen = top(server)
                assert "2 vantage points" in screen and "east" in screen and "west" in screen


@contextlib.contextmanager
def feed(*words: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """`feed` with its lines to read; it does not end by itself, so it is killed, whatever comes of the test."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def connections(server: NatsServer) -> int:
    """Of clients, in the kernel's list."""
    where = f"0100007F:{server.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(1 for words in lines if words[1] == where and words[3] == "01")


def take(process: "subprocess.Popen[str]", count: int) -> list[dict[str, object]]:
    """So many lines of JSON."""
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def top(server: NatsServer) -> str:
    """What its screen has shown until both have come, and q."""
    master, slave = pty.openpty()
    words: list[str | Path] = [PROGRAM, "--network=regtest", "top", "--interval=0.2", "--nats", server.url]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "20"}
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, master)
        process = stack.enter_context(subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=environment))
        stack.callback(process.kill)
        os.close(slave)
        shown, deadline = b"", time.monotonic() + PATIENCE
        while not (b"east" in shown and b"west" in shown):
            assert time.monotonic() < deadline, shown
            if select.select([master], [], [], 1.0)[0]:
                shown += os.read(master, 65_536)
        os.write(master, b"sq")
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline, shown
            if select.select([master], [], [], 0.1)[0]:
                try:
                    shown += os.read(master, 65_536)
                except OSError:
                    break
        assert process.wait(PATIENCE) == 0
    return shown.decode(errors="replace")


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    for words, said in (
        (("feed", "--nats", "nats://127.0.0.1:1"), "nats://127.0.0.1:1: "),
        (("feed", "--nats", "nats://127.0.0.1:1", "--nats-creds", str(tmp_path / "x")), "x: No such file or directory"),
    ):
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
