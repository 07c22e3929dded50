"""Words of the command line as values, for argparse."""

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

from lightningd_py.observatory.tables import times

T = TypeVar("T")


def _argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """What `read` raises as ValueError is said to the user."""

    def argument(text: str) -> T:
        try:
            return read(text.strip())
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return argument


a_duration = _argument(times.duration)
"""Seconds."""
a_size = _argument(times.size)
"""Bytes."""
a_time = _argument(lambda text: times.time_ns(text, time.time_ns()))
"""Unix nanoseconds."""
