"""The table of the node's options: the command line, the config files and the documentation come from it."""

from lightningd_py.config import values
from lightningd_py.config.config_file import Origin
from lightningd_py.config.option import ANYWHERE, COMMAND_LINE, Option, one, rows
from wire.features import parse_feature
from wire.types import NETWORKS

SHORTCUTS = {"mainnet": "bitcoin", **{name: name for name in NETWORKS if name != "bitcoin"}}

OPTIONS: tuple[Option, ...] = (
    *rows(
        "where the node lives",
        Option(
            "network",
            f"which chain: {', '.join(NETWORKS)} (default bitcoin)",
            values.one_of(*NETWORKS),
            "NETWORK",
            allowed_in=ANYWHERE - {Origin.NETWORK_FILE},
        ),
        *(
            Option(name, f"the same as --network={network}", allowed_in=ANYWHERE - {Origin.NETWORK_FILE})
            for name, network in SHORTCUTS.items()
        ),
        Option(
            "lightning-dir",
            "the node's directory (default ~/.lightning-py); the chain's own directory is in it",
            values.path,
            "DIR",
            allowed_in=frozenset({Origin.COMMAND_LINE, Origin.EXPLICIT_FILE}),
        ),
        Option("conf", "read this config file and no other", values.path, "FILE", allowed_in=COMMAND_LINE),
        Option("rpc-file", "the JSON-RPC socket (default lightning-rpc)", values.path, "FILE"),
        Option("rpc-file-mode", "its permissions (default 0600)", values.file_mode, "MODE"),
        Option(
            "feed",
            "publish all gossip there by ZMQ: PATH (default feed, in the network's directory), tcp://IP:PORT or none",
            values.bus_endpoint,
            "ENDPOINT",
        ),
        Option(
            "record",
            "record all that the feed says into DIR, by lightning-observatory (docs/observatory.md)",
            values.path,
            "DIR",
        ),
        Option(
            "web-addr",
            "show the node's map, arrivals, peers and record in a browser (default port 9760; docs/page.md)",
            values.page_address,
            "IP[:PORT]",
        ),
        Option(
            "metrics-addr",
            "answer Prometheus there, at /metrics (default port 9750): any host that reaches it sees all counters",
            values.metrics_address,
            "IP[:PORT]",
        ),
        Option("pid-file", "the locked pid file (default lightningd-NETWORK.pid)", values.path, "FILE"),
        Option("hsm-passphrase", "hsm_secret has a passphrase: hsmd reads it from the terminal, or standard input"),
        Option("daemon", "run in the background; needs --log-file"),
        Option(
            "log-level",
            "io, trace, debug, info, unusual or broken (default info); with :SUBSYSTEM, for that part of the node or"
            " that peer alone; with :FILE, in that --log-file alone",
            values.log_level,
            "LEVEL[:SUBSYSTEM[:FILE]]",
            multiple=True,
            one_text=True,
        ),
        Option("log-prefix", "begins each line of the log", values.log_prefix, "TEXT", trailing_spaces=True),
        Option("log-timestamps", "lines have the time (default true)", values.boolean, "BOOL"),
        Option(
            "log-format",
            "text (the default), or json: an object a line",
            values.one_of("text", "json"),
            "FORMAT",
        ),
        Option("log-file", "where the log goes; - is stdout (the default)", one(values.text), "FILE", multiple=True),
    ),
    *rows(
        "addresses",
        Option(
            "addr",
            "listen here, and announce it if it is public: [IP][:PORT], or an onion service by Tor's control port,"
            " autotor:IP[:PORT][/torport=PORT] or statictor:IP[:PORT][/torport=PORT][/torblob=TEXT]",
            values.addr,
            "ADDR",
            multiple=True,
            by_network=True,
        ),
        Option(
            "bind-addr",
            "listen here: as --addr, a socket's path, or ws:[IP][:PORT] for WebSockets",
            values.bind_address,
            "ADDR|PATH",
            multiple=True,
            by_network=True,
        ),
        Option(
            "announce-addr",
            "announce this: IP[:PORT], ONION[:PORT] or dns:NAME[:PORT]",
            values.announce_address,
            "ADDR",
            multiple=True,
            by_network=True,
        ),
        Option(
            "ws-trusted-proxy",
            "believe what these addresses or networks say of WebSockets: X-Forwarded-For and Forwarded",
            values.networks,
            "ADDR[,ADDR]",
            multiple=True,
        ),
        Option("autolisten", "listen everywhere if no address is given (default true)", values.boolean, "BOOL"),
        Option("proxy", "reach .onion addresses through this SOCKS5 proxy (port 9050)", values.proxy, "HOST[:PORT]"),
        Option("always-use-proxy", "reach all others through it too, and look up no names", values.boolean, "BOOL"),
        Option("tor-service-password", "authenticates to Tor's control port", values.text, "PASSWORD"),
        Option("disable-dns", "look up no names: not of peers, and not of seeds"),
        Option("offline", "do not listen and do not connect"),
        Option(
            "announce-addr-discovered",
            "announce the address at which peers see us: auto (if no other is announced; the default), true or false",
            values.one_of("auto", "true", "false"),
            "WHEN",
        ),
        Option(
            "announce-addr-discovered-port", "with this port (default: the network's)", values.number(1, 65535), "PORT"
        ),
        Option("alias", "the node's name, up to 32 bytes", values.alias, "NAME", trailing_spaces=True),
        Option(
            "vantage",
            "what the feed calls this node (default the alias, or the beginning of the node id)",
            values.vantage,
            "NAME",
        ),
        Option("rgb", "the node's colour", values.rgb, "RRGGBB"),
    ),
    *rows(
        "peers",
        Option(
            "keepconnected",
            "stay connected with this node, as the command of that name does",
            values.node_to_keep,
            "ID[@ADDR]",
            multiple=True,
            by_network=True,
        ),
        Option(
            "autoconnect-seeker-peers",
            "connect to nodes of the map while there are fewer peers than this (default 10, on regtest 0)",
            values.number(0, 1_000),
            "N",
        ),
        Option(
            "dns-seed",
            "ask this DNS seed (BOLT 10) when no other node is known, instead of the network's usual ones",
            one(values.host_name),
            "NAME",
            multiple=True,
        ),
        Option("fallback-peers", "a file of ID@ADDR lines, used when the seeds lead to no node", values.path, "FILE"),
        Option(
            "allow",
            "admit what this names, whatever denies it: a node id, an address or network, an .onion, with:FEATURE,"
            " without:FEATURE or all",
            values.access_rule,
            "WHO",
            multiple=True,
        ),
        Option("deny", "refuse what this names", values.access_rule, "WHO", multiple=True),
        Option(
            "max-inbound",
            "peers that have connected to us and are not wanted (default 100)",
            values.number(0, 1_000_000),
            "N",
        ),
        Option("max-half-open", "inbound handshakes at a time (default 1000)", values.number(1, 1_000_000), "N"),
        Option(
            "max-half-open-per-source",
            "of these, from one address or IPv6 /64 (default 20)",
            values.number(1, 1_000_000),
            "N",
        ),
        Option(
            "max-inbound-per-source",
            "peers that have connected to us from one address or IPv6 /64 (default 20)",
            values.number(1, 1_000_000),
            "N",
        ),
        Option(
            "max-connect-rate",
            "connections a minute from one address or IPv6 /64 (default 60, 0 for no limit)",
            values.number(0, 1_000_000),
            "N",
        ),
        Option(
            "max-read-rate",
            "bytes a second that are read from one peer (default 2000000, 0 for no limit)",
            values.number(0, 1 << 40),
            "BYTES",
        ),
        Option(
            "gossip-peer-rate",
            "bytes a second of the map that one peer gets, by filter and queries (default 2000000, 0 for no limit)",
            values.number(0, 1 << 40),
            "BYTES",
        ),
        Option(
            "gossip-total-rate",
            "the same for all peers together (default 20000000, 0 for no limit)",
            values.number(0, 1 << 40),
            "BYTES",
        ),
        Option(
            "gossip-listen",
            "peers that stream what is new to us: all, or so many of different networks (default 10)",
            values.gossip_listen,
            "all|N",
        ),
        Option("experimental-gossip-v2", "judge gossip v2, as it is drafted, and keep it beside the map"),
        Option(
            "gossip-store-compact-size",
            "bytes from which on the gossip_store is compacted when it is worth it (default 10000000)",
            values.number(0, 1 << 40),
            "BYTES",
        ),
        Option(
            "gossip-store-compact-ratio",
            "bytes of no use for each that is of use in it, from which on it is worth it (default 4)",
            values.number(1, 1_000_000),
            "N",
        ),
        Option(
            "slow-reader-timeout",
            "seconds in which a peer must take some of what waits for it (default 30)",
            values.number(1, 86_400),
            "SECONDS",
        ),
        Option(
            "peer-storage",
            "keep a backup for peers (BOLT 1): for all, for those with which a service has registered a channel"
            " (channels, the default), or none",
            values.one_of("all", "channels", "none"),
            "WHOSE",
        ),
        Option(
            "peer-storage-quota",
            "bytes of all such backups (default 268435456); without a channel half of it at most",
            values.number(1_000_000, 1 << 40),
            "BYTES",
        ),
        Option(
            "feature",
            "offer this in init, by name or number; with /even, require it",
            one(parse_feature),
            "FEATURE",
            multiple=True,
        ),
        Option("disable-feature", "do not offer this in init", one(parse_feature), "FEATURE", multiple=True),
        Option(
            "onion-messages",
            "whose onion messages are relayed: all, channels (default: peers that a service has registered), or none",
            values.one_of("all", "channels", "none"),
            "WHOSE",
        ),
    ),
    *rows(
        "chain",
        Option(
            "chain",
            "where funding outputs are looked up: none, or bitcoind (the default if a bitcoin- option is given)",
            values.one_of("none", "bitcoind"),
            "SOURCE",
        ),
        Option("bitcoin-rpcconnect", "bitcoind's host (default 127.0.0.1)", values.text, "HOST"),
        Option("bitcoin-rpcport", "bitcoind's RPC port", values.number(1, 65535), "PORT"),
        Option("bitcoin-rpcuser", "bitcoind's RPC user", values.text, "USER"),
        Option("bitcoin-rpcpassword", "bitcoind's RPC password", values.text, "PASSWORD"),
        Option("bitcoin-datadir", "bitcoind's directory, for its cookie", values.path, "DIR"),
    ),
    *rows(
        "services",
        Option("service", "start COMMAND for peers that NAME takes", values.service, "NAME=COMMAND", multiple=True),
        Option(
            "take",
            "NAME gets the connection: on these messages (name or number), or of these nodes",
            values.wanted,
            "NAME=WHAT,...",
            multiple=True,
        ),
        Option(
            "offer", "NAME does these features: offer them in init", values.offered, "NAME=FEATURE,...", multiple=True
        ),
        Option(
            "may-sign",
            "NAME, a program or a bus service, may have the node's half of channel_announcements signed",
            one(values.service_name),
            "NAME",
            multiple=True,
        ),
        Option(
            "max-programs",
            "programs of services that have a connection, at a time (default 64; a Python program takes 14 MB)",
            values.number(1, 1_000_000),
            "N",
        ),
        Option("max-programs-per-service", "of these, one service's (default 32)", values.number(1, 1_000_000), "N"),
        Option(
            "copy",
            "NAME gets a copy of these messages (name or number)",
            values.wanted,
            "NAME=WHAT,...",
            multiple=True,
        ),
        Option(
            "require-service",
            "connect to no node and accept none before service NAME, a program or a bus service, is there",
            one(values.service_name),
            "NAME",
            multiple=True,
        ),
    ),
    *rows(
        "buses of the services (ipc://PATH, tcp://IP:PORT, or none; in the network's directory if nothing is said)",
        Option("msg", "messages of peers (default msg)", values.bus_endpoint, "ENDPOINT", short="M"),
        Option("ctl", "registrations and events (default ctl)", values.bus_endpoint, "ENDPOINT", short="X"),
        Option(
            "chnl", "between services and their extensions (default chnl)", values.bus_endpoint, "ENDPOINT", short="C"
        ),
        Option("api", "RPC in msgpack (default api; port 62962 on tcp)", values.api_endpoint, "ENDPOINT", short="R"),
    ),
    *rows(
        "for developers and tests",
        Option("developer", "allow the options that begin with dev-"),
        Option("dev-force-privkey", "use this node key instead of hsm_secret", values.private_key, "HEX"),
        Option("dev-fast-gossip", "flush gossip every second"),
        Option("dev-fast-gossip-prune", "forget channels after 90 seconds"),
        Option("dev-allow-localhost", "announce addresses that are not public"),
        Option("dev-timeout-secs", "deadline of a connection attempt", values.number(1, 1 << 31), "SECONDS"),
        Option("dev-dns-server", "ask seeds by this name server", values.name_server, "IP[:PORT]"),
        Option("dev-bitcoind-poll", "look for a new block so often", values.number(1, 1 << 31), "SECONDS"),
        Option("dev-no-reconnect", "dial no node without being told to"),
        Option("dev-no-ping-timer", "ping no node without being told to"),
    ),
    *rows(
        "print and exit",
        Option("help", "print this", allowed_in=COMMAND_LINE),
        Option("version", "print the version", allowed_in=COMMAND_LINE),
        Option("list-features-only", "print the features that our init message offers", allowed_in=COMMAND_LINE),
        Option(
            "write-examples",
            "write example programs into this directory, and print their paths",
            values.path,
            "DIR",
            allowed_in=COMMAND_LINE,
        ),
    ),
)
