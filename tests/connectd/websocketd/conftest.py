"""Fixtures: websocketd, and a connectd whose WebSockets it unwraps."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.connectd.connectd_process import ConnectdProcess
from tests.connectd.webs import WEB, Websocketd, websocketd


@pytest.fixture
def unwrapper(tmp_path: Path) -> Iterator[Websocketd]:
    with websocketd(tmp_path / "websocketd.log") as running:
        yield running


@pytest.fixture
def new_connectd(unwrapper: Websocketd, new_connectd: Callable[[], ConnectdProcess]) -> Callable[[], ConnectdProcess]:
    """Its connectd processes end before websocketd, which waits for that."""
    return new_connectd


@pytest.fixture
async def connectd(
    new_connectd: Callable[[], ConnectdProcess], unwrapper: Websocketd
) -> AsyncIterator[ConnectdProcess]:
    connectd = new_connectd()
    await connectd.start(bind=WEB, websocket_fd=unwrapper.fd_for_connectd())
    yield connectd
