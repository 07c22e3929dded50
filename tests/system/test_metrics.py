"""--metrics-addr: scrapes of a whole node under load, by the parser of Prometheus' own client; dashboard and alerts."""

import asyncio
import itertools
import json
import os
import re
import signal
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from wire.metrics.declared import declared
from wire.metrics.metric import Kind
from wire.peer_wire import GossipTimestampFilter
from wire.types import NETWORKS

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
OF_PROMETHEUS = {"instance", "job", "le"}
"""Labels that Prometheus adds, and those of buckets."""
OPTIONS = ("--onion-messages=all", "--metrics-addr=127.0.0.1:0", "--bind-addr=ws:127.0.0.1:0")
Page = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def shared_node(shared_nodes: Nodes) -> Node:
    """With every daemon that there can be."""
    directory = shared_nodes.directory("all")
    return shared_nodes.start(*OPTIONS, f"--msg=ipc://{directory}/bus", name="all")


@pytest.fixture
async def node(shared_node: Node) -> AsyncIterator[Node]:
    yield shared_node
    await shared_node.be_alone()


def url(node: Node) -> str:
    """Where its metrics are."""
    return next(match[1] for line in node.lines if (match := re.search(r"metrics are at (http://\S+)$", line)))


async def text(node: Node, accept: str = "text/plain") -> str:
    """One scrape."""
    request = urllib.request.Request(url(node), headers={"Accept": accept})

    def fetch() -> str:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(fetch)


def samples_of(page: str) -> list[Sample]:
    """As Prometheus reads it."""
    return [sample for family in text_string_to_metric_families(page) for sample in family.samples]


async def scrape(node: Node) -> Page:
    """Values by name and labels; each is there once."""
    samples = samples_of(await text(node))
    page = {(each.name, frozenset(each.labels.items())): each.value for each in samples}
    assert len(page) == len(samples)
    return page


def value(page: Page, name: str, **labels: str) -> float:
    """One value; labels as keywords."""
    return page[f"lightning_{name}", frozenset(labels.items())]


async def test_names_documented_are_names_scraped(node: Node) -> None:
    """With their types and labels."""
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        families = list(text_string_to_metric_families(await text(node)))
    scraped = {}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        scraped[name] = family.type, labels
    assert scraped == {name: (metric.kind, {frozenset(metric.all_labels)}) for name, metric in declared.items()}


