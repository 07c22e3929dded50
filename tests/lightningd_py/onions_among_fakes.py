"""oniond as the master has it, among fakes: a node with a service of the buses, and perhaps a program."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lightningd_py.config.values import Service, Wanted
from lightningd_py.onions.onion_control import (
    OnionControl,
)
from lightningd_py.onions.onion_services import OnionServices
from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.teller import Teller
from lightningd_py.registrations.changed import Changed
from lightningd_py.registrations.registrations import Registrations
from tests.lightningd_py.ownership_among_fakes import Daemon, info
from wire.bus.bus_wire import BusChannel, Register
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Reply, Request
from wire.control.control_wire import (
    OniondInitReply,
    OnionForUs,
    PeerMessage,
    PeerTaken,
    SendMessage,
    SendMessageReply,
)
from wire.control.timing import Timing
from wire.secp256k1 import public_key

US, A, B, C = (public_key(bytes([number]) * 32) for number in (1, 2, 3, 4))
ONION = b"\x02\x01" + bytes(1_400)


class Oniond(Daemon):
    """One process of it."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        super().__init__()
        self.replies: list[Reply] = []
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()

    async def _answered(self, message: Request, reply_type: type[Reply]) -> Reply:
        """When the gate is open."""
        if not self.gate.is_set():
            await self.gate.wait()
        return await super()._answered(message, reply_type)

    def reply(self, request: Request, reply: Reply) -> None:
        self.replies.append(reply)


class Around:
    """A node with the services `shop` of the buses and the program `ear`, which copies 513."""

    def __init__(self, mode: str, *, program: bool = False, patience: float = 60.0) -> None:
        self.gossipd = Daemon()
        self.started: list[Oniond] = []
        self.answer: Callable[[Request], Reply] = lambda asked: OniondInitReply()
        """Of each oniond that is started from now on."""
        self.gossipd.answer = lambda asked: SendMessageReply()
        connectd: Any = Daemon()
        gossipd: Any = self.gossipd
        programs = [Service("ear", ("x",))] if program else []
        self.registrations = Registrations(programs, copy=[Wanted("ear", (513,), ())] if program else [])
        self.ownership = Ownership(self.registrations, connectd, gossipd, Timing(), lambda peer, message: None)
        self.teller = Teller(self.ownership, replace(Timing(), pong_timeout=patience))
        self.told: list[tuple[str, OnionForUs]] = []
        services = OnionServices(self.registrations, lambda name, message: self.told.append((name, message)))
        services.to_bus = lambda name, message: self.told.append((name, message))
        processes: Any = self
        whom = (self.ownership, self.teller, US)
        self.control = OnionControl(mode, processes, *whom, services, lambda name: f"{name} is away")
        self.offered = 0
        self.control.on_offer = self.offer

    def offer(self) -> None:
        self.offered += 1

    def start_oniond(self, on_message: Callable[[ControlMessage], None]) -> ControlChannel:
        self.started.append(Oniond(self.answer))
        channel: Any = self.started[-1]
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
    for _ in range(10):
        await asyncio.sleep(0)


def channel_with(node_id: bytes, scid: int | None = None) -> list[BusChannel]:
    return [BusChannel(node_id[1:], node_id, scid)]


def never_answers(around: Around) -> list[bytes]:
    """What gossipd has been asked to say, from now on."""
    asked: list[bytes] = []

    async def never(request: SendMessage, _: object) -> Any:
        asked.append(request.message)
        return await asyncio.get_running_loop().create_future()

    around.gossipd.request = never  # type: ignore[method-assign,assignment]
    return asked
