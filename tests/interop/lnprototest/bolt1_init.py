"""BOLT 1, the `init` message: what the node says in its own, and what it makes of ours."""

from typing import Any

from lnprototest import ExpectMsg, Msg, MustNotMsg, Runner, Sequence, TryAll, bitfield_len, has_bit
from lnprototest.stash import rcvd
from phrases import MAINNET, REGTEST, Events, HangsUp, alive, dial, fields, hello, init, raw, warned

UNKNOWN_EVEN, UNKNOWN_ODD = 98, 99
PAYMENT_SECRET, BASIC_MPP = 15, 17
BITS = {
    "option_data_loss_protect": 0,
    "option_gossip_queries": 6,
    "option_var_onion_optin": 8,
    "option_gossip_queries_ex": 10,
    "option_static_remotekey": 12,
    "option_payment_secret": 14,
    "option_provide_storage": 42,
    "option_channel_type": 44,
}
"""The even bits of what our node may list by --list-features-only."""


def comes_first(runner: Runner) -> Events:
    """Without a word of ours; nothing above bit 13 in the first map, no needless zero bytes, the chain named."""

    def is_proper(init: dict[str, Any]) -> bool:
        low, high = init["globalfeatures"], init["features"]
        return (
            not any(has_bit(low, bit) for bit in range(14, bitfield_len(low)))
            and not low.startswith("00")
            and not high.startswith("00")
            and init["tlvs"]["networks"]["chains"] == [REGTEST]
            and "remote_addr" not in init["tlvs"]
        )

    return [*dial("03")[:1], ExpectMsg("init", if_match=fields(is_proper, "not as it should be"))]


def waits_for_ours(runner: Runner) -> Events:
    """Neither gossip nor queries, not even a pong, before our INIT."""
    types = ("gossip_timestamp_filter", "query_channel_range", "pong", "ping")
    return [*dial("03"), *map(MustNotMsg, types), raw("8001 00")]


def offers_what_it_lists(runner: Runner) -> Events:
    """--list-features-only tells the bits of INIT."""
    listed = {BITS[name] + (kind == "odd") for name, kind in runner.options.items()}

    def are_listed(init: dict[str, Any]) -> bool:
        offered = init["features"]
        return {bit for bit in range(bitfield_len(offered)) if has_bit(offered, bit)} == listed

    return [*dial("03")[:1], ExpectMsg("init", if_match=fields(are_listed, f"not {sorted(listed)}"))]


def echoed(runner: Runner) -> Events:
    """Its own features are good for it."""
    return [*dial("03"), Msg("init", globalfeatures=rcvd(), features=rcvd()), *alive()]


def data_loss_protect(runner: Runner) -> Events:
    """Asked for, required, or both: a node that has it or knows it stays."""
    return [*dial("03"), TryAll([init(1)], [init(0)], [init(0, 1)]), *alive()]


def unknown_odd_bits(runner: Runner) -> Events:
    """In either map: neither end minds."""
    return [*dial("03"), TryAll([init(UNKNOWN_ODD)], [init(others=(UNKNOWN_ODD,))]), *alive()]


def unknown_even_bits(runner: Runner) -> Events:
    """In either map: the connection fails, and we hear why."""
    return [*dial("03"), TryAll([init(UNKNOWN_EVEN)], [init(others=(UNKNOWN_EVEN,))]), *warned()]


def both_maps_are_one(runner: Runner) -> Events:
    """A dependency may stand in the other map; if it stands in none, the connection fails."""
    together = [init(BASIC_MPP, others=(PAYMENT_SECRET,)), *alive()]
    return [*dial("03"), TryAll(together, [init(BASIC_MPP), *warned()])]


def networks(runner: Runner) -> Events:
    """Ours must be among them, if there are any."""
    good = [[init()], [init(networks=(REGTEST,))], [init(networks=(MAINNET, REGTEST))]]
    return [*dial("03"), TryAll(*([*events, *alive()] for events in good), [init(networks=(MAINNET,)), *warned()])]


def extension(runner: Runner) -> Events:
    """TLVs after the maps: odd ones are passed over, even ones and broken streams end the connection."""
    empty = "0010 0000 0000"
    good = [raw(empty), raw(f"{empty} 63 02 ffff"), raw(f"{empty} 01 20 {REGTEST} 63 00")]
    bad = [f"{empty} {tlvs}" for tlvs in ("62 00", "63 02 ff", "63 00 63 00", "63 fd0001 00", "63 00 0120" + REGTEST)]
    return [*dial("03"), TryAll(*([message, *alive()] for message in good), *([raw(text), *warned()] for text in bad))]


def cut_short(runner: Runner) -> Events:
    """Maps longer than the message."""
    return [*dial("03"), TryAll([raw("0010")], [raw("0010 0001")], [raw("0010 0000 0002 00")]), *warned()]


def something_else_first(runner: Runner) -> Events:
    """An unknown odd message is passed over even then; any other ends the connection."""
    return [*dial("03"), TryAll([raw("8001 00"), init(), *alive()], [raw("0012 0001 0000"), *warned()])]


def one_connection_per_peer(runner: Runner) -> Events:
    """The same key again (the library tells 03 from 0003): the new connection takes the old one's place."""
    return [*hello("03"), *hello("0003"), *alive("0003"), HangsUp(connprivkey="03"), *alive("0003")]


def two_peers(runner: Runner) -> Events:
    """One peer's coming, and its going, mean nothing to another."""
    bye = Sequence([*hello("02"), *alive("02")])
    return [*hello("03"), *alive("03"), bye, *alive("03")]


CASES = (
    comes_first,
    waits_for_ours,
    offers_what_it_lists,
    echoed,
    data_loss_protect,
    unknown_odd_bits,
    unknown_even_bits,
    both_maps_are_one,
    networks,
    extension,
    cut_short,
    something_else_first,
    one_connection_per_peer,
    two_peers,
)
