"""Host names of nodes, and resolvers that have an answer for everything.

Some resolvers lead every name that does not exist to a host of their own. What one says of such a name is therefore
asked once, and an address that it gives there is not believed for any other name.
"""

import asyncio
import ipaddress
import secrets
from collections.abc import Awaitable, Callable

from connectd.socket_address import from_socket
from wire.address import WireAddr
from wire.net.sockman.sockets import address_of, resolve
from wire.net.sockman.sockman import SocketAddress

PROBE_TIME = 5.0
"""Seconds for the name that does not exist; a resolver that does not say in time is believed."""
PAUSE = 60.0
"""Seconds for which it is then believed without being asked again."""

LookUp = Callable[[WireAddr], Awaitable[list[WireAddr]]]


async def look_up(address: WireAddr) -> list[WireAddr]:
    """The IP addresses of a name, in the resolver's order; any other kind is its own answer. Raises OSError."""
    if address.kind != "dns":
        return [address]
    found = [address_of(where) for _, where in await resolve(SocketAddress("tcp", address.host, address.port))]
    return list(dict.fromkeys(from_socket(one, one) for one in found))


class Names:
    """Looks up names by `look_up`. Made on the running loop."""

    def __init__(self, look_up: LookUp = look_up, *, probe_time: float = PROBE_TIME, pause: float = PAUSE) -> None:
        self._look_up = look_up
        self._probe_time = probe_time
        self._pause = pause
        self._disbelieved: set[str] | None = None
        self._probe: asyncio.Task[set[str]] | None = None
        """The question about the name that does not exist: one for all that wait for it."""
        self._ask_again = 0.0

    async def resolve(self, address: WireAddr) -> list[WireAddr]:
        """The IP addresses of a name; any other kind is its own answer. Raises OSError."""
        found = await self._look_up(address)
        if address.kind != "dns" or all(ipaddress.ip_address(one.host).is_loopback for one in found):
            return found
        disbelieved = await self._of_no_name()
        believed = [one for one in found if one.host not in disbelieved]
        if not believed:
            raise OSError(None, "the resolver says the same of names that do not exist")
        return believed

    async def _of_no_name(self) -> set[str]:
        """What the resolver says of a name that does not exist; nothing while it is believed without an answer."""
        if self._disbelieved is not None:
            return self._disbelieved
        loop = asyncio.get_running_loop()
        if self._probe is None or (self._probe.done() and loop.time() >= self._ask_again):
            self._probe = loop.create_task(self._ask_about_no_name())
        return await asyncio.shield(self._probe)

    async def _ask_about_no_name(self) -> set[str]:
        no_name = WireAddr("dns", f"{secrets.token_hex(8)}.doesntexist", 1)
        try:
            async with asyncio.timeout(self._probe_time):
                self._disbelieved = {one.host for one in await self._look_up(no_name)}
        except TimeoutError:
            self._ask_again = asyncio.get_running_loop().time() + self._pause
            return set()
        except OSError:
            self._disbelieved = set()
        return self._disbelieved
