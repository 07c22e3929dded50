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
"""Seconds for the name that does not exist; a resolver that does not say in time is believed until the next name."""

LookUp = Callable[[WireAddr], Awaitable[list[WireAddr]]]


async def look_up(address: WireAddr) -> list[WireAddr]:
    """The IP addresses of a name, in the resolver's order; any other kind is its own answer. Raises OSError."""
    if address.kind != "dns":
        return [address]
    found = [address_of(where) for _, where in await resolve(SocketAddress("tcp", address.host, address.port))]
    return list(dict.fromkeys(from_socket(one, one) for one in found))


class Names:
    """Looks up names by `look_up`. Made on the running loop."""

    def __init__(self, look_up: LookUp = look_up, *, probe_time: float = PROBE_TIME) -> None:
        self._look_up = look_up
        self._probe_time = probe_time
        self._disbelieved: set[str] | None = None
        self._probing = asyncio.Lock()

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
        """What the resolver says of a name that does not exist."""
        async with self._probing:
            if self._disbelieved is None:
                try:
                    async with asyncio.timeout(self._probe_time):
                        no_name = WireAddr("dns", f"{secrets.token_hex(8)}.doesntexist", 1)
                        self._disbelieved = {one.host for one in await self._look_up(no_name)}
                except TimeoutError:
                    return set()
                except OSError:
                    self._disbelieved = set()
            return self._disbelieved
