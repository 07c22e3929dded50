"""Strangers at a real connectd: how many may come, which are refused, and that honest peers come in all the while."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess
from wire.control.control_wire import SetAccess, SetLimits
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.peer_wire import Init, WarningMessage
from wire.secp256k1 import public_key

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY)
HONEST_WITHIN = Timing().connection_timeout / 2
"""Seconds: half of what silent ones have until they go."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Crowd:
    """Connections that say nothing, or what they are told to."""

    def __init__(self, connectd: ConnectdProcess) -> None:
        self._where = connectd.bindings[0].rpartition(":")
        self.ends: list[Ends] = []

    async def come(self, count: int, source: str = "127.0.0.1", say: bytes = b"") -> None:
        """So many more, from this address."""
        for _ in range(count):
            host, _, port = self._where
            reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
            writer.write(say)
            self.ends.append((reader, writer))

    async def closed(self, number: int) -> bool:
        """Whether the connection of this number has been closed by connectd; waits a moment for it."""
        try:
            async with asyncio.timeout(60):
                with contextlib.suppress(ConnectionError):
                    await self.ends[number][0].read()
                return True
        except TimeoutError:
            return False

    def count_open(self) -> int:
        """How many have not been closed yet."""
        return sum(not reader.at_eof() for reader, _ in self.ends)


@pytest.fixture
async def crowds() -> AsyncIterator[Callable[[ConnectdProcess], Crowd]]:
    made: list[Crowd] = []

    def make(connectd: ConnectdProcess) -> Crowd:
        made.append(Crowd(connectd))
        return made[-1]

    yield make
    for crowd in made:
        for _, writer in crowd.ends:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


async def begin(connectd: ConnectdProcess, limits: Limits, *, later: bool) -> None:
    """`later`: the limits are changed while it runs, as setconfig does it."""
    await connectd.start(limits=Limits() if later else limits)
    if later:
        connectd.master.send(SetLimits(limits))
        await connectd.barrier()


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_honest_peers_come_in_among_silent_ones(
    new_connectd: Callable[[], ConnectdProcess], crowds: Callable[[ConnectdProcess], Crowd], later: bool
) -> None:
    connectd = new_connectd()
    await begin(connectd, Limits(half_open=200), later=later)
    await connectd.lives()
    crowd = crowds(connectd)
    for say in (b"", bytes(49), b"\1" * 49):
        await crowd.come(150, say=say)
        with within(HONEST_WITHIN):
            await connectd.lives()
    assert 200 <= connectd.fds() < 200 + 50
    assert await crowd.closed(0)
    assert connectd.log().count("too many connections are in their handshake") == 1


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_a_source_fills_its_own_places_only(
    new_connectd: Callable[[], ConnectdProcess], crowds: Callable[[ConnectdProcess], Crowd], later: bool
) -> None:
    connectd = new_connectd()
    await begin(connectd, Limits(half_open_per_source=3, connect_rate=0), later=later)
    crowd = crowds(connectd)
    await crowd.come(4, "127.0.0.2")
    assert await crowd.closed(3)
    await crowd.come(1, "127.0.0.3")
    with within(HONEST_WITHIN):
        await connectd.lives()
    assert crowd.count_open() == 4
    assert "too many handshakes under way from there" in connectd.log()


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_rate_of_connections(
    new_connectd: Callable[[], ConnectdProcess], crowds: Callable[[ConnectdProcess], Crowd], later: bool
) -> None:
    connectd = new_connectd()
    await begin(connectd, Limits(connect_rate=2), later=later)
    crowd = crowds(connectd)
    await crowd.come(3, "127.0.0.2")
    assert await crowd.closed(2)
    await crowd.come(1, "127.0.0.3")
    await connectd.lives()
    assert crowd.count_open() == 3
    assert "too many connections from there" in connectd.log()


async def test_banned_address_is_refused_before_noise(
    connectd: ConnectdProcess, crowds: Callable[[ConnectdProcess], Crowd]
) -> None:
    connectd.master.send(SetAccess([], [("127.0.0.2/31", "spam", None)]))
    await connectd.barrier()
    crowd = crowds(connectd)
    await crowd.come(1, "127.0.0.2")
    assert await crowd.closed(0)
    await connectd.lives()
    assert "refused: 127.0.0.2/31, spam" in connectd.log()


async def test_banned_node_is_refused_after_act_three_and_not_dialled(connectd: ConnectdProcess) -> None:
    connectd.master.send(SetAccess([], [(PEER_ID.hex(), "", time.time() + 1_000)]))
    await connectd.barrier()
    async with await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY) as peer:
        await peer.shake_hands()
        assert await peer.hangs_up() == [], "not even INIT"
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        reaching = connectd.reaching(PEER_ID, listener.address)
        code, errors = await connectd.refused(reaching)
    assert (code, errors) == (401, [(listener.address, f"refused: {PEER_ID.hex()}")])
    await connectd.lives()


async def test_a_ban_that_has_ended(connectd: ConnectdProcess) -> None:
    connectd.master.send(SetAccess([], [(PEER_ID.hex(), "", time.time() - 1.0)]))
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY):
        await (await connectd.owner()).ends()


async def test_refused_by_features_with_a_warning(connectd: ConnectdProcess) -> None:
    connectd.master.send(SetAccess([], [("with:gossip_queries", "we want none", None)]))
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY) as peer:
        heard = await peer.hangs_up()
    assert [message.text() for message in heard if isinstance(message, WarningMessage)] == [
        "refused: with:gossip_queries, we want none"
    ]


async def test_only_those_who_are_allowed(connectd: ConnectdProcess) -> None:
    connectd.master.send(SetAccess([(PEER_ID.hex(), "", None)], [("all", "", None)]))
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY):
        await (await connectd.owner()).ends()
    with pytest.raises(PeerClosed):
        await ScriptedPeer.connect(connectd.target())
    connectd.master.send(SetAccess([], []))
    await connectd.lives()


async def test_init_comes_before_what_features_decide(connectd: ConnectdProcess) -> None:
    """A peer that is allowed by its features must say INIT first."""
    connectd.master.send(SetAccess([("with:option_static_remotekey", "", None)], [("all", "", None)]))
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        await peer.shake_hands()
        await peer.hear(Init)
    await connectd.lives()
