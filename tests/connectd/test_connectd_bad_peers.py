"""Whatever a stranger does wrong before INIT is over ends its connection, and nothing else."""

import socket
from collections.abc import Callable

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer, Spoil
from tests.connectd.connectd_process import ConnectdProcess, peer_init
from wire.control.control_channel import RequestFailed
from wire.control.timing import Timing
from wire.features import Features, default_init_features
from wire.noise import HandshakeError
from wire.peer_wire import ErrorMessage, Init, Ping, WarningMessage
from wire.secp256k1 import public_key
from wire.types import NETWORKS

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY)
IMPATIENT = Timing(connection_timeout=0.5)


def version(act: bytes) -> bytes:
    return b"\1" + act[1:]


def key(act: bytes) -> bytes:
    return act[:1] + b"\4" + act[2:]


def mac(act: bytes) -> bytes:
    return act[:-1] + bytes([act[-1] ^ 1])


def ciphertext(act: bytes) -> bytes:
    return act[:1] + bytes([act[1] ^ 1]) + act[2:]


def in_act(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    return lambda act, data: change(data) if act == name else data


@pytest.mark.parametrize(
    ("act", "change", "reason"),
    [
        ("act one", version, "act one: bad version 1"),
        ("act one", key, "act one: bad key"),
        ("act one", mac, "act one: bad MAC"),
        ("act three", version, "act three: bad version 1"),
        ("act three", ciphertext, "act three: bad MAC of the key"),
        ("act three", mac, "act three: bad MAC"),
    ],
)
@pytest.mark.bolt("B8-45", "B8-46", "B8-47", "B8-53")
async def test_wrong_act_of_an_initiator(
    connectd: ConnectdProcess, act: str, change: Callable[[bytes], bytes], reason: str
) -> None:
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        if act == "act one":
            with pytest.raises(Exception, match="hung up"):
                await peer.shake_hands(in_act(act, change))
        else:
            await peer.shake_hands(in_act(act, change))
        assert await peer.hangs_up() == [], "without another byte"
    await connectd.lives()
    assert f"handshake: {reason}" in connectd.log()


@pytest.mark.bolt("B8-47", "B8-53")
async def test_act_three_with_a_key_that_is_none(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        peer.node_id = b"\4" + peer.node_id[1:]  # encrypted in act three with a right MAC
        await peer.shake_hands()
        assert await peer.hangs_up() == []
    await connectd.lives()
    assert "handshake: act three: bad key" in connectd.log()


@pytest.mark.parametrize(("act", "size"), [("act one", 0), ("act one", 49), ("act three", 0), ("act three", 65)])
@pytest.mark.bolt("B8-44", "B8-53")
async def test_short_act_then_the_end(connectd: ConnectdProcess, act: str, size: int) -> None:
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        if act == "act three":
            await peer.shake_hands(in_act(act, lambda data: data[:size]))
        else:
            await peer.send_raw(bytes(size))
        peer.write_eof()
        await peer.hangs_up()
    await connectd.lives()
    assert f"handshake: {act}: peer hung up" in connectd.log()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (version, "handshake: act two: bad version 1"),
        (key, "handshake: act two: bad key"),
        (mac, "handshake: act two: bad MAC"),
    ],
)
@pytest.mark.bolt("B8-45", "B8-46", "B8-47", "B8-53")
async def test_wrong_act_of_a_responder(
    connectd: ConnectdProcess, change: Callable[[bytes], bytes], reason: str
) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        reaching = connectd.reaching(PEER_ID, listener.address)
        async with await listener.accept_silent() as peer:
            with pytest.raises(Exception, match="hung up"):
                await peer.shake_hands(in_act("act two", change))
            assert await peer.hangs_up() == []
        assert await connectd.refused(reaching) == (401, [(listener.address, reason)])
    await connectd.lives()


