"""Out through a SOCKS5 proxy: who goes through it, what it is told, and every way in which it can fail."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from connectd.reach.ways_out import PROXY_FACTOR, TOR_REPLIES, WaysOut
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess
from tests.connectd.proxies import GRANTED, USER_PASSWORD, FakeProxy, microsocks, request_for
from wire.address import WireAddr, parse_address
from wire.control.control_wire import Ways
from wire.control.timing import Timing
from wire.net.sockman.sockman import SockMan
from wire.secp256k1 import public_key

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY)
OTHER_ID = public_key(bytes([3]) * 32)
ONION = "a" * 55 + "d.onion:9735"
NOBODY_LISTENS = "127.0.0.1:1"

Behind = Callable[..., Awaitable[ConnectdProcess]]


@pytest.fixture
async def behind(new_connectd: Callable[[], ConnectdProcess]) -> AsyncIterator[Behind]:
    """A connectd whose way out is this proxy."""

    async def start(proxy: str | None, *, always: bool = True, dns: bool = True, **changes: Any) -> ConnectdProcess:
        connectd = new_connectd()
        await connectd.start(ways=Ways(proxy=proxy, always_use_proxy=always, use_dns=dns), **changes)
        return connectd

    yield start


async def reaches(connectd: ConnectdProcess, listener: Any, address: str) -> None:
    """The listener's node is reached there, up to a ping."""
    reaching = connectd.reaching(listener.node_id, address)
    async with await listener.accept() as peer:
        assert (await reaching).address == address
        owner = await connectd.owner()
        await peer.say(bytes.fromhex("8001"))
        assert await owner.peer.hear_raw() == bytes.fromhex("8001")
        await owner.ends()


async def test_a_real_proxy(behind: Behind) -> None:
    with microsocks() as proxy:
        connectd = await behind(proxy)
        async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
            await reaches(connectd, listener, listener.address)
            await reaches(connectd, listener, "localhost:" + listener.address.rpartition(":")[2])
        reasons = await connectd.refused(connectd.reaching(OTHER_ID, NOBODY_LISTENS))
        assert reasons == (401, [(NOBODY_LISTENS, f"proxy {proxy}: Connection refused by destination host")])


async def test_names_and_onions_are_resolved_by_the_proxy_each_under_a_name_of_its_own(behind: Behind) -> None:
    async with (
        await ScriptedPeer.listen(privkey=PRIVKEY) as listener,
        FakeProxy(USER_PASSWORD, b"\1\0", GRANTED, target=listener.address).running() as proxy,
    ):
        connectd = await behind(proxy.address, dns=False)
        for address in ("node.example:9735", ONION, ONION):
            await reaches(connectd, listener, address)
        hosts = [parse_address(address, 1).host for address in ("node.example", ONION, ONION)]
        assert [words[2] for words in proxy.said] == [request_for(host, 9735) for host in hosts]
        assert len(set(proxy.users)) == 3


async def test_a_proxy_that_wants_no_password(behind: Behind) -> None:
    async with (
        await ScriptedPeer.listen(privkey=PRIVKEY) as listener,
        FakeProxy(b"\5\0", b"\5\0\0\3\4host\0\1", target=listener.address).running() as proxy,
    ):
        await reaches(await behind(proxy.address, always=False), listener, ONION)


async def test_what_the_peer_says_with_the_proxys_last_word_is_not_lost(behind: Behind) -> None:
    async with FakeProxy(b"\5\0", b"\5\0\0\4" + bytes(18) + bytes(50)).running() as proxy:
        connectd = await behind(proxy.address)
        code, errors = await connectd.refused(connectd.reaching(PEER_ID, ONION))
        assert (code, errors) == (401, [(ONION, "handshake: act two: bad key")])


async def test_only_tor_goes_through_a_proxy_that_is_not_for_all(behind: Behind) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener, FakeProxy(b"\5\0").running() as proxy:
        connectd = await behind(proxy.address, always=False)
        await reaches(connectd, listener, listener.address)
        assert proxy.said == []
        assert await connectd.refused(connectd.reaching(OTHER_ID, ONION)) == (
            401,
            [(ONION, f"proxy {proxy.address}: hung up")],
        )


async def test_a_unix_socket_never_does(behind: Behind, tmp_path: Any) -> None:
    connectd = await behind(NOBODY_LISTENS)
    async with await ScriptedPeer.listen(str(tmp_path / "peer"), privkey=PRIVKEY) as listener:
        await reaches(connectd, listener, listener.address)


async def test_without_dns_names_are_not_looked_up(behind: Behind) -> None:
    connectd = await behind(None, always=False, dns=False)
    code, errors = await connectd.refused(connectd.reaching(PEER_ID, "node.example:1", ONION))
    assert (code, errors) == (401, [("node.example:1", "is a name, and DNS is disabled"), (ONION, "needs a proxy")])


