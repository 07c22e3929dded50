"""The page of a node (`--web-addr`): `lightning-observatory web` over its feed, gossip_store, RPC and record."""

import ipaddress

from lightningd_py.config.options import Options
from lightningd_py.daemons.gossip_control import store_path
from lightningd_py.errors import StartError
from lightningd_py.recording.companion import Companion, need
from lightningd_py.recording.recorder import NEEDED

TOKEN, CACHE = "web-token", "web-cache"
"""In the network's directory."""


class Page(Companion):
    """Serves at the address of the option. Where not only this host can connect, a token is asked for."""

    def __init__(self, options: Options) -> None:
        """Raises StartError if it cannot be had."""
        assert options.web_addr is not None
        need("--web-addr", NEEDED)
        if not options.feed.startswith("ipc://"):
            raise StartError("--web-addr needs a feed on a Unix socket: --feed=PATH")
        directory, feed = options.network_dir, options.feed.removeprefix("ipc://")
        words = ["web", *([] if options.record is None else [str(options.record)]), "--feed", feed]
        words += ["--store", str(store_path(options)), "--rpc", str(options.rpc_file)]
        words += ["--listen", str(options.web_addr), "--cache", str(directory / CACHE)]
        if not ipaddress.ip_address(options.web_addr.host).is_loopback:
            words += ["--token-file", str(directory / TOKEN)]
        super().__init__("page", words)
