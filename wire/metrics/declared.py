"""Every metric, declared once: docs/metrics.md is generated from here.

The names say what is counted, and the label `process` who counts it, where several do. All begin with `lightning_`.
"""

from wire.metrics.metric import Declarations, Kind

MASTER = "lightningd"
OWNERS = ("gossipd", "connectiond")
_MASTER, _CONNECTD, _GOSSIPD = (MASTER,), ("connectd",), ("gossipd",)

declared = Declarations()
"""All of them, by name."""
_counter, _gauge = declared.counter, declared.gauge

PING_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: from the next room to Tor."""

# the node, counted by the master

INFO = _gauge("info", "1; the labels say which node this is", _MASTER, "version network node_id")
PEERS = _gauge("peers", "connections", _MASTER, "owner direction", "owner: a daemon or a service; direction: in, out")
SERVICES = _gauge("services_present", "services that are here", _MASTER)
BLOCKHEIGHT = _gauge("chain_blockheight", "height of the best chain, 0 while it is unknown", _MASTER)
CHAIN_TROUBLE = _gauge("chain_trouble", "1 while getinfo has a warning about the chain's source", _MASTER)
DEATHS = _counter("deaths", "processes that have died", _MASTER, "daemon", "daemon: which one")
RESTARTS = _counter("restarts", "processes that were started in the place of a dead one", _MASTER, "daemon")
TOLD = _gauge("control_queue", "control messages that wait for a daemon to read", _MASTER, "daemon")
UP = _gauge("process_up", "1 for each process that runs", _MASTER, "daemon")
CPU = _counter("process_cpu_seconds", "processor time, user and system", _MASTER, "daemon")
MEMORY = _gauge("process_resident_bytes", "memory that is not swapped, shared pages too", _MASTER, "daemon")
FDS = _gauge("process_open_fds", "open file descriptors (as an ordinary user: from Linux 6.2 on)", _MASTER, "daemon")
STARTED = _gauge("process_start_time_seconds", "when it was started, in unix seconds", _MASTER, "daemon")
STORED_BLOBS = _gauge("peer_storage_blobs", "backups of peers that are kept", _MASTER)
STORED_BYTES = _gauge("peer_storage_bytes", "what they count towards --peer-storage-quota", _MASTER)
STORED_WAITING = _gauge("peer_storage_waiting_bytes", "of these, what is not written yet", _MASTER)
STORAGE_RECEIVED = _counter("peer_storage_received", "backups that peers have sent and that were kept", _MASTER)
STORAGE_RETURNED = _counter("peer_storage_returned", "backups that were given back to their peers", _MASTER)
STORAGE_REFUSED = _counter(
    "peer_storage_refused",
    "backups of peers that were not kept",
    _MASTER,
    "reason",
    "reason: no_channel (in mode channels), quota, strangers, network (their share of it), disk (takes nothing),"
    " malformed",
)
SCRAPE_ENDS = ("rubbish", "no_such_page", "late", "unread", "crowded")
"""Why a client of --metrics-addr got no figures."""
SCRAPES = _counter("scrapes", "scrapes that were answered", _MASTER)
SCRAPES_REFUSED = _counter(
    "scrapes_refused",
    "clients of --metrics-addr that got no figures",
    _MASTER,
    "reason",
    "reason: rubbish (400), no_such_page (404), late (no whole request in time), unread (does not read), crowded (its"
    " place was needed)",
)
UNANSWERED = _counter(
    "scrapes_unanswered", "daemons that were left out of a scrape: no answer in time", _MASTER, "daemon"
)
REJECTED = _counter("samples_rejected", "values of a daemon that are not declared as it said them", _MASTER, "daemon")

LOG_LOST = _counter(
    "log_lines_lost",
    "lines of the log that its reader did not take",
    (MASTER, "hsmd", "connectd", "gossipd", "connectiond", "listingd", "websocketd", "oniond"),
)

RPC_CLIENTS = _gauge(
    "rpc_clients",
    "clients of the JSON-RPC socket",
    _MASTER,
    "doing",
    "doing: speaking (between requests), reading (an answer), waiting (for one)",
)
RPC_ACCEPTED = _counter("rpc_clients_accepted", "clients of the JSON-RPC socket that came", _MASTER)
RPC_PUT_OUT = _counter("rpc_clients_put_out", "of these, those that had to go to make room", _MASTER)
NOTIFICATIONS_LOST = _counter("rpc_notifications_lost", "notifications that clients did not take in time", _MASTER)
PLANNED_RESTARTS = _counter(
    "planned_restarts",
    "processes that were to be replaced by new ones (`restart`)",
    _MASTER,
    "daemon outcome",
    "daemon: as `restart` names it; outcome: done, refused",
)
PLANNED_MOVED = _counter(
    "planned_restart_connections",
    "connections at these restarts",
    _MASTER,
    "daemon outcome",
    "outcome: moved, lost",
)

# owners of connections

PEER_BYTES = _counter(
    "peer_bytes", "bytes of peers' connections, as they are on the wire", OWNERS, "direction", "in, out"
)
PEER_MESSAGES = _counter(
    "peer_messages",
    "messages of peers; of connections that another process owns, those that come and go through a gossip fd",
    OWNERS,
    "direction type",
    "direction: in, out; type: the BOLT's name, or other",
)
PEER_ENDS = _counter(
    "peer_ends",
    "connections that an owner has seen end",
    OWNERS,
    "reason",
    "reason: silent, slow_reader, too_many, closed_by_peer, bad_gossip, other",
)
COPIES_REPLACED = _counter(
    "copies_replaced",
    "messages of peer storage that did not go to the master: a newer one came in time, or there was no room",
    OWNERS,
)
ONIONS_DROPPED = _counter(
    "onion_messages_dropped", "onion messages of peers that said too many: they go no further than the owner", OWNERS
)
PING_SECONDS = declared.declare(
    Kind.HISTOGRAM, "lightning_ping_seconds", "from a ping of ours to its pong", OWNERS, buckets=PING_BUCKETS
)
QUEUE = _gauge(
    "queue",
    "what waits inside of a daemon",
    ("connectd", "gossipd", "connectiond", "websocketd"),
    "queue",
    "queue: to_master, to_gossipd, to_connectd, signatures, txouts_waiting, txouts_asked, turns (sources that wait)",
)

# connectd

HANDSHAKES = _counter(
    "handshakes",
    "handshakes that have ended, well or not",
    _CONNECTD,
    "direction outcome stage",
    "direction: in, out; outcome: done, timed_out, failed; stage at which it ended: connect, act_one, act_two,"
    " act_three, init; done",
)
HALF_OPEN = _gauge("handshakes_under_way", "connections that connectd has", _CONNECTD)
REFUSED = _counter(
    "connections_refused",
    "connections that were closed at once, or to make room",
    _CONNECTD,
    "reason",
    "reason: access (a rule or ban), half_open, inbound, rate (of its source), place_needed",
)
GIVEN = _counter(
    "connections_given", "connections that were given to their first owner", _CONNECTD, "to", "gossipd, master"
)
NODES_LIVE = _gauge("nodes_connected", "nodes that are connected, or about to be", _CONNECTD)
DIALS = _counter("dials", "requests to reach a node", _CONNECTD, "outcome", "connected, failed")

# gossipd

CHANNELS = _gauge("gossip_channels", "channels on the map", _GOSSIPD, status="channels")
NODES = _gauge("gossip_nodes", "nodes on the map", _GOSSIPD, status="nodes")
OWNED = _gauge("gossip_peers_owned", "connections that gossipd owns", _GOSSIPD, status="peers")
REMOTE = _gauge("gossip_peers_remote", "connections of other owners, by gossip fd", _GOSSIPD, status="remote_peers")
STORE = _gauge("gossip_store_bytes", "size of the gossip_store", _GOSSIPD, status="store_bytes")
STORE_LIVE = _gauge("gossip_store_live_bytes", "of these, what is of use", _GOSSIPD, status="store_live_bytes")
STORE_DEAD = _gauge("gossip_store_dead_bytes", "of these, what is of no use", _GOSSIPD, status="store_dead_bytes")
COMPACTIONS = _counter("gossip_compactions", "compactions of the store", _GOSSIPD, status="compactions")
UNFINISHED = _gauge("gossip_unfinished", "messages in the pipeline", _GOSSIPD, status="unfinished")
BLACKLISTED = _gauge("gossip_blacklisted_nodes", "nodes on the blacklist", _GOSSIPD, status="blacklisted_nodes")
EARLY = _gauge("gossip_early", "announcements that wait for confirmations", _GOSSIPD, status="early")
DYING = _gauge("gossip_dying", "channels that are spent, and kept for a while", _GOSSIPD, status="dying")
OWED = _counter("gossip_owed_messages", "messages that found no room", _GOSSIPD, status="owed_messages")
OWED_OVERFLOW = _gauge(
    "gossip_owed_overflow", "what was owed and forgotten since the last comparison", _GOSSIPD, status="owed_overflow"
)
WANTED = _gauge("gossip_wanted", "channels to be asked for", _GOSSIPD, status="wanted")
RUMOURS = _gauge("gossip_rumours", "channels that only an update has named", _GOSSIPD, status="rumours")
ASKED = _counter("gossip_asked", "channels that were asked for", _GOSSIPD, status="asked")
GOT = _counter("gossip_got", "of these, what has come", _GOSSIPD, status="got")
FEED_SAID = _counter("feed_messages", "messages of the feed", _GOSSIPD, "topic")
FEED_LOST = _counter(
    "feed_messages_lost",
    "messages of the feed that were left out; what a single subscriber loses is not known here, but by the gap in seq",
    _GOSSIPD,
    "to",
    "to: subscribers (too much of what is large is on its way), master (for notifications of JSON-RPC clients)",
)
FEED_TOPICS = _gauge("feed_topics", "topics of the feed that are subscribed to", _GOSSIPD, status="feed_topics")
VERDICTS = _counter(
    "gossip_verdicts",
    "gossip messages that came, by what became of each at first sight",
    _GOSSIPD,
    "type verdict",
    "type: channel_announcement, channel_update, node_announcement; with --experimental-gossip-v2 those of gossip v2, "
    "too; verdict: as gossipstatus",
    status="each verdict, of all types together",
)
RESULTS = _counter(
    "gossip_results",
    "what became of messages later on",
    _GOSSIPD,
    "result",
    "result: accepted (on the map), bad (malformed or wrongly signed), rate_limited",
    status="accepted, bad, rate_limited",
)
V2_CHANNELS = _gauge("gossip_v2_channels", "channels of gossip v2 that are kept", _GOSSIPD, status="v2_channels")
V2_MESSAGES = _gauge("gossip_v2_messages", "messages of gossip v2 that are kept", _GOSSIPD, status="v2_messages")
V2_BYTES = _gauge("gossip_v2_bytes", "what they take, 300 bytes more for each", _GOSSIPD, status="v2_bytes")
V2_RESULTS = _counter(
    "gossip_v2_results",
    "what became of messages of gossip v2",
    _GOSSIPD,
    "result",
    "with --experimental-gossip-v2: kept, bad (malformed or wrongly signed), rate_limited",
)
SIGNATURES = _counter(
    "gossip_signature_checks",
    "messages whose signatures were checked",
    _GOSSIPD,
    "result",
    "good, wrong, deadly (workers have died of it)",
)
WORKER_DEATHS = _counter("gossip_worker_deaths", "signature workers that were replaced", _GOSSIPD)
TXOUTS = _counter(
    "gossip_txout_lookups",
    "funding outputs that were looked up",
    _GOSSIPD,
    "result",
    "there, none, unknown (the chain's source cannot tell), other_script, early (waits for confirmations)",
)
FAULTS = _counter("gossip_faults", "offences of peers", _GOSSIPD, "consequence", "warn, disconnect")
SYNC_STATE = _gauge("gossip_sync_state", "1 for the state that the seeker is in, 0 for the others", _GOSSIPD, "state")
SYNC_RATIO = _gauge("gossip_sync_ratio", "of what was asked for, the part that has come (0 to 1)", _GOSSIPD)

# connectiond, websocketd, listingd, oniond, hsmd

BUS_CONNECTIONS = _gauge("bus_connections", "connections of bus services", ("connectiond",))
WEBSOCKETS = _gauge("websockets", "WebSockets that are open", ("websocketd",))
WEBSOCKETS_OPENED = _counter("websockets_opened", "WebSockets that connectd has given", ("websocketd",))
WEBSOCKETS_REFUSED = _counter("websockets_refused", "of these, closed for want of file descriptors", ("websocketd",))
LISTINGS = _gauge("listings_under_way", "listings that are being written", ("listingd",))
LISTINGS_DONE = _counter("listings", "listings that have ended", ("listingd",), "outcome", "written, given_up, failed")
ONION_MESSAGES = _counter(
    "onion_messages",
    "onion messages that have reached oniond, by what became of each",
    ("oniond",),
    "outcome",
    "forwarded, for_us, unknown_next (a channel that is not known), loop (too many layers for this node), too_many (of"
    " all peers), master_behind; ignored for what is wrong with it: malformed, hmac, payload, recipient_data",
)
ONIONS_IN_HAND = _gauge("onion_messages_in_hand", "onion messages that wait for their keys", ("oniond",))
ONIONS_NOT_PASSED = _counter(
    "onion_messages_not_passed",
    "onion messages that the master has not passed on",
    _MASTER,
    "reason",
    "reason: no_channel (of a peer for which no service has a channel), away (oniond is), oniond_behind; on their way"
    " out: not_connected, next_no_channel, slow (the next peer, or its owner), no_service (for this node, and of no"
    " service's type)",
)
HSM_REQUESTS = _counter(
    "hsm_requests", "requests to hsmd that were answered", ("hsmd",), "request", "the control message"
)
HSM_CUT_OFF = _counter("hsm_cut_off", "clients that hsmd has cut off", ("hsmd",))

GOSSIPD_STATUS = {metric.status: metric for metric in declared.values() if metric.status.isidentifier()}
"""The counters of `gossipstatus` that are metrics of their own, by their names there; all others are labels."""
