"""Where block notices are looked for, as getzmqnotifications names it."""

import asyncio

import pytest
import zmq

from lightningd_py.chain.block_notices import BlockNotices


@pytest.mark.parametrize(("host", "named"), [("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "*"), ("::1", "[::]")])
async def test_a_publisher_that_is_bound_to_everything_is_where_bitcoind_is(host: str, named: str) -> None:
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.setsockopt(zmq.IPV6, 1)
    notices = BlockNotices(host, 60.0)
    try:
        port = publisher.bind_to_random_port(f"tcp://[{host}]" if ":" in host else f"tcp://{host}")
        notices.subscribe([{"type": "pubrawblock", "address": f"tcp://{named}:{port}", "hwm": 1000}])
        assert await asyncio.to_thread(publisher.recv) in (b"\1hashblock", b"\1rawblock")
        waiting = asyncio.create_task(notices.wait())
        publisher.send_multipart([b"rawblock", bytes(90), bytes(4)])
        async with asyncio.timeout(60):
            await waiting
    finally:
        notices.close()
        publisher.close(linger=0)
        context.term()


@pytest.mark.parametrize("answer", [None, 7, {}, [], [7], [{"type": "pubhashtx", "address": "tcp://127.0.0.1:1"}]])
async def test_without_notices_the_time_goes_by(answer: object) -> None:
    notices = BlockNotices("127.0.0.1", 0.0)
    notices.subscribe(answer)
    await notices.wait()
    notices.close()


@pytest.mark.parametrize(
    "address", ["tcp://[x:1", "tcp://", "x", "", "tcp://1.2.3.4:x", "tcp://\ud800:5", "a\nb", "ipc://"]
)
async def test_an_address_that_is_none_is_one_sentence(address: str, caplog: pytest.LogCaptureFixture) -> None:
    notices = BlockNotices("127.0.0.1", 0.0)
    notices.subscribe([{"type": "pubhashblock", "address": address}])
    await notices.wait()
    notices.close()
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("block notices of ") and said.endswith(": bitcoind is asked instead")
    assert said.isprintable()
