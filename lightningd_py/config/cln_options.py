"""CLN's options that mean nothing to this node: accepted, so that CLN's config file starts it, and told in the log.

An option that `table.OPTIONS` has is not here. Source of the names: CLN v26.06, its lightningd-config(5) and what its
own plugins register; older names that were dropped on the way are kept, for they stand in files.
"""

from collections.abc import Iterable

from lightningd_py.config.config_file import Setting
from wire.start.late_dataclass import dataclass

RENAMED = {"encrypted-hsm": "hsm-passphrase"}
"""An older name of CLN's for an option that this node has."""
INSTEAD = {"recover": "no secret is made of words here; hsm_secret is made by CLN's `lightning-hsmtool generatehsm`"}
"""What CLN would do and must not be passed over: what is said instead."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Options that are of no use for one reason. `flags` take no value, `valued` take one."""

    reason: str
    valued: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def _all(beginning: str, endings: str) -> tuple[str, ...]:
    return tuple(beginning + ending for ending in endings.split())


KINDS = (
    Kind(
        "there is no wallet",
        ("wallet", "database-upgrade", "rescan", "bookkeeper-dir", "bookkeeper-db", "bkpr-currency"),
    ),
    Kind(
        "there are no plugins; services take their place, see docs/programs.md and docs/bus.md",
        ("plugin", "plugin-dir", "disable-plugin", "important-plugin"),
        ("clear-plugins",),
    ),
    Kind("the daemons are this node's own", ("subdaemon",)),
    Kind(
        "bitcoind is asked by JSON-RPC: --bitcoin-rpcconnect and the like",
        ("bitcoin-cli", "bitcoin-retry-timeout", "bitcoin-rpcclienttimeout", "bwatch-poll-interval"),
        ("experimental-bwatch",),
    ),
    Kind(
        "this node has no channels",
        (
            *_all("fee-", "base per-satoshi"),
            *_all("htlc-", "minimum-msat maximum-msat"),
            *_all("max-", "concurrent-htlcs dust-htlc-exposure-msat locktime-blocks"),
            *_all("commit-", "time fee feerate-offset"),
            *_all("cltv-", "delta final"),
            *_all("accept-htlc-tlv-", "type types"),
            *_all("min-", "capacity-sat emergency-msat"),
            *_all("lease-", "fee-base-sat fee-base-msat fee-basis funding-weight"),
            *_all("channel-fee-max-", "base-msat proportional-thousandths"),
            *_all("funder-", "policy policy-mod min-their-funding max-their-funding per-channel-min per-channel-max"),
            *_all("funder-", "reserve-tank fuzz-percent fund-probability lease-requests-only"),
            *("ignore-fee-limits", "force-feerates", "watchtime-blocks", "funding-confirms"),
            "require-confirmed-inputs",
        ),
        ("large-channels", "wumbo"),
    ),
    Kind(
        "nothing is paid",
        (
            *_all("xpay-", "handle-pay slow-mode user-layer"),
            *_all("askrene-", "timeout max-threads"),
            *_all("currencyrate-", "add-source disable-source"),
            "payment-fronting-node",
        ),
        ("disable-mpp", "invoices-onchain-fallback", "fetchinvoice-noconnect", "renepay-debug-mcf"),
    ),
    Kind(
        "nothing has to be cleaned",
        (
            *_all("autoclean-", "cycle networkevents-age paidinvoices-age expiredinvoices-age"),
            *_all("autoclean-", "succeededforwards-age failedforwards-age succeededpays-age failedpays-age"),
        ),
    ),
    Kind(
        "there is the JSON-RPC socket, and the API bus (--api)",
        (
            *_all("grpc-", "host port msg-buffer-size"),
            *_all("clnrest-", "port protocol host certs cors-origins csp swagger-root"),
            *_all("rest-", "port protocol host certs cors-origins csp"),
        ),
    ),
    Kind(
        "WebSockets are listened for with --bind-addr=ws:ADDR, TLS is a proxy's (--ws-trusted-proxy)",
        ("wss-bind-addr", "wss-certs", "experimental-websocket-port"),
    ),
    Kind("a name is announced with --announce-addr=dns:NAME", ("announce-addr-dns",)),
    Kind("hsm_secret leaves this node by no command", ("exposesecret-passphrase",)),
    Kind("messages are not padded", ("message-padding",)),
    Kind("nothing here is deprecated", ("allow-deprecated-apis", "i-promise-to-fix-broken-api-user")),
    Kind(
        "the feature is a channel's or a payment's",
        ("experimental-lsps2-promise-secret",),
        (
            *_all("experimental-", "dual-fund splicing simple-close shutdown-wrong-funding quiesce upgrade-protocol"),
            *_all("experimental-", "offers onion-messages anchors peer-storage accept-extra-tlv-types"),
            *_all("experimental-", "lsps-client lsps2-service"),
        ),
    ),
)
_REASONS = {name: kind.reason for kind in KINDS for name in kind.valued + kind.flags}
FLAGS = frozenset(name for kind in KINDS for name in kind.flags)
"""Those that take no value on the command line."""
UNUSED = frozenset(_REASONS)


def without_use(settings: Iterable[Setting]) -> tuple[str, ...]:
    """A sentence for each kind of option among these that means nothing here, for the log."""
    by_reason: dict[str, list[str]] = {}
    for setting in settings:
        if setting.name in UNUSED:
            names = by_reason.setdefault(_REASONS[setting.name], [])
            if setting.name not in names:
                names.append(setting.name)
    return tuple(f"{', '.join(names)}: without effect, {reason}" for reason, names in by_reason.items())
