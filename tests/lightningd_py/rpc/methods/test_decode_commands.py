"""decode: what it says of node ids, channels and messages, right ones and wrong ones."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.decode_commands import DecodeCommands
from lightningd_py.rpc.params import RpcError
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from wire.peer_wire import ErrorMessage, Init, QueryShortChannelIds, encode_short_ids
from wire.secp256k1 import public_key
from wire.types import NETWORKS

NODE = public_key(bytes([1]) * 32).hex()
MAP = list(SyntheticMap(random_edges(1, 3, 3), seed=1, now=1_700_000_000).messages())
SERVER = RpcServer(DecodeCommands(9735).all())


async def said(string: str) -> Any:
    return await SERVER.call("decode", {"string": string})


def of_type(number: int) -> bytes:
    return next(raw for raw in MAP if int.from_bytes(raw[:2], "big") == number)


async def test_node_ids() -> None:
    assert await said(NODE.upper().replace("02", "02", 1)) == {"type": "node_id", "valid": True, "node_id": NODE}
    assert await said("02" + "ff" * 32) == {"type": "node_id", "valid": False, "node_id": "02" + "ff" * 32}
    address = {"type": "ipv4", "address": "1.2.3.4", "port": 9735}
    assert (await said(f"{NODE}@1.2.3.4"))["address"] == address


async def test_short_channel_ids() -> None:
    assert await said("0600x1x2") == {
        "type": "short_channel_id",
        "valid": True,
        "short_channel_id": "600x1x2",
        "block": 600,
        "transaction": 1,
        "output": 2,
    }


async def test_announcements_are_checked() -> None:
    for number, name in ((256, "channel_announcement"), (257, "node_announcement")):
        raw = of_type(number)
        shown = await said(raw.hex())
        assert (shown["type"], shown["number"], shown["valid"]) == (name, number, True)
        assert (await said((raw[:2] + bytes(64) + raw[66:]).hex()))["valid"] is False
    assert "x" in (await said(of_type(256).hex()))["short_channel_id"]
    node = await said(of_type(257).hex())
    assert isinstance(node["alias"], str)
    assert isinstance(node["feature_names"], list)


async def test_other_messages() -> None:
    assert "valid" not in await said(of_type(258).hex()), "the key is not in it"
    init = await said(Init(b"", b"\x02", [NETWORKS["regtest"]]).encode().hex())
    assert (init["type"], init["networks"]) == ("init", [NETWORKS["regtest"].hex()])
    assert init["feature_names"]
    query = QueryShortChannelIds(NETWORKS["regtest"], encode_short_ids([1 << 40, 2 << 40]))
    assert (await said(query.encode().hex()))["encoded_short_ids"] == ["1x0x0", "2x0x0"]
    error = await said(ErrorMessage(bytes(32), b"no\n").encode().hex())
    assert error["data"] == {"hex": "6e6f0a", "text": "6e6f0a"}
    assert (await said("8001ff"))["payload"] == "ff"


@pytest.mark.parametrize("string", ["", "0", "zz", "1x2", "1x2x99999", "0100ff", "lnbc1qq", NODE + "@", "lno1xyz"])
async def test_what_says_nothing(string: str) -> None:
    with pytest.raises(RpcError) as error:
        await said(string)
    assert error.value.code == -32602


@given(
    st.one_of(st.text(), st.binary(max_size=300).map(bytes.hex), st.sampled_from(MAP).map(lambda raw: raw[:-3].hex()))
)
async def test_never_anything_but_an_answer_or_an_error(string: str) -> None:
    try:
        assert (await said(string))["type"]
    except RpcError as error:
        assert error.code == -32602
