"""Restarts under load: with 1,000 peers; a hundred in a row; kills in their midst; crashes with strangers waiting."""

import asyncio
import os
import signal
import sys
from typing import Any

from lightningd_py.daemons.moving import MOVABLE
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import patient_node
from tests.harness.crowd import OPTIONS, Crowd, Mix
from tests.harness.killed import LOST, kill_often, serves
from tests.harness.node import Nodes
from tests.harness.restarted import failed, restart, restart_often
from tests.harness.siege.truth import known_and_news, tell
from tests.torture.torture import Torture, told

MIX = Mix(pinging=100, by_websocket=20, telling=20, hearing=20, asking=10, of_programs=50, of_buses=50, idle=730)
SMALL = Mix(pinging=5, by_websocket=2, telling=3, hearing=3, asking=3, of_programs=2, of_buses=2, idle=2)
CHANNELS, KNOWN = 1_200, 200
PROGRAM = (sys.executable, "-P", patient_node.__file__)
PAUSE = 1.0
"""Seconds between two rounds of a member: else the crowd's own process would be what is measured."""
IN_A_ROW = 100
KILLS, KILLS_TIME = 200, 1_200.0
AT_THE_DOOR, CRASHES = 200, 5


async def run(torture: Torture) -> None:
    """All four."""
    await _thousand(torture)
    await _in_a_row(torture)
    await _kills(torture)
    await _door(torture)


def _scaled(torture: Torture, mix: Mix) -> Mix:
    return Mix(**{kind: torture.count(count) for kind, count in vars(mix).items()})


async def _thousand(torture: Torture) -> None:
    """A line for each process."""
    mix = _scaled(torture, MIX)
    known, news = known_and_news(torture.count(CHANNELS) + 1, torture.count(KNOWN))
    with torture.nodes("restarts") as nodes:
        node = await asyncio.to_thread(nodes.start, *OPTIONS, program=PROGRAM)
        await tell(node, known)
        async with Crowd(node, known, news, mix, PAUSE) as crowd:
            crowd.latest()
            crowd.pace.all_at_once()
            await crowd.go_on()
            quiet, ours = crowd.latest()
            print(f"{mix.all} peers without a restart: latest answer {quiet:.2f} s, of which ours {ours:.2f} s")
            for what in MOVABLE:
                await _one(torture, crowd, what)
            if missing := await crowd.has_told():
                torture.tell("the map after all that", "not whole", missing)


async def _one(torture: Torture, crowd: Crowd, what: str) -> None:
    before = await crowd.conn_ids()
    crowd.latest()
    harm: list[str] = []
    done: dict[str, Any] = {}
    try:
        crowd.pace.all_at_once()
        done = await restart(crowd.node, what)
        harm += failed(done)
        await crowd.go_on()
    except Exception as error:
        harm.append(repr(error))
    latest, ours = crowd.latest()
    lost = len(before.items() - (await crowd.conn_ids()).items())
    if lost:
        harm.append(f"{lost} peers were disconnected")
    figures = f"{len(before)} peers, {lost} disconnected, {done.get('milliseconds')} ms"
    torture.tell(f"restart {what}", f"{figures}, latest answer {latest:.2f} s (ours {ours:.2f} s)", harm)


async def _in_a_row(torture: Torture) -> None:
    known, news = known_and_news(400, 60)
    for what in MOVABLE:
        with torture.nodes(f"row-{what}") as nodes:
            node = await asyncio.to_thread(nodes.start, *OPTIONS, program=PROGRAM)
            await tell(node, known)
            async with Crowd(node, known, news, SMALL) as crowd:
                before = await crowd.conn_ids()
                grown = await restart_often(crowd, what, torture.count(IN_A_ROW))
                harm = [f"{name}: {then}, now {now}" for name, (then, now) in grown.left_behind.items()]
                if await crowd.conn_ids() != before:
                    harm.append("a peer was disconnected")
            memory = told({name: f"{more:+.1f} MB" for name, more in grown.memory.items() if abs(more) >= 0.5})
            milliseconds = sorted(grown.milliseconds)
            median = milliseconds[len(milliseconds) // 2]
            figures = f"{grown.done} in a row, median {median} ms; memory {memory or 'as before'}"
            torture.tell(f"restarts of {what}", figures, harm)


async def _kills(torture: Torture) -> None:
    known, _ = known_and_news(61, 60)
    with torture.nodes("restart-kills") as nodes:
        seconds = torture.share * KILLS_TIME
        kills = await kill_often(nodes, known, torture.count(KILLS), torture.chance, seconds)
        figures = f"{kills.rounds} rounds, {told(kills.killed)} killed; {kills.went_on} restarts done all the same"
        torture.tell("kills in a restart", f"{figures}, {kills.lost} connections lost, the map whole", kills.harm)


async def _door(torture: Torture) -> None:
    """connectd crashes while so many strangers have connected and were not accepted."""
    served, harm = 0, []
    with torture.nodes("door") as nodes:
        for _ in range(torture.count(CRASHES)):
            answered = await knock_while_it_dies(nodes, AT_THE_DOOR)
            served += answered
            if answered < AT_THE_DOOR:
                harm.append(f"{AT_THE_DOOR - answered} of {AT_THE_DOOR} were not served")
    torture.tell("crashes of connectd", f"{served} strangers at the door, all served by the next one", harm)


async def knock_while_it_dies(nodes: Nodes, count: int) -> int:
    """How many of so many are served."""
    node = await asyncio.to_thread(nodes.start, *OPTIONS)
    pid = node.pids()["connectd"]
    os.kill(pid, signal.SIGSTOP)
    strangers = [await ScriptedPeer.dial(node.target) for _ in range(count)]
    greeting = [asyncio.create_task(_greet(stranger)) for stranger in strangers]
    os.kill(pid, signal.SIGKILL)
    answered = sum(await asyncio.gather(*greeting))
    await serves(node)
    for stranger in strangers:
        await stranger.close()
    await asyncio.to_thread(node.stop)
    return answered


async def _greet(stranger: ScriptedPeer) -> bool:
    try:
        await stranger.shake_hands()
        await stranger.exchange_init()
        await stranger.sync(60)
    except LOST:
        return False
    return True
