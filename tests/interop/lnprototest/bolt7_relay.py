"""BOLT 7, the announcements and updates themselves: what is passed on, in which order, and what never is."""

from channels import NOW, Channel, NodeKnows, encoded, hear, resigned, say, spoilt
from lnprototest import AnyOrder, ExpectMsg, Msg, RawMsg, Runner, TryAll
from phrases import ALL_TIME, MAINNET, REGTEST, Events, alive, bits, hello

FEEDER, OBSERVER, SPECTATOR = "03", "05", "07"
DONT_FORWARD = 2
SIGNATURES = ("node_signature_1", "node_signature_2", "bitcoin_signature_1", "bitcoin_signature_2")


def filtered(key: str, first: int = 0, span: int = ALL_TIME) -> Events:
    """A peer that wants the gossip of this time."""
    return [
        *hello(key),
        Msg("gossip_timestamp_filter", chain_hash=REGTEST, first_timestamp=first, timestamp_range=span),
    ]


def hears_channel(channel: Channel, conn: str, timestamp: int = NOW) -> Events:
    """The announcement, then the updates, and each node after its channel."""
    announcement, *rest = channel.everything(timestamp)
    return [*hear(announcement, conn=conn), AnyOrder(*([event] for event in hear(*rest, conn=conn)))]


def backfill(runner: Runner) -> Events:
    """What is known already, to whom a filter comes from."""
    channel = Channel(1)
    feed = [*hello(FEEDER), *say(*channel.everything()), NodeKnows(channel)]
    return [*feed, *filtered(OBSERVER), *hears_channel(channel, OBSERVER), *alive(FEEDER)]


def live(runner: Runner) -> Events:
    """What comes later, to whom has a filter, and nothing to whom has none: two flushes prove it."""
    one, two = Channel(1), Channel(2)
    return [
        *filtered(OBSERVER),
        *hello(SPECTATOR),
        *hello(FEEDER),
        *say(*one.everything(), conn=FEEDER),
        *hears_channel(one, OBSERVER),
        *say(*two.everything(), conn=FEEDER),
        *hears_channel(two, OBSERVER),
        *(event for key in (FEEDER, SPECTATOR, OBSERVER) for event in alive(key)),
    ]


def no_echo(runner: Runner) -> Events:
    """Nothing goes back to who has said it: the first thing that each hears is the other's."""
    one, two = Channel(1), Channel(2)
    return [
        *filtered(FEEDER),
        *filtered(OBSERVER),
        *say(*one.everything(), conn=FEEDER),
        *hears_channel(one, OBSERVER),
        *say(*two.everything(), conn=OBSERVER),
        *hears_channel(two, FEEDER),
        *alive(OBSERVER),
        *alive(FEEDER),
    ]


def announcement_waits_for_update(runner: Runner) -> Events:
    """A channel without updates, and its nodes, are not told of. The other channel's coming first proves it."""
    silent, other = Channel(1), Channel(2)
    announcement, update, *_, node, _ = silent.everything()
    return [
        *hello(FEEDER),
        *filtered(OBSERVER),
        *say(announcement, node, *other.everything(), conn=FEEDER),
        *hears_channel(other, OBSERVER),
        *say(update, conn=FEEDER),
        *hear(announcement, conn=OBSERVER),
        AnyOrder(*([event] for event in hear(update, node, conn=OBSERVER))),
    ]


def newest_update_counts(runner: Runner) -> Events:
    """Older ones and the same again are passed over, a newer one is told."""
    channel, marker = Channel(1), Channel(2)
    older, same, newer = (channel.update(0, NOW + step, fee_base_msat=7 + step) for step in (-1, 0, 1))
    return [
        *hello(FEEDER),
        *filtered(OBSERVER),
        *say(channel.announcement(), same, conn=FEEDER),
        *hear(channel.announcement(), same, conn=OBSERVER),
        *say(older, same, *marker.everything(), conn=FEEDER),
        *hears_channel(marker, OBSERVER),
        *say(newer, conn=FEEDER),
        *hear(newer, conn=OBSERVER),
        *alive(FEEDER),
    ]


def newest_node_announcement_counts(runner: Runner) -> Events:
    """The same for nodes."""
    channel, marker = Channel(1), Channel(2)
    older, newer = channel.node(0, NOW - 1, "older"), channel.node(0, NOW + 1, "newer")
    return [
        *hello(FEEDER),
        *filtered(OBSERVER),
        *say(*channel.everything(), conn=FEEDER),
        *hears_channel(channel, OBSERVER),
        *say(older, *marker.everything(), conn=FEEDER),
        *hears_channel(marker, OBSERVER),
        *say(newer, conn=FEEDER),
        *hear(newer, conn=OBSERVER),
    ]


