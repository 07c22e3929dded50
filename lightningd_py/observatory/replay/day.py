"""A made-up day of the network, planned before it is said: which peer says which message to which node, and when.

What is said, and how much of each kind, is what gossip_observer saw on 2025-09-26 (60 % channel_updates, 30 %
node_announcements, 10 % channel_announcements); 75 % of the peers have a message after 200 s of such a day, of which
`seconds` are made here. A few channels say most of the updates. The same arguments make the same day.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lightningd_py.observatory.replay.speakers import Due, Script
from lightningd_py.tools.synthetic_map import SignedChannel, SyntheticMap

DAY = 86_400
KINDS = {"update": 0.603, "node": 0.301, "channel": 0.096}
MEDIAN, SIGMA = 90.0, 1.2
"""Of the delay of a peer, log-normal, in seconds of a real day: 75 % within 200 s."""
MISSES, REPEATS = 0.1, 0.15
"""Shares of messages that a peer never says, and says twice."""
NOISY = 0.2
"""Share of channels that say four in five updates."""
CHURN = 2
"""How often a peer goes and comes again, at most."""
FIRST_SAYERS = 2
"""Peers that say each message of the map that was there before."""


class Event(NamedTuple):
    """Something new: one message, or a channel's announcement with its two updates."""

    at: float
    messages: tuple[bytes, ...]


class Sizes(NamedTuple):
    """`seconds` of the day proper, which begins after `sync` seconds in which the map is said that is there already.
    `new`: how many of the map's channels are opened on that day, at most."""

    peers: int = 40
    seconds: float = 600.0
    events: int = 5_000
    sync: float = 10.0
    new: int = 200


class Day(NamedTuple):
    """The map of before, and what is new."""

    before: list[SignedChannel]
    nodes: list[bytes]
    events: list[Event]
    sizes: Sizes


def plan_day(made: SyntheticMap, sizes: Sizes, seed: int) -> Day:
    """Sign it all. Timestamps of the new go on from `made.now`, which is when the day begins."""
    chance = random.Random(f"{seed}/day")  # noqa: S311 - it is to be the same again
    new = min(sizes.new, len(made.edges) // 10)
    first_new = len(made.edges) - new
    known = {node for edge in made.edges[:first_new] for node in edge[:2]}
    opened = [number for number in range(first_new, len(made.edges)) if {*made.edges[number][:2]} <= known]
    events = list(_events(made, sizes, chance, first_new, sorted(known), opened))
    before = [made.channel(number) for number in range(first_new)]
    nodes = [made.node_announcement(node, made.now - DAY) for node in sorted(known)]
    return Day(before, nodes, events, sizes)


def _events(
    made: SyntheticMap, sizes: Sizes, chance: random.Random, channels: int, nodes: list[int], opened: list[int]
) -> Iterator[Event]:
    last: dict[tuple[int, ...], int] = {}
    noisy = range(max(1, int(channels * NOISY)))
    times = sorted(chance.uniform(0, sizes.seconds * 0.9) for _ in range(sizes.events))
    waiting = list(opened)

    def timestamp(at: float, *key: int) -> int:
        """Later than the one before."""
        last[key] = max(last.get(key, 0) + 1, made.now + int(at))
        return last[key]

    for at in times:
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "channel" and waiting:
            channel = made.channel(waiting.pop(0))
            yield Event(at, (channel.announcement, *channel.updates))
        elif kind == "node":
            node = chance.choice(nodes)
            yield Event(at, (made.node_announcement(node, timestamp(at, node)),))
        else:
            number = chance.choice(noisy) if chance.random() < 0.8 else chance.randrange(channels)
            direction = chance.randrange(2)
            fee = chance.randrange(5_000)
            yield Event(at, (made.update(number, direction, timestamp(at, number, direction), fee),))


def scripts(day: Day, targets: Sequence[str], seed: int) -> list[Script]:
    """What each peer says to each of the nodes."""
    chance = random.Random(f"{seed}/scripts")  # noqa: S311
    sizes = day.sizes
    secrets = [chance.randbytes(32) for _ in range(sizes.peers)]
    says: list[list[list[Due]]] = [[[] for _ in targets] for _ in secrets]
    for number, messages in enumerate(_before(day)):
        for sayer in range(FIRST_SAYERS):
            for own in says[(number + sayer) % sizes.peers]:
                own.extend(Due(0.0, raw) for raw in messages)
    scale = sizes.seconds / DAY
    for event in day.events:
        for peer in says:
            if chance.random() < MISSES:
                continue
            delay = MEDIAN * chance.lognormvariate(0, SIGMA) * scale
            repeats = chance.random() < REPEATS
            for own in peer:
                at = event.at + delay * chance.uniform(0.9, 1.1)
                own.extend(Due(sizes.sync + at, raw) for raw in event.messages)
                if repeats:
                    own.extend(Due(sizes.sync + at + delay, raw) for raw in event.messages)
    return [
        Script(target, secret, sorted(own, key=lambda due: due.at), _down(chance, sizes))
        for secret, peer in zip(secrets, says, strict=True)
        for target, own in zip(targets, peer, strict=True)
    ]


def _before(day: Day) -> Iterator[tuple[bytes, ...]]:
    """Nodes come after the channels: each peer says its own in this order."""
    for channel in day.before:
        yield (channel.announcement, *channel.updates)
    for raw in day.nodes:
        yield (raw,)


def _down(chance: random.Random, sizes: Sizes) -> list[tuple[float, float]]:
    """Stretches in which a peer is away, of a fiftieth of the day each, never two at once."""
    away = sizes.seconds / 50
    begins = sorted(chance.uniform(0.1, 0.9) * sizes.seconds for _ in range(chance.randrange(CHURN + 1)))
    found: list[tuple[float, float]] = []
    for begin in begins:
        if not found or sizes.sync + begin > found[-1][1] + away:
            found.append((sizes.sync + begin, sizes.sync + begin + away))
    return found


def is_away(script: Script, at: float) -> bool:
    """Whether the peer is not connected then."""
    place = bisect_right([begin for begin, _ in script.down], at)
    return place > 0 and at < script.down[place - 1][1]
