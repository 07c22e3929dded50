"""metrics.md: every metric, from the declarations in wire/metrics/declared.py."""

from gossipd.verdict import REASONS, Verdict
from lightningd_py.observatory.metrics.declared import ARCHIVE, RECORDER
from lightningd_py.observatory.metrics.declared import declared as observatory
from wire.metrics.declared import declared
from wire.metrics.metric import Metric

HEAD = """# Metrics

`--metrics-addr=IP[:PORT]` answers `GET /metrics` there in Prometheus' text format, or in OpenMetrics for a client that
accepts it; the default port is 9750. Without the option nothing listens. There is no password: any host that reaches
the address can read all counters, so name 127.0.0.1, or an address of an inner network.

    scrape_configs:
      - job_name: lightning
        static_configs: [{targets: ["127.0.0.1:9750"]}]

At a scrape the master asks each daemon what it has counted (`get_metrics`). One that does not answer within 2 seconds
is left out, and counted in `lightning_scrapes_unanswered_total`; what it says that is not declared below as its own is
rejected. A counter belongs to a process, and begins at 0 with it, as Prometheus expects. The label `daemon` says of
whom the master speaks, `process` who has counted. Figures are up to a quarter of a second old.

At most 8 clients are served at a time; one more takes the place of the oldest one of the address that has most. A
client has 10 seconds to say its request, and 10 to take its answer.

[dashboard.json](monitoring/dashboard.json) is a dashboard for Grafana, and [alerts.yml](monitoring/alerts.yml) has
alert rules for Prometheus, where the node's job is called `lightning`. A test holds both against a scrape of a node.

"""
GROUPS = (
    (("lightningd",), "The node and its processes, counted by the master"),
    (("connectd",), "connectd"),
    (("gossipd",), "gossipd"),
    ((), "Several daemons"),
    (("connectiond",), "connectiond"),
    (("websocketd",), "websocketd"),
    (("listingd",), "listingd"),
    (("oniond",), "oniond"),
    (("hsmd",), "hsmd"),
)
TABLE = "| metric | type | labels | what it is |\n|---|---|---|---|"


def metrics() -> str:
    """The page, without the note that it is generated."""
    parts = [HEAD]
    for of, title in GROUPS:
        rows = [_row(metric) for metric in declared.values() if metric.of == of or (not of and len(metric.of) > 1)]
        parts.append("\n".join([f"## {title}\n", TABLE, *rows]) + "\n\n")
    return "".join(parts) + _of_the_observatory() + _of_gossipstatus()


OBSERVATORY = """## lightning-observatory

`record` and `archive` answer the same way at a `--metrics-addr=IP[:PORT]` of their own, by default on the ports 9751
and 9752, by a thread beside their work. Of a metric at most 1,000 vantage points are told. What there is of NATS is
told where `--nats` is given ([scale.md](scale.md)).
"""


def _of_the_observatory() -> str:
    parts = [OBSERVATORY]
    for of, title in ((RECORDER, "A recorder"), (ARCHIVE, "An archive")):
        rows = [_row(metric) for metric in observatory.values() if metric.of == of]
        parts.append("\n".join([f"### {title}\n", TABLE, *rows]) + "\n")
    return "\n".join(parts) + "\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.all_labels)
    of = f" Of {', '.join(metric.of)}." if len(metric.of) > 1 else ""
    values = f" ({metric.values})" if metric.values else ""
    bounds = f" Buckets up to {', '.join(f'{bound:g}' for bound in metric.buckets)} s." if metric.buckets else ""
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning}{values}.{of}{bounds} |"


def _of_gossipstatus() -> str:
    rows = [f"| {metric.status} | `{metric.name}` |" for metric in declared.values() if metric.status]
    head = "## What gossipstatus calls them\n\nEach of its counters is one metric, or one label of one.\n"
    return "\n".join([head, "| gossipstatus | metric |", "|---|---|", *rows, *_verdicts()]) + "\n"


ON_ITS_WAY = {
    Verdict.CHECKING: "it is new, and its signatures are being checked",
    Verdict.REDUNDANT: "it, or something newer, is known",
    Verdict.WAITING: "it waits for a channel of its node",
    Verdict.HELD: "it waits for the announcement of its channel",
}


def _verdicts() -> list[str]:
    texts = {**REASONS, **ON_ITS_WAY}
    rows = [f"| {verdict.replace(' ', '_')} | {texts[verdict]} |" for verdict in Verdict]
    head = "The verdicts, which are what the label `verdict` has with a space for each `_`:"
    return ["", head, "", "| verdict | what it says of a message |", "|---|---|", *rows]
