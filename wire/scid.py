"""Short channel ids: where on the chain a channel's funding output is, in 8 bytes. BOLT 7, B7-55.

As an integer: 3 bytes block height, 3 bytes index of the transaction in the block, 2 bytes index of the output.
"""

import re

_TEXT = re.compile(r"([0-9]{1,8})x([0-9]{1,8})x([0-9]{1,5})", re.ASCII)


def make_scid(block: int, transaction: int, output: int) -> int:
    """The id of an output. Raises ValueError if a part does not fit its 3, 3 and 2 bytes."""
    if not (0 <= block < 1 << 24 and 0 <= transaction < 1 << 24 and 0 <= output < 1 << 16):
        raise ValueError(f"{block}x{transaction}x{output} is no short_channel_id: a part is out of range")
    return block << 40 | transaction << 16 | output


def block_of(scid: int) -> int:
    """The height of the block with the funding transaction."""
    return scid >> 40


def transaction_of(scid: int) -> int:
    """The place of the funding transaction in its block."""
    return scid >> 16 & 0xFFFFFF


def output_of(scid: int) -> int:
    """The place of the funding output in its transaction."""
    return scid & 0xFFFF


def scid_to_text(scid: int) -> str:
    """`103x1x0`, as people write it."""
    return f"{block_of(scid)}x{transaction_of(scid)}x{output_of(scid)}"


def scid_from_text(text: str) -> int:
    """The id written as `103x1x0`. Raises ValueError with a sentence for anything else."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no short_channel_id: it looks like 103x1x0")
    return make_scid(*map(int, match.groups()))
