"""The words of docs/json-rpc.md around the methods, which `docs/generate.py` takes from the code."""

BEFORE = """# JSON-RPC

JSON-RPC 2.0 on the Unix socket `lightning-rpc` in the network's directory, framed as CLN does: a reply ends with an
empty line. Names, parameters, result fields and error codes are CLN's where CLN has the method, so pyln-client's
LightningRpc works unchanged; parameters go by name or in order. `lightning-cli-py` is the command line.

Beside CLN's fields listpeers has `owner` (gossipd, master, or the service's name), `conn_id`, and `moves`:
who owned the connection since when, and through which message.

| code | what it says |
|---|---|
| -32700, -32600, -32601, -32602 | no JSON, no request, no such method, wrong parameters |
| -1 | it could not be done; the message says why |
| 400 | connect: no address is known |
| 401 | connect: every address failed; `data` has each with its reason |
| 402 | connect: the peer went away meanwhile |
| 2000 | wait, waitblockheight, waitsync: it took too long |

## CLN's habits

What a script or a hand that knows CLN does, and what comes of it here. "The same" is held by tests with pyln-client 26.6.9
(`tests/interop/test_pyln_client.py`) and with `lightning-cli-py` (`tests/lightningd_py/cli/`).

| habit | here |
|---|---|
| `lightning-cli getinfo`, `help`, `help CMD`, `listpeers`, `connect ID@HOST`, `ping`, `disconnect ID true`, `stop` | the same; channel counts are 0 |
| `-k KEY=VALUE`, `-o`, `-R`, `-J`, `-H`, `-F`, `-l FILTER`, `--rpc-file`, `--lightning-dir`, `--network` | the same |
| `-N LEVEL` | the same words, but on standard error, so that what is piped stays JSON; without it only a terminal shows progress |
| JSON when nothing is said | into a pipe; a terminal gets tables, unless `-J` |
| exit status 0, 1 (error), 2 (no node), 3 (usage) | the same |
| `-c NODE:RUNE` (commando), runes | not there: the socket's permissions are the rights |
| `setconfig NAME VALUE`, `transient` | the same, for other options: `listconfigs` says `dynamic`; `config.setconfig` is CLN's file |
| `getlog LEVEL` | the same; only lines that `log-level` admits, with a share for each process |
| `notifications true` | the same for how one's own commands go, see [below](#notifications-that-a-client-gets); topics are an addition |
| `listchannels` with `amount_msat` | there once the funding output was looked up (`--bitcoin-rpcconnect` and the like). Without a chain there is no amount that would be true, so the field is missing and `unchecked` is in its place: a script reads `channel.get("amount_msat", channel["htlc_maximum_msat"])`, which is the best that is known then |
| `listnodes`, `listchannels` by id, source or destination | the same |
| `listnetworkevents`, `wait networkevents created N` | the same, but kept in memory: numbers begin at 1 with the node |
| `wait` with invoices, sendpays, forwards, htlcs, chainmoves, channelmoves | refused (-32602): there is nothing of the kind; `wait peers` is an addition |
| `graceful` | the same, without HTLCs; `pending_peers` are those whose connection a service owns |
| `check CMD ...` | the same; what a method would come to is not known |
| `makesecret`, `decode`, `batching`, `waitblockheight`, `signmessage`, `checkmessage`, `sendcustommsg`, `addgossip` | the same; `decode` knows what peers say, and no invoices |
| `listaddresses`, `listfunds`, `newaddr`, `pay`, `invoice`, `fundchannel`, `close`, ... | no wallet, channels or payments: -32601, or empty |
| `plugin`, hooks | not there: programs and buses take connections ([programs.md](programs.md), [bus.md](bus.md)); notifications need no plugin |
| `dev-compact-gossip-store` | `compactgossipstore` |
| SIGHUP opens log files again; `log-level`, `log-prefix`, `log-timestamps`, `log-file` repeated | the same; a level for one log file alone is refused |

## Notifications that a client gets

`notifications enable=true` is for this connection. As with CLN, the client then hears how its own commands go, in objects
without `id`, each before the reply that it belongs to:

    {"jsonrpc": "2.0", "method": "message", "params": {"id": 1, "message": "restarting gossipd", "level": "info",
     "progress": {"num": 0, "total": 1}}}

`restart`, `waitsync` and `graceful` tell their steps. CLN's own `progress` (`id`, `num`, `total`) comes only to clients that
have asked for the topic `progress`: pyln-client takes any notification but `message` for the answer.

`topics` names what else it wants to hear, a name or a beginning that ends with a dot:

| topic | params |
|---|---|
| `connect` | CLN's `id`, `direction`, `address`; `conn_id` |
| `disconnect` | CLN's `id`; `conn_id`, `reason` |
| `custommsg` | CLN's `peer_id`, `payload`: messages of no BOLT and of no service, from peers that gossipd owns |
| `log` | CLN's `level`, `time`, `timestamp`, `source`, `log`; `node_id`. `level` of the method says from which level on; a process tells 50 lines a second after 500 |
| `gossip.channel_announcement`, `gossip.channel_update`, `gossip.node_announcement` | each that arrives, as in [feed.md](feed.md): bytes in hex, `short_channel_id` as text |
| `map.channel_announcement`, `map.channel_update`, `map.node_announcement`, `map.channel_dying`, `map.channel_removed`, `map.node_removed` | what is new on the map, or leaves it |

A client that does not read has 256 kB kept for it; what comes then is lost for this client alone, and the next one that
finds room is preceded by `{"method": "lost", "params": {"lost": N}}`. What gossipd finds no room for on its way to the master
is in `lost` of the next event. A notification never stands within an answer. The ZMQ [feed](feed.md) is faster, and for
whole streams. Over `restart master` a client keeps its topics, and what waits for it.

"""
