"""Names of nodes, and a resolver that answers everything."""

import asyncio

import pytest

from connectd.reach.resolver import Names, look_up
from wire.address import WireAddr

NODE = WireAddr("dns", "node.example", 9735)
ITS_OWN = "192.0.2.1"


class Resolver:
    """`known` names, and `for_all` others if it is one of those."""

    def __init__(self, known: dict[str, list[str]], for_all: str | None = None) -> None:
        self.known = known
        self.for_all = for_all
        self.asked: list[str] = []
        self.silent = False

    async def look_up(self, address: WireAddr) -> list[WireAddr]:
        if address.kind != "dns":
            return [address]
        self.asked.append(address.host)
        if self.silent and address.host not in self.known:
            await asyncio.Event().wait()
        hosts = self.known.get(address.host, [self.for_all] if self.for_all else [])
        if not hosts:
            raise OSError(-2, "Name or service not known")
        return [WireAddr("ipv4", host, address.port) for host in hosts]


async def hosts(names: Names, address: WireAddr = NODE) -> list[str]:
    return [str(found) for found in await names.resolve(address)]


async def test_an_honest_resolver_is_asked_once_about_nobody() -> None:
    resolver = Resolver({"node.example": ["8.8.8.8", "8.8.4.4"]})
    names = Names(resolver.look_up)
    for _ in range(3):
        assert await hosts(names) == ["8.8.8.8:9735", "8.8.4.4:9735"]
    assert resolver.asked.count("node.example") == 3
    assert len(resolver.asked) == 4


async def test_one_that_answers_everything_is_not_believed() -> None:
    resolver = Resolver({"node.example": ["8.8.8.8", ITS_OWN]}, for_all=ITS_OWN)
    names = Names(resolver.look_up)
    assert await hosts(names) == ["8.8.8.8:9735"]
    with pytest.raises(OSError, match="the same of names that do not exist"):
        await names.resolve(WireAddr("dns", "gone.example", 1))


async def test_one_that_is_slow_about_nobody_is_believed_and_asked_again() -> None:
    resolver = Resolver({"node.example": ["8.8.8.8"]}, for_all=ITS_OWN)
    resolver.silent = True
    names = Names(resolver.look_up, probe_time=0.02, pause=0.0)
    assert await hosts(names) == ["8.8.8.8:9735"]
    resolver.silent = False
    assert await hosts(names) == ["8.8.8.8:9735"]
    with pytest.raises(OSError, match="the same"):
        await names.resolve(WireAddr("dns", "gone.example", 1))


async def test_names_do_not_queue_up_for_one_that_is_silent_about_nobody() -> None:
    """All of them wait for one question, and those that come after it for none."""
    resolver = Resolver({"node.example": ["8.8.8.8"]})
    resolver.silent = True
    names = Names(resolver.look_up, probe_time=0.5)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await asyncio.gather(*[hosts(names) for _ in range(10)]) == [["8.8.8.8:9735"]] * 10
    assert loop.time() - begun < 10 * 0.5
    assert len(resolver.asked) == 11
    await hosts(names)
    assert len(resolver.asked) == 12, "it is not asked again"


async def test_addresses_and_this_host_need_no_resolver() -> None:
    resolver = Resolver({"localhost": ["127.0.0.1"]})
    names = Names(resolver.look_up)
    assert await hosts(names, WireAddr("ipv4", "8.8.8.8", 1)) == ["8.8.8.8:1"]
    assert await hosts(names, WireAddr("dns", "localhost", 1)) == ["127.0.0.1:1"]
    assert resolver.asked == ["localhost"]


async def test_an_address_is_its_own_answer() -> None:
    public = WireAddr("ipv4", "8.8.8.8", 4711)
    assert await look_up(public) == [public]


async def test_a_name_is_looked_up_each_address_once() -> None:
    found = await look_up(WireAddr("dns", "localhost", 9735))
    assert WireAddr("ipv4", "127.0.0.1", 9735) in found or WireAddr("ipv6", "::1", 9735) in found
    assert len(set(found)) == len(found)