async def test_openmetrics_if_it_is_accepted(node: Node) -> None:
    page = await text(node, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    parse = openmetrics_parser.text_string_to_metric_families
    families = {family.name: family for family in parse(page)}  # type: ignore[no-untyped-call]  # the library's
    assert page.endswith("# EOF\n")
    assert {name.removesuffix("_total") for name in declared} == families.keys()


async def test_under_load_each_scrape_is_whole(node: Node, small_map: SyntheticMap) -> None:
    """While a peer tells the map, again and again; and then each counter of gossipstatus has its value."""
    messages = list(small_map.messages())
    counters = {name for name, metric in declared.items() if metric.kind is Kind.COUNTER}
    pages: list[Page] = []
    async with await ScriptedPeer.connect(node.target) as peer:
        enough = asyncio.Event()
        loading = asyncio.create_task(_tell(peer, messages, enough))
        while len(pages) < 10:
            pages.append(await settled(node))
        enough.set()
        rounds = await loading

        async def all_there() -> bool:
            status = await node.rpc("gossipstatus")
            return bool(status["unfinished"] == 0 and status["accepted"] >= len(messages))

        await until(all_there, "the map has not come")
        pages += [await settled(node)]
        status = await node.rpc("gossipstatus")
    for before, after in itertools.pairwise(pages):
        assert [key for key in before if key[0] in counters and after[key] < before[key]] == []
    last = pages[-1]
    heard = sum(value(last, "peer_messages_total", process="gossipd", direction="in", type=type_) for type_ in TYPES)
    assert heard >= rounds * len(messages)
    assert value(last, "peer_bytes_total", process="gossipd", direction="in") > rounds * sum(map(len, messages))
    assert value(last, "peers", owner="gossipd", direction="in") == 1
    assert value(last, "gossip_signature_checks_total", result="good") >= len(messages)
    assert value(last, "handshakes_total", direction="in", outcome="done", stage="done") >= 1
    assert value(last, "hsm_requests_total", request="ecdh") >= 1
    assert value(last, "process_cpu_seconds_total", daemon="gossipd") > 0
    assert value(last, "process_resident_bytes", daemon="gossipd-workers") > 0, "whose time may be no tick yet"
    of_status = {metric.status: name for name, metric in declared.items() if metric.status in status}
    of_map = {"channels", "nodes", "store_bytes", "store_dead_bytes", "store_live_bytes", "dying", "compactions"}
    assert of_map <= of_status.keys()
    assert {name: last[metric, frozenset()] for name, metric in of_status.items()} == {
        name: status[name] for name in of_status
    }
    found = {**of_status, **dict.fromkeys(verdicts(last), ""), "accepted": "", "bad": "", "rate_limited": ""}
    assert status.keys() - found.keys() == {"state", "percent", "peer_gossip"}
    assert verdicts(last) == {name: status[name] for name in verdicts(last)}


TYPES = ("channel_announcement", "channel_update", "node_announcement")


async def _tell(peer: ScriptedPeer, messages: list[bytes], enough: asyncio.Event) -> int:
    """Say all of them until it is enough: how often that was."""
    for times in itertools.count(1):
        await peer.say(*messages)
        await peer.sync()
        if enough.is_set():
            return times
    raise AssertionError


async def settled(node: Node) -> Page:
    """A scrape of now: figures may be a moment old."""
    before = value(await scrape(node), "scrapes_total")
    found: list[Page] = []

    async def is_newer() -> bool:
        found[:] = [await scrape(node)]
        return value(found[0], "scrapes_total") > before

    await until(is_newer, "there are no new figures")
    return found[0]


def verdicts(page: Page) -> dict[str, float]:
    """How often each verdict was given, to all types."""
    found: dict[str, float] = {}
    for (name, labels), count in page.items():
        if name == "lightning_gossip_verdicts_total":
            verdict = dict(labels)["verdict"]
            found[verdict] = found.get(verdict, 0) + count
    return found


async def test_what_is_served_is_counted_by_type(node: Node, small_map: SyntheticMap) -> None:
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(*small_map.messages())
        await peer.sync()

        async def all_there() -> bool:
            return bool((await node.rpc("gossipstatus"))["unfinished"] == 0)

        await until(all_there, "the map has not come")

    async def served(page: Page, type_: str) -> float:
        return value(page, "peer_messages_total", process="gossipd", direction="out", type=type_)

    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(GossipTimestampFilter(NETWORKS["regtest"], 0, 0xFFFFFFFF))
        for _ in range((await node.rpc("gossipstatus"))["channels"]):
            await peer.hear(256)
        await peer.sync()
        page = await settled(node)
    assert await served(page, "channel_announcement") >= (await node.rpc("gossipstatus"))["channels"]
    assert await served(page, "channel_update") > 0


async def test_a_daemon_that_does_not_answer_is_left_out_and_counted(node: Node) -> None:
    pid = node.pids()["connectd"]
    before = await settled(node)
    os.kill(pid, signal.SIGSTOP)
    try:
        page = await settled(node)
        again = await settled(node)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert not [name for name, _ in page if name == "lightning_handshakes_total"]
    assert value(page, "gossip_channels") == value(before, "gossip_channels")
    assert value(page, "process_up", daemon="connectd") == 1
    counts = [value(each, "scrapes_unanswered_total", daemon="connectd") for each in (before, page, again)]
    assert counts[0] < counts[1] < counts[2]
    assert [name for name, _ in await settled(node) if name == "lightning_handshakes_total"]


async def test_a_death_is_counted(nodes: Nodes) -> None:
    node = nodes.start("--metrics-addr=127.0.0.1:0")
    os.kill(node.pids()["gossipd"], signal.SIGKILL)
    await node.logged("gossipd was restarted")
    page = await settled(node)
    assert value(page, "deaths_total", daemon="gossipd") == value(page, "restarts_total", daemon="gossipd") == 1
    assert value(page, "deaths_total", daemon="connectd") == 0
    assert value(page, "gossip_channels") == 0


async def test_100_half_requests_and_a_client_that_never_reads_hold_no_scrape_up(node: Node) -> None:
    host, port = re.fullmatch(r"http://([\d.]+):(\d+)/metrics", url(node)).groups()  # type: ignore[union-attr]
    clients = [await asyncio.open_connection(host, int(port), limit=1_024) for _ in range(101)]
    clients[0][1].write(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
    for _, writer in clients[1:]:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: ")
    page = await settled(node)
    assert value(page, "scrapes_refused_total", reason="crowded") > 80
    for _, writer in clients:
        writer.close()
    assert value(await settled(node), "process_open_fds", daemon="lightningd") <= value(
        page, "process_open_fds", daemon="lightningd"
    )


async def test_an_address_in_use_is_one_sentence(node: Node, nodes: Nodes, tmp_path: Path) -> None:
    where = url(node).removeprefix("http://").removesuffix("/metrics")
    other = nodes.begin(f"--metrics-addr={where}")
    assert other.wait() == 1
    assert other.broken() == []
    assert [line for line in other.lines if line.startswith("lightningd-py: ")] == [
        f"lightningd-py: --metrics-addr: cannot listen on {where}: Address already in use"
    ]
    nodes.expect_end(other)


async def test_nothing_listens_if_nothing_is_said(nodes: Nodes) -> None:
    node = nodes.start("--bind-addr=127.0.0.1:0")
    assert not [line for line in node.lines if "metrics are at" in line]


# dashboard and alerts


def expressions() -> Iterator[tuple[str, str, str]]:
    """(where it stands, expression, text that is made with its labels)."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"dashboard, {panel['title']}", target["expr"], target["legendFormat"].replace("{{", "{{ $labels.")
    alerts = (MONITORING / "alerts.yml").read_text()
    for alert in re.split(r"^ +- alert: ", alerts, flags=re.MULTILINE)[1:]:
        found = re.search(r"expr: (?:>-\n)?(.+?)\n +for:|expr: (.+)", alert, re.DOTALL)
        assert found is not None
        yield f"alert {alert.split()[0]}", found[1] or found[2].split("\n")[0], alert
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield "dashboard, variable", variable["query"]["query"].replace(", instance)", ")"), ""


def flaws(expression: str, used: str, samples: list[Sample]) -> Iterator[str]:
    """What an expression names that no sample has."""
    named: set[str] = set()
    for name, matchers in re.findall(r"(lightning_\w+)(?:\{(.*?)\})?", expression):
        of_name = [sample for sample in samples if sample.name == name]
        if not of_name:
            yield f"{name} is not scraped"
        for label, operator, wanted in re.findall(r"(\w+)(=~|!=|=)\"(.*?)\"", matchers):
            if label in OF_PROMETHEUS:
                continue
            if not any(label in sample.labels for sample in of_name):
                yield f"{name} has no label {label}"
            elif operator != "=~" and not any(sample.labels[label] == wanted for sample in of_name):
                yield f"no {name} has {label}={wanted}"
        named |= {label for sample in of_name for label in sample.labels}
    groups = re.findall(r"\b(?:by|on) \((.*?)\)", expression)
    grouped = [label.strip() for group in groups for label in group.split(",")]
    shown = re.findall(r"\$labels\.(\w+)", used)
    yield from (f"there is no label {label}" for label in {*grouped, *shown} - named - OF_PROMETHEUS)


async def test_dashboard_and_alerts_name_what_is_scraped(node: Node, small_map: SyntheticMap) -> None:
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        samples = samples_of(await text(node))
    found = list(expressions())
    assert len(found) > 50
    assert [(where, flaw) for where, expression, used in found for flaw in flaws(expression, used, samples)] == []


@pytest.mark.parametrize(
    "expression",
    [
        "lightning_no_such_thing",
        'lightning_peers{owners="gossipd"}',
        'lightning_peers{owner="gosipd"}',
        "sum by (ownr) (lightning_peers)",
    ],
)
def test_a_flaw_in_them_is_found(expression: str) -> None:
    samples = [Sample("lightning_peers", {"owner": "gossipd", "direction": "in"}, 1.0)]
    assert len(list(flaws(expression, "", samples))) == 1
    assert list(flaws('sum by (owner) (lightning_peers{owner="gossipd"})', "{{ $labels.owner }}", samples)) == []
