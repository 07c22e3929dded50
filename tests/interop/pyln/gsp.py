"""Reads and writes GSP with pyln-proto's own varints, as lntopo does.

`gsp.py read FILE` prints the messages in hex as JSON; `gsp.py write FILE HEX...` writes them.
"""

import io
import json
import sys
from pathlib import Path

from pyln.proto.primitives import varint_decode, varint_encode

HEAD = b"GSP\x01"


def read(data: bytes) -> list[str]:
    assert data[:4] == HEAD
    stream = io.BytesIO(data[4:])
    found = []
    while (length := varint_decode(stream)) is not None:
        raw = stream.read(length)
        assert len(raw) == length
        found.append(raw.hex())
    return found


def write(messages: list[str]) -> bytes:
    out = io.BytesIO()
    for message in messages:
        raw = bytes.fromhex(message)
        varint_encode(len(raw), out)
        out.write(raw)
    return HEAD + out.getvalue()


if __name__ == "__main__":
    what, name, *messages = sys.argv[1:]
    if what == "read":
        print(json.dumps(read(Path(name).read_bytes())))
    else:
        Path(name).write_bytes(write(messages))
