"""A service that has channel_announcements signed: each message that it hears carries one behind its type.

The peer gets the signature in an ECHO, or in a FAILED the reason why there is none.
"""

from wire.program import taken_peer

ECHO, FAILED = b"\x80\x01", b"\x80\x03"
TROUBLE = (b"\x00\x01", b"\x00\x11")

with taken_peer() as peer:
    message = peer.message
    while message is not None:
        if message[:2] in TROUBLE:
            message = peer.hear()
            continue
        try:
            peer.say(ECHO + peer.sign_channel_announcement(message[2:]))
        except (RuntimeError, ValueError) as error:
            peer.say(FAILED + str(error).encode())
        message = peer.hear()
