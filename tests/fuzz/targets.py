"""One function for each parser of what others write: takes any bytes, and lets only the parser's own errors pass.

atheris runs them for long (fuzz.py); tests/fuzz/test_targets.py runs each a few hundred times with hypothesis.
"""

import contextlib
import itertools
import tempfile
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from connectd.websocketd.websocket import WebSocket
from gossipd.gossmap import Gossmap
from gossipd.map import gone, side_index
from gossipd.map.index import MapIndex
from gossipd.map.loading import load
from gossipd.store.file import StoreError
from gossipd.store.records import amount_message, beginning, pack_record
from lightningd_py.chain.block import BlockError, block_hash, inputs, previous_hash
from lightningd_py.config.config_file import Origin, read_config
from lightningd_py.errors import UsageError
from lightningd_py.http.server import BadRequest, read_request
from lightningd_py.owners.service_process import ProgramLeft
from lightningd_py.peers.bootstrap import read_peers
from lightningd_py.rpc.json_stream import JsonSplitter, ParseError, parse_json
from lightningd_py.tools.synthetic_gossip_v2 import SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.fuzz.elsewhere import dns_answer, dns_answers, gsp, hsm_secret, imports, socks_replies, tor_control
from wire.address import parse_address, parse_peer, read_descriptors
from wire.bus import feed
from wire.bus.bus_message import BusError, BusMessage
from wire.bus.feed import FeedError
from wire.bus.feed_batches import complete, opened
from wire.control.access import parse_what
from wire.control.control_message import ControlError, ControlMessage
from wire.crypto_state import CryptoState, PeerState
from wire.cursor import WireError
from wire.encoded import decode_short_ids
from wire.frames import FrameError, Frames
from wire.gossip_v2.about import subject, undated
from wire.gossip_v2.kept import BEGINNING, latest, pack, unpack
from wire.gossip_v2.messages import ChannelAnnouncement2, ChannelUpdate2, NodeAnnouncement2
from wire.gossip_v2.signatures import holds
from wire.net.states import StateError
from wire.net.states import dump as dump_state
from wire.net.states import load as load_state
from wire.noise import ACT_ONE_SIZE, ACT_TWO_SIZE, HandshakeError, Initiator, Responder
from wire.peer_wire import NodeAnnouncement, Ping, QueryShortChannelIds, ReplyChannelRange, decode
from wire.secp256k1 import ecdh, public_key

SECRET, OTHER = bytes([1]) * 32, bytes([2]) * 32
SENDERS = ("connectd", "gossipd", "master", "program", "hsmd")
TOPICS = [topic.encode() for topic in feed.TOPICS]
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


def gossip_v2(data: bytes) -> None:
    """As a message, and as the file of what is kept: read and written again, its signature looked at."""
    if len(data) >= 2:
        subject(data)
        undated(data)
    with contextlib.suppress(WireError):
        message = decode(data)
        match message:
            case ChannelAnnouncement2() | ChannelUpdate2() | NodeAnnouncement2():
                assert message.encode() == data
                assert not holds(data, public_key(OTHER)) or data.startswith(SEEDS["gossip_v2"])
        match message:
            case ChannelUpdate2():
                message.policy(1)
            case NodeAnnouncement2():
                message.addresses()
    for content in (data, BEGINNING + data):
        for record in latest(content).values():
            assert list(unpack(BEGINNING + pack(record))) == [record]


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


def files_beside_the_store(data: bytes) -> None:
    """What is remembered of channels that are gone, and the index that a clean stop leaves."""
    with tempfile.TemporaryDirectory(prefix="lightningd-py-fuzz-") as directory:
        store = Path(directory) / "gossip_store"
        store.with_name(store.name + gone.ENDING).write_bytes(data)
        gone.Gone(store.with_name(store.name + gone.ENDING))
        side_index.path_of(store).write_bytes(data)
        side_index.take(store, lambda: data[:20])


