"""Words of the command line as values, for argparse."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lightningd_py.config.values import ip_address_and_port
from lightningd_py.observatory.tables import times
from wire.address import WireAddr
from wire.command import console

T = TypeVar("T")


def _argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """What `read` raises as ValueError is said to the user."""

    def argument(text: str) -> T:
        try:
            return read(text.strip())
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return argument


def an_ip_address(default_port: int) -> Callable[[str], WireAddr]:
    """IP[:PORT]."""
    return _argument(lambda text: ip_address_and_port(text, default_port))


def add_metrics(parser: argparse.ArgumentParser, command: str) -> None:
    """Where Prometheus may ask."""
    port = {"record": 9751, "archive": 9752}[command]
    parser.add_argument(
        "--metrics-addr",
        type=an_ip_address(port),
        metavar="IP[:PORT]",
        help=f"answer Prometheus there, at /metrics (port {port} if none is given)",
    )


def a_place(text: str) -> Path:
    """A file or folder, absolute: pyarrow would take `s3:/x` for a bucket."""
    if not console.is_text(text):
        raise argparse.ArgumentTypeError("its name is not UTF-8 text, which Parquet's readers want")
    return Path(text).absolute()


a_duration = _argument(times.duration)
"""Seconds."""
a_size = _argument(times.size)
"""Bytes."""
a_time = _argument(lambda text: times.time_ns(text, time.time_ns()))
"""Unix nanoseconds."""
