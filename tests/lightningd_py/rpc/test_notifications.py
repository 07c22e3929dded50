"""What a client is told unasked: what it has asked for, in whole messages, and never more than it takes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.news.topics import CONNECT, LOG
from lightningd_py.rpc.notifications import MOST_WAITING, Hearing, Outbox, Wanted
from tests.lightningd_py.served_commands import Client, ServedCommands

EVENT = {"id": "02" * 33}


async def enabled(served: ServedCommands, *topics: str, level: str = "info") -> Client:
    client = await served.client()
    assert (await client.call("notifications", [True, list(topics), level]))["result"] == {}
    return client


async def turns() -> None:
    """Let all that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_topics_come_until_they_are_given_back(served: ServedCommands) -> None:
    client, other = await enabled(served, CONNECT), await served.client()
    served.topics.say(CONNECT, lambda: EVENT)
    assert await client.reply() == {"jsonrpc": "2.0", "method": CONNECT, "params": EVENT}
    assert (await client.call("notifications", [False]))["result"] == {}
    assert served.topics.taken == frozenset()
    served.topics.say(CONNECT, lambda: EVENT)
    for each in (client, other):
        assert (await each.call("echo", [1]))["result"]["what"] == 1


async def test_without_topics_only_one_s_own_commands_are_told_of(served: ServedCommands) -> None:
    client, silent = await enabled(served), await served.client()
    served.topics.say(CONNECT, lambda: EVENT)
    first = await client.call("steps")
    assert first["method"] == "message"
    assert first["params"] == {"id": 1, "message": "first", "level": "info", "progress": {"num": 0, "total": 2}}
    assert (await client.reply())["params"]["message"] == "second"
    assert await client.reply() == {"jsonrpc": "2.0", "id": 1, "result": {"done": True}}
    assert (await silent.call("steps"))["result"] == {"done": True}


async def test_who_asks_for_progress_gets_cln_s_own_notification_of_it(served: ServedCommands) -> None:
    client = await enabled(served, "progress")
    assert await client.call("steps") == {
        "jsonrpc": "2.0",
        "method": "progress",
        "params": {"id": 1, "num": 0, "total": 2},
    }
    assert [(await client.reply()).get("method") for _ in range(4)] == ["message", "progress", "message", None]


async def test_lines_of_the_log_from_a_level_on(served: ServedCommands) -> None:
    client = await enabled(served, LOG, level="unusual")
    for level in ("debug", "unusual", "info", "broken"):
        served.topics.say(LOG, lambda level=level: {"level": level})  # type: ignore[misc]
    assert [(await client.reply())["params"]["level"] for _ in range(2)] == ["unusual", "broken"]


@pytest.mark.parametrize(
    "params",
    [
        [],
        ["perhaps"],
        [True, ["nosuch"]],
        [True, 7],
        [True, {"connect": True}],
        [True, [["connect"]]],
        [True, "con"],
        [True, [], "loud"],
        [True, ["log"], "info", 4],
        {"enable": True, "topic": "log"},
    ],
)
async def test_rubbish(served: ServedCommands, params: Any) -> None:
    client = await served.client()
    assert (await client.call("notifications", params))["error"]["code"] == -32602
    assert served.topics.taken == frozenset()
    assert (await client.call("echo", [1]))["result"]["what"] == 1


# clients that do not read


async def test_a_client_that_does_not_read_loses_them_and_no_other_does(served: ServedCommands) -> None:
    """Its place is bounded; it is told how many it has lost, between whole messages, and its answer is whole, too."""
    deaf, other = await enabled(served, CONNECT), await enabled(served, CONNECT)
    deaf.transport.pause_reading()
    said = 20_000
    for number in range(said):
        served.topics.say(CONNECT, lambda number=number: {"n": number, "x": "x" * 100})  # type: ignore[misc]
        if number % 100 == 0:
            await turns()
        if number % 1_000 == 999:
            for _ in range(1_000):
                assert (await other.reply())["method"] == CONNECT
    boxes = [client.hearing.outbox for client in served.server.clients]
    assert max(box.size for box in boxes) <= MOST_WAITING
    assert sorted(box.lost_in_all for box in boxes)[0] == 0
    lost = max(box.lost_in_all for box in boxes)
    assert served.server.all_notifications_lost == lost > 0
    deaf.transport.resume_reading()
    deaf.say(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "echo", "params": [2]}).encode())
    came = 0
    while "id" not in (message := await deaf.reply()):
        came += message["method"] == CONNECT
    assert message["result"]["what"] == 2
    assert came == said - lost
    served.topics.say(CONNECT, lambda: EVENT)
    assert (await deaf.reply())["params"] == {"lost": lost}
    assert (await deaf.reply())["params"] == EVENT


@given(st.lists(st.one_of(st.integers(0, 100_000), st.none()), max_size=60))
def test_an_outbox_is_bounded_and_loses_nothing_unsaid(steps: list[int | None]) -> None:
    """Numbers are sizes of what is said; None: the client takes all."""
    box, said, came, told = Outbox(), 0, 0, 0
    for step in [*steps, None, 0, None]:
        if step is not None:
            said += 1
            box.put("connect", {"x": "x" * step})
        else:
            for each in filter(None, box.take_all().split(b"\n\n")):
                message = json.loads(each)
                came += message["method"] == "connect"
                told += message["params"].get("lost", 0)
        assert box.size <= MOST_WAITING + 100
        assert box.size == sum(map(len, box.waiting))
    assert came + told == said
    assert told == box.lost_in_all


async def test_a_client_that_goes_is_forgotten(served: ServedCommands) -> None:
    client = await enabled(served, CONNECT)
    assert served.topics.taken == {CONNECT}
    given_back = asyncio.Event()
    served.topics.changed.append(given_back.set)
    await client.close()
    await given_back.wait()
    assert served.topics.taken == frozenset()


async def test_the_next_program_goes_on_with_them(served: ServedCommands, tmp_path: Path) -> None:
    """With what the client wants, and what it has not taken: the middle of a message, too."""
    client = await enabled(served, CONNECT, "progress")
    client.transport.pause_reading()
    (ours,) = served.server.clients
    said = 0
    while not ours.hearing.outbox.lost_in_all:
        said += 1
        served.topics.say(CONNECT, lambda: {"x": "x" * 1_000})
        await turns()
    served.server.pause()
    left = served.server.leave()
    assert left.clients[0].unsaid
    following = ServedCommands(tmp_path / "rpc")
    following.server.resume(tmp_path / "rpc", left)
    assert following.topics.taken == {CONNECT}
    client.transport.resume_reading()
    for _ in range(said - 1):
        assert (await client.reply())["method"] == CONNECT
    following.topics.say(CONNECT, lambda: EVENT)
    assert (await client.reply())["params"] == EVENT
    assert (await client.call("steps"))["method"] == "progress"
    await following.server.close()


def test_nothing_is_kept_for_a_client_that_wants_nothing() -> None:
    hearing = Hearing()
    hearing.message(1, "x", {})
    hearing.progress(1, 0, 1)
    hearing.wanted = Wanted(enabled=True)
    hearing.progress(1, 0, 1)
    assert not hearing.outbox.waiting