def _never_told(messages: Events) -> Events:
    """The feeder says these and a whole channel: the observer hears of that only, and no peer is blamed."""
    marker = Channel(9)
    return [
        *hello(FEEDER),
        *filtered(OBSERVER),
        *messages,
        *say(*marker.everything(), conn=FEEDER),
        *hears_channel(marker, OBSERVER),
        *alive(FEEDER),
    ]


def other_chain(runner: Runner) -> Events:
    """Not ours, so not looked at."""
    channel = Channel(1, chain_hash=MAINNET)
    return _never_told(say(channel.announcement(), channel.update(0), channel.update(1), conn=FEEDER))


def without_a_channel(runner: Runner) -> Events:
    """Updates and nodes of channels that were not announced."""
    _, *rest = Channel(1).everything()
    return _never_told(say(*rest, conn=FEEDER))


def not_to_be_forwarded(runner: Runner) -> Events:
    """An update with the dont_forward bit, and so its channel."""
    channel = Channel(1)
    update = resigned(channel.update(0), channel.node_secrets[0], message_flags=1 | DONT_FORWARD)
    return _never_told(say(channel.announcement(), update, conn=FEEDER))


def update_of_the_far_future(runner: Runner) -> Events:
    """An update that would shut out all others."""
    channel = Channel(1)
    return _never_told(say(channel.announcement(), channel.update(0, NOW + 30 * 86400), conn=FEEDER))


def _blamed(messages: Events, afterwards: Events) -> Events:
    """The last of these earns a warning, and then this."""
    return [*hello(FEEDER), *messages, ExpectMsg("warning", connprivkey=FEEDER), *afterwards]


def bad_announcement_signatures(runner: Runner) -> Events:
    """Each of the four: a warning. The right announcement is good, also from the same peer."""
    channel, marker = Channel(1), Channel(2)
    rounds = [
        _blamed(say(spoilt(channel.announcement(), field), *marker.everything(), conn=FEEDER), alive(FEEDER))
        for field in SIGNATURES
    ]
    known = [*say(*channel.everything(), conn=FEEDER), *hears_channel(marker, OBSERVER)]
    return [*filtered(OBSERVER), TryAll(*rounds), *known, *hears_channel(channel, OBSERVER)]


def bad_signatures(runner: Runner) -> Events:
    """A node's: a warning, never told, and the link stays. An update's proves nothing where there is no chain."""
    channel, marker = Channel(1), Channel(2)
    good = say(channel.announcement(), channel.update(0), *marker.everything(), conn=FEEDER)
    heard = [*hear(channel.announcement(), channel.update(0), conn=OBSERVER), *hears_channel(marker, OBSERVER)]
    wrong = [spoilt(channel.node(number), "signature") for number in (0, 1)]
    rounds = [_blamed([*good, *heard, *say(bad, conn=FEEDER)], alive()) for bad in wrong]
    return [*filtered(OBSERVER), TryAll(*rounds), *alive(OBSERVER)]


def cut_short(runner: Runner) -> Events:
    """Fields that end before they should: passed over, as honest peers may relay them."""
    whole = [encoded(message) for message in (Channel(1).announcement(), Channel(1).update(0), Channel(1).node(0))]
    return [TryAll(*(_blamed([RawMsg(data[:-1], connprivkey=FEEDER)], alive()) for data in whole))]


def unknown_features(runner: Runner) -> Events:
    """Even ones too are kept and told, of a channel and of a node: only routing needs to know them."""
    channel, unknown = Channel(1), bits(98)
    announcement, node = (
        channel.announcement(unknown),
        resigned(channel.node(0), channel.node_secrets[0], features=unknown),
    )
    return [
        *hello(FEEDER),
        *filtered(OBSERVER),
        *say(announcement, channel.update(0), node, conn=FEEDER),
        *hear(announcement, conn=OBSERVER),
        AnyOrder(*([event] for event in hear(channel.update(0), node, conn=OBSERVER))),
    ]


CASES = (
    backfill,
    live,
    no_echo,
    announcement_waits_for_update,
    newest_update_counts,
    newest_node_announcement_counts,
    other_chain,
    without_a_channel,
    not_to_be_forwarded,
    update_of_the_far_future,
    bad_announcement_signatures,
    bad_signatures,
    cut_short,
    unknown_features,
)
