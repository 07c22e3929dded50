"""Host names of nodes, and resolvers that have an answer for everything.

Some resolvers lead every name that does not exist to a host of their own. What one says of a name that nobody has is
therefore asked once, and an address that it gives there is not believed for any other name.
"""

import asyncio
import ipaddress
import secrets
from collections.abc import Awaitable, Callable

from connectd.reach.addresses import resolve
from wire.address import WireAddr

PROBE_TIME = 5.0
"""Seconds for the name that does not exist; a resolver that does not say in time is believed until the next name."""

LookUp = Callable[[WireAddr], Awaitable[list[WireAddr]]]


class Names:
    """Looks up names by `look_up`. Made on the running loop."""

    def __init__(self, look_up: LookUp = resolve, *, probe_time: float = PROBE_TIME) -> None:
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
        """What the resolver says of a name that nobody has."""
        async with self._probing:
            if self._disbelieved is None:
                try:
                    async with asyncio.timeout(self._probe_time):
                        nobody = WireAddr("dns", f"{secrets.token_hex(8)}.doesntexist", 1)
                        self._disbelieved = {one.host for one in await self._look_up(nobody)}
                except TimeoutError:
                    return set()
                except OSError:
                    self._disbelieved = set()
            return self._disbelieved