@pytest.mark.bolt("B8-44", "B8-53")
async def test_short_act_two(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        reaching = connectd.reaching(PEER_ID, listener.address)
        async with await listener.accept_silent() as peer:
            await peer.read_raw(50)
            await peer.send_raw(bytes(49))
        assert await connectd.refused(reaching) == (401, [(listener.address, "handshake: act two: peer hung up")])


async def test_dialled_somebody_else(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.listen(privkey=bytes([3]) * 32) as listener:
        reaching = connectd.reaching(PEER_ID, listener.address)
        async with await listener.accept_silent() as peer:
            with pytest.raises(HandshakeError, match="act one: bad MAC"):
                await peer.shake_hands()
        assert await connectd.refused(reaching) == (401, [(listener.address, "handshake: act two: peer hung up")])


@pytest.mark.parametrize("stage", ["nothing", "act three", "init"])
async def test_silence_for_the_whole_deadline(new_connectd: Callable[[], ConnectdProcess], stage: str) -> None:
    connectd = new_connectd()
    await connectd.start(timing=IMPATIENT)
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        if stage == "init":
            await peer.shake_hands()
            await peer.hear(Init)
        elif stage == "act three":
            await peer.shake_hands(in_act("act three", lambda _: b""))
        await peer.hangs_up()
    await connectd.barrier()
    assert f"{'init' if stage == 'init' else 'handshake'}: timed out" in connectd.log()


async def test_a_responder_that_is_silent(new_connectd: Callable[[], ConnectdProcess]) -> None:
    connectd = new_connectd()
    await connectd.start(timing=IMPATIENT)
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        with pytest.raises(RequestFailed) as failed:
            await connectd.reach(PEER_ID, listener.address)
        assert connectd.reasons(failed.value) == (401, [(listener.address, "handshake: timed out")])


async def first_message(connectd: ConnectdProcess, message: bytes) -> list[str]:
    """What connectd answers to a peer's first message before it hangs up: the texts of its warnings."""
    async with await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY) as peer:
        await peer.shake_hands()
        await peer.say(message)
        heard = await peer.hangs_up()
    assert isinstance(heard[0], Init), "our own comes first"
    assert all(isinstance(message, WarningMessage) for message in heard[1:])
    return [message.text() for message in heard[1:] if isinstance(message, WarningMessage)]


def init(features: bytes | None = None, networks: list[bytes] | None = None, old_map: bytes = b"") -> bytes:
    ours = default_init_features().to_bytes() if features is None else features
    return Init(old_map, ours, networks).encode()


@pytest.mark.parametrize(
    ("message", "warnings"),
    [
        pytest.param(Ping(1, b"").encode(), ["peer sent ping before init"], id="ping"),
        pytest.param(bytes([0, 33]) + bytes(99), ["peer sent accept_channel before init"], id="odd, but known"),
        pytest.param(bytes.fromhex("8000"), ["peer sent unknown_32768 before init"], id="even unknown"),
        pytest.param(b"\0", ["bad message: "], id="half a type"),
        pytest.param(b"\0\x10\0", ["bad message: init: "], id="cut off"),
        pytest.param(peer_init() + b"\2\0", ["bad message: init: "], id="even TLV"),
        pytest.param(init(networks=[NETWORKS["bitcoin"]]), ["No common network"], id="another network"),
        pytest.param(init(networks=[]), ["No common network"], id="an empty record of networks"),
        pytest.param(init(b"\1" + bytes(125)), ["Unsupported feature 1000"], id="unknown even feature"),
        pytest.param(init(b"\4"), ["Unsupported feature 2 (option_initial_routing_sync"], id="no longer assigned"),
        pytest.param(
            init(Features.of([66]).to_bytes()),
            ["Unsupported feature 66 (option_onion_messages_only_channels/even)"],
            id="proposed",
        ),
        pytest.param(init(old_map=b"\1" + bytes(125)), ["Unsupported feature 1000"], id="in the old map"),
        pytest.param(
            init(Features.of([17]).to_bytes()), ["Missing feature: basic_mpp needs payment_secret"], id="dependency"
        ),
        pytest.param(WarningMessage(bytes(32), b"no\nway").encode(), [], id="warning"),
        pytest.param(ErrorMessage(bytes(32), b"go away").encode(), [], id="error"),
    ],
)
@pytest.mark.bolt("B1-6", "B1-7", "B1-13", "B1-21", "B1-27", "B1-28", "B1-29", "B1-30")
async def test_first_message_that_ends_it(connectd: ConnectdProcess, message: bytes, warnings: list[str]) -> None:
    heard = await first_message(connectd, message)
    assert len(heard) == len(warnings)
    assert all(text.startswith(wanted) for text, wanted in zip(heard, warnings, strict=True)), heard
    await connectd.lives()


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(init(networks=None), id="no networks"),
        pytest.param(init(networks=[NETWORKS["bitcoin"], NETWORKS["regtest"]]), id="more networks"),
        pytest.param(init(b"\2" + bytes(125)), id="unknown odd feature"),
        pytest.param(init(b"", old_map=default_init_features().to_bytes()), id="old map only"),
        pytest.param(init(Features.of([0, 22, 44]).to_bytes()), id="even, but known"),
        pytest.param(peer_init() + b"\x05\x01\x00", id="odd TLV"),
        pytest.param(peer_init() + b"\x03\x02\x01\x7f", id="half a remote_addr"),
    ],
)
@pytest.mark.bolt("B1-14", "B1-27", "B1-28")
async def test_inits_that_are_fine(connectd: ConnectdProcess, message: bytes) -> None:
    async with await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY) as peer:
        await peer.shake_hands()
        await peer.say(message)
        owner = await connectd.owner()
        assert owner.info.node_id == PEER_ID
        await owner.ends()


