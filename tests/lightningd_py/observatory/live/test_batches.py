"""Batches of a real NATS server's subjects: each once, gaps counted, rubbish left out and told of once."""

import asyncio
from pathlib import Path

import nats
import pyarrow as pa

from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.live.batches import Batch, Live
from tests.harness.jetstream import NatsServer
from tests.harness.waiting import until
from tests.lightningd_py.observatory.live.made import arrivals

SUBJECT = "ln.regtest.arrivals.east"


def body(found: Batch) -> bytes:
    """As a recorder sends it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.rows.schema) as writer:
        writer.write_batch(found.rows)
    return sink.getvalue().to_pybytes()


async def test_each_once(tmp_path: Path) -> None:
    heard: list[Batch] = []
    said: list[str] = []
    wrong: list[str] = []
    stopping, there = asyncio.Event(), asyncio.Event()
    made = body(arrivals("east", b"\1\2a", b"\1\2b"))
    with NatsServer(tmp_path) as server:
        live = Live(Access(server.url), "regtest", ["east"], ["arrivals"], said.append, wrong.append)
        running = asyncio.create_task(live.run(heard.append, stopping, there.set))
        await there.wait()
        client = await nats.connect(server.url)

        async def say(id: str, content: bytes = made, subject: str = SUBJECT) -> None:
            await client.publish(subject, content, headers={"Nats-Msg-Id": id, "Ln-Schema": "1"})

        for number in (3, 4, 4, 3, 7):
            await say(f"east-1-arrivals-{number}")
        for _ in range(3):
            await say("east-1-arrivals-8", b"rubbish")
        await say("west-1-arrivals-0", made, "ln.regtest.arrivals.west")
        await say("east-2-arrivals-0")

        async def all_() -> bool:
            return len(heard) == 4

        await until(all_, lambda: str(heard))
        assert [(found.vantage, found.rows.num_rows, found.lost) for found in heard] == [
            ("east", 2, 0),
            ("east", 2, 0),
            ("east", 2, 2),
            ("east", 2, 0),
        ]
        assert len(wrong) == 1 and "a message is left out: it is no Arrow batch" in wrong[0]
        await client.close()
        stopping.set()
        await running
    assert not said
