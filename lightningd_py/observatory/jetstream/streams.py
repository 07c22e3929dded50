"""The streams: made by `lightning-observatory init` with what was asked for, and looked at by those who use them."""

from typing import NamedTuple

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from lightningd_py.observatory.jetstream.connecting import FAILURES, reason, stream_info
from lightningd_py.observatory.jetstream.lease import TTL
from lightningd_py.observatory.jetstream.names import (
    ARRIVALS,
    MESSAGES,
    STREAM_OF,
    VANTAGES,
    VANTAGES_STREAM,
    subject,
)
from lightningd_py.observatory.tables.errors import ObservatoryError

WINDOW, MESSAGES_WINDOW = 600.0, 3600.0
"""Seconds in which the server knows a message again: batches that were sent twice, messages that many hear."""
VANTAGES_BYTES = 16 << 20
"""Of the stream of leases: some 300 bytes for each vantage point."""


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
    ] + [_vantages(wanted)]


def _vantages(wanted: Wanted) -> StreamConfig:
    """Who sends under which name: the last message of each, for as long as a lease lasts."""
    return StreamConfig(
        name=VANTAGES_STREAM,
        subjects=[subject(wanted.network, VANTAGES)],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=TTL,
        max_msgs_per_subject=1,
        max_bytes=VANTAGES_BYTES,
        num_replicas=wanted.replicas,
        duplicate_window=TTL,
    )


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


async def check_streams(client: Client, network: str, *, leases: bool = False) -> None:
    """`leases`: also the stream of those. Raises ObservatoryError if one is not there, or would lose what it is given,
    and FAILURES."""
    for table, stream in STREAM_OF.items():
        await _check(client, stream, subject(network, table))
    if leases:
        await _check(client, VANTAGES_STREAM, subject(network, VANTAGES))


async def _check(client: Client, stream: str, taken: str) -> None:
    info = await stream_info(client, stream)
    if info is None or taken not in (info.config.subjects or ()):
        raise ObservatoryError(f"no stream takes {taken}: `lightning-observatory init` makes them")
    if info.config.discard != DiscardPolicy.NEW or info.config.retention != RetentionPolicy.LIMITS:
        raise ObservatoryError(f"stream {stream} would lose batches: its policies are not those of `init`")
