"""Messages for which no service is there: the spec's answer, whoever owns the connection."""

from wire.peer_wire import ErrorMessage, WarningMessage, is_channel_message, message_name

OPENINGS = (32, 64)
"""open_channel and open_channel2."""


def answer_without_service(number: int, channel_id: bytes | None) -> list[bytes]:
    """What a peer is told when there is nobody for its message.

    An opening gets an `error` for its temporary_channel_id. Any other channel message gets a `warning`, never an
    `error`, which would force-close somebody's channel (B1-36). What is about no channel gets no answer.
    """
    if channel_id is None or not is_channel_message(number):
        return []
    if number in OPENINGS:
        return [ErrorMessage(channel_id, b"no channel service is running here").encode()]
    return [WarningMessage(channel_id, f"nobody here handles {message_name(number)}".encode()).encode()]


def flaw_without_service(number: int, channel_id: bytes | None) -> str | None:
    """Why a connection ends over a message for which there is nobody: of no BOLT and even (B1-6), or cut short (B1-7).

    All channel messages that have a name have a channel_id.
    """
    name = message_name(number)
    if name.startswith("unknown_"):
        return None if number % 2 else f"unknown even message type {number}"
    return f"{name} is too short" if is_channel_message(number) and channel_id is None else None
