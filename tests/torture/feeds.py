"""Feeds of many vantage points, said by one thread that knows each message: the generator of `scale`."""

import hashlib
import threading
import time
from pathlib import Path
from typing import Self

from lightningd_py.observatory.replay.publisher import Publisher

PEERS = 10
"""Each message is said by so many peers at each vantage point: of gossip_observer's 85,000,000 arrivals a day a message
has 200, at some 20 points."""
TOPIC = "gossip.channel_update"
TURN = 0.02


class Feeds:
    """Message n is that of the number n, and has at each feed the seqs from PEERS * (n - 1) + 1 on, a peer each."""

    def __init__(self, folder: Path, count: int, rate: float) -> None:
        """`rate`: arrivals a second of all together."""
        self.names = [f"v{number}" for number in range(count)]
        self.paths = {name: folder / name for name in self.names}
        self.hashes: list[bytes] = []
        """Of message 1, 2, ...: what the table `arrivals` has of it."""
        self.seconds = 0.0
        """In which something was said."""
        self.cpu = 0.0
        self._messages_a_second = rate / count / PEERS
        self._publishers = [Publisher(path, vantage=name, epoch=7) for name, path in self.paths.items()]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeds")

    def __len__(self) -> int:
        return len(self.names)

    def each(self) -> int:
        """Arrivals that each feed has said."""
        return PEERS * len(self.hashes)

    def total(self) -> int:
        """Of all feeds."""
        return len(self) * self.each()

    def have_subscribers(self) -> bool:
        """Whether each is taken. Not while something is said."""
        return all(publisher.has_subscriber(TOPIC) for publisher in self._publishers)

    def start(self) -> None:
        """Say what is due, from now on."""
        self._thread.start()

    def _run(self) -> None:
        began, cpu = time.monotonic(), time.thread_time()
        while not self._ending.wait(TURN):
            due = int((time.monotonic() - began) * self._messages_a_second)
            while len(self.hashes) < due and not self._ending.is_set():
                self._say(len(self.hashes) + 1)
        self.seconds, self.cpu = time.monotonic() - began, time.thread_time() - cpu

    def _say(self, number: int) -> None:
        raw = b"\x01\x02" + hashlib.sha256(str(number).encode()).digest() * 4
        now_ns = time.time_ns()
        for publisher in self._publishers:
            for peer in range(1, PEERS + 1):
                about = {"node_id": bytes([2, *bytes(31), peer]), "conn_id": peer, "incoming": False}
                outcome = "new" if peer == 1 else "redundant"
                publisher.say(TOPIC, now_ns, **about, outcome=outcome, reason="", raw=raw)
        self.hashes.append(hashlib.sha256(raw).digest()[:16])

    def end(self) -> None:
        """Say no more, and be there still: a subscriber that is behind reads on."""
        self._ending.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.ident is not None:
            self.end()
        for publisher in self._publishers:
            publisher.close()
