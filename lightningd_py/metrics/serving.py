"""--metrics-addr: the collector behind the server."""

import re

from lightningd_py.errors import StartError
from lightningd_py.http.server import Answer, HttpServer, Request
from lightningd_py.metrics.collector import Collector
from lightningd_py.metrics.exposition import OPENMETRICS, TEXT
from wire.address import WireAddr
from wire.control.status import Status

_PAGE = re.compile("/metrics")

status = Status("metrics")


class Serving:
    """Scrapes of one node."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._server = HttpServer(self._answer, self._refused, pages=_PAGE, hint="the metrics are at /metrics")

    def start(self, address: WireAddr) -> None:
        """Listen there. Raises StartError, one sentence."""
        try:
            port = self._server.start(address.host, address.port)
        except OSError as error:
            raise StartError(f"--metrics-addr: cannot listen on {address}: {error.strerror}") from error
        status.info(f"metrics are at http://{WireAddr(address.kind, address.host, port)}/metrics")

    async def close(self) -> None:
        """The end."""
        await self._server.close()
        await self._collector.close()

    def _refused(self, reason: str) -> None:
        self._collector.refused[reason] += 1

    async def _answer(self, request: Request) -> Answer:
        as_openmetrics = "application/openmetrics-text" in request.accept
        body = await self._collector.text(as_openmetrics=as_openmetrics)
        return Answer("200 OK", OPENMETRICS if as_openmetrics else TEXT, body)
