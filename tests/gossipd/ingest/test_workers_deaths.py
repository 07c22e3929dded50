"""What the death of signature workers costs: only the sender of the message that has brought it about."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from gossipd.ingest import workers
from gossipd.ingest.signatures import SignatureChecks
from gossipd.map import loading
from gossipd.verdict import Verdict
from tests.gossipd.bench import Bench
from tests.gossipd.messages import announcement, spoilt, update

HONEST, STRANGER = 1, 2


async def test_a_message_that_kills_workers_costs_its_sender(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    deadly, check = spoilt(announcement(1), 70), workers.check

    def deadly_check(message: bytes, key: bytes) -> int:
        if message == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return check(message, key)

    monkeypatch.setattr(workers, "check", deadly_check)
    answered = asyncio.Event()
    signatures = SignatureChecks(workers.Workers(1), asyncio.get_running_loop(), answered.set)
    bench = Bench(path, *loading.load(path), signatures=signatures)  # type: ignore[arg-type]
    said = [bench.ingest.receive(each, HONEST) for each in (announcement(), update(), announcement(2), update(2))]
    said.append(bench.ingest.receive(deadly, STRANGER))
    assert Verdict.OWED not in said
    async with asyncio.timeout(60):
        while signatures.waiting:
            await answered.wait()
            answered.clear()
    assert [(source, text) for source, text, _ in bench.faults] == [
        (STRANGER, "channel_announcement 101x1x0: bad signatures")
    ]
    assert len(bench.index.channels) == 2
    assert bench.ingest.receive(deadly, STRANGER) is Verdict.REFUSED
    signatures.close()
    bench.store.close()
