"""What connectiond has said, and the one that is about to take its place, is dealt with when that is asked for."""

import asyncio
import socket
from collections.abc import Callable

from lightningd_py.daemons.connectiond_control import ConnectiondControl
from tests.lightningd_py.bus_services import INIT
from tests.lightningd_py.ownership_among_fakes import OwnershipAmongFakes
from wire.control.control_channel import ControlChannel, send_message
from wire.control.control_message import ControlMessage
from wire.control.control_wire import ServicePresence


async def test_catching_up_with_the_old_one_and_the_new_one() -> None:
    ownership = OwnershipAmongFakes().ownership
    channels: list[ControlChannel] = []
    theirs: list[socket.socket] = []

    def start(on_message: Callable[[ControlMessage], None]) -> ControlChannel:
        ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.append(other)
        channels.append(ControlChannel(ours, "connectiond", on_message, lambda reason: None))
        return channels[-1]

    control = ConnectiondControl(start, INIT, ownership)
    control.catch_up()
    control.start()
    _, answer = control.another()
    asking = asyncio.ensure_future(answer)
    for service, end in zip(("old", "new"), theirs, strict=True):
        ownership.registrations.arrive(service)
        send_message(end, ServicePresence(service, True, ""))
    control.catch_up()
    assert all(service.present for service in ownership.registrations if service.program is None)
    asking.cancel()
    for channel in channels:
        channel.close()
        theirs.pop().close()
