"""Many messages of the feed in one of ZMQ's, for subscribers that ask for it: topics and form (docs/feed.md).

A batch is a message of the feed: its topic is `batch.` with the kind of its messages, and among its keys is `messages`:
[topic, {seq, time_ns, ...}] each, without what is the same for all. What can be found out from `raw` is not in it;
`complete` finds it out. A subscriber learns by a question whether the node makes batches: it takes a topic of its own,
and an answer comes.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgpack

from wire.bus.feed import TOPICS, VERSION, FeedError
from wire.gossip_v2.about import subject, undated

BATCH = "batch."
QUESTION = BATCH + "?"
"""Who takes a topic that begins so gets one batch of that topic, an empty one: batches are made here."""
KINDS = tuple(dict.fromkeys(topic.partition(".")[0] for topic in TOPICS))
"""gossip, sent, map, peer."""
BATCHES = tuple(BATCH + kind for kind in KINDS)
_ABOUT_GOSSIP = ("gossip.", "sent.")
_ALL_BUT_SENT = BATCH.encode()

Values = dict[str, Any]


class Unreadable(FeedError):
    """What came is no message, nor a batch."""


def batched_topics_of(prefixes: Iterable[bytes]) -> frozenset[str]:
    """The topics whose batches these subscriptions take; what is said to peers has to be asked for by name."""
    plain = tuple(prefix for prefix in prefixes if prefix.startswith(_ALL_BUT_SENT))
    named = tuple(prefix for prefix in plain if prefix != _ALL_BUT_SENT)
    kinds = {kind for kind in KINDS if f"{BATCH}{kind}".encode().startswith(named if kind == "sent" else plain)}
    return frozenset(topic for topic in TOPICS if topic.partition(".")[0] in kinds)


def batches_for(topics: Iterable[str]) -> dict[str, str] | None:
    """The batches that bring just what these prefixes take, with the prefix of their kind; None if one of these takes
    a part of a kind only."""
    found: dict[str, str] = {}
    for prefix in topics:
        kinds = [kind for kind in KINDS if f"{kind}.".startswith(prefix) and (prefix or kind != "sent")]
        if not kinds:
            return None
        found |= {BATCH + kind: f"{kind}." for kind in kinds}
    return found


def opened(topic: bytes, body: bytes) -> Iterator[tuple[str, Values]]:
    """(topic, values) of each message in these frames, be it one or a batch. Raises FeedError if the feed is
    of another version, Unreadable for anything else that is wrong."""
    try:
        name, values = topic.decode("ascii"), msgpack.unpackb(body)
        if values["v"] != VERSION:
            raise FeedError(f"the feed speaks version {values['v']}, which is not known here")
        if not name.startswith(BATCH):
            yield name, values
            return
        for each, said in values.pop("messages"):
            yield each, {**values, **said}
    except (ValueError, TypeError, KeyError, AttributeError, msgpack.UnpackException) as error:
        raise Unreadable(f"no message of a feed: {error!r}") from error


def complete(topic: str, values: Values) -> Values:
    """The same with what a message in a batch lacks: of what comes in and goes out all that `raw` says."""
    raw = values.get("raw")
    if topic.startswith(_ABOUT_GOSSIP) and "hash" not in values and isinstance(raw, bytes) and len(raw) >= 2:
        outer = hashlib.sha256(raw).digest()
        said = undated(raw)
        values["type"], values["size"], values["hash"] = raw[0] << 8 | raw[1], len(raw), outer
        values["inner_hash"] = outer if said is None else hashlib.sha256(said).digest()
        values["short_channel_id"], values["direction"], values["about"], values["timestamp"] = subject(raw)
    return values