def websocket(data: bytes) -> None:
    """The request as it is, and frames after one that is good; through a proxy, too."""
    for proxies in ((), (ip_network("127.0.0.0/8"),)):
        for request in (b"", UPGRADE):
            end = WebSocket(proxies)
            for piece in (request, data[: len(data) // 2], data[len(data) // 2 :]):
                end.receive(piece)
            if end.is_open:
                end.wrap(data)
            end.to_send()


def scrape_request(data: bytes) -> None:
    """The head of an HTTP request for the metrics."""
    with contextlib.suppress(BadRequest):
        read_request(data)


def blocks(data: bytes) -> None:
    """What bitcoind gives for a block."""
    block_hash(data), previous_hash(data)
    with contextlib.suppress(BlockError):
        list(itertools.islice(inputs(data), 10_000))


def words(data: bytes) -> None:
    """What operators and files write: addresses, peers, what a ban names, lists of peers, options."""
    text = data.decode("utf-8", "surrogateescape")
    for parse in (parse_address, parse_peer):
        with contextlib.suppress(ValueError):
            parse(text, 9735)
    with contextlib.suppress(ValueError):
        assert parse_what(parse_what(text)) == parse_what(text)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(UsageError):
            read_peers(Path(file.name), 9735)


def feed_messages(data: bytes) -> None:
    """As a subscriber reads them, whatever the topic."""
    for topic in (*TOPICS, b"x"):
        with contextlib.suppress(FeedError):
            feed.decode(topic, data)
    with contextlib.suppress(FeedError):
        for name, values in opened(b"batch.gossip", data):
            feed.message_of(name, complete(name, values))


def states_left(data: bytes) -> None:
    """What one program of a process leaves for the next one."""
    for kind in (ProgramLeft, PeerState):
        with contextlib.suppress(StateError):
            load_state(kind, data, 1)


def _side_index() -> bytes:
    """What a clean stop leaves of an empty map: other bytes seldom have the CRC that lets them be read at all."""
    with tempfile.TemporaryDirectory(prefix="lightningd-py-fuzz-") as directory:
        store = Path(directory) / "gossip_store"
        side_index.write(store, side_index.seal(bytes(32), []), MapIndex(), 0)
        return side_index.path_of(store).read_bytes()


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
)

SEEDS: dict[str, bytes] = {
    "peer_messages": Ping(1, b"").encode(),
    "gossip_v2": SyntheticGossip2(SyntheticMap(random_edges(1, 1, 2), 1, 1), 200).channel(0).announcement,
    "gossip_store": beginning(bytes(32)) + pack_record(amount_message(1), 0),
    "json_rpc": b'{"id": 1, "method": "getinfo"}',
    "config": b"network=regtest\ninclude other\n# a comment\naddr=127.0.0.1:9735\n",
    "files_beside_the_store": _side_index(),
    "websocket": UPGRADE,
    "scrape_request": b"GET /metrics HTTP/1.1\r\nAccept: text/plain",
    "blocks": bytes(80) + b"\1",
    "words": b"[::1]:9735",
    "tor_control": b'250-AUTH METHODS=SAFECOOKIE COOKIEFILE="/x\\303\\244"\r\n250 OK\r\n',
    "socks_replies": b"\5\2\1\0\5\0\0\3\5a.com\0\1",
    "dns_answers": dns_answer(),
    "hsm_secret": bytes(32) + b" ".join([b"abandon"] * 11) + b" about",
    "imports": gsp(),
    "feed_messages": feed.encode(1, 1, {}),
    "states_left": dump_state(CryptoState(0, 0, KEY, KEY, KEY, KEY), 1),
}
"""What is right so far, for parsers that would see nothing else of most inputs."""


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        noise_acts,
        frames,
        peer_messages,
        gossip_v2,
        control_messages,
        bus_messages,
        json_rpc,
        gossip_store,
        config,
        files_beside_the_store,
        websocket,
        scrape_request,
        blocks,
        words,
        feed_messages,
        states_left,
        tor_control,
        socks_replies,
        dns_answers,
        hsm_secret,
        imports,
    )
}
