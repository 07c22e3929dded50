"""A thread that answers Prometheus: its own metrics alone, bounded, and a sentence where it cannot listen."""

import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lightningd_py.observatory.metrics import declared
from lightningd_py.observatory.metrics.serving import MOST_SERIES, Serving, Values
from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.address import WireAddr

ANY = WireAddr("ipv4", "127.0.0.1", 0)


def got(said: list[str], path: str = "/metrics") -> str:
    url = said[0].removeprefix("metrics are at ").removesuffix("/metrics")
    with urllib.request.urlopen(url + path, timeout=10) as answer:
        return str(answer.read().decode())


def test_what_is_asked_for() -> None:
    said: list[str] = []
    value = [1.0]

    def values() -> Values:
        return {declared.LAG: {('ea"st',): value[0]}}

    with Serving(ANY, "record", values, said.append):
        assert 'lightning_recorder_lag_seconds{vantage="ea\\"st"} 1.0' in got(said)
        value[0] = 2.0
        found = {family.name: family for family in text_string_to_metric_families(got(said))}
        assert [sample.value for sample in found["lightning_recorder_lag_seconds"].samples] == [2.0]
        assert not any(name.startswith("lightning_archive") for name in found)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            got(said, "/")


def test_series_are_bounded() -> None:
    said: list[str] = []
    many: dict[tuple[str, ...], float] = {(f"v{number}",): 0.0 for number in range(2 * MOST_SERIES)}
    with Serving(ANY, "archive", lambda: {declared.POINT_LAG: many}, said.append):
        assert got(said).count("vantage_lag_seconds{") == MOST_SERIES


def test_port_that_another_one_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = WireAddr("ipv4", "127.0.0.1", sock.getsockname()[1])
        with pytest.raises(ObservatoryError, match=r"^--metrics-addr: cannot listen on .*: Address already in use$"):
            Serving(address, "record", dict, lambda _: None).__enter__()