@pytest.mark.bolt("B1-5", "B1-21")
async def test_unknown_odd_messages_before_init_are_ignored_but_not_for_ever(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        await peer.shake_hands()
        await peer.say(bytes.fromhex("8001"), peer_init())
        await (await connectd.owner()).ends()
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        await peer.shake_hands()
        await peer.say(*[bytes.fromhex("8001")] * 11)
        await peer.hangs_up()
    await connectd.lives()


@pytest.mark.parametrize("where", ["header", "body"])
@pytest.mark.bolt("B8-46")
async def test_bad_mac_of_the_first_message(connectd: ConnectdProcess, where: str) -> None:
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        await peer.shake_hands()
        frame = bytearray(peer.encrypt(peer_init()))
        frame[17 if where == "header" else -1] ^= 1
        await peer.send_raw(bytes(frame))
        assert [type(message) for message in await peer.hangs_up()] == [Init], "no warning"
    await connectd.lives()
    assert "init: bad MAC" in connectd.log()


async def test_a_stranger_who_resets(connectd: ConnectdProcess) -> None:
    peer = await ScriptedPeer.dial(connectd.target())
    sock = peer._writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await peer.send_raw(bytes(10))
    await peer.close()
    await connectd.lives()


@pytest.mark.bolt("B1-29", "B7-101")
async def test_a_refused_peer_that_has_said_more_reads_why(connectd: ConnectdProcess) -> None:
    """What it has said and is not read must not reset the connection before the warning has arrived."""
    async with await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY) as peer:
        await peer.shake_hands()
        await peer.say(init(networks=[NETWORKS["bitcoin"]]), *[Ping(1, bytes(60_000)).encode()] * 10)
        heard = await peer.hangs_up()
    assert [message.text() for message in heard if isinstance(message, WarningMessage)] == ["No common network"]


async def test_refused_peers_are_no_news(connectd: ConnectdProcess) -> None:
    """The log has no line above debug for what strangers do."""
    await first_message(connectd, init(networks=[NETWORKS["bitcoin"]]))
    await first_message(connectd, Ping(1, b"").encode())
    assert not any(level in connectd.log() for level in ("INFO", "UNUSUAL", "BROKEN"))
