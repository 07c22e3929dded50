"""A next hsmd that does not do as it should: the old one has all its clients, and goes on."""

import socket
from collections.abc import Callable

import pytest

from lightningd_py.hsm import moving
from tests.lightningd_py.hsm.test_hsmd import Hsmd, ask_ecdh, hsmd
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import (
    EcdhReply,
    MoveAll,
    MoveAllReplyfail,
    MoveClient,
    MoveClients,
    MoveClientsReply,
    MoveDone,
    MovePeerReply,
    TakePlace,
)

__all__ = ["hsmd"]

CLIENTS = 3


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def hear(successor: socket.socket) -> ControlMessage:
    message = receive_message(successor, "predecessor")
    assert message is not None
    message.close_fds()
    return message


def dies_at_once(successor: socket.socket) -> None:
    successor.close()


def dies_with_all(successor: socket.socket) -> None:
    while not isinstance(hear(successor), MoveClients):
        pass
    successor.close()


def acknowledges_before_it_is_asked(successor: socket.socket) -> None:
    send_message(successor, MoveClientsReply(request_id=0))
    dies_with_all(successor)


def says_something_else(successor: socket.socket) -> None:
    send_message(successor, MovePeerReply(request_id=1))
    dies_with_all(successor)


def talks_rubbish(successor: socket.socket) -> None:
    successor.send(b"rubbish")
    dies_with_all(successor)


@pytest.mark.parametrize(
    "fails",
    [dies_at_once, dies_with_all, acknowledges_before_it_is_asked, says_something_else, talks_rubbish],
)
def test_old_one_goes_on_if_the_next_one_fails(hsmd: Hsmd, fails: Callable[[socket.socket], None]) -> None:
    """Twice: each client is answered, and the refusal is one sentence."""
    hsmd.init()
    clients = [hsmd.new_client("connectd") for _ in range(CLIENTS)]
    for client in clients:
        assert isinstance(ask_ecdh(client), EcdhReply)
    for _ in range(2):
        successor, theirs = pair()
        with successor:
            send_message(hsmd.master, MoveAll(Fd(theirs.detach()), request_id=5))
            fails(successor)
            refusal = receive_message(hsmd.master, "hsmd")
            assert isinstance(refusal, MoveAllReplyfail) and "\n" not in refusal.error
        for client in clients:
            assert isinstance(ask_ecdh(client), EcdhReply)
    hsmd.end()


def test_next_one_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "STEP_TIME", 0.05)
    successor, ours = pair()
    with successor, ours, pytest.raises(moving.MoveFailed, match="has not answered for"):
        moving.move(ours, [])


def test_new_one_that_was_not_given_all(hsmd: Hsmd) -> None:
    """The end of the old one's socket says so; no client is read, and the new one goes on as it was."""
    hsmd.init()
    known = hsmd.new_client("connectd")
    predecessor, theirs = pair()
    client, far = pair()
    with predecessor, client:
        send_message(hsmd.master, TakePlace(Fd(theirs.detach())))
        send_message(predecessor, MoveClient("gossipd", Fd(far.detach())))
        send_message(predecessor, MoveClients(2, request_id=1))
        assert receive_message(predecessor, "successor") is None
        with pytest.raises(OSError):
            send_message(predecessor, MoveDone())
        assert receive_message(client, "hsmd") is None, "nobody reads it"
    assert isinstance(ask_ecdh(known), EcdhReply)
    hsmd.end()
