"""The path_ids of our own blinded paths, and how they are known again without keeping any.

A path_id says for whom its path was made, and what for, under a MAC that only this node can make. So one that others
have invented is none (B4-124), and one that is ours is told to no other service than the one that has made the path
(B4-123). Only this node can read it: it stands in our own hop's encrypted_recipient_data.
"""

import hmac

from wire.cursor import Cursor, WireError
from wire.start.late_dataclass import dataclass

MAC_SIZE = 16
MOST_CONTEXT = 128
"""Bytes of a service's own."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Whose path it is, and what for: bytes of the service's own choice."""

    service: str
    context: bytes


class PathIds:
    """Of one node."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, purpose: Purpose) -> bytes:
        """The path_id for it. Raises ValueError, one sentence, if the context is too long."""
        if len(purpose.context) > MOST_CONTEXT:
            raise ValueError(f"a context has at most {MOST_CONTEXT} bytes")
        name = purpose.service.encode()
        said = bytes([len(name)]) + name + purpose.context
        return self._mac(said) + said

    def open(self, path_id: bytes | None) -> Purpose | None:
        """None for any but ours."""
        if path_id is None or not hmac.compare_digest(self._mac(path_id[MAC_SIZE:]), path_id[:MAC_SIZE]):
            return None
        cursor = Cursor(path_id[MAC_SIZE:])
        try:
            return Purpose(cursor.take(cursor.u8()).decode(), cursor.rest())
        except (WireError, UnicodeDecodeError):  # not by us
            return None

    def _mac(self, said: bytes) -> bytes:
        return hmac.digest(self._secret, said, "sha256")[:MAC_SIZE]
