"""describegraph: all of lnd's fields with lnd's types, and each field that others read of it (docs/exports.md)."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gossipd.gossmap import Gossmap
from lightningd_py.export.describegraph import FEATURES, describegraph, inbound_fees
from wire.cursor import write_tlvs
from wire.gossip_layout import channel_signatures

PAGE = Path(__file__).parents[3] / "docs" / "exports.md"
INTEGER = re.compile(r"0|[1-9][0-9]*")


class Text(str):
    """A 64-bit number as a string."""


FIELDS: dict[str, dict[str, Any]] = {
    "node": {
        "last_update": int,
        "pub_key": str,
        "alias": str,
        "addresses": list,
        "color": str,
        "features": dict,
        "custom_records": dict,
    },
    "edge": {
        "channel_id": Text,
        "chan_point": str,
        "last_update": int,
        "node1_pub": str,
        "node2_pub": str,
        "capacity": Text,
        "node1_policy": dict,
        "node2_policy": dict,
        "custom_records": dict,
        "auth_proof": dict,
    },
    "policy": {
        "time_lock_delta": int,
        "min_htlc": Text,
        "fee_base_msat": Text,
        "fee_rate_milli_msat": Text,
        "disabled": bool,
        "max_htlc_msat": Text,
        "last_update": int,
        "custom_records": dict,
        "inbound_fee_base_msat": int,
        "inbound_fee_rate_milli_msat": int,
    },
    "address": {"network": str, "addr": str},
    "feature": {"name": str, "is_required": bool, "is_known": bool},
}


def exported(gossmap: Gossmap, chan_points: dict[int, str] | None = None) -> dict[str, Any]:
    out = io.StringIO()
    describegraph(gossmap, out, chan_points)
    assert out.getvalue().isascii()
    return dict(json.loads(out.getvalue()))


def check(kind: str, value: dict[str, Any], null: tuple[str, ...] = ()) -> None:
    assert list(value) == list(FIELDS[kind])
    for name, type_ in FIELDS[kind].items():
        if type_ is Text:
            assert isinstance(value[name], str) and INTEGER.fullmatch(value[name])
        else:
            assert type(value[name]) is type_ or (value[name] is None and name in null), name


def test_all_fields_are_there_in_lnds_order_and_types(odd: Gossmap) -> None:
    graph = exported(odd)
    assert list(graph) == ["nodes", "edges"]
    for node in graph["nodes"]:
        check("node", node)
        assert re.fullmatch("#[0-9a-f]{6}", node["color"])
        for address in node["addresses"]:
            check("address", address)
        for bit, feature in node["features"].items():
            check("feature", feature)
            assert feature["is_required"] == (int(bit) % 2 == 0)
            assert feature["name"] == FEATURES.get(int(bit) & ~1, "unknown")
    for edge in graph["edges"]:
        check("edge", edge, ("node1_policy", "node2_policy"))
        for policy in filter(None, (edge["node1_policy"], edge["node2_policy"])):
            check("policy", policy)


def test_values_are_those_of_the_map(odd: Gossmap) -> None:
    graph = exported(odd)
    assert [node["pub_key"] for node in graph["nodes"]] == sorted(node.node_id.hex() for node in odd.nodes())
    assert [int(edge["channel_id"]) for edge in graph["edges"]] == sorted(c.short_channel_id for c in odd.channels())
    for node in graph["nodes"]:
        known = odd.node(bytes.fromhex(node["pub_key"]))
        assert known is not None
        assert (node["alias"], node["last_update"]) == (known.alias, known.timestamp or 0)
        assert [address["addr"] for address in node["addresses"]] == list(map(str, known.addresses))
    for edge in graph["edges"]:
        channel = odd.channel(int(edge["channel_id"]))
        assert channel is not None
        assert edge["capacity"] == str(channel.capacity_sat or 0)
        assert [edge["node1_pub"], edge["node2_pub"]] == [node_id.hex() for node_id in channel.node_ids]
        assert [base64.b64decode(each) for each in edge["auth_proof"].values()] == list(
            channel_signatures(channel.announcement)
        )
        times = []
        for number, policy in enumerate((edge["node1_policy"], edge["node2_policy"])):
            update = channel.direction(number)
            assert (policy is None) == (update is None)
            if update is None:
                continue
            times.append(update.timestamp)
            assert (policy["time_lock_delta"], policy["disabled"]) == (update.cltv_expiry_delta, update.disabled)
            assert int(policy["min_htlc"]) == update.htlc_minimum_msat
            assert int(policy["max_htlc_msat"]) == update.htlc_maximum_msat
            assert int(policy["fee_base_msat"]) == update.fee_base_msat
            assert int(policy["fee_rate_milli_msat"]) == update.fee_proportional_millionths
        assert edge["last_update"] == max(times, default=0)


def test_node_that_announced_nothing_is_there_as_lnd_has_it(odd: Gossmap) -> None:
    (bare,) = [node for node in exported(odd)["nodes"] if not node["last_update"]]
    assert (bare["alias"], bare["addresses"], bare["color"], bare["features"]) == ("", [], "#000000", {})


def test_chan_point_is_that_which_is_known(odd: Gossmap) -> None:
    scid = next(odd.channels()).short_channel_id
    edges = exported(odd, {scid: "ab" * 32 + ":1"})["edges"]
    assert {edge["chan_point"] for edge in edges if edge["channel_id"] == str(scid)} == {"ab" * 32 + ":1"}
    assert {edge["chan_point"] for edge in edges if edge["channel_id"] != str(scid)} == {""}


def test_inbound_fees() -> None:
    said = write_tlvs({55555: (-5).to_bytes(4, "big", signed=True) + (7).to_bytes(4, "big")})
    assert inbound_fees(bytes(138) + said) == (-5, 7)
    assert (
        inbound_fees(bytes(138))
        == inbound_fees(bytes(138) + b"\xfd")
        == inbound_fees(bytes(138) + b"\x01\x00")
        == (0, 0)
    )


SECTION = {"nodes": "node", "edges": "edge", "node1_policy, node2_policy": "policy", "addresses": "address"}


def readers() -> list[tuple[str, str]]:
    """(which part, field) of the page's table of what others read."""
    text = PAGE.read_text().partition("<!-- readers -->")[2].partition("<!-- end -->")[0]
    found = []
    for part, fields in re.findall(r"^\| [\w -]+ \| ([\w, ]+) \| (.*?) \|$", text, re.M):
        if part in SECTION:
            found += [(SECTION[part], field) for field in re.findall(r"`(\w+)`", fields)]
    return found


def test_page_names_fields_of_each_reader() -> None:
    assert len(set(readers())) > 15


@pytest.mark.parametrize(("part", "field"), sorted(set(readers())))
def test_each_field_that_others_read_is_there(odd: Gossmap, part: str, field: str) -> None:
    """And says something: it is not the same empty value everywhere."""
    graph = exported(odd, {channel.short_channel_id: "00:1" for channel in odd.channels()})
    policies = [each for edge in graph["edges"] for each in (edge["node1_policy"], edge["node2_policy"]) if each]
    addresses = [address for node in graph["nodes"] for address in node["addresses"]]
    values = {"node": graph["nodes"], "edge": graph["edges"], "policy": policies, "address": addresses}[part]
    assert all(field in value for value in values)
    assert any(value[field] not in ("", None, [], {}) for value in values)
