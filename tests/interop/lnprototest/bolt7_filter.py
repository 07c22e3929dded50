"""BOLT 7, gossip_timestamp_filter: which times are told, now and later."""

from bolt7_relay import FEEDER, OBSERVER, filtered, hears_channel
from channels import NOW, Channel, NodeKnows, say
from lnprototest import Msg, MustNotMsg, Runner, Sequence, TryAll
from phrases import ALL_TIME, MAINNET, REGTEST, Events, alive, hello

BEFORE, AFTER = NOW - 1000, NOW - 500
GOSSIP = ("channel_announcement", "channel_update", "node_announcement")


def _two_ages() -> tuple[Channel, Channel, Events]:
    """A channel of BEFORE and one of AFTER, and how the node comes to know them."""
    old, new = Channel(1), Channel(2)
    feed = [*hello(FEEDER), *say(*old.everything(BEFORE), *new.everything(AFTER)), NodeKnows(old), NodeKnows(new)]
    return old, new, feed


def _ask(first: int, span: int, chain: str = REGTEST) -> Events:
    return [Msg("gossip_timestamp_filter", chain_hash=chain, first_timestamp=first, timestamp_range=span)]


def no_filter(runner: Runner) -> Events:
    """Nothing then. What the other peer hears meanwhile is the time in which it does not come."""
    *_, feed = _two_ages()
    marker = Channel(3)
    silence = [*hello("07"), *map(MustNotMsg, GOSSIP)]
    others = [*filtered(OBSERVER, NOW), *say(*marker.everything(), conn=FEEDER), *hears_channel(marker, OBSERVER)]
    return [*feed, *silence, *others, *alive("07")]


def first_is_included(runner: Runner) -> Events:
    """From that second on; what follows proves that nothing older came."""
    _, new, feed = _two_ages()
    return [*feed, *filtered(OBSERVER, AFTER), *hears_channel(new, OBSERVER, AFTER), *alive(OBSERVER)]


def end_is_excluded(runner: Runner) -> Events:
    """Up to first plus range, without that second."""
    old, _, feed = _two_ages()
    span = AFTER - BEFORE
    return [*feed, *filtered(OBSERVER, BEFORE, span), *hears_channel(old, OBSERVER, BEFORE), *alive(OBSERVER)]


def range_beyond_32_bits(runner: Runner) -> Events:
    """first plus range may pass 2^32: it does not begin at 0 again."""
    _, new, feed = _two_ages()
    return [*feed, *filtered(OBSERVER, AFTER, ALL_TIME), *hears_channel(new, OBSERVER, AFTER), *alive(OBSERVER)]


def later_gossip_too(runner: Runner) -> Events:
    """The filter holds for what comes later as for what is there."""
    old, new = Channel(1), Channel(2)
    return [
        *filtered(OBSERVER, AFTER),
        *hello(FEEDER),
        *say(*old.everything(BEFORE), *new.everything(AFTER)),
        *hears_channel(new, OBSERVER, AFTER),
        *alive(OBSERVER),
    ]


def new_filter_replaces(runner: Runner) -> Events:
    """The second filter of a connection, wider or narrower."""
    old, new, feed = _two_ages()
    marker = Channel(3)
    none = [*feed, *filtered(OBSERVER, NOW), *alive(OBSERVER)]
    wider = [*_ask(BEFORE, 1), *hears_channel(old, OBSERVER, BEFORE)]
    moved = [*_ask(AFTER, 1), *hears_channel(new, OBSERVER, AFTER)]
    nothing = [*_ask(ALL_TIME, 0), *say(*marker.everything(), conn=FEEDER), NodeKnows(marker), *alive(OBSERVER)]
    return [*none, TryAll(Sequence([*wider, *moved]), Sequence(nothing))]


def other_chain(runner: Runner) -> Events:
    """A filter for a chain that is not ours opens nothing."""
    marker = Channel(3)
    *_, feed = _two_ages()
    return [
        *feed,
        *hello("07"),
        *_ask(0, ALL_TIME, MAINNET),
        *filtered(OBSERVER, NOW),
        *say(*marker.everything(), conn=FEEDER),
        *hears_channel(marker, OBSERVER),
        *alive("07"),
    ]


CASES = (
    no_filter,
    first_is_included,
    end_is_excluded,
    range_beyond_32_bits,
    later_gossip_too,
    new_filter_replaces,
    other_chain,
)
