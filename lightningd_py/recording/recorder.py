"""The recorder of a node (`--record`): `lightning-observatory record`.

A next one says in the record what it has missed.
"""

from lightningd_py.config.options import Options
from lightningd_py.daemons.gossip_control import store_path
from lightningd_py.errors import StartError
from lightningd_py.recording.companion import Companion, need

NEEDED = ("pyarrow", "duckdb", "xxhash")


class Recorder(Companion):
    """Records into the folder of the option."""

    def __init__(self, options: Options, vantage: str) -> None:
        """`vantage`: what this point of view is called. Raises StartError if it cannot be had."""
        assert options.record is not None
        need("--record", NEEDED)
        if not options.feed.startswith("ipc://"):
            raise StartError("--record needs a feed on a Unix socket: --feed=PATH")
        feed, store = options.feed.removeprefix("ipc://"), str(store_path(options))
        words = ["record", str(options.record), "--feed", feed, "--store", store, "--vantage", vantage, "--quiet"]
        super().__init__("recorder", words)
