"""BOLT 7, Query Messages: which channels there are, and what is known of them."""

import struct
from typing import Any

from bolt7_relay import FEEDER
from channels import NOW, Channel, NodeKnows, checksum, hear, say
from lnprototest import ExpectMsg, Msg, RawMsg, Runner, Sequence, TryAll
from phrases import MAINNET, REGTEST, Events, alive, fields, hello, warned

ASKER = "05"
TIMESTAMPS, CHECKSUMS = 1, 2
ANNOUNCEMENT, UPDATE_1, UPDATE_2, NODE_1, NODE_2 = 1, 2, 4, 8, 16
ONE, TWO = Channel(3), Channel(9)
"""Of the blocks 103 and 109; the second has an update of its first node only."""
FIRST, SECOND = NOW - 100, NOW - 200
ONE_UPDATES = (ONE.update(0, FIRST), ONE.update(1, SECOND))
TWO_UPDATE = TWO.update(0, SECOND)


def _known() -> Events:
    """Both channels told by one peer, and another one is there to ask."""
    one = [ONE.announcement(), *ONE_UPDATES, ONE.node(0), ONE.node(1)]
    feed = say(*one, TWO.announcement(), TWO_UPDATE)
    return [*hello(FEEDER), *feed, NodeKnows(ONE), NodeKnows(TWO, 1), *hello(ASKER)]


def scids(*channels: Channel | str) -> str:
    """An `encoded_short_ids`, uncompressed."""
    texts = (channel if isinstance(channel, str) else channel.scid for channel in channels)
    numbers = (tuple(map(int, text.split("x"))) for text in texts)
    return "00" + "".join(struct.pack(">Q", b << 40 | t << 16 | o).hex() for b, t, o in numbers)


def query_range(first: int, number: int, flags: int | None = None, chain: str = REGTEST) -> Msg:
    """query_channel_range; with `flags` also its query_option."""
    tlvs = {} if flags is None else {"tlvs": f"{{query_option={{query_option_flags={flags}}}}}"}
    return Msg("query_channel_range", chain_hash=chain, first_blocknum=first, number_of_blocks=number, **tlvs)


def reply_range(first: int, number: int, *channels: Channel, tlvs: dict[str, Any] | None = None) -> ExpectMsg:
    """One reply_channel_range that says it all: exactly these channels and these TLVs."""
    return ExpectMsg(
        "reply_channel_range",
        if_match=fields(lambda reply: reply["tlvs"] == (tlvs or {}), f"its TLVs are not {tlvs}"),
        chain_hash=REGTEST,
        first_blocknum=first,
        number_of_blocks=number,
        sync_complete=1,
        encoded_short_ids=scids(*channels),
    )


def query_scids(*channels: Channel | str, flags: tuple[int, ...] = (), chain: str = REGTEST) -> Msg:
    """query_short_channel_ids; with `flags` also its query_flags, one for each channel."""
    encoded = "".join(f"{flag:02x}" for flag in flags)
    tlvs = {"tlvs": f"{{query_flags={{encoding_type=0,encoded_query_flags={encoded}}}}}"} if flags else {}
    return Msg("query_short_channel_ids", chain_hash=chain, encoded_short_ids=scids(*channels), **tlvs)


def end(full_information: int = 1, chain: str = REGTEST) -> ExpectMsg:
    """reply_short_channel_ids_end."""
    return ExpectMsg("reply_short_channel_ids_end", chain_hash=chain, full_information=full_information)


def ranges(runner: Runner) -> Events:
    """None, one, the other, both, and the last block that there can be: nothing of its range is within 32 bits."""
    rounds = (
        (0, 103, ()),
        (103, 1, (ONE,)),
        (104, 5, ()),
        (104, 6, (TWO,)),
        (103, 7, (ONE, TWO)),
        (0, 0xFFFFFFFF, (ONE, TWO)),
    )
    asked = [
        event
        for first, count, found in rounds
        for event in (query_range(first, count), reply_range(first, count, *found))
    ]
    beyond = (query_range(0xFFFFFFFF, 1), reply_range(0xFFFFFFFF, 0))
    return [*_known(), *asked, *beyond, *alive(ASKER)]


def range_beyond_32_bits(runner: Runner) -> Events:
    """first plus number may pass 2^32. No reply does: its number is cut down to what reaches the end, as CLN does."""
    reply = fields(
        lambda told: told["first_blocknum"] == 109 and told["number_of_blocks"] == 2**32 - 1 - 109, "another range"
    )
    expected = ExpectMsg("reply_channel_range", if_match=reply, encoded_short_ids=scids(TWO), sync_complete=1)
    return [*_known(), query_range(109, 0xFFFFFFFF), expected, *alive(ASKER)]


def range_with_timestamps_and_checksums(runner: Runner) -> Events:
    """gossip_queries_ex: each of them alone, both, and neither."""
    timestamps = {
        "timestamps_tlv": {
            "encoding_type": 0,
            "encoded_timestamps": struct.pack(">4I", FIRST, SECOND, SECOND, 0).hex(),
        }
    }
    sums = [*map(checksum, ONE_UPDATES), checksum(TWO_UPDATE), 0]
    pairs = [dict(zip(("checksum_node_id_1", "checksum_node_id_2"), sums[i : i + 2], strict=True)) for i in (0, 2)]
    checksums = {"checksums_tlv": {"checksums": pairs}}
    rounds = (
        (TIMESTAMPS, timestamps),
        (CHECKSUMS, checksums),
        (TIMESTAMPS | CHECKSUMS, timestamps | checksums),
        (0, {}),
    )
    asked = [
        event
        for flags, tlvs in rounds
        for event in (query_range(103, 7, flags), reply_range(103, 7, ONE, TWO, tlvs=tlvs))
    ]
    enabled = runner.has_option("option_gossip_queries_ex") is not None
    return [*_known(), Sequence(asked, enable=enabled), *alive(ASKER)]


