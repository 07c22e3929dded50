"""The master's half of oniond among fakes: whose messages are passed on, to whom, and what is dropped."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lightningd_py.config.values import Service, Wanted
from lightningd_py.onions.onion_control import (
    ALL,
    CHANNELS,
    MOST_TO_ONE,
    MOST_TO_SAY,
    NO_ONIONS,
    NONE,
    OFFERED,
    CannotSend,
    OnionControl,
)
from lightningd_py.onions.onion_services import OnionServices
from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.ownership import Ownership
from lightningd_py.registrations.changed import Changed
from lightningd_py.registrations.registrations import Registrations
from tests.lightningd_py.ownership_among_fakes import Daemon, info
from wire.bus.bus_wire import BusChannel, Register
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Reply, Request
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
    PeerMessage,
    PeerTaken,
    SendMessage,
    SendMessageReply,
    SendMessageReplyfail,
    SetOnionPayloads,
)
from wire.control.timing import Timing
from wire.secp256k1 import public_key

US, A, B = (public_key(bytes([number]) * 32) for number in (1, 2, 3))
ONION = b"\x02\x01" + bytes(1_400)


class Oniond(Daemon):
    """One process of it."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[Reply] = []
        self.answer = lambda asked: OniondInitReply()

    def reply(self, request: Request, reply: Reply) -> None:
        self.replies.append(reply)


class Around:
    """A node with the services `shop` of the buses and the program `ear`, which copies 513."""

    def __init__(self, mode: str, *, program: bool = False) -> None:
        self.gossipd, self.started = Daemon(), []
        self.gossipd.answer = lambda asked: SendMessageReply()
        connectd: Any = Daemon()
        gossipd: Any = self.gossipd
        programs = [Service("ear", ("x",))] if program else []
        self.registrations = Registrations(programs, copy=[Wanted("ear", (513,), ())] if program else [])
        self.ownership = Ownership(self.registrations, connectd, gossipd, Timing(), lambda peer, message: None)
        self.told: list[tuple[str, OnionForUs]] = []
        services = OnionServices(self.registrations, lambda name, message: self.told.append((name, message)))
        services.to_bus = lambda name, message: self.told.append((name, message))
        processes: Any = self
        self.control = OnionControl(mode, processes, self.ownership, US, services, lambda name: f"{name} is away")
        self.offered = 0
        self.control.on_offer = self.offer

    def offer(self) -> None:
        self.offered += 1

    def start_oniond(self, on_message: Callable[[ControlMessage], None]) -> ControlChannel:
        channel: Any = Oniond()
        self.started.append(channel)
        return channel  # type: ignore[no-any-return]

    @property
    def oniond(self) -> Oniond:
        return self.started[-1]

    async def begin(self) -> None:
        async def derive(asked: bytes) -> bytes:
            return b"\7" * 32

        await self.control.begin(derive)
        await turn()

    def register(self, name: str = "shop", **what: Any) -> None:
        service = self.registrations.named(name)
        if service is None:
            self.registrations.arrive(name)
            service = self.registrations.named(name)
        assert service is not None
        self.registrations.register(name, Register(**what))
        self.control.registrations_changed(Changed.whole(service))

    def connected(self, conn_id: int, node_id: bytes) -> None:
        self.ownership.peer_handed_over(info(conn_id, node_id))
        self.ownership.heard(GOSSIPD, PeerTaken(info(conn_id, node_id)))

    def hears(self, conn_id: int, node_id: bytes) -> None:
        self.ownership.heard(GOSSIPD, PeerMessage(node_id, conn_id, ONION, 513, None))

    @property
    def dropped(self) -> dict[str, int]:
        return {reason: count for reason, count in self.control.not_passed.items() if count}


async def turn() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def channel_with(node_id: bytes, scid: int | None = None) -> list[BusChannel]:
    return [BusChannel(node_id[1:], node_id, scid)]


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
    assert around.registrations.features.has(OFFERED)
    around.connected(1, A)
    around.connected(2, B)
    around.hears(2, B)
    around.hears(1, A)
    assert [said for said in around.oniond.said if isinstance(said, OnionHeard)] == [OnionHeard(A, ONION)]
    assert around.dropped == {"no_channel": 1}
    around.control.received(OnionToSay(B, b"x"))
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
    around.control.received(OnionToSay(A, b"x"))
    around.control.received(OnionToSay(B, b"x"))
    await turn()
    assert around.gossipd.asked == [SendMessage(A, 1, b"x")]
    around.gossipd.answer = lambda asked: SendMessageReplyfail("the peer does not read: its queue is full")
    around.control.received(OnionToSay(A, b"x"))
    await turn()
    assert around.dropped == {"not_connected": 1, "slow": 1}


async def test_an_owner_that_does_not_answer_holds_up_so_many() -> None:
    around = Around(ALL)
    await around.begin()
    asked: list[asyncio.Future[Any]] = []

    async def never(*_: object) -> Any:
        asked.append(asyncio.get_running_loop().create_future())
        return await asked[-1]

    around.gossipd.request = never  # type: ignore[method-assign,assignment]
    nodes = [public_key(bytes([number]) * 32) for number in range(10, 110)]
    for conn_id, node_id in enumerate(nodes):
        around.connected(conn_id, node_id)
        for _ in range(MOST_TO_ONE + 3):
            around.control.received(OnionToSay(node_id, b"x"))
        if conn_id == 0:
            assert around.dropped == {"slow": 3}
    await turn()
    assert len(asked) == MOST_TO_SAY
    around.control.close()
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
    around.hears(1, A)
    assert around.oniond.said == [OnionHeard(A, ONION)]
    assert len(around.started) == 2


async def test_the_next_program_goes_on_with_what_is_there() -> None:
    around = Around(ALL)
    channel: Any = Oniond()
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
