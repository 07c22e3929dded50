"""`lightning-cli-py feed --nats` and `top --nats`: what many vantage points hear, out of what their recorders send."""

import argparse
import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from wire.bus.feed import FeedMessage
from wire.command.text import replaced

if TYPE_CHECKING:
    from lightningd_py.observatory.jetstream.connecting import Access


class NoNats(Exception):
    """Nothing can be shown; the text is one sentence."""


def access_of(arguments: argparse.Namespace) -> "Access":
    """What lets us in. Raises NoNats."""
    from lightningd_py.observatory.jetstream.access import access
    from lightningd_py.observatory.tables.errors import ObservatoryError

    try:
        return access(arguments)
    except ObservatoryError as error:
        raise NoNats(str(error)) from error


def follow(
    arguments: argparse.Namespace,
    network: str,
    topics: Collection[str],
    say: Callable[[str], None],
    complain: Callable[[str], None],
    *,
    as_json: bool,
) -> None:
    """Say each message until Ctrl-C. Raises NoNats if no server can be reached."""
    access = access_of(arguments)
    from lightningd_py.cli.feed_output import json_line
    from lightningd_py.observatory.live.feed import follow as follow_all
    from lightningd_py.observatory.tables.errors import ObservatoryError

    def heard(message: FeedMessage, lost: int) -> None:
        if lost and not as_json:
            say(f"{lost} batches lost of {replaced(message.vantage)}")
        say(json_line(message, lost) if as_json else vantage_line(message, dated=arguments.dates))

    try:
        asyncio.run(follow_all(access, network, arguments.vantage, topics, heard, complain))
    except ObservatoryError as error:
        raise NoNats(str(error)) from error
    except KeyboardInterrupt:
        return


def vantage_line(message: FeedMessage, *, dated: bool = False) -> str:
    """As of a node, behind the vantage point."""
    from lightningd_py.cli.feed_output import line

    return f"{replaced(message.vantage)[:20]:<10}  {line(message, dated=dated)}"


def watch_all(arguments: argparse.Namespace, network: str) -> None:
    """The live screen, until q or Ctrl-C. Raises NoNats."""
    access = access_of(arguments)
    from lightningd_py.observatory.live.top import watch

    watch(access, network, arguments.vantage, arguments.interval)
