"""Who is disconnected for wanting too much of the feed, on real sockets."""

import socket

import pytest

from gossipd.publish.subscribers import MOST_SUBSCRIPTIONS, Subscribers


class Connection:
    """One that the feed has accepted at this address; `far` is the subscriber's end."""

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as listener:
            listener.bind((host, 0))
            listener.listen()
            self.far = socket.create_connection(listener.getsockname()[:2])
            self.near, _ = listener.accept()
        self.far.setblocking(False)
        self.endpoint = f"tcp://{f'[{host}]' if ':' in host else host}:{self.near.getsockname()[1]}"

    def ended(self) -> bool:
        try:
            return self.far.recv(1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_one_prefix_too_many(host: str) -> None:
    connection = Connection(host)
    subscribers = Subscribers()
    subscribers.endpoint = connection.endpoint
    for number in range(MOST_SUBSCRIPTIONS):
        subscribers.heard(b"\1%d" % number, connection.near.fileno())
    assert not connection.ended()
    subscribers.heard(b"\0007", connection.near.fileno())
    subscribers.heard(b"\1seven", connection.near.fileno())
    subscribers.heard(b"hello", connection.near.fileno())
    assert not connection.ended()
    subscribers.heard(b"\1more", connection.near.fileno())
    assert connection.ended()
    connection.close()


def test_no_other_socket_is_shut_down() -> None:
    """The number may be another socket's by now, or none's."""
    connection = Connection("127.0.0.1")
    subscribers = Subscribers()
    subscribers.endpoint = "ipc:///feed"
    for number in range(2 * MOST_SUBSCRIPTIONS):
        subscribers.heard(b"\1%d" % number, connection.near.fileno())
        subscribers.heard(b"\1-%d" % number, 999_999)
    assert not connection.ended()
    connection.close()


def test_nothing_is_kept_of_who_has_left() -> None:
    subscribers = Subscribers()
    for number in range(MOST_SUBSCRIPTIONS):
        subscribers.heard(b"\1%d" % number, 999_999)
    for number in range(MOST_SUBSCRIPTIONS):
        subscribers.heard(b"\0%d" % number, None)
    subscribers.heard(b"\0never", None)
    assert (subscribers._brought, dict(subscribers._counts)) == ({}, {})
