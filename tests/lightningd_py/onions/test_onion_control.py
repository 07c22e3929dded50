"""The master's half of oniond among fakes: whose messages are passed on, to whom, and what is dropped."""

import asyncio
from typing import Any

import pytest

from lightningd_py.onions.onion_control import (
    ALL,
    CHANNELS,
    MOST_TO_ONE,
    MOST_TO_SAY,
    NO_ONIONS,
    NONE,
    OFFERED,
    CannotSend,
)
from tests.lightningd_py.onions_among_fakes import ONION, US, A, Around, B, C, Oniond, channel_with, never_answers, turn
from wire.control.control_message import Reply, Request
from wire.control.control_wire import (
    FindChannel,
    FindChannelReply,
    FindNextHop,
    FindNextHopReply,
    MakeBlindedPath,
    MakeBlindedPathReply,
    MakeBlindedPathReplyfail,
    MakeOnion,
    MakeOnionReply,
    OniondInit,
    OniondInitReply,
    OnionForUs,
    OnionHeard,
    OnionToSay,
    SendMessage,
    SendMessageReplyfail,
    SetOnionPayloads,
)
from wire.secp256k1 import public_key


async def test_all_begins_at_once_and_offers_the_feature() -> None:
    around = Around(ALL)
    await around.begin()
    assert around.oniond.asked == [OniondInit(US, b"\7" * 32)]
    assert around.registrations.features.has(OFFERED)
    assert around.registrations.routes() == [(513, "copy")]
    assert around.offered == 1
    around.connected(1, A)
    around.hears(1, A)
    assert around.oniond.said == [OnionHeard(A, ONION)]


async def test_channels_begins_with_the_first_channel() -> None:
    around = Around(CHANNELS)
    await around.begin()
    around.register(take=[40_001])
    assert (around.started, around.registrations.features.has(OFFERED)) == ([], False)
    around.register(channels=channel_with(A))
    assert len(around.started) == 1
    await turn()
    assert around.registrations.features.has(OFFERED)
    around.connected(1, A)
    around.connected(2, B)
    around.hears(2, B)
    around.hears(1, A)
    assert [said for said in around.oniond.said if isinstance(said, OnionHeard)] == [OnionHeard(A, ONION)]
    assert around.dropped == {"no_channel": 1}
    around.control.received(OnionToSay(B, b"x", C))
    await turn()
    assert around.gossipd.asked == []
    assert around.dropped == {"no_channel": 1, "next_no_channel": 1}


async def test_a_feature_that_the_operator_has_decided_about_stays_as_it_is() -> None:
    around = Around(ALL)
    around.registrations.fixed_features = frozenset({OFFERED & ~1})
    await around.begin()
    assert not around.registrations.features.has(OFFERED)


async def test_none_never_begins() -> None:
    around = Around(NONE)
    await around.begin()
    around.register(channels=channel_with(A))
    assert (around.started, around.registrations.routes()) == ([], [])
    with pytest.raises(CannotSend, match=NO_ONIONS):
        await around.control.send([A], b"", {}, b"")


async def test_said_by_the_owner_or_dropped() -> None:
    around = Around(ALL)
    await around.begin()
    around.connected(1, A)
    around.control.received(OnionToSay(A, b"x", C))
    around.control.received(OnionToSay(B, b"x", C))
    await turn()
    assert around.gossipd.asked == [SendMessage(A, 1, b"x")]
    around.gossipd.answer = lambda asked: SendMessageReplyfail("the peer does not read: its queue is full")
    around.control.received(OnionToSay(A, b"x", C))
    await turn()
    assert around.dropped == {"not_connected": 1, "slow": 1}


