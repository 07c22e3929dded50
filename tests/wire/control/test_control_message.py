"""The codec of control messages: what is refused, whose the fds are, and how a message is called."""

import os

import msgpack
import pytest

from wire.control.control_message import ControlError, ControlMessage, Fd
from wire.control.control_wire import ClientHsmfd, Ecdh, GetTxout, GossipNewPeerReply, PeerAddrhint


def test_a_number_is_declared_once() -> None:
    with pytest.raises(TypeError, match="declared twice"):
        type("Again", (ControlMessage,), {}, number=2014, sender="master")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([], "no control message"),
        ({2014: 0}, "no control message"),
        ([[2014]], "no control message"),
        ([9999], "no control message"),
        ("2014", "no control message"),
        ([2014, b""], "1 fields instead of 2"),
        ([2014, b"", "", 0], "3 fields instead of 2"),
        ([2014, "text", ""], "str instead of bytes"),
        ([2014, b"", b""], "bytes instead of str"),
        ([2014, b"", None], "NoneType instead of str"),
    ],
)
def test_what_is_no_message(value: object, complaint: str) -> None:
    with pytest.raises(ControlError, match=complaint):
        ControlMessage.decode(msgpack.packb(value), [], "master")


@pytest.mark.parametrize("datagram", [b"", b"\xc1", b"\x92\xcd", msgpack.packb([2014, b"", ""]) + b"\0"])
def test_what_is_no_msgpack(datagram: bytes) -> None:
    with pytest.raises(ControlError, match="no control message"):
        ControlMessage.decode(datagram, [], "master")


def test_true_is_no_integer() -> None:
    with pytest.raises(ControlError, match="bool instead of int"):
        ControlMessage.decode(msgpack.packb([3018, 0, True, b""]), [], "gossipd")


def test_a_message_takes_its_fds_and_no_others() -> None:
    datagram = msgpack.packb([5009, "connectd", True])
    with pytest.raises(ControlError, match="1 fds too many"):
        ControlMessage.decode(datagram, fds := [7, 8], "master")
    assert fds == [7, 8]
    with pytest.raises(ControlError, match="wrong field"):
        ControlMessage.decode(datagram, [], "master")
    with pytest.raises(ControlError, match="no fd where one is declared"):
        ControlMessage.decode(msgpack.packb([5009, "connectd", 7]), fds := [7], "master")
    assert fds == [7]
    assert ControlMessage.decode(datagram, fds, "master") == ClientHsmfd("connectd", Fd(7))
    assert fds == []


def test_close_fds() -> None:
    ends = os.pipe()
    for end in ends:
        GossipNewPeerReply(Fd(end)).close_fds()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(end)


def test_names() -> None:
    assert PeerAddrhint.name() == "peer_addrhint"
    assert (Ecdh.name(), GetTxout.name()) == ("ecdh", "get_txout")
