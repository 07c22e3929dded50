"""A service made with wire.program: says what it was called for, then repeats what it hears, until a `shutdown`.

A channel_reestablish makes it fail, as a program with a bug does.
"""

from wire.program import taken_peer

SHUTDOWN, REESTABLISH = b"\x00\x26", b"\x00\x88"
ECHO = b"\x80\x01"

with taken_peer() as peer:
    peer.say(ECHO + (peer.message or b""))
    while (message := peer.hear()) is not None and message[:2] != SHUTDOWN:
        if message[:2] == REESTABLISH:
            raise RuntimeError("a bug")
        peer.say(ECHO + message)
