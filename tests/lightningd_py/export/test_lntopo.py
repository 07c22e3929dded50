"""GraphML and adjacency JSON: networkx reads both, and finds the map that was written."""

import io
import json
from collections.abc import Callable
from typing import Any

import networkx
import pytest

from gossipd.gossmap import Gossmap
from lightningd_py.export.lntopo import EDGE_KEYS, NODE_KEYS, adjacency, graphml, xml_text
from wire.scid import scid_from_text


def read_graphml(gossmap: Gossmap) -> Any:
    out = io.StringIO()
    graphml(gossmap, out)
    return networkx.read_graphml(io.BytesIO(out.getvalue().encode()), force_multigraph=True)


def read_adjacency(gossmap: Gossmap) -> Any:
    out = io.StringIO()
    adjacency(gossmap, out)
    return networkx.adjacency_graph(json.loads(out.getvalue()))


def as_xml(alias: str) -> str:
    return alias.replace("\ufffe", "\\xef\\xbf\\xbe").replace("\uffff", "\\xef\\xbf\\xbf")


@pytest.mark.parametrize(("read", "shown"), [(read_graphml, as_xml), (read_adjacency, str)])
def test_networkx_reads_the_map(odd: Gossmap, read: Callable[[Gossmap], Any], shown: Callable[[str], str]) -> None:
    graph = read(odd)
    assert graph.is_directed() and graph.is_multigraph()
    assert set(graph) == {node.node_id.hex() for node in odd.nodes()}
    for node in odd.nodes():
        found = graph.nodes[node.node_id.hex()]
        assert found.get("alias", "") == shown(node.alias)
        assert found.get("timestamp") == node.timestamp
        assert (found["out_degree"], found["in_degree"]) == (
            graph.out_degree(node.node_id.hex()),
            graph.in_degree(node.node_id.hex()),
        )
    said = 0
    for source, destination, edge in graph.edges(data=True):
        scid, _, number = edge["scid"].partition("/")
        channel = odd.channel(scid_from_text(scid))
        assert channel is not None
        update = channel.direction(int(number))
        assert update is not None
        assert (source, destination) == (edge["source"], edge["destination"])
        assert bytes.fromhex(source) == channel.node_ids[int(number)]
        assert edge["fee_proportional_millionths"] == update.fee_proportional_millionths
        assert edge["htlc_minimim_msat"] == update.htlc_minimum_msat
        said += 1
    assert said == sum(channel.direction(number) is not None for channel in odd.channels() for number in (0, 1))


def test_names_are_lntopos(odd: Gossmap) -> None:
    for graph in (read_graphml(odd), read_adjacency(odd)):
        announced = [values for _, values in graph.nodes(data=True) if "alias" in values]
        assert {name for values in announced for name in values} | {"id"} == set(NODE_KEYS)
        assert {name for *_, values in graph.edges(data=True) for name in values} - {"id", "key"} == set(EDGE_KEYS)


def test_mempool_finds_its_edges_where_it_looks(odd: Gossmap) -> None:
    """Its importer of history walks nodes and adjacency, and takes the last two characters off scid."""
    out = io.StringIO()
    adjacency(odd, out)
    graph = json.loads(out.getvalue())
    assert len(graph["nodes"]) == len(graph["adjacency"])
    for edge in (edge for edges in graph["adjacency"] for edge in edges):
        assert odd.channel(scid_from_text(edge["scid"][:-2])) is not None
        names = {"timestamp", "source", "destination", "cltv_expiry_delta", "htlc_minimim_msat", "fee_base_msat"}
        assert names | {"fee_proportional_millionths", "htlc_maximum_msat"} <= edge.keys()


def test_what_xml_cannot_have_is_escaped() -> None:
    assert xml_text('<&>"\r') == "&lt;&amp;&gt;&quot;&#13;"
    assert xml_text("a\x00b\x1b\ufffec\ud800") == "a\\x00b\\x1b\\xef\\xbf\\xbec\\xed\\xa0\\x80"
