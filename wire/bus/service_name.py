"""How a service may be called: a program of the options, or a client that says hello on a bus."""

import re

RESERVED = frozenset(
    {"lightningd", "master", "connectd", "gossipd", "connectiond", "hsmd", "listingd", "oniond", "websocketd"}
)
"""The daemons' own: a connection's owner must be told from its name alone."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")


def name_flaw(name: str) -> str | None:
    """Why no service may be called so, as the end of a sentence that begins with the name. None if it may."""
    if not _NAME.fullmatch(name):
        return "is no name of a service: 1 to 32 of a-z, 0-9, _, . and -, the first a letter or digit"
    return "is the name of a daemon" if name in RESERVED else None
