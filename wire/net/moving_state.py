"""What may be wrong with the state in which a connection moves: its last owner may be any program, or be taken over.

Looked at by the master, for what comes to it, and by owners, for what they are given.
"""

import dataclasses
import operator
from collections.abc import Sequence

from wire.crypto_state import MAX_MESSAGE, MAX_UNREAD, PeerState, Traffic, check_nonces
from wire.net.gossip_queue import MAX_LEFT_OVER

KEY_SIZE = 32
MAX_UNSENT = 1 << 20
"""Bytes: a batch and what waits in the outbox are 400 kB in a program; at gossipd a gossip fd is in it."""
MAX_SEND = 1 << 20
"""Bytes that are to be said first, not encrypted yet."""
MAX_TIME = (1 << 63) - 1
"""Unix nanoseconds."""
MAX_COUNT = 1 << 62
"""Of bytes or messages that a connection has carried."""

_counts = operator.attrgetter(*(field.name for field in dataclasses.fields(Traffic)))


def flaw_of_state(state: PeerState) -> str | None:
    """What is wrong with it, as a sentence; None if nothing is."""
    crypto = state.crypto
    try:
        check_nonces(crypto)
    except ValueError as error:
        return str(error)
    if {len(crypto.rk), len(crypto.sk), len(crypto.r_ck), len(crypto.s_ck)} != {KEY_SIZE}:
        return f"a key is not {KEY_SIZE} bytes long"
    if len(state.unread) > MAX_UNREAD:
        return f"{len(state.unread)} bytes are unread, more than may be"
    if len(state.unsent) > MAX_UNSENT:
        return f"{len(state.unsent)} bytes are unsent, more than may be"
    carried = _counts(state.traffic)
    if min(carried) < 0 or max(carried) > MAX_COUNT:
        return "the connection has carried more, or less, than can be"
    if not 0 <= state.read_at_ns <= MAX_TIME:
        return "what is unread had arrived at no time that there is"
    if flaw_of_messages(state.gossip, MAX_LEFT_OVER):
        return "what is left over for gossipd is more than may be, or has no type"
    return None


def flaw_of_messages(messages: Sequence[bytes], most: int = MAX_SEND) -> str | None:
    """What is wrong with messages of a peer's, or for it, of which there may be `most` bytes."""
    if not messages:
        return None
    if any(not 2 <= len(message) <= MAX_MESSAGE for message in messages):
        return "a message has no type, or is too long"
    if sum(map(len, messages)) > most:
        return f"there are more than {most} bytes of messages"
    return None


def check_messages(messages: Sequence[bytes]) -> None:
    """Raises ValueError where `flaw_of_messages` finds something."""
    if flaw := flaw_of_messages(messages):
        raise ValueError(flaw)
