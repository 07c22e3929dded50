"""Why an onion message goes no further. Its sender is never told (BOLT 4)."""

from enum import Enum


class Flaw(Enum):
    """What is wrong with it, as it is counted."""

    MALFORMED = "malformed"
    """No onion_message at all, another version, no point where there must be one, a length that lies."""
    HMAC = "hmac"
    """Not made for us, or changed on the way."""
    PAYLOAD = "payload"
    """The layer is ours, and what it holds is against BOLT 4."""
    RECIPIENT_DATA = "recipient_data"
    """`encrypted_recipient_data` is missing, of another path, or against BOLT 4."""


class OnionError(Exception):
    """The message is ignored. The text is for our log."""

    def __init__(self, flaw: Flaw, text: str) -> None:
        super().__init__(text)
        self.flaw = flaw
