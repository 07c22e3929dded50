"""Reads of a whole gossip_store in windows, through its fd: nothing is mapped, so that a file that is cut from outside
meanwhile is short, and ends no process.
"""

import os
from collections.abc import Iterator

from gossipd.store.records import FIRST_RECORD, HEADER_SIZE, check_records, next_good_record

WINDOW = 1 << 20
"""Bytes that are read in one go: many times the longest record."""
LONGEST_RECORD = HEADER_SIZE + 0xFFFF


def windows(fd: int, size: int) -> Iterator[bytes]:
    """The first `size` bytes; less if the file is shorter."""
    for offset in range(0, size, WINDOW):
        yield os.pread(fd, min(WINDOW, size - offset), offset)


def good_until(fd: int, end: int) -> int:
    """Where the records before `end` are not good any more."""
    offset = FIRST_RECORD
    while offset < end:
        data = os.pread(fd, min(WINDOW, end - offset), offset)
        good = check_records(data, 0, len(data))
        if not good:
            break
        offset += good
    return offset


def next_good(fd: int, bad: int, end: int) -> int:
    """The first good record behind the bad one at that offset, or `end`."""
    while True:
        wanted = min(WINDOW, end - bad)
        data = os.pread(fd, wanted, bad)
        found = next_good_record(data, 0, len(data)) if len(data) >= HEADER_SIZE else len(data)
        if found < len(data):
            return bad + found
        if len(data) < wanted or wanted < WINDOW:
            return end
        bad += wanted - LONGEST_RECORD
