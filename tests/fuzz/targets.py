"""One function for each parser of what others write: takes any bytes, and lets only the parser's own errors pass.

atheris runs them for long (fuzz.py); tests/fuzz/test_targets.py runs each a few hundred times with hypothesis.
"""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from gossipd.gossmap import Gossmap
from gossipd.map.loading import load
from gossipd.store.file import StoreError
from lightningd_py.config.config_file import Origin, read_config
from lightningd_py.errors import UsageError
from lightningd_py.rpc.json_stream import JsonSplitter, ParseError, parse_json
from wire.address import read_descriptors
from wire.bus.bus_message import BusError, BusMessage
from wire.control.control_message import ControlError, ControlMessage
from wire.cursor import WireError
from wire.encoded import decode_short_ids
from wire.frames import CryptoState, FrameError, Frames
from wire.noise import ACT_ONE_SIZE, ACT_TWO_SIZE, HandshakeError, Initiator, Responder
from wire.peer_wire import NodeAnnouncement, QueryShortChannelIds, ReplyChannelRange, decode
from wire.secp256k1 import ecdh, public_key

SECRET, OTHER = bytes([1]) * 32, bytes([2]) * 32
SENDERS = ("connectd", "gossipd", "master", "program", "hsmd")
BUSES = ("msg", "ctl", "chnl", "api")
KEY = bytes(range(32))
JSON_LIMIT = 1 << 20


def noise_acts(data: bytes) -> None:
    """As responder for act one and three, as initiator for act two."""
    responder = Responder(public_key(SECRET), ephemeral=OTHER)
    with contextlib.suppress(HandshakeError):
        point = responder.receive_act_one(data[:ACT_ONE_SIZE])
        responder.act_two(ecdh(SECRET, point))
        responder.receive_act_three(data[ACT_ONE_SIZE:])
    initiator = Initiator(public_key(SECRET), public_key(OTHER), ephemeral=KEY)
    initiator.act_one()
    with contextlib.suppress(HandshakeError):
        initiator.receive_act_two(data[:ACT_TWO_SIZE])


def frames(data: bytes) -> None:
    """Read whole, and in two pieces; encrypted ones are read as what they were."""
    state = CryptoState(0, 0, KEY, KEY, KEY, KEY)
    with contextlib.suppress(FrameError):
        list(Frames(state).feed(data))
    with contextlib.suppress(FrameError):
        torn = Frames(state)
        list(torn.feed(data[: len(data) // 2]))
        list(torn.feed(data[len(data) // 2 :]))
    message = data[:65_535]
    assert list(Frames(state).feed(Frames(state).encrypt(message))) == [message]


def peer_messages(data: bytes) -> None:
    """What is read is written as the same bytes."""
    with contextlib.suppress(WireError):
        message = decode(data)
        assert message.encode() == data
        match message:
            case QueryShortChannelIds() | ReplyChannelRange():
                decode_short_ids(message.encoded_short_ids)
            case NodeAnnouncement():
                read_descriptors(message.addresses)


def control_messages(data: bytes) -> None:
    """From each sender, without fds."""
    for sender in SENDERS:
        with contextlib.suppress(ControlError):
            ControlMessage.decode(data, [], sender)


def bus_messages(data: bytes) -> None:
    """On each bus, from a service."""
    for bus in BUSES:
        with contextlib.suppress(BusError):
            BusMessage.decode(data, bus, "service")


def json_rpc(data: bytes) -> None:
    """Split whole, and byte by byte: the same pieces, which are JSON or not."""
    with contextlib.suppress(ParseError):
        pieces = list(JsonSplitter(JSON_LIMIT).feed(data))
        splitter = JsonSplitter(JSON_LIMIT)
        assert [piece for at in range(len(data)) for piece in splitter.feed(data[at : at + 1])] == pieces
        for piece in pieces:
            parse_json(piece)


def gossip_store(data: bytes) -> None:
    """As gossipd opens it, which repairs it, and as readers do."""
    with tempfile.TemporaryDirectory(prefix="lightningd-py-fuzz-") as directory:
        path = Path(directory) / "gossip_store"
        path.write_bytes(data)
        with contextlib.suppress(StoreError), Gossmap(path) as gossmap:
            list(gossmap.channels()), list(gossmap.nodes())
        with contextlib.suppress(StoreError):
            store, _ = load(path)
            store.close()


def config(data: bytes) -> None:
    """A config file that includes what it names."""
    with tempfile.TemporaryDirectory(prefix="lightningd-py-fuzz-") as directory:
        path = Path(directory) / "config"
        path.write_bytes(data)
        with contextlib.suppress(UsageError):
            read_config(path, Origin.BASE_FILE, must_exist=True)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        noise_acts,
        frames,
        peer_messages,
        control_messages,
        bus_messages,
        json_rpc,
        gossip_store,
        config,
    )
}
