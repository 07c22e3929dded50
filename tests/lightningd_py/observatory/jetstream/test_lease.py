"""One recorder for each name, seen at a real NATS server; and clocks that differ."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from lightningd_py.observatory.jetstream import streams
from lightningd_py.observatory.jetstream.lease import MARGIN, TTL, Lease, Taken, identity
from lightningd_py.observatory.jetstream.streams import Wanted, make_streams
from tests.harness.jetstream import NatsServer
from tests.harness.waiting import until


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(streams, "TTL", 1.0)
    with NatsServer(tmp_path) as server:
        found = await nats.connect(server.url)
        await make_streams(found, Wanted("regtest", max_bytes=32 << 20))
        yield found
        await found.close()


def lease_of(spool: str, now: list[float] | None = None, vantage: str = "east") -> Lease:
    clock = now or [0.0]
    return Lease(spool, vantage, "regtest", lambda: clock[0])


async def test_one_at_a_time(client: Client) -> None:
    first, second, elsewhere = lease_of("a"), lease_of("b"), lease_of("b", vantage="west")
    await first.hold(client)
    await elsewhere.hold(client)
    with pytest.raises(Taken, match=r"^another recorder, at .*, records as east since 20"):
        await second.hold(client)
    assert first.is_held() and elsewhere.is_held() and not second.is_held()
    await first.leave(client)
    await second.hold(client)
    assert second.is_held() and not first.is_held()


async def test_run_that_was_killed_is_followed_at_once(client: Client) -> None:
    killed, next_, other = lease_of("a"), lease_of("a"), lease_of("b")
    await killed.hold(client)
    await next_.hold(client)
    await next_.hold(client)
    with pytest.raises(Taken):
        await other.hold(client)
    with pytest.raises(Taken):
        await killed.hold(client)  # so it was not killed: the spool was copied


async def test_name_that_is_not_renewed_is_free(client: Client) -> None:
    first, second = lease_of("a", now := [0.0]), lease_of("b")
    await first.hold(client)
    now[0] = TTL - MARGIN
    assert not first.is_held(), "before the server forgets it"

    async def is_let_in() -> bool:
        try:
            await second.hold(client)
        except Taken:
            return False
        return True

    await until(is_let_in, lambda: "the server has not forgotten it")
    with pytest.raises(Taken):
        await first.hold(client)


async def test_two_at_the_same_moment(client: Client) -> None:
    both = lease_of("a"), lease_of("b")
    found = await asyncio.gather(*(each.hold(client) for each in both), return_exceptions=True)
    assert sorted(type(each).__name__ for each in found) == ["NoneType", "Taken"]
    assert [each.is_held() for each in both].count(True) == 1


@pytest.mark.parametrize("said", [b"rubbish", b"[]", b'{"run": 7, "host": 8, "since": "x"}', b"\xff"])
async def test_holder_that_cannot_be_read(client: Client, said: bytes) -> None:
    await client.jetstream().publish("ln.regtest.vantages.east", said)
    if b"run" in said:
        with pytest.raises(Taken, match=r"records as east$"):
            await lease_of("a").hold(client)
    else:
        await lease_of("a").hold(client)


@pytest.mark.parametrize(("days", "words"), [(0, ""), (1, "24.0 h ahead of"), (-1, "24.0 h behind")])
async def test_clock_that_is_wrong(client: Client, monkeypatch: pytest.MonkeyPatch, days: int, words: str) -> None:
    found = lease_of("a")
    monkeypatch.setattr(time, "time_ns", lambda: int((time.time() + 86_400 * days) * 1e9))
    await found.hold(client)
    await found.hold(client)
    assert found.clock_trouble() == (f"the clock here is {words} that of the NATS server" if words else "")
    assert found.is_held()


def test_identity_is_made_once(tmp_path: Path) -> None:
    first = identity(tmp_path, "east")
    assert identity(tmp_path, "east") == first != identity(tmp_path, "west")


async def test_holder_is_told(client: Client) -> None:
    await lease_of("a").hold(client)
    found = await client.jetstream().get_last_msg("LN_VANTAGES", "ln.regtest.vantages.east")
    assert json.loads(found.data or b"").keys() == {"spool", "run", "host", "since"}