def range_of_another_chain(runner: Runner) -> Events:
    """No channels, in one reply, which is the last one."""
    expected = ExpectMsg("reply_channel_range", chain_hash=MAINNET, sync_complete=1, encoded_short_ids="00")
    return [*_known(), query_range(0, 1000, chain=MAINNET), expected, *alive(ASKER)]


def channels_in_full(runner: Runner) -> Events:
    """Without flags: announcement, updates, nodes, the end. No filter is needed."""
    one = [ONE.announcement(), *ONE_UPDATES]
    two = [TWO.announcement(), TWO_UPDATE]
    nodes = [ONE.node(0), ONE.node(1)]
    return [
        *_known(),
        query_scids(ONE),
        *hear(*one, *nodes),
        end(),
        query_scids(TWO),
        *hear(*two),
        end(),
        query_scids(ONE, TWO),
        *hear(*one, *two, *nodes),
        end(),
        *alive(ASKER),
    ]


def channels_by_flags(runner: Runner) -> Events:
    """gossip_queries_ex: each part alone, and some together, for each channel its own."""
    first, second = ONE_UPDATES
    rounds = (
        ((ONE,), (ANNOUNCEMENT,), (ONE.announcement(),)),
        ((ONE,), (UPDATE_1,), (first,)),
        ((ONE,), (UPDATE_2,), (second,)),
        ((ONE,), (NODE_1,), (ONE.node(0),)),
        ((ONE,), (NODE_2,), (ONE.node(1),)),
        ((ONE,), (0,), ()),
        ((TWO,), (UPDATE_2 | NODE_1 | NODE_2,), ()),
        (
            (ONE, TWO),
            (UPDATE_2 | NODE_2, ANNOUNCEMENT | UPDATE_1),
            (second, TWO.announcement(), TWO_UPDATE, ONE.node(1)),
        ),
    )
    asked = [
        event for asked, flags, told in rounds for event in (query_scids(*asked, flags=flags), *hear(*told), end())
    ]
    enabled = runner.has_option("option_gossip_queries_ex") is not None
    return [*_known(), Sequence(asked, enable=enabled), *alive(ASKER)]


def unknown_channels(runner: Runner) -> Events:
    """They are left out, and so are those of a query for none."""
    told = hear(ONE.announcement(), *ONE_UPDATES, ONE.node(0), ONE.node(1))
    return [
        *_known(),
        query_scids("1x1x1"),
        end(),
        query_scids("1x1x1", ONE, "104x1x0"),
        *told,
        end(),
        query_scids(),
        end(),
        *alive(ASKER),
    ]


def channels_of_another_chain(runner: Runner) -> Events:
    """Nothing is known of them, and that is said."""
    return [*_known(), query_scids(ONE, chain=MAINNET), end(0, chain=MAINNET), *alive(ASKER)]


def bad_encodings(runner: Runner) -> Events:
    """zlib, and an unknown type: a warning, the end of an answer that says we know too little, and it goes on."""
    types = [
        Msg("query_short_channel_ids", chain_hash=REGTEST, encoded_short_ids=t + scids(ONE)[2:]) for t in ("01", "07")
    ]
    return [*hello(ASKER), *(event for query in types for event in (query, ExpectMsg("warning"), end(0))), *alive()]


def bad_lengths(runner: Runner) -> Events:
    """ids cut short, half an id more, no type at all, flags of another number: a warning, and the end."""
    good = scids(ONE)
    texts = (good[:-2], good + "00", "")
    bad = [Msg("query_short_channel_ids", chain_hash=REGTEST, encoded_short_ids=text) for text in texts]
    return [*hello(ASKER), TryAll(*([query] for query in [*bad, query_scids(ONE, flags=(1, 1))])), *warned()]


def cut_short(runner: Runner) -> Events:
    """Fields that end before they should."""
    chain = bytes.fromhex(REGTEST)
    messages = (b"\x01\x05" + chain + b"\0\x09\0", b"\x01\x07" + chain + b"\0\0\0", b"\x01\x09" + chain + bytes(7))
    return [*hello(ASKER), TryAll(*([RawMsg(message)] for message in messages)), *warned()]


def answers_not_asked_for(runner: Runner) -> Events:
    """Ends and replies out of the blue do no harm."""
    scid_end = Msg("reply_short_channel_ids_end", chain_hash=REGTEST, full_information=1)
    reply = Msg(
        "reply_channel_range",
        chain_hash=REGTEST,
        first_blocknum=0,
        number_of_blocks=1,
        sync_complete=1,
        encoded_short_ids="00",
    )
    return [*hello(ASKER), scid_end, reply, *alive()]


CASES = (
    ranges,
    range_beyond_32_bits,
    range_with_timestamps_and_checksums,
    range_of_another_chain,
    channels_in_full,
    channels_by_flags,
    unknown_channels,
    channels_of_another_chain,
    bad_encodings,
    bad_lengths,
    cut_short,
    answers_not_asked_for,
)
