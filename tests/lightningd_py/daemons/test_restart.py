"""How long a daemon that has died is waited for, when there were too many deaths, and when lost peers are dialled."""

import asyncio
from collections.abc import Iterable

from lightningd_py.daemons.restart import FIRST_WAIT, MINUTE, MOST_DEATHS, Deaths, Restartable, Restarts, manner
from tests.harness.waiting import until


def test_waits_double_until_it_is_too_much() -> None:
    deaths = Deaths()
    waits = [deaths.one_more(float(second)) for second in range(MOST_DEATHS)]
    assert waits == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT, None]


def test_deaths_of_long_ago_do_not_count() -> None:
    deaths = Deaths()
    for number in range(3 * MOST_DEATHS):
        assert deaths.one_more(number * MINUTE / (MOST_DEATHS - 2)) is not None
    assert deaths.one_more(1_000 * MINUTE) == FIRST_WAIT


def test_how_it_has_died() -> None:
    manners = [manner(exit_status) for exit_status in (-9, 1, -40)]
    assert manners == ["killed by SIGKILL", "exit status 1", "killed by signal 40"]


async def test_lost_peers_are_dialled_when_every_daemon_is_there() -> None:
    """None while another daemon is away: their connections would have nowhere to go."""
    dialled: list[bytes] = []

    def dial_again(node_ids: Iterable[bytes]) -> None:
        dialled.extend(node_ids)

    restart = Restarts(lambda reason: None)
    may_start = {"connectd": asyncio.Event(), "gossipd": asyncio.Event()}

    def restartable(name: str) -> Restartable:
        async def start() -> None:
            await may_start[name].wait()

        return Restartable(start, lambda: None)

    restart.begin({name: restartable(name) for name in may_start}, dial_again)
    for name in may_start:
        restart.died(name, -9)
    restart.lost(b"one")
    first = restart._away["gossipd"]
    may_start["gossipd"].set()
    await first
    restart.lost(b"two")
    assert dialled == []
    may_start["connectd"].set()

    async def all_there() -> bool:
        return sorted(dialled) == [b"one", b"two"]

    await until(all_there, "lost peers are not dialled")
    restart.close()
