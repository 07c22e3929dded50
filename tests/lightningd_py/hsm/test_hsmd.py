"""hsmd as a real process: what each client may ask, and what happens to those who ask for more."""

import array
import hmac
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wire.control.control_message import MAX_INLINE, ControlMessage, Fd
from wire.control.control_socket import _sealed_memfd, receive_message, send_message
from wire.control.control_wire import (
    ClientHsmfd,
    DeriveSecret,
    DeriveSecretReply,
    DeriveSecretReplyfail,
    Ecdh,
    EcdhReply,
    GossipNewPeerReply,
    HsmInit,
    HsmInitReply,
    HsmInitReplyfail,
    OnionHopKeys,
    OnionHopKeysReply,
    SignChannelAnnouncement,
    SignNodeAnnouncement,
    SignNodeAnnouncementReply,
)
from wire.onion.keys import keys_of_onion
from wire.peer_wire import NodeAnnouncement
from wire.secp256k1 import double_sha256, ecdh, public_key, verify

ROOT = Path(__file__).parents[3]
NODE_KEY = b"\x11" * 32
POINT = public_key(b"\x22" * 32)


@dataclass
class Hsmd:
    """A running hsmd, its master's end of the control socket, and the clients' ends."""

    process: subprocess.Popen[str]
    master: socket.socket
    clients: list[socket.socket] = field(default_factory=list)

    def init(self, secret: str = "", key: bytes | None = NODE_KEY) -> ControlMessage | None:
        send_message(self.master, HsmInit(secret, key, request_id=1))
        return receive_message(self.master, "hsmd")

    def new_client(self, name: str) -> socket.socket:
        """A client's socket; hsmd has its end of it as soon as it has read the master's message."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.clients.append(ours)
        send_message(self.master, ClientHsmfd(name, Fd(theirs.detach())))
        return ours

    def end(self) -> str:
        """Close the master's socket; the log, after hsmd has exited by itself."""
        self.master.close()
        _, log = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, log
        return log


