"""Parameters of commands, and CLN's words for wrong ones."""

from typing import Any

import pytest

from lightningd_py.rpc import params
from lightningd_py.rpc.params import Parameter, Parser, RpcError, optional, read_params
from wire.address import WireAddr

NODE_ID = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
PARAMETERS = (Parameter("id", params.node_id), optional("len", params.u16, "bytes", 128))


@pytest.mark.parametrize("given", [[NODE_ID], [NODE_ID, None], {"id": NODE_ID}, {"id": NODE_ID, "len": None}])
def test_a_list_or_an_object_with_what_is_left_out(given: Any) -> None:
    assert read_params(PARAMETERS, given) == {"id": bytes.fromhex(NODE_ID), "len": 128}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "missing required parameter: id"),
        ({"len": 1}, "missing required parameter: id"),
        ([NODE_ID, 1, 2], "too many parameters: got 3, expected 2"),
        ({"id": NODE_ID, "length": 1}, "unknown parameter: length"),
        ("id", "Expected array or object for params"),
        (["nobody"], "id: should be a node id: invalid token '\"nobody\"'"),
        (["02" + "ff" * 32], f"id: should be a node id: invalid token '\"{'02' + 'ff' * 32}\"'"),
        ([NODE_ID, -1], "len: should be an unsigned 16 bit integer: invalid token '-1'"),
        (
            [NODE_ID, [["x" * 500]]],
            "len: should be an unsigned 16 bit integer: invalid token '" + '[["' + "x" * 197 + "...'",
        ),
    ],
)
def test_what_is_wrong_is_said_as_cln_does(given: Any, message: str) -> None:
    with pytest.raises(RpcError) as caught:
        read_params(PARAMETERS, given)
    assert (caught.value.code, caught.value.message) == (-32602, message)


@pytest.mark.parametrize(
    ("parser", "value", "expected"),
    [
        (params.text, "a", "a"),
        (params.text, 12, "12"),
        (params.anything, [1], [1]),
        (params.boolean, True, True),
        (params.boolean, "false", False),
        (params.u16, 65535, 65535),
        (params.u32, "7", 7),
        (params.u64, (1 << 64) - 1, (1 << 64) - 1),
        (params.hex_bytes, "00fF", b"\x00\xff"),
        (params.hex_bytes, "", b""),
        (params.hex_bytes, 8001, b"\x80\x01"),
        (params.short_channel_id, "1x2x3", 1 << 40 | 2 << 16 | 3),
        (params.peer(9735), NODE_ID, (bytes.fromhex(NODE_ID), None)),
        (params.peer(19846), f"{NODE_ID}@127.0.0.1", (bytes.fromhex(NODE_ID), WireAddr("ipv4", "127.0.0.1", 19846))),
    ],
)
def test_good_values(parser: Parser, value: Any, expected: Any) -> None:
    assert parser(value) == expected


@pytest.mark.parametrize(
    ("parser", "value"),
    [
        (params.text, {}),
        (params.text, "\ud800"),
        (params.text, "a\udfffb"),
        (params.text, []),
        (params.boolean, 1),
        (params.boolean, "yes"),
        (params.u16, 65536),
        (params.u16, True),
        (params.u16, 1.0),
        (params.u64, "٣"),
        (params.hex_bytes, "0"),
        (params.hex_bytes, "zz"),
        (params.hex_bytes, True),
        (params.hex_bytes, -10),
        (params.short_channel_id, "1x2"),
        (params.short_channel_id, None),
        (params.node_id, 2),
        (params.peer(9735), f"{NODE_ID}@"),
        (params.peer(9735), "@127.0.0.1"),
    ],
)
def test_wrong_values(parser: Parser, value: Any) -> None:
    with pytest.raises(ValueError, match=r"should be |address"):
        parser(value)
