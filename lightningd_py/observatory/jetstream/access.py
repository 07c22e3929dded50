"""What the command line says of NATS servers. nats-py is imported when they are asked for."""

import argparse
from typing import TYPE_CHECKING

from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.command import console

if TYPE_CHECKING:
    from lightningd_py.observatory.jetstream.connecting import Access

MISSING = "for NATS install lightningd-py[nats]"


def access(options: argparse.Namespace) -> "Access":
    """What `--nats` and its like were given. Raises ObservatoryError if nats-py is not there, or a file cannot be
    read."""
    try:
        from lightningd_py.observatory.jetstream.connecting import Access
    except ImportError as error:
        raise ObservatoryError(MISSING) from error
    for path in (options.nats_creds, options.nats_nkey, options.nats_ca):
        if path is not None:
            try:
                path.open("rb").close()
            except OSError as error:
                raise ObservatoryError(f"{path}: {console.reason(error)}") from error
    return Access(options.nats, options.nats_creds, options.nats_nkey, options.nats_ca)
