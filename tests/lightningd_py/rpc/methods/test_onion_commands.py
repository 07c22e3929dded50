"""Parameters of the methods for onion messages."""

from typing import Any

import pytest

from lightningd_py.rpc.methods.onion_commands import MOST_FIELDS, fields, node_ids
from wire.secp256k1 import public_key

NODE = public_key(b"\7" * 32)


def test_fields_are_hex_by_type() -> None:
    assert fields({"64": "6869", "65": ""}) == {64: b"hi", 65: b""}
    assert len(fields({str(number): "" for number in range(64, 64 + MOST_FIELDS)})) == MOST_FIELDS


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "20 fields at most"),
        ({str(number): "" for number in range(64, 65 + MOST_FIELDS)}, "20 fields at most"),
        ({"2": ""}, "no reply_path"),
        ({"4": ""}, "no reply_path"),
        ({"x": ""}, "numbers as names"),
        ({"-64": ""}, "numbers as names"),
        ({"1" * 20: ""}, "numbers as names"),
        ({"64": "no hex"}, "hex"),
    ],
)
def test_fields_that_are_none(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fields(value)


def test_nodes_are_a_list_of_ids() -> None:
    assert node_ids([NODE.hex()]) == [NODE]
    for wrong in (NODE.hex(), ["02"]):
        with pytest.raises(ValueError, match="should be"):
            node_ids(wrong)
