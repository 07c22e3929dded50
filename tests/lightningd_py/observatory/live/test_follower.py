"""The thread of those who draw: how it ends, and what is told when it ends by itself."""

import socket
import threading

import pytest

from lightningd_py.observatory.jetstream import connecting
from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.live.follower import PointFollower
from tests.harness.observatories import PATIENCE, until


def test_end_does_not_wait_for_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "FIRST_PATIENCE", 2 * PATIENCE)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        follower = PointFollower(Access(f"nats://127.0.0.1:{silent.getsockname()[1]}"), "regtest")
        follower.start()
        connection, _ = silent.accept()
        closing = threading.Thread(target=follower.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        connection.close()
    assert not closing.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_mistake_of_ours_is_told() -> None:
    def mistaken() -> None:
        raise ZeroDivisionError("by nothing")

    follower = PointFollower(Access("nats://127.0.0.1:1"), "regtest")
    follower.start(turn=mistaken)
    said = "nothing is heard any more, by a mistake of ours (ZeroDivisionError('by nothing'))"
    until(lambda: follower.state == said, "the sentence")
    follower.close()
    assert follower.state == said
