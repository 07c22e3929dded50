"""What hsmd signs, for whom; passphrases that it reads itself; what it tells the kernel."""

import os
import pty
import select
import socket
from pathlib import Path

import pytest

from lightningd_py.daemons.hsm_control import AnnouncementSigner
from tests.gossipd.messages import KEYS, announcement, node_announcement, update
from tests.lightningd_py.hsm.test_hsmd import Hsmd, broken, hsmd
from tests.lightningd_py.hsm.test_secret import MNEMONIC, PASSPHRASE, with_passphrase
from wire.control.control_channel import ChannelClosed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import (
    HsmInit,
    HsmInitReply,
    HsmInitReplyfail,
    SignChannelAnnouncement,
    SignChannelAnnouncementReply,
    SignChannelAnnouncementReplyfail,
    SignChannelUpdate,
    SignChannelUpdateReply,
    SignMessage,
    SignMessageReply,
    SignNodeAnnouncement,
    SignNodeAnnouncementReply,
)
from wire.secp256k1 import double_sha256, recover, verify

__all__ = ["hsmd"]
SECRET, NODE_ID = KEYS[0]
SIGNED_FROM = 66


def asked(sock: socket.socket, request: ControlMessage) -> ControlMessage | None:
    send_message(sock, request)
    return receive_message(sock, "hsmd")


def test_gossipd_has_its_own_gossip_signed(hsmd: Hsmd) -> None:
    hsmd.init(key=SECRET)
    client = hsmd.new_client("gossipd")
    node, channel = node_announcement(0), update()
    reply = asked(client, SignNodeAnnouncement(node, request_id=3))
    assert isinstance(reply, SignNodeAnnouncementReply)
    assert verify(double_sha256(node[SIGNED_FROM:]), reply.signature, NODE_ID)
    answer = asked(client, SignChannelUpdate(channel, request_id=4))
    assert isinstance(answer, SignChannelUpdateReply)
    assert verify(double_sha256(channel[SIGNED_FROM:]), answer.signature, NODE_ID)
    assert broken(hsmd.end()) == []


def test_a_service_has_its_half_of_an_announcement_signed(hsmd: Hsmd) -> None:
    hsmd.init(key=SECRET)
    raw = announcement(0)
    reply = asked(hsmd.new_client("service"), SignChannelAnnouncement(raw, request_id=3))
    assert isinstance(reply, SignChannelAnnouncementReply)
    assert verify(double_sha256(raw[258:]), reply.signature, NODE_ID)
    assert broken(hsmd.end()) == []


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (announcement(0, 1, 2), "the channel_announcement is of other nodes"),
        (update(), "it is no ChannelAnnouncement"),
        (announcement(0)[:300], "it is malformed: "),
        (b"", "it is malformed: "),
        (announcement(0) + bytes(65_536), "it is malformed: 65968 bytes are more than a message has"),
    ],
    ids=["others'", "another message", "half of one", "nothing", "too long"],
)
def test_a_service_is_refused_what_is_not_its_to_sign_and_may_go_on(hsmd: Hsmd, raw: bytes, error: str) -> None:
    hsmd.init(key=SECRET)
    client = hsmd.new_client("service")
    refused = asked(client, SignChannelAnnouncement(raw, request_id=5))
    assert isinstance(refused, SignChannelAnnouncementReplyfail)
    assert (refused.request_id, refused.error.startswith(error)) == (5, True)
    assert isinstance(asked(client, SignChannelAnnouncement(announcement(0))), SignChannelAnnouncementReply)
    assert broken(hsmd.end()) == []


def test_a_service_that_does_not_read_is_cut_off(hsmd: Hsmd) -> None:
    """hsmd has others to serve: it waits for no program."""
    hsmd.init(key=SECRET)
    client, bystander = hsmd.new_client("service"), hsmd.new_client("service")
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            send_message(client, SignChannelAnnouncement(announcement(0)))
    assert isinstance(asked(bystander, SignChannelAnnouncement(announcement(0))), SignChannelAnnouncementReply)
    assert "service is cut off: it does not read its replies" in hsmd.end()


async def test_the_master_asks_for_a_service(hsmd: Hsmd) -> None:
    hsmd.init(key=SECRET)
    signer = AnnouncementSigner(Fd(hsmd.new_client("service").detach()))
    raw = announcement(0)
    assert verify(double_sha256(raw[258:]), await signer.sign_channel_announcement(raw), NODE_ID)
    with pytest.raises(ValueError, match="the channel_announcement is of other nodes"):
        await signer.sign_channel_announcement(announcement(0, 1, 2))
    signer.close()
    assert broken(hsmd.end()) == []


async def test_the_master_asks_for_a_service_while_the_node_ends(hsmd: Hsmd) -> None:
    hsmd.init(key=SECRET)
    signer = AnnouncementSigner(Fd(hsmd.new_client("service").detach()))
    hsmd.end()
    with pytest.raises(ChannelClosed):
        await signer.sign_channel_announcement(announcement(0))


def test_a_message_is_signed_for_the_master(hsmd: Hsmd) -> None:
    hsmd.init(key=SECRET)
    reply = asked(hsmd.master, SignMessage(b"hello", request_id=9))
    assert isinstance(reply, SignMessageReply)
    digest = double_sha256(b"Lightning Signed Message:hello")
    assert recover(digest, reply.signature, reply.recovery_id) == NODE_ID


