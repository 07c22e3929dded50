"""With which state a connection may move, and with which it may not."""

from dataclasses import replace

import pytest

from wire.crypto_state import MAX_MESSAGE, MAX_UNREAD, CryptoState, PeerState, Traffic
from wire.net.moving_state import MAX_SEND, MAX_UNSENT, flaw_of_messages, flaw_of_state

KEYS = CryptoState(0, 0, *[bytes(32)] * 4)


def test_what_may_move() -> None:
    traffic, gossip = Traffic(1, 2, 3, 1 << 62), [bytes(2), bytes(MAX_MESSAGE)]
    whole = PeerState(replace(KEYS, rn=1000, sn=998), bytes(MAX_UNREAD), bytes(MAX_UNSENT), traffic, gossip)
    assert flaw_of_state(whole) is None
    assert flaw_of_messages([b"\x80\x01", bytes(MAX_MESSAGE)]) is None


@pytest.mark.parametrize(
    "flawed",
    [
        PeerState(replace(KEYS, rk=bytes(31)), b"", b""),
        PeerState(replace(KEYS, sk=b""), b"", b""),
        PeerState(replace(KEYS, r_ck=bytes(33)), b"", b""),
        PeerState(replace(KEYS, s_ck=bytes(31)), b"", b""),
        PeerState(replace(KEYS, rn=1), b"", b""),
        PeerState(replace(KEYS, sn=1002), b"", b""),
        PeerState(replace(KEYS, sn=-2), b"", b""),
        PeerState(KEYS, bytes(MAX_UNREAD + 1), b""),
        PeerState(KEYS, b"", bytes(MAX_UNSENT + 1)),
        PeerState(KEYS, b"", b"", Traffic(bytes_in=-1)),
        PeerState(KEYS, b"", b"", Traffic(messages_out=1 << 63)),
        PeerState(KEYS, b"", b"", gossip=[b"\x01"]),
        PeerState(KEYS, b"", b"", gossip=[bytes(MAX_MESSAGE + 1)]),
        PeerState(KEYS, b"", b"", gossip=[bytes(60_000)] * 5),
        PeerState(KEYS, b"", b"", read_at_ns=-1),
        PeerState(KEYS, b"", b"", read_at_ns=1 << 63),
    ],
)
def test_what_may_not(flawed: PeerState) -> None:
    assert flaw_of_state(flawed)


@pytest.mark.parametrize(
    "messages",
    [[b""], [b"\x80\x01", b"\x80"], [bytes(MAX_MESSAGE + 1)], [bytes(1 << 15)] * (MAX_SEND // (1 << 15) + 1)],
)
def test_messages_that_may_not(messages: list[bytes]) -> None:
    assert flaw_of_messages(messages)
