"""TLV streams: records of type, length and value, in ascending order, of which odd ones may be unknown. BOLT 1."""

from collections.abc import Container, Mapping

from wire.cursor import Cursor, WireError, encode_bigsize


def read_tlvs(cursor: Cursor, known: Container[int]) -> dict[int, bytes]:
    """All records up to the fence, in their order; unknown odd ones too, so that the stream can be written again.

    Raises WireError for types that do not ascend (B1-9), numbers that are not minimal (B1-10), values that are cut
    off (B1-11), and even types that are not in `known` (B1-13).
    """
    records: dict[int, bytes] = {}
    last = -1
    while cursor.remaining:
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
