"""--metrics-addr of a recorder or an archive: the figures of now, from a thread of its own."""

import asyncio
import re
import threading
from collections.abc import Callable, Mapping
from typing import Self

from lightningd_py.http.server import Answer, HttpServer, Request
from lightningd_py.metrics.exposition import OPENMETRICS, TEXT, encoded
from lightningd_py.metrics.figures import Figures, Labels
from lightningd_py.observatory.metrics.declared import declared
from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.address import WireAddr
from wire.command.console import reason
from wire.metrics.metric import Metric

MOST_SERIES = 1_000
"""Of one metric."""
_PAGE = re.compile("/metrics")
Values = Mapping[Metric, Mapping[Labels, float]]


class Serving:
    """Listens from the beginning to the end of `with`. `values` is called by its thread."""

    def __init__(self, address: WireAddr, of: str, values: Callable[[], Values], say: Callable[[str], None]) -> None:
        self._address, self._values, self._say = address, values, say
        self._metrics = [metric for metric in declared.values() if of in metric.of]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="metrics", daemon=True)
        self._server = HttpServer(self._answer, lambda _: None, pages=_PAGE, hint="the metrics are at /metrics")

    def __enter__(self) -> Self:
        """Raises ObservatoryError if it cannot listen there."""
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except OSError as error:
            self.__exit__()
            raise ObservatoryError(f"--metrics-addr: cannot listen on {self._address}: {reason(error)}") from error
        self._say(f"metrics are at http://{WireAddr(self._address.kind, self._address.host, port)}/metrics")
        return self

    async def _listen(self) -> int:
        return self._server.start(self._address.host, self._address.port)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _answer(self, request: Request) -> Answer:
        as_openmetrics = "application/openmetrics-text" in request.accept
        values = {metric: dict(list(found.items())[:MOST_SERIES]) for metric, found in self._values().items()}
        body = encoded(Figures(values), self._metrics, as_openmetrics=as_openmetrics)
        return Answer("200 OK", OPENMETRICS if as_openmetrics else TEXT, body)