async def test_a_proxy_that_is_not_there(behind: Behind) -> None:
    connectd = await behind(NOBODY_LISTENS)
    code, errors = await connectd.refused(connectd.reaching(PEER_ID, "1.2.3.4:5"))
    assert (code, errors) == (401, [("1.2.3.4:5", f"proxy {NOBODY_LISTENS}: Connection refused")])


REFUSALS = [
    "General SOCKS server failure",
    "Connection not allowed by ruleset",
    "Network unreachable",
    "Host unreachable",
    "Connection refused by destination host",
    "TTL expired",
    "Command not supported or protocol error",
    "Address type not supported",
]
BAD = [
    *[([b"\5\0", bytes([5, number, 0, 1]) + bytes(6)], reason) for number, reason in enumerate(REFUSALS, 1)],
    *[([b"\5\0", bytes([5, number])], reason) for number, reason in TOR_REPLIES.items()],
    ([b"\5\0", b"\5\x77"], "Invalid reply code: 0X77"),
    ([b"\5\0", b"\5\0\1\1" + bytes(6)], "The reserved byte must be 0X0"),
    ([b"\5\0", b"\5\0\0\x09" + bytes(6)], "Malformed reply: 9 is not a valid AddressType"),
    ([b"\5\0", b"\4\0"], "Unexpected SOCKS version number: 0X4"),
    ([b"\5\0", b"\5\0\0\1\0"], "hung up"),
    ([b"\5\0", b"\5\0\0\3\1"], "hung up"),
    ([b"\5\0", b"\5"], "hung up"),
    ([b"\5\0"], "hung up"),
    ([b"\5"], "hung up"),
    ([], "hung up"),
    ([b"\5\xff"], "No acceptable authentication methods were offered"),
    ([b"\5\1"], "Unexpected SOCKS authentication method: 1"),
    ([b"\5\x77"], "Invalid authentication method: 0X77"),
    ([USER_PASSWORD, b"\1\1"], "Username and password authentication failure"),
    ([USER_PASSWORD, b"\5\0"], "Invalid authentication response"),
    ([USER_PASSWORD, b"\1"], "hung up"),
    ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "Unexpected SOCKS version number: 72"),
    ([b"\5\0", b"SSH-2.0-OpenSSH_9.6\r\n"], "Unexpected SOCKS version number: 0X53"),
]


async def test_every_refusal_and_every_rubbish_is_one_sentence(behind: Behind) -> None:
    async with FakeProxy().running() as proxy:
        connectd = await behind(proxy.address)
        for replies, reason in BAD:
            proxy.replies = tuple(replies)
            code, errors = await connectd.refused(connectd.reaching(PEER_ID, ONION))
            assert (code, errors) == (401, [(ONION, f"proxy {proxy.address}: {reason}")]), replies


async def test_a_name_of_bytes_that_are_no_text(behind: Behind) -> None:
    async with FakeProxy(b"\5\0", b"\5\0\0\3\2\xff\xfe\0\0").running() as proxy:
        connectd = await behind(proxy.address)
        (_, reason), *_ = (await connectd.refused(connectd.reaching(PEER_ID, ONION)))[1]
        assert reason.startswith(f"proxy {proxy.address}: Malformed reply: ")


@pytest.mark.parametrize("replies", [[], [b"\5"], [b"\5\0"], [b"\5\0", b"\5\0\0"], [USER_PASSWORD, b"\1"]])
async def test_a_proxy_that_falls_silent(behind: Behind, replies: list[bytes]) -> None:
    async with FakeProxy(*replies, None).running() as proxy:
        connectd = await behind(proxy.address, timing=Timing(connection_timeout=0.1))
        reasons = await connectd.refused(connectd.reaching(PEER_ID, ONION))
        assert reasons == (401, [(ONION, f"proxy {proxy.address}: timed out")])


async def test_the_time_is_three_times_longer_through_a_proxy() -> None:
    ways_out = WaysOut(SockMan(), Ways("127.0.0.1:9050", False, True), 20.0)  # type: ignore[arg-type]
    assert ways_out.timeout(parse_address(ONION, 1)) == 20.0 * PROXY_FACTOR == 60.0
    assert ways_out.timeout(WireAddr("ipv4", "1.2.3.4", 5)) == 20.0
    assert ways_out.refuses(WireAddr("torv2", "a" * 16 + ".onion", 5)) == "Tor v2 no longer exists"


async def test_announced_addresses_are_tried_with_tor_last(behind: Behind) -> None:
    async with FakeProxy(b"\5\0", b"\5\5").running() as proxy:
        connectd = await behind(proxy.address)
        wanted = ["[::1]:9", "node.example:9", "1.2.3.4:9", ONION]
        connectd.announced[PEER_ID] = wanted[::-1]
        _, errors = await connectd.refused(connectd.reaching(PEER_ID))
        assert [address for address, _ in errors] == ["node.example:9", "[::1]:9", "1.2.3.4:9", ONION]