@pytest.fixture
def hsmd() -> Iterator[Hsmd]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-P", "-m", "lightningd_py.hsm.hsmd", str(theirs.fileno()), "debug"]
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=(theirs.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        running = Hsmd(process, ours)
        try:
            yield running
        finally:
            process.kill()
            process.communicate()
            for client in running.clients:
                client.close()


def ask_ecdh(client: socket.socket, request_id: int = 7, point: bytes = POINT) -> ControlMessage | None:
    send_message(client, Ecdh(point, request_id=request_id))
    return receive_message(client, "hsmd")


def broken(log: str) -> list[str]:
    return [line.partition("hsmd: ")[2] for line in log.splitlines() if "BROKEN" in line]


def test_it_ends_with_its_master(hsmd: Hsmd) -> None:
    hsmd.init()
    client = hsmd.new_client("connectd")
    assert broken(hsmd.end()) == []
    assert receive_message(client, "hsmd") is None


def test_it_ends_before_it_was_asked_anything(hsmd: Hsmd) -> None:
    assert hsmd.end() == ""


def test_a_signal_to_the_whole_node_does_not_end_it(hsmd: Hsmd) -> None:
    hsmd.init()
    for number in (signal.SIGINT, signal.SIGTERM):
        hsmd.process.send_signal(number)
    client = hsmd.new_client("connectd")
    assert isinstance(ask_ecdh(client), EcdhReply)
    assert broken(hsmd.end()) == []


def test_the_identity_is_that_of_the_file(hsmd: Hsmd, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    path.write_bytes(b"lightning-1".ljust(32, b"\0"))
    path.chmod(0o600)
    node_id = bytes.fromhex("0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518")
    assert hsmd.init(str(path), None) == HsmInitReply(node_id, request_id=1)
    assert broken(hsmd.end()) == []


def test_a_new_identity_is_kept(hsmd: Hsmd, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    reply = hsmd.init(str(path), None)
    assert isinstance(reply, HsmInitReply)
    words = path.read_bytes()[32:]
    assert len(words.split()) == 12
    log = hsmd.end()
    assert f"created {path}" in log
    assert words.decode() not in log


def test_a_file_that_cannot_be_used_is_refused_and_another_one_may_be_tried(hsmd: Hsmd, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    path.write_bytes(b"\1" * 32)
    path.chmod(0o644)
    error = f"{path} is open to other users (mode 0644): chmod 600 it"
    assert hsmd.init(str(path), None) == HsmInitReplyfail(error, request_id=1)
    path.chmod(0o600)
    assert isinstance(hsmd.init(str(path), None), HsmInitReply)
    assert broken(hsmd.end()) == []


def test_a_forced_key_replaces_the_file(hsmd: Hsmd, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    assert hsmd.init(str(path)) == HsmInitReply(public_key(NODE_KEY), request_id=1)
    assert not path.exists()


@pytest.mark.parametrize("key", [b"", bytes(32), NODE_KEY[1:]])
def test_a_forced_key_that_is_none(hsmd: Hsmd, key: bytes) -> None:
    assert hsmd.init(key=key) == HsmInitReplyfail("dev_force_privkey is no secret key", request_id=1)


def test_connectd_gets_ecdh(hsmd: Hsmd) -> None:
    hsmd.init()
    clients = [hsmd.new_client("connectd"), hsmd.new_client("connectd")]
    for number, client in enumerate(clients):
        assert ask_ecdh(client, number) == EcdhReply(ecdh(NODE_KEY, POINT), request_id=number)
    assert broken(hsmd.end()) == []


def test_the_shared_secret_does_not_print() -> None:
    assert repr(EcdhReply(b"secret", request_id=1)) == "EcdhReply(request_id=1)"


@pytest.mark.bolt("B4-109")
def test_oniond_gets_the_keys_of_a_hop_and_never_a_product(hsmd: Hsmd) -> None:
    hsmd.init()
    client = hsmd.new_client("oniond")
    other = public_key(b"\x33" * 32)
    send_message(client, OnionHopKeys(POINT, other, request_id=4))
    reply = receive_message(client, "hsmd")
    path, onion = keys_of_onion(NODE_KEY, POINT, other)
    assert reply == OnionHopKeysReply(path.rho, path.factor, onion.rho, onion.mu, onion.factor, request_id=4)
    assert ecdh(NODE_KEY, POINT) not in (path.rho, path.factor, onion.rho, onion.mu, onion.factor)
    assert "rho" not in repr(reply)
    assert broken(hsmd.end()) == []


@pytest.mark.parametrize(
    "asked",
    [Ecdh(POINT, request_id=1), SignNodeAnnouncement(b"", request_id=1), DeriveSecret(b"", request_id=1)],
    ids=lambda asked: asked.name(),
)
def test_oniond_may_ask_for_nothing_else(hsmd: Hsmd, asked: ControlMessage) -> None:
    hsmd.init()
    client = hsmd.new_client("oniond")
    send_message(client, asked)
    assert receive_message(client, "hsmd") is None
    assert any("oniond is cut off" in line for line in broken(hsmd.end()))


@pytest.mark.parametrize("keys", [(bytes(33), POINT), (POINT, bytes(33)), (b"", b"")])
def test_oniond_asks_with_points(hsmd: Hsmd, keys: tuple[bytes, bytes]) -> None:
    hsmd.init()
    client = hsmd.new_client("oniond")
    send_message(client, OnionHopKeys(*keys, request_id=1))
    assert receive_message(client, "hsmd") is None
    assert any("onion_hop_keys with" in line for line in broken(hsmd.end()))


def announcement_of(node_id: bytes) -> bytes:
    return NodeAnnouncement(b"\1" * 64, b"", 1, node_id, bytes(3), bytes(32), b"").encode()


def sign_announcement(client: socket.socket, announcement: bytes) -> ControlMessage | None:
    send_message(client, SignNodeAnnouncement(announcement, request_id=3))
    return receive_message(client, "hsmd")


def test_gossipd_gets_our_node_announcement_signed(hsmd: Hsmd) -> None:
    hsmd.init()
    announcement = announcement_of(public_key(NODE_KEY))
    reply = sign_announcement(hsmd.new_client("gossipd"), announcement)
    assert isinstance(reply, SignNodeAnnouncementReply)
    assert verify(double_sha256(announcement[66:]), reply.signature, public_key(NODE_KEY))
    assert broken(hsmd.end()) == []


@pytest.mark.parametrize(
    ("announcement", "error"),
    [
        (announcement_of(POINT), "the node_announcement is of another node"),
        (bytes(200), "it is no NodeAnnouncement"),
        (announcement_of(public_key(NODE_KEY))[:-1], "it is malformed"),
        (b"", "it is malformed"),
    ],
    ids=["somebody else's", "another message", "half of one", "nothing"],
)
def test_nothing_else_is_signed(hsmd: Hsmd, announcement: bytes, error: str) -> None:
    hsmd.init()
    assert sign_announcement(hsmd.new_client("gossipd"), announcement) is None
    (line,) = broken(hsmd.end())
    assert line.startswith(f"gossipd is cut off: sign_node_announcement: {error}")


def test_a_signature_before_there_is_a_key(hsmd: Hsmd) -> None:
    assert sign_announcement(hsmd.new_client("gossipd"), announcement_of(POINT)) is None
    assert broken(hsmd.end()) == ["gossipd is cut off: sign_node_announcement before hsm_init"]


def no_message(client: socket.socket) -> None:
    client.send(b"\xff" * 40)


def hsm_init(client: socket.socket) -> None:
    send_message(client, HsmInit("", None, request_id=1))


def another_client(client: socket.socket) -> None:
    send_message(client, ClientHsmfd("connectd", Fd(os.open(os.devnull, os.O_RDONLY))))


def message_with_fd(client: socket.socket) -> None:
    send_message(client, GossipNewPeerReply(Fd(os.open(os.devnull, os.O_RDONLY)), request_id=1))


def bad_point(client: socket.socket) -> None:
    send_message(client, Ecdh(bytes(33), request_id=1))


def ecdh_request(client: socket.socket) -> None:
    send_message(client, Ecdh(POINT, request_id=1))


def closing_it(client: socket.socket) -> None:
    client.close()


FORBIDDEN: list[tuple[str, Callable[[socket.socket], None], str]] = [
    ("connectd", no_message, "connectd is cut off: connectd sent no control message: " + "ff" * 32),
    ("connectd", hsm_init, "connectd is cut off: connectd may not say hsm_init"),
    ("connectd", another_client, "connectd is cut off: connectd may not say client_hsmfd"),
    ("connectd", bad_point, f"connectd is cut off: ecdh with {bytes(33).hex()}: no point on the curve"),
    ("gossipd", ecdh_request, "gossipd is cut off: gossipd may not say ecdh"),
    ("gossipd", message_with_fd, "gossipd is cut off: it may not ask for gossip_new_peer_reply"),
]


@pytest.mark.parametrize(("client", "ask", "error"), FORBIDDEN, ids=lambda value: getattr(value, "__name__", None))
def test_who_asks_for_too_much_is_cut_off(
    hsmd: Hsmd, client: str, ask: Callable[[socket.socket], None], error: str
) -> None:
    hsmd.init()
    offender, bystander = hsmd.new_client(client), hsmd.new_client("connectd")
    ask(offender)
    assert receive_message(offender, "hsmd") is None
    assert isinstance(ask_ecdh(bystander), EcdhReply)
    assert broken(hsmd.end()) == [error]


def test_a_client_may_go(hsmd: Hsmd) -> None:
    hsmd.init()
    leaving, staying = hsmd.new_client("connectd"), hsmd.new_client("connectd")
    send_message(leaving, Ecdh(POINT, request_id=1))
    leaving.close()
    assert isinstance(ask_ecdh(staying), EcdhReply)
    assert broken(hsmd.end()) == []


@pytest.mark.parametrize("name", ["connectd", "gossipd", "service"])
def test_a_client_that_does_not_read_holds_nobody_up(hsmd: Hsmd, name: str) -> None:
    hsmd.init()
    offender, bystander = hsmd.new_client(name), hsmd.new_client("connectd")
    request = {
        "connectd": Ecdh(POINT),
        "gossipd": SignNodeAnnouncement(announcement_of(public_key(NODE_KEY))),
        "service": SignChannelAnnouncement(b""),
    }[name]
    offender.settimeout(60)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            send_message(offender, request)
    assert isinstance(ask_ecdh(bystander), EcdhReply)
    assert f"{name} is cut off: it does not read its replies" in hsmd.end()


@pytest.mark.parametrize("name", ["connectd", "gossipd", "service"])
def test_no_client_has_hsmd_decode_what_is_large(hsmd: Hsmd, name: str) -> None:
    """60 MB of nested arrays took it 8 s."""
    hsmd.init()
    offender = hsmd.new_client(name)
    memfd = _sealed_memfd(b"\x92\x00" + b"\x91" * (MAX_INLINE - 2) + b"\xc0")
    offender.sendmsg([b"\x91\x00"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memfd]))])
    os.close(memfd)
    assert receive_message(offender, "hsmd") is None
    assert broken(hsmd.end()) == [f"{name} is cut off: {name} sent a memfd of {MAX_INLINE + 1} bytes"]


def test_ecdh_before_there_is_a_key(hsmd: Hsmd) -> None:
    client = hsmd.new_client("connectd")
    assert ask_ecdh(client) is None
    assert isinstance(hsmd.init(), HsmInitReply)
    assert broken(hsmd.end()) == ["connectd is cut off: ecdh before hsm_init"]


def test_a_second_init_ends_it(hsmd: Hsmd) -> None:
    hsmd.init()
    assert hsmd.init() is None
    assert broken(hsmd.end()) == ["master is cut off: a second hsm_init"]


@pytest.mark.parametrize("name", ["master", "nobody"])
def test_an_unknown_client_ends_it(hsmd: Hsmd, name: str) -> None:
    client = hsmd.new_client(name)
    assert receive_message(client, "hsmd") is None
    assert broken(hsmd.end()) == [f"master is cut off: there is no client '{name}'"]


# makesecret


def test_makesecret_is_clns(hsmd: Hsmd, tmp_path: Path) -> None:
    """HKDF of the secret with "derived secrets", and of that with the words. RFC 5869, CLN's hsmd."""
    secret = tmp_path / "hsm_secret"
    secret.write_bytes(b"\x01" * 32)
    secret.chmod(0o600)
    assert isinstance(hsmd.init(str(secret), None), HsmInitReply)
    send_message(hsmd.master, DeriveSecret(b"scb secret", request_id=2))
    reply = receive_message(hsmd.master, "hsmd")
    assert isinstance(reply, DeriveSecretReply)
    assert reply.secret == hkdf(hkdf(b"\x01" * 32, b"derived secrets"), b"scb secret")


def hkdf(secret: bytes, info: bytes) -> bytes:
    """One block of it, with no salt, by its definition."""
    key = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(key, info + b"\x01", "sha256")


def test_makesecret_with_a_forced_key(hsmd: Hsmd) -> None:
    hsmd.init()
    send_message(hsmd.master, DeriveSecret(b"x", request_id=2))
    assert isinstance(receive_message(hsmd.master, "hsmd"), DeriveSecretReplyfail)


def test_makesecret_is_the_masters_alone(hsmd: Hsmd) -> None:
    hsmd.init()
    client = hsmd.new_client("gossipd")
    send_message(client, DeriveSecret(b"x", request_id=2))
    assert receive_message(client, "hsmd") is None
    assert broken(hsmd.end())
