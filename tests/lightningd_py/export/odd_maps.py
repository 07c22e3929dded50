"""Small gossip_stores whose nodes have aliases that strangers may think of."""

from pathlib import Path

from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from wire.gossip_layout import BODY_ADDRLEN, BODY_ALIAS, channel_keys, node_body, node_id_of, node_timestamp

NOW = 1_790_000_000
ALIASES = [
    b"\x1b[31mred\x07\x00inside",
    b"<script>alert('&amp;')</script>",
    "\u0301".encode() * 16,
    b'=cmd|"/C calc",A1\r\n',
    b'\\N\\G\\x41 "quoted" \\',
    "\ufffe\uffff\U0001f600".encode(),
    b"\xff\xfe]]>",
    "\u202eabc\u2028".encode(),
]
"""As announced, without the zeros behind."""


def odd_map() -> SyntheticMap:
    return SyntheticMap(random_edges(5, 20, len(ALIASES) + 1), 5, NOW)


def write_odd_store(path: Path) -> Path:
    """20 channels; each node but the last has an announcement with one of ALIASES, by node_id; the last has none. The
    third channel has an update of one direction, the fourth none, the fifth no known capacity."""
    made = odd_map()
    announcements = sorted(made.node_announcements(), key=node_id_of)
    store = GossipStore.open(path)
    for number, channel in enumerate(made.channels()):
        store.append_channel(channel.announcement, 0, -1 if number == 4 else channel.capacity_sat)
        for update, timestamp in list(zip(channel.updates, channel.timestamps, strict=True))[
            : {2: 1, 3: 0}.get(number, 2)
        ]:
            store.append(update, timestamp)
    for raw, alias in zip(announcements, ALIASES, strict=False):
        store.append(with_alias(raw, alias), node_timestamp(raw))
    store.close()
    return path


def with_alias(raw: bytes, alias: bytes) -> bytes:
    at = node_body(raw)
    return raw[: at + BODY_ALIAS] + alias.ljust(32, b"\0") + raw[at + BODY_ADDRLEN :]


def write_empty_store(path: Path) -> Path:
    GossipStore.open(path).close()
    return path


def write_one_node(path: Path) -> Path:
    """One channel between two nodes, of which one is announced."""
    made = SyntheticMap(random_edges(5, 1, 2), 5, NOW)
    store = GossipStore.open(path)
    channel = made.channel(0)
    store.append_channel(channel.announcement, 0, channel.capacity_sat)
    raw = made.node_announcement(0, NOW)
    assert node_id_of(raw) in channel_keys(channel.announcement)[:2]
    store.append(raw, NOW)
    store.close()
    return path
