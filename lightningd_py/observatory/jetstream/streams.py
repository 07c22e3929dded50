"""The streams: made by `lightning-observatory init` with what was asked for, and looked at by those who use them."""

from collections.abc import Sequence
from typing import NamedTuple

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from lightningd_py.observatory.jetstream.connecting import FAILURES, reason, stream_info
from lightningd_py.observatory.jetstream.names import ARRIVALS, MESSAGES, STREAM_OF, subject
from lightningd_py.observatory.tables.errors import ObservatoryError

WINDOW, MESSAGES_WINDOW = 600.0, 3600.0
"""Seconds in which the server knows a message again: batches that were sent twice, messages that many hear."""


class Wanted(NamedTuple):
    """What is asked for. `max_age`: seconds. `max_bytes`: of the arrivals' stream; the others get an eighth of it."""

    network: str
    max_age: float = 72 * 3600.0
    max_bytes: int = 8 << 30
    replicas: int = 1


def configs(wanted: Wanted) -> list[StreamConfig]:
    """Of all streams. A stream that is full takes nothing more: the recorders' spools keep it."""
    return [
        StreamConfig(
            name=stream,
            subjects=[subject(wanted.network, table) for table, its in STREAM_OF.items() if its == stream],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_age=wanted.max_age,
            max_bytes=wanted.max_bytes if stream == ARRIVALS else wanted.max_bytes // 8,
            num_replicas=wanted.replicas,
            duplicate_window=MESSAGES_WINDOW if stream == MESSAGES else WINDOW,
        )
        for stream in dict.fromkeys(STREAM_OF.values())
    ]


async def make_streams(client: Client, wanted: Wanted) -> list[str]:
    """Make or change them to what is asked for; a sentence for each. Raises ObservatoryError."""
    done = []
    for config in configs(wanted):
        assert config.name is not None
        try:
            there = await stream_info(client, config.name)
            if there is None:
                await client.jetstream().add_stream(config)
                done.append(f"{config.name} is made")
            elif _differs(there.config, config):
                config.subjects = sorted({*(there.config.subjects or ()), *(config.subjects or ())})
                await client.jetstream().update_stream(config)
                done.append(f"{config.name} is changed")
            else:
                done.append(f"{config.name} is there")
        except FAILURES as error:
            raise ObservatoryError(f"{config.name}: {reason(error)}") from error
    return done


def _differs(there: StreamConfig, wanted: StreamConfig) -> bool:
    """A stream may serve several networks."""
    missing = set(wanted.subjects or ()) - set(there.subjects or ())
    same = ("max_age", "max_bytes", "num_replicas", "duplicate_window", "discard")
    return bool(missing) or any(getattr(there, name) != getattr(wanted, name) for name in same)


async def check_streams(client: Client, network: str, tables: Sequence[str] = tuple(STREAM_OF)) -> None:
    """Raises ObservatoryError if one is not there, or would lose what it is given, and FAILURES."""
    for table in tables:
        stream = STREAM_OF[table]
        info = await stream_info(client, stream)
        if info is None or subject(network, table) not in (info.config.subjects or ()):
            raise ObservatoryError(
                f"no stream takes {subject(network, table)}: `lightning-observatory init` makes them"
            )
        if info.config.discard != DiscardPolicy.NEW or info.config.retention != RetentionPolicy.LIMITS:
            raise ObservatoryError(f"stream {stream} would lose batches: its policies are not those of `init`")
