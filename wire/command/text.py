"""Strangers' texts, made fit to be shown.

All text stays as it was written, but for what could command a terminal, break a line, turn the direction of writing, or
is seen by no one: that is replaced or escaped.

What that is stands here, and not in Python's tables of Unicode, which know no character that is younger than they are.
"""

import re

UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters
    "\u2028\u2029"  # ends of lines and paragraphs
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of writing
    "\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible, and not part of a word or an emoji
    "\ud800-\udfff"  # no characters: halves of some
    "]"
)
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that an XML document cannot have, not even escaped."""
_TO_ESCAPE = re.compile(rf"{UNSAFE.pattern}|\\(?=x)")


def replaced(text: str) -> str:
    """A question mark for each unsafe character."""
    return UNSAFE.sub("?", text)


def escaped(data: bytes) -> str:
    """UTF-8 as text; the bytes of what is unsafe, and those that are no UTF-8, as \\xNN.

    A backslash before an x is \\x5c: so each \\x in the result stands for a byte.
    """
    return _TO_ESCAPE.sub(_bytes_of, data.decode(errors="surrogateescape"))


def _bytes_of(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode(errors="surrogateescape"))