async def test_an_owner_that_does_not_answer_holds_up_so_many() -> None:
    around = Around(ALL)
    await around.begin()
    asked = never_answers(around)
    sources = iter(range(1 << 20))
    for conn_id, number in enumerate(range(10, 110)):
        node_id = public_key(bytes([number]) * 32)
        around.connected(conn_id, node_id)
        for _ in range(MOST_TO_ONE + 3):
            around.control.received(OnionToSay(node_id, b"x", b"%d" % next(sources)))
        if conn_id == 0:
            assert around.dropped == {"slow": 3}
    await turn()
    assert len(asked) == MOST_TO_SAY
    around.teller.close()
    await turn()


async def test_a_source_with_many_messages_leaves_room_for_others() -> None:
    """One node that says all it can to a peer that takes nothing, and one more."""
    around = Around(ALL)
    await around.begin()
    around.connected(1, A)
    asked = never_answers(around)
    for _ in range(MOST_TO_ONE + 1):
        around.control.received(OnionToSay(A, b"one of many", C))
    around.control.received(OnionToSay(A, b"mine", B))
    await turn()
    assert asked == [b"one of many"] * (MOST_TO_ONE // 2) + [b"mine"]
    assert around.dropped == {"slow": MOST_TO_ONE // 2 + 1}
    around.teller.close()
    await turn()


async def test_an_owner_that_never_answers_is_not_waited_for() -> None:
    around = Around(ALL, patience=0.05)
    await around.begin()
    around.connected(1, A)
    never_answers(around)
    for _ in range(MOST_TO_ONE // 2):
        around.control.received(OnionToSay(A, b"x", C))
    around.oniond.answer = lambda asked: MakeOnionReply(A, b"y")
    with pytest.raises(CannotSend, match="or gossipd, which has its connection, takes nothing"):
        await around.control.send([A], b"", {}, b"")
    async with asyncio.timeout(10.0):
        while around.dropped != {"slow": MOST_TO_ONE // 2}:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    asked = never_answers(around)
    around.control.received(OnionToSay(A, b"there is room again", C))
    await turn()
    assert asked == [b"there is room again"]
    around.teller.close()
    await turn()


async def test_an_oniond_that_is_behind_or_away() -> None:
    around = Around(ALL)
    await around.begin()
    around.connected(1, A)
    around.oniond.behind = True
    around.hears(1, A)
    around.oniond.closed = True
    around.hears(1, A)
    assert around.dropped == {"oniond_behind": 1, "away": 1}
    with pytest.raises(CannotSend, match="oniond is away"):
        await around.control.path_to_us([], "shop", b"")
    await around.control.restart()
    await turn()
    around.hears(1, A)
    assert around.oniond.said == [OnionHeard(A, ONION)]
    assert len(around.started) == 2


async def test_the_next_program_goes_on_with_what_is_there() -> None:
    around = Around(ALL)
    channel: Any = Oniond(around.answer)
    around.control.resume(channel, b"\7" * 32)
    around.connected(1, A)
    around.hears(1, A)
    assert (channel.asked, channel.said, around.started) == ([], [OnionHeard(A, ONION)], [])
    assert (around.control.secret, around.registrations.features.has(OFFERED)) == (b"\7" * 32, True)


async def test_payloads_of_services_are_told_again_to_another_oniond() -> None:
    around = Around(ALL)
    await around.begin()
    around.register(onion_messages=[64, 65])
    assert around.oniond.said == [SetOnionPayloads([64, 65])]
    await around.control.restart()
    await turn()
    assert around.oniond.said == [SetOnionPayloads([64, 65])]


@pytest.mark.parametrize(("scid", "ends"), [(7, sorted([US, A])), (8, [A, B]), (9, [])])
async def test_the_next_hop_of_a_channel(scid: int, ends: list[bytes]) -> None:
    around = Around(ALL)
    await around.begin()
    around.register(channels=channel_with(A, 7))
    on_map = {8: [A, B]}

    def found(asked: Request) -> Reply:
        assert isinstance(asked, FindChannel)
        return FindChannelReply(on_map.get(asked.short_channel_id, []))

    around.gossipd.answer = found
    around.control.received(FindNextHop(scid, request_id=3))
    await turn()
    assert around.oniond.replies == [FindNextHopReply(ends)]


# services


def for_us(*fields: tuple[int, bytes], service: str | None = None) -> OnionForUs:
    return OnionForUs(list(fields), b"", A, service, b"")


@pytest.mark.bolt("B4-123", "B4-124")
async def test_who_hears_a_message() -> None:
    around = Around(ALL, program=True)
    await around.begin()
    around.register("shop", onion_messages=[64, 70])
    around.register("other", onion_messages=[64])
    for message, heard in (
        (for_us((64, b"")), {"ear", "shop", "other"}),
        (for_us((64, b""), service="other"), {"other"}),
        (for_us((70, b"")), {"shop"}),
        (for_us((70, b""), service="other"), set()),
        (for_us((66, b"")), {"ear"}),
        (for_us((99, b"")), {"ear"}),
        (for_us((3, b"")), set()),
        (for_us((64, b""), service="gone"), set()),
    ):
        around.told.clear()
        around.control.received(message)
        assert {name for name, _ in around.told} == heard
    assert around.dropped == {"no_service": 3}


async def test_a_program_that_copies_onion_messages_begins_it() -> None:
    around = Around(CHANNELS, program=True)
    await around.begin()
    await turn()
    assert around.oniond.said == [SetOnionPayloads([64, 66, 68])]


async def test_a_first_request_starts_oniond_and_comes_after_its_init() -> None:
    around = Around(CHANNELS)
    await around.begin()
    assert not around.started
    answers: dict[type[Request], Reply] = {
        OniondInit: OniondInitReply(),
        MakeBlindedPath: MakeBlindedPathReply(b"a path"),
    }
    around.answer = lambda asked: answers[type(asked)]
    assert await around.control.path_to_us([], "shop", b"") == b"a path"
    assert [type(asked) for asked in around.oniond.asked] == [OniondInit, MakeBlindedPath]


async def test_init_is_ahead_of_what_is_heard_meanwhile() -> None:
    around = Around(ALL, program=True)
    await around.begin()
    around.connected(1, A)
    await around.control.restart()
    assert around.oniond.asked == [OniondInit(US, b"\7" * 32)]  # before anything else could run
    around.oniond.gate.clear()
    around.hears(1, A)
    assert (around.oniond.said, around.dropped) == ([SetOnionPayloads([64, 66, 68]), OnionHeard(A, ONION)], {})
    around.oniond.gate.set()
    await turn()


async def test_sent_and_refused() -> None:
    around = Around(CHANNELS)
    await around.begin()
    around.connected(1, A)

    def made(asked: Request) -> Reply:
        match asked:
            case OniondInit():
                return OniondInitReply()
            case MakeBlindedPath(context=b"long"):
                return MakeBlindedPathReplyfail("a context has at most 128 bytes")
            case MakeBlindedPath():
                return MakeBlindedPathReply(b"a path")
            case MakeOnion(node_ids=[first, *_]):
                return MakeOnionReply(None if first == US else first, b"onion")
        raise AssertionError(asked)

    around.control._start()
    around.oniond.answer = made
    assert await around.control.path_to_us([B], "shop", b"7") == b"a path"
    assert around.oniond.asked[-1] == MakeBlindedPath([B], "shop", b"7")
    with pytest.raises(CannotSend, match="128 bytes"):
        await around.control.path_to_us([], "shop", b"long")
    await around.control.send([A, B], b"path", {64: b"x"}, b"reply")
    assert around.oniond.asked[-1] == MakeOnion([A, B], b"path", [(64, b"x")], b"reply")
    assert around.gossipd.asked == [SendMessage(A, 1, b"onion")]
    await around.control.send([US], b"", {64: b"x"}, b"")
    with pytest.raises(CannotSend, match="is not connected"):
        await around.control.send([B], b"", {64: b"x"}, b"")
    assert len(around.gossipd.asked) == 1
