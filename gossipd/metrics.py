"""What gossipd answers to `get_metrics`, out of counters that are kept where things happen."""

from gossipd import report
from gossipd.ask.states import State
from gossipd.gossipd import Gossipd
from wire.control.control_wire import GetMetricsReply
from wire.control.status import lines_lost
from wire.metrics import declared
from wire.metrics.declared import GOSSIPD_STATUS
from wire.metrics.metric import Samples
from wire.peer_types import message_name


def reply(gossipd: Gossipd, to_master: int) -> GetMetricsReply:
    """`to_master`: messages that wait for the master."""
    samples, counters = Samples(), dict(report.counters(gossipd))
    for name, metric in GOSSIPD_STATUS.items():
        samples.put(metric, counters[name])
    missing = counters["asked"] + counters["wanted"]
    samples.put(declared.SYNC_RATIO, counters["got"] / missing if missing else 1.0)
    state = gossipd.seeker.state
    samples.put_each(declared.SYNC_STATE, {each.value.replace(" ", "_"): each is state for each in State})
    _intake(gossipd, samples)
    waiting, asked = gossipd.txout.queues
    queues = {"to_master": to_master, "signatures": gossipd.signatures.waiting, "turns": len(gossipd.turns)}
    samples.put_each(declared.QUEUE, queues | {"txouts_waiting": waiting, "txouts_asked": asked})
    samples.put_each(declared.FEED_SAID, dict(gossipd.feed.counts()))
    samples.put_each(declared.FEED_LOST, {"subscribers": gossipd.feed.lost(), "master": gossipd.feed.lost_to_master})
    gossipd.tally.put_into(samples)
    samples.put(declared.COPIES_REPLACED, gossipd.owned.seldom.lost)
    samples.put(declared.LOG_LOST, lines_lost())
    return samples.reply()


def _intake(gossipd: Gossipd, samples: Samples) -> None:
    """The pipeline, and what its messages were worth. Gossip is counted there by its verdict, nowhere else."""
    checks, signatures = gossipd.ingest.checks, gossipd.signatures
    for number, verdicts in {**checks.verdicts, **gossipd.gossip_v2.verdicts}.items():
        name = message_name(number)
        samples.put_each(
            declared.VERDICTS, {verdict.replace(" ", "_"): count for verdict, count in verdicts.items()}, name
        )
        if number in checks.unjudged:
            samples.put(declared.PEER_MESSAGES, sum(verdicts.values()) + checks.unjudged[number], "in", name)
    samples.put_each(declared.V2_RESULTS, gossipd.gossip_v2.results)
    samples.put_each(declared.RESULTS, {name.replace(" ", "_"): count for name, count in checks.results.items()})
    results = {"good": signatures.good, "wrong": signatures.wrong, "deadly": signatures.deadly}
    samples.put_each(declared.SIGNATURES, results)
    samples.put(declared.WORKER_DEATHS, signatures.deaths)
    samples.put_each(declared.TXOUTS, gossipd.txout.results)
    samples.put_each(declared.FAULTS, {each.name.lower(): count for each, count in gossipd.judge.faults.items()})
