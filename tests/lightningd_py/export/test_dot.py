"""DOT, read by a small strict reader of the language's quoted strings."""

import html
import io
import re

from hypothesis import given
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from lightningd_py.export.dot import dot, quoted

STRING = r'"(?:[^"\\]|\\.)*"'
LIST = rf"\[(\w+={STRING}(?:, \w+={STRING})*)\]"
NODE = re.compile(rf"  ({STRING}) {LIST};", re.DOTALL)
EDGE = re.compile(rf"  ({STRING}) -> ({STRING}) {LIST};", re.DOTALL)


def shown(string: str) -> str:
    """What Graphviz shows of a label: after DOT's and the label's escapes, and HTML entities."""
    assert re.fullmatch(STRING, string, re.DOTALL)
    return html.unescape(re.sub(r"\\(.)", r"\1", string[1:-1]))


def attributes(text: str) -> dict[str, str]:
    return {name: shown(value) for name, value in re.findall(rf"(\w+)=({STRING})", text)}


def test_graph_comes_back(odd: Gossmap) -> None:
    out = io.StringIO()
    dot(odd, out)
    first, *lines, last = out.getvalue().splitlines()
    assert (first, last) == ("digraph lightning {", "}")
    nodes = {shown(m[1]): attributes(m[2]) for m in map(NODE.fullmatch, lines) if m}
    edges = [(shown(m[1]), shown(m[2]), attributes(m[3])) for m in map(EDGE.fullmatch, lines) if m]
    assert len(nodes) + len(edges) == len(lines)
    assert nodes.keys() == {node.node_id.hex() for node in odd.nodes()}
    for node in odd.nodes():
        assert nodes[node.node_id.hex()]["label"] == (node.alias or node.node_id.hex()[:16])
    assert len(edges) == sum(channel.direction(number) is not None for channel in odd.channels() for number in (0, 1))
    assert {end for one, other, _ in edges for end in (one, other)} <= nodes.keys()


@given(st.text())
def test_any_text_is_shown_as_it_is(text: str) -> None:
    assert shown(quoted(text)) == text
