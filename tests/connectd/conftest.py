"""Fixtures: a connectd process, and peers that connect to it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess, Owner


@pytest.fixture
async def new_connectd(tmp_path: Path) -> AsyncIterator[Callable[[], ConnectdProcess]]:
    """Makes connectd processes that have been told nothing; at the end each must go quietly."""
    connectds: list[ConnectdProcess] = []

    def make() -> ConnectdProcess:
        connectds.append(ConnectdProcess(tmp_path / f"log-{len(connectds)}"))
        return connectds[-1]

    try:
        yield make
        for connectd in connectds:
            if not connectd.master.closed:
                assert connectd.ended() == 0, connectd.log()
                assert "BROKEN" not in connectd.log(), connectd.log()
    finally:
        for connectd in connectds:
            connectd.clean_up()


@pytest.fixture
async def connectd(new_connectd: Callable[[], ConnectdProcess]) -> ConnectdProcess:
    """A connectd that listens on 127.0.0.1 and gives every peer to the master."""
    connectd = new_connectd()
    await connectd.start()
    return connectd


Dial = Callable[..., Awaitable[tuple[ScriptedPeer, Owner]]]


@pytest.fixture
async def dial(connectd: ConnectdProcess) -> AsyncIterator[Dial]:
    """Connects a scripted peer to connectd; both ends are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def connect(**how: Any) -> tuple[ScriptedPeer, Owner]:
            peer = await stack.enter_async_context(await ScriptedPeer.connect(connectd.target(), **how))
            owner = await connectd.owner()
            stack.push_async_callback(owner.close)
            return peer, owner

        yield connect
