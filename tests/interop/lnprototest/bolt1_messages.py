"""BOLT 1 after `init`: pings, unknown messages, errors and warnings."""

from lnprototest import ExpectMsg, Msg, Runner, TryAll
from phrases import REGTEST, Events, alive, hello, raw, warned

NO_PONG_FROM = 65532
CHANNEL = "42" * 32
POINTS = ("funding_pubkey", "revocation_basepoint", "payment_basepoint", "delayed_payment_basepoint")
POINT = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


def ping(pong_bytes: int, ignored: int = 0) -> Msg:
    """A ping that asks for so many bytes and brings so many."""
    return Msg("ping", num_pong_bytes=pong_bytes, ignored="00" * ignored)


def pongs(runner: Runner) -> Events:
    """Each of the size asked for, all zeros, in their order."""
    sizes = (0, 1, 7, 1000, NO_PONG_FROM - 1)
    answers = [ExpectMsg("pong", ignored="00" * size) for size in sizes]
    return [*hello("03"), *map(ping, sizes), *answers, ping(0, 65529), ExpectMsg("pong", ignored="")]


def pings_without_pong(runner: Runner) -> Events:
    """From 65532 on none is sent: the next one's is the first to come."""
    return [*hello("03"), ping(NO_PONG_FROM), ping(NO_PONG_FROM + 1, 100), ping(65535), *alive()]


def ping_with_extension(runner: Runner) -> Events:
    """What follows a message's fields may be passed over."""
    return [*hello("03"), raw("0012 0001 0000 63 00"), ExpectMsg("pong", ignored="00")]


def known_but_too_short(runner: Runner) -> Events:
    """Fields that end before they should."""
    texts = (
        "0012",
        "0012 0001",
        "0012 0001 0002 00",
        "0013 0001",
        "0011" + CHANNEL,
        "0001" + CHANNEL + "0001",
        "0026 42",
    )
    return [*hello("03"), TryAll(*([raw(text)] for text in texts)), *warned()]


def pong_for_nothing(runner: Runner) -> Events:
    """A pong that was not asked for is passed over."""
    return [*hello("03"), raw("0013 0001 00"), *alive()]


def unknown_odd_types(runner: Runner) -> Events:
    """They are passed over, whatever their size."""
    return [*hello("03"), raw("270f"), raw("ffff" + "00" * 65533), raw("8001 ff"), *alive()]


def unknown_even_types(runner: Runner) -> Events:
    """They end the connection."""
    return [*hello("03"), TryAll([raw("2710")], [raw("fffe")], [raw("00fe")]), *warned()]


def their_warnings(runner: Runner) -> Events:
    """About us, about an unknown channel, with bytes that are no text: it goes on."""
    return [*hello("03"), *(raw(f"0001 {channel} 0003 1b5bff") for channel in ("00" * 32, CHANNEL)), *alive()]


def error_of_unknown_channel(runner: Runner) -> Events:
    """The connection goes on."""
    return [*hello("03"), raw(f"0011 {CHANNEL} 0002 6869"), *alive()]


def channel_nobody_has(runner: Runner) -> Events:
    """update_fee, channel_ready: a warning with the channel's id, and no hanging up."""
    return [
        *hello("03"),
        TryAll(
            [Msg("update_fee", channel_id=CHANNEL, feerate_per_kw=253)],
            [Msg("channel_ready", channel_id=CHANNEL, second_per_commitment_point=POINT)],
        ),
        ExpectMsg("warning", channel_id=CHANNEL),
        *alive(),
    ]


def open_channel(runner: Runner) -> Events:
    """No channels are opened here: an error with the temporary id, and no hanging up."""
    opening = Msg(
        "open_channel",
        chain_hash=REGTEST,
        temporary_channel_id=CHANNEL,
        funding_satoshis=1_000_000,
        push_msat=0,
        dust_limit_satoshis=546,
        max_htlc_value_in_flight_msat=1_000_000_000,
        channel_reserve_satoshis=10_000,
        htlc_minimum_msat=0,
        feerate_per_kw=253,
        to_self_delay=5,
        max_accepted_htlcs=483,
        htlc_basepoint=POINT,
        first_per_commitment_point=POINT,
        channel_flags=1,
        **dict.fromkeys(POINTS, POINT),
    )
    return [*hello("03"), opening, ExpectMsg("error", channel_id=CHANNEL), *alive()]


CASES = (
    pongs,
    pings_without_pong,
    ping_with_extension,
    known_but_too_short,
    pong_for_nothing,
    unknown_odd_types,
    unknown_even_types,
    their_warnings,
    error_of_unknown_channel,
    channel_nobody_has,
    open_channel,
)
