"""CURVE's key files, for a process that is about to give up opening files: made now, to be read from then on."""

import contextlib
from pathlib import Path


def readable_keys(endpoint: str, directory: Path) -> list[Path]:
    """What a process that is to bind this endpoint has to read; its keys are there if they can be made.

    ZMQ is loaded for an endpoint on tcp only.
    """
    if not endpoint.startswith("tcp:"):
        return []
    from wire.bus.curve import CurveError, server_keys

    with contextlib.suppress(CurveError):  # it is said when they are needed
        server_keys(directory)
    return [directory]