REFUSED: list[tuple[str, ControlMessage, str]] = [
    (
        "gossipd",
        SignNodeAnnouncement(node_announcement(1)),
        "the node_announcement is of another node",
    ),
    ("gossipd", SignNodeAnnouncement(update()), "sign_node_announcement: it is no NodeAnnouncement"),
    ("gossipd", SignChannelUpdate(node_announcement(0)), "sign_channel_update: it is no ChannelUpdate"),
    ("gossipd", SignChannelUpdate(update()[:90]), "sign_channel_update: it is malformed: "),
    ("gossipd", SignChannelUpdate(b""), "sign_channel_update: it is malformed: "),
    ("gossipd", SignMessage(b"x"), "gossipd may not say sign_message"),
    ("gossipd", SignChannelAnnouncement(announcement(0)), "gossipd may not say sign_channel_announcement"),
    ("connectd", SignNodeAnnouncement(node_announcement(0)), "connectd may not say sign_node_announcement"),
    ("service", SignChannelUpdate(update()), "service may not say sign_channel_update"),
]


@pytest.mark.parametrize(("client", "request_", "error"), REFUSED, ids=lambda value: str(value)[:40])
def test_who_asks_for_another_signature_is_cut_off(
    hsmd: Hsmd, client: str, request_: ControlMessage, error: str
) -> None:
    hsmd.init(key=SECRET)
    assert asked(hsmd.new_client(client), request_) is None
    (line,) = broken(hsmd.end())
    assert line.startswith(f"{client} is cut off: ")
    assert error in line


# passphrases


def init_with(hsmd: Hsmd, path: Path, fd: int) -> ControlMessage | None:
    return asked(hsmd.master, HsmInit(str(path), None, Fd(fd), request_id=1))


def piped(text: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    return reading


def test_the_passphrase_comes_through_an_fd(hsmd: Hsmd, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    path.write_bytes(with_passphrase())
    path.chmod(0o400)
    assert init_with(hsmd, path, piped(b"wrong\n")) == HsmInitReplyfail(f"wrong passphrase for {path}", request_id=1)
    ended = "no passphrase was given: the input has ended"
    assert init_with(hsmd, path, piped(b"")) == HsmInitReplyfail(ended, request_id=1)
    assert isinstance(init_with(hsmd, path, piped(PASSPHRASE + b"\nthe rest is nobody's")), HsmInitReply)
    log = hsmd.end()
    assert PASSPHRASE.decode() not in log and MNEMONIC.decode() not in log


def on_terminal(hsmd: Hsmd, path: Path, *answers: tuple[bytes, bytes]) -> tuple[ControlMessage | None, bytes]:
    """What comes of (prompt, what is typed then), and what was to be seen on the terminal."""
    keyboard, terminal = pty.openpty()
    send_message(hsmd.master, HsmInit(str(path), None, Fd(terminal), request_id=1))
    seen = b""
    try:
        for prompt, typed in answers:
            while prompt not in seen:
                assert select.select([keyboard], [], [], 20)[0], seen
                seen += os.read(keyboard, 1000)
            os.write(keyboard, typed)
        reply = receive_message(hsmd.master, "hsmd")
        while select.select([keyboard], [], [], 0)[0]:
            seen += os.read(keyboard, 1000)
    except OSError:  # no process has the terminal open any more
        pass
    finally:
        os.close(keyboard)
    return reply, seen


def test_a_terminal_is_asked_twice_for_a_new_passphrase(hsmd: Hsmd, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    typed = PASSPHRASE + b"\n"
    reply, seen = on_terminal(hsmd, path, (b"passphrase of hsm_secret: ", typed), (b"Once more: ", b"other\n"))
    assert reply == HsmInitReplyfail("the two passphrases are different", request_id=1)
    assert not path.exists()
    reply, seen = on_terminal(hsmd, path, (b"passphrase of hsm_secret: ", typed), (b"Once more: ", typed))
    assert isinstance(reply, HsmInitReply)
    assert PASSPHRASE not in seen
    assert path.read_bytes()[:32] != bytes(32)


def test_it_does_not_wait_for_a_passphrase_when_the_master_has_gone(hsmd: Hsmd, tmp_path: Path) -> None:
    path = tmp_path / "hsm_secret"
    path.write_bytes(with_passphrase())
    path.chmod(0o400)
    reading, writing = os.pipe()
    send_message(hsmd.master, HsmInit(str(path), None, Fd(reading), request_id=1))
    hsmd.master.close()
    hsmd.process.communicate(timeout=60)
    os.close(writing)
    assert hsmd.process.returncode == 0


# the kernel


def test_it_can_neither_be_dumped_nor_gain_privileges(hsmd: Hsmd) -> None:
    hsmd.init()
    proc = Path("/proc") / str(hsmd.process.pid)
    fields = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines())
    assert fields["NoNewPrivs"] == "1"
    limits = (proc / "limits").read_text()
    assert next(line for line in limits.splitlines() if "core file" in line).split()[4:6] == ["0", "0"]
    if os.geteuid() == 0:
        assert int(fields["VmLck"].split()[0]) > 0
    assert (proc / "mem").stat().st_uid == 0, "the memory of a process that cannot be dumped is root's in /proc"
