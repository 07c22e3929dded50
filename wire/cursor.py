"""Reading bytes that a stranger wrote: a position that never passes a fence, the integers of BOLT 1, TLV streams.

Every reader of the package goes through a Cursor, so a length that lies is found in one place. What has a single
correct encoding (BigSize, truncated integers, TLV streams) is written here too, next to its reader.
"""

from collections.abc import Container, Mapping
from types import TracebackType

MAX_RECORDS = 100
"""Records of a TLV stream. The BOLTs' own streams have fewer than ten; 65 kB have room for 16,000."""

_BIGSIZE = {0xFD: (2, 0xFD), 0xFE: (4, 0x1_0000), 0xFF: (8, 0x1_0000_0000)}
"""First byte of a long BigSize: how many bytes follow, and the least value that needs them. BOLT 1, Appendix A."""


class WireError(Exception):
    """Bytes that are not what they should be. Always the sender's fault."""


class Cursor:
    """A position in `data`. Every read moves it on, or raises WireError and means the end of the reading."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        self._position = 0
        self._end = len(self._data)

    @property
    def remaining(self) -> int:
        """How many bytes are left before the innermost fence."""
        return self._end - self._position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, end = self._position, self._position + size
        if end > self._end:
            raise WireError(f"{size} bytes wanted at offset {start}, {self.remaining} left")
        self._position = end
        return self._data[start:end]

    def rest(self) -> bytes:
        """All that is left before the innermost fence."""
        return self.take(self.remaining)

    def unsigned(self, size: int) -> int:
        """A big-endian integer of `size` bytes (B1-2)."""
        return int.from_bytes(self.take(size), "big")

    def signed(self, size: int) -> int:
        """A two's complement integer of `size` bytes. BOLT 1, Appendix D."""
        return int.from_bytes(self.take(size), "big", signed=True)

    def u8(self) -> int:
        """One byte."""
        return self.unsigned(1)

    def u16(self) -> int:
        """Two bytes, big-endian."""
        return self.unsigned(2)

    def u32(self) -> int:
        """Four bytes, big-endian."""
        return self.unsigned(4)

    def u64(self) -> int:
        """Eight bytes, big-endian."""
        return self.unsigned(8)

    def bigsize(self) -> int:
        """A BigSize in its shortest form; any other raises WireError (B1-16)."""
        first = self.u8()
        if first not in _BIGSIZE:
            return first
        size, least = _BIGSIZE[first]
        value = self.unsigned(size)
        if value < least:
            raise WireError(f"BigSize {value} is not minimal")
        return value

    def truncated(self, size: int) -> int:
        """An integer of at most `size` bytes that ends at the fence, without leading zeros (B1-19)."""
        if self.remaining > size:
            raise WireError(f"truncated integer of {self.remaining} bytes where at most {size} fit")
        data = self.rest()
        if data[:1] == b"\0":
            raise WireError("truncated integer with leading zeros")
        return int.from_bytes(data, "big")

    def tu64(self) -> int:
        """A truncated integer of at most 8 bytes."""
        return self.truncated(8)

    def limit(self, size: int) -> "Fence":
        """A fence `size` bytes from here, as a context: reads inside cannot pass it, and must come up to it."""
        if size > self.remaining:
            raise WireError(f"length {size} where {self.remaining} bytes are left")
        return Fence(self, size)

    def _set_end(self, end: int) -> int:
        before, self._end = self._end, end
        return before

    def _offset(self) -> int:
        return self._position


class Fence:
    """The context that `Cursor.limit` returns. Leaving it with bytes unread raises WireError."""

    __slots__ = ("_cursor", "_outer", "_size")

    def __init__(self, cursor: Cursor, size: int) -> None:
        self._cursor = cursor
        self._size = size
        self._outer = 0

    def __enter__(self) -> None:
        self._outer = self._cursor._set_end(self._cursor._offset() + self._size)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        unread = self._cursor.remaining
        self._cursor._set_end(self._outer)
        if kind is None and unread:
            raise WireError(f"{unread} bytes too many in a field of {self._size}")


def encode_bigsize(value: int) -> bytes:
    """The shortest BigSize. Raises ValueError outside 0 to 2**64-1. BOLT 1, Appendix A."""
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} does not fit a BigSize")
    for first in (0xFF, 0xFE, 0xFD):
        size, least = _BIGSIZE[first]
        if value >= least:
            return bytes([first]) + value.to_bytes(size, "big")
    return bytes([value])


def encode_truncated(value: int, size: int = 8) -> bytes:
    """The integer without leading zeros; 0 is no byte at all. Raises ValueError if it needs more than `size` bytes."""
    if not 0 <= value < 1 << 8 * size:
        raise ValueError(f"{value} does not fit a tu{8 * size}")
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def read_tlvs(cursor: Cursor, known: Container[int]) -> dict[int, bytes]:
    """All records up to the fence, in their order; unknown odd ones too, so that the stream can be written again.

    Raises WireError for types that do not ascend (B1-9), numbers that are not minimal (B1-10), values that are cut
    off (B1-11), even types that are not in `known` (B1-13), and more than MAX_RECORDS.
    """
    records: dict[int, bytes] = {}
    last = -1
    while cursor.remaining:
        if len(records) == MAX_RECORDS:
            raise WireError(f"more than {MAX_RECORDS} TLV records")
        number = cursor.bigsize()
        if number <= last:
            raise WireError(f"TLV type {number} after {last}")
        if number % 2 == 0 and number not in known:
            raise WireError(f"unknown even TLV type {number}")
        records[number] = cursor.take(cursor.bigsize())
        last = number
    return records


def write_tlvs(records: Mapping[int, bytes]) -> bytes:
    """The stream of these records, in ascending order whatever the order of `records`."""
    return b"".join(
        encode_bigsize(number) + encode_bigsize(len(value)) + value for number, value in sorted(records.items())
    )
