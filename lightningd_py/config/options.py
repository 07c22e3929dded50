"""The node's options: CLN's where CLN has one, from the command line and from CLN's config files.

`table.OPTIONS` has them. What is found first in this order counts: command line, <lightning-dir>/<network>/config,
<lightning-dir>/config; what may be repeated adds up. --conf replaces both files. `--dev-*` only replace constants.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from lightningd_py.config import values
from lightningd_py.config.cln_options import UNUSED, without_use
from lightningd_py.config.command_line import help_text, read_command_line, spelled_out, unknown_option
from lightningd_py.config.config_file import Origin, Setting, read_config
from lightningd_py.config.log_files import levels_of_files, log_path
from lightningd_py.config.table import OPTIONS
from lightningd_py.errors import UsageError
from wire.address import DEFAULT_PORTS, WireAddr
from wire.command.console import is_text
from wire.control.binding import Binding
from wire.control.limits import Limits
from wire.control.timing import FAST_GOSSIP, Timing
from wire.features import Features, default_init_features, feature_bit
from wire.log.style import LogStyle
from wire.start.late_dataclass import dataclass
from wire.start.version import version

DEFAULT_SEEKER_PEERS = 10
BUSES = ("msg", "ctl", "chnl", "api", "feed")
"""Each is an option, and the name of its socket in the network's directory if nothing is said."""
_LIMITS = Limits()
_BY_NAME = {option.name: option for option in OPTIONS}
_ABOUT_FEATURES = {"network", "feature", "disable-feature", "onion-messages", "peer-storage"}


@dataclass(slots=True, kw_only=True)
class Options:
    """All options with their defaults. Paths are absolute; `None`: nothing was said. `adopt` alone changes it."""

    network: str = "bitcoin"
    lightning_dir: Path
    network_dir: Path
    conf: Path | None = None
    rpc_file: Path
    rpc_file_mode: int = 0o600
    pid_file: Path
    daemon: bool = False
    hsm_passphrase: bool = False
    log_level: tuple[str, ...] = ("info",)
    """Each LEVEL[:SUBSYSTEM[:FILE]], FILE as in `log_file`."""
    log_prefix: str = ""
    log_timestamps: bool = True
    log_format: str = "text"
    metrics_addr: WireAddr | None = None
    record: Path | None = None
    web_addr: WireAddr | None = None
    log_file: tuple[str, ...] = ("-",)
    """Absolute paths, and "-" for stdout."""
    addr: tuple[Binding, ...] = ()
    bind_addr: tuple[Binding, ...] = ()
    announce_addr: tuple[WireAddr, ...] = ()
    ws_trusted_proxy: tuple[str, ...] = ()
    autolisten: bool = True
    proxy: WireAddr | None = None
    always_use_proxy: bool = False
    disable_dns: bool = False
    dns_seed: tuple[str, ...] = ()
    fallback_peers: Path | None = None
    tor_service_password: str | None = field(default=None, repr=False)
    offline: bool = False
    alias: str | None = None
    rgb: bytes | None = None
    vantage: str | None = None
    announce_addr_discovered: str = "auto"
    announce_addr_discovered_port: int | None = None
    keepconnected: tuple[values.NodeToKeep, ...] = ()
    autoconnect_seeker_peers: int | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    """As `wire.control.access.parse_what` gives them."""
    max_inbound: int = _LIMITS.inbound
    max_half_open: int = _LIMITS.half_open
    max_half_open_per_source: int = _LIMITS.half_open_per_source
    max_inbound_per_source: int = _LIMITS.inbound_per_source
    max_connect_rate: int = _LIMITS.connect_rate
    max_programs: int = _LIMITS.programs
    max_programs_per_service: int = _LIMITS.programs_per_service
    max_read_rate: int = _LIMITS.read_rate
    gossip_peer_rate: int = _LIMITS.gossip_peer_rate
    gossip_total_rate: int = _LIMITS.gossip_total_rate
    gossip_listen: int = _LIMITS.gossip_listen
    experimental_gossip_v2: bool = False
    gossip_store_compact_size: int = _LIMITS.compact_size
    gossip_store_compact_ratio: int = _LIMITS.compact_ratio
    slow_reader_timeout: int = int(_LIMITS.slow_reader)
    peer_storage: str = "channels"
    peer_storage_quota: int = 256 << 20
    feature: tuple[int, ...] = ()
    disable_feature: tuple[int, ...] = ()
    onion_messages: str = "channels"
    chain: str = "none"
    """none or bitcoind. CLN always asks bitcoind and has no such option: to say where that is means it here."""
    bitcoin_rpcconnect: str = "127.0.0.1"
    bitcoin_rpcport: int | None = None
    bitcoin_rpcuser: str | None = None
    bitcoin_rpcpassword: str | None = field(default=None, repr=False)
    bitcoin_datadir: Path | None = None
    service: tuple[values.Service, ...] = ()
    take: tuple[values.Wanted, ...] = ()
    copy: tuple[values.Wanted, ...] = ()
    offer: tuple[values.Offered, ...] = ()
    may_sign: tuple[str, ...] = ()
    require_service: tuple[str, ...] = ()
    msg: str
    ctl: str
    chnl: str
    api: str
    feed: str
    """ZMQ endpoints of the buses, and of the feed; empty for none."""
    developer: bool = False
    dev_force_privkey: bytes | None = field(default=None, repr=False)
    dev_fast_gossip: bool = False
    dev_fast_gossip_prune: bool = False
    dev_allow_localhost: bool = False
    dev_timeout_secs: int | None = None
    dev_dns_server: WireAddr | None = None
    dev_bitcoind_poll: int | None = None
    dev_no_reconnect: bool = False
    dev_no_ping_timer: bool = False
    settings: tuple[Setting, ...] = field(default=(), repr=False)
    """As they were written, those that count more behind those that count less."""
    without_use: tuple[str, ...] = ()
    """A sentence for each kind of CLN's options that were given and mean nothing here."""

    def changed(self, name: str, settings: Iterable[Setting]) -> "Options":
        """With these settings of the option in the place of all others. Raises UsageError."""
        others = [setting for setting in self.settings if setting.name != name]
        found = [*others, *settings]
        return replace(_options(found), settings=tuple(found), without_use=self.without_use)

    def adopt(self, name: str, other: "Options") -> None:
        """Have the other one's value of this option, and its settings, from now on."""
        field_ = _BY_NAME[name].field
        setattr(self, field_, getattr(other, field_))
        self.settings = other.settings

    @property
    def log_style(self) -> LogStyle:
        """What is logged, and how that looks."""
        return LogStyle(self.log_level, self.log_prefix, self.log_timestamps, self.log_format == "json")

    @property
    def listen_and_announce(self) -> tuple[Binding, ...]:
        """Where to listen, and to announce what of it is public: every interface, if no address is named."""
        if self.offline:
            return ()
        if not self.listens_everywhere:
            return self.addr
        return values.bind_address("", DEFAULT_PORTS[self.network])

    @property
    def listens_everywhere(self) -> bool:
        """No address is named, so that every interface is meant: or what systemd listens at for us."""
        named = self.addr or self.bind_addr or self.announce_addr
        return not named and self.autolisten and not self.offline

    @property
    def listen(self) -> tuple[Binding, ...]:
        """Where to listen besides."""
        return () if self.offline else self.bind_addr

    @property
    def websockets(self) -> bool:
        """Whether there are any to listen for."""
        return any(binding.kind == "ws" for binding in self.listen)

    @property
    def timing(self) -> Timing:
        """The intervals of the house, with those replaced that a dev option is for."""
        timing = Timing()
        if self.dev_fast_gossip:
            timing = replace(FAST_GOSSIP, gossip_prune=timing.gossip_prune)
        if self.dev_fast_gossip_prune:
            timing = replace(timing, gossip_prune=FAST_GOSSIP.gossip_prune)
        if self.dev_bitcoind_poll is not None:
            timing = replace(timing, chain_poll=float(self.dev_bitcoind_poll))
        if self.dev_timeout_secs is not None:
            timing = replace(timing, connection_timeout=float(self.dev_timeout_secs))
        return replace(timing, ping_idle=math.inf) if self.dev_no_ping_timer else timing

    @property
    def limits(self) -> Limits:
        """The bounds against strangers."""
        return Limits(
            half_open=self.max_half_open,
            half_open_per_source=self.max_half_open_per_source,
            inbound_per_source=self.max_inbound_per_source,
            connect_rate=self.max_connect_rate,
            inbound=self.max_inbound,
            programs=self.max_programs,
            programs_per_service=self.max_programs_per_service,
            read_rate=self.max_read_rate,
            gossip_peer_rate=self.gossip_peer_rate,
            gossip_total_rate=self.gossip_total_rate,
            gossip_listen=self.gossip_listen,
            compact_size=self.gossip_store_compact_size,
            compact_ratio=self.gossip_store_compact_ratio,
            slow_reader=float(self.slow_reader_timeout),
        )

    @property
    def features(self) -> Features:
        """What our init says: the defaults, what services do, changed as asked."""
        named, storage, onions = self.fixed_features, self.peer_storage != "none", self.onion_messages == "all"
        ours = {"option_provide_storage": storage, "option_onion_messages": onions}
        bits = [feature_bit(name) + 1 for name, is_offered in ours.items() if is_offered]
        bits += [*default_init_features().bits(), *(bit for offer in self.offer for bit in offer.bits)]
        return Features.of([*(bit for bit in bits if bit & ~1 not in named), *self.feature])

    @property
    def fixed_features(self) -> frozenset[int]:
        """The even bits of those about which the operator has decided."""
        return frozenset(bit & ~1 for bit in (*self.disable_feature, *self.feature))

    @property
    def seeds(self) -> tuple[str, ...]:
        """The DNS seeds that may be asked: none where names are not looked up or no strangers are wanted."""
        if self.disable_dns or self.always_use_proxy or not self.seeker_peers:
            return ()
        return self.dns_seed or values.DEFAULT_SEEDS.get(self.network, ())

    @property
    def seeker_peers(self) -> int:
        """How many peers to have at least. A regtest's strangers are other tests."""
        if self.offline or self.dev_no_reconnect:
            return 0
        if self.autoconnect_seeker_peers is None:
            return 0 if self.network == "regtest" else DEFAULT_SEEKER_PEERS
        return self.autoconnect_seeker_peers


def parse(argv: Sequence[str]) -> Options:
    """Read the command line (without the program's name) and the config files.

    Raises UsageError with one clear sentence. What only prints (--help and its group) does so and raises SystemExit(0),
    before any file is read.
    """
    command_line = read_command_line(argv)
    _print_and_exit(command_line)
    settings = _with_files(command_line)
    for setting in settings:
        _check_place(setting)
    developer = any(setting.name == "developer" for setting in settings)
    used = [setting for setting in settings if setting.name in _BY_NAME]
    for setting in used:
        if _BY_NAME[setting.name].dev and not developer:
            raise UsageError(f"{setting.where}: requires --developer")
    return replace(_options(used), settings=tuple(used), without_use=without_use(settings))


def rpc_path(argv: Sequence[str]) -> Path:
    """Where a node with these options (of "where the node lives") has its RPC socket: for `lightning-cli-py`."""
    return located(argv, "rpc-file").rpc_file


def located(argv: Sequence[str], name: str) -> Options:
    """What says where a node with these options has what the option `name` is about.

    Other settings in the node's config files are passed over. Raises UsageError.
    """
    wanted = {"network", "lightning-dir", name}
    return _options([setting for setting in _with_files(read_command_line(argv)) if setting.name in wanted])


def _print_and_exit(command_line: list[Setting]) -> None:
    names = {setting.name for setting in command_line}
    if "help" in names:
        print(help_text(), end="")
    elif "version" in names:
        print(version())
    elif "list-features-only" in names:
        chosen = [setting for setting in command_line if setting.name in _ABOUT_FEATURES]
        print("\n".join(_options(chosen).features.names()))
    elif "write-examples" in names:
        from lightningd_py.config.examples import write_examples  # dear, and not for a start

        print(*write_examples(_last(command_line, "write-examples", None)), sep="\n")
    else:
        return
    raise SystemExit(0)


def _with_files(command_line: list[Setting]) -> list[Setting]:
    """All settings, those that count more after those that count less."""
    conf = _last(command_line, "conf", None)
    if conf is not None:
        return _file(values.from_root(conf), Origin.EXPLICIT_FILE) + command_line
    base = _lightning_dir(command_line)
    general = _file(base / "config", Origin.BASE_FILE)
    network = _last(general + command_line, "network", "bitcoin")
    return general + _file(base / network / "config", Origin.NETWORK_FILE) + command_line


def _file(path: Path, origin: Origin) -> list[Setting]:
    return spelled_out(read_config(path, origin, must_exist=origin is Origin.EXPLICIT_FILE))


def _last(settings: Iterable[Setting], name: str, default: Any) -> Any:
    """The value that counts of an option that is needed before all the others."""
    found = [setting for setting in settings if setting.name == name]
    for setting in found:
        _check_place(setting)
    return _value(found[-1], "") if found else default


def _lightning_dir(settings: Iterable[Setting]) -> Path:
    return values.from_root(_last(settings, "lightning-dir", None))


def _check_place(setting: Setting) -> None:
    option = _BY_NAME.get(setting.name)
    if option is None and setting.name not in UNUSED:
        raise UsageError(f"{setting.where}: {unknown_option(setting.name)}")
    if option is not None and setting.origin not in option.allowed_in:
        raise UsageError(f"{setting.where}: not permitted in {setting.origin.value}")


def _value(setting: Setting, network: str) -> Any:
    """The value that a setting stands for; True for an option that takes none."""
    option, value = _BY_NAME[setting.name], setting.value
    if option.parse is None:
        if value is not None:
            raise UsageError(f"{setting.where}: takes no value")
        return True
    if value is None or not is_text(value):
        raise UsageError(f"{setting.where}: {'needs a value' if value is None else 'is not UTF-8 text'}")
    try:
        value = value if option.trailing_spaces else value.rstrip()
        return option.parse(value, DEFAULT_PORTS[network]) if option.by_network else option.parse(value)
    except ValueError as error:
        raise UsageError(f"{setting.where}: {error}") from error


def _options(settings: list[Setting]) -> Options:
    network = _last(settings, "network", "bitcoin")
    found: dict[str, Any] = {}
    for setting in settings:
        option, value = _BY_NAME[setting.name], _value(setting, network)
        found[option.field] = found.get(option.field, ()) + value if option.multiple else value
    lightning_dir = _lightning_dir(settings)
    if any(name.startswith("bitcoin_") for name in found):
        found.setdefault("chain", "bitcoind")
    found |= _paths(found, lightning_dir, lightning_dir / network)
    options = Options(**found)
    _check_together(options)
    return options


def _paths(found: dict[str, Any], lightning_dir: Path, network_dir: Path) -> dict[str, Any]:
    """All paths made absolute. What is relative is so to the network's directory, in which CLN works, too."""
    logs = tuple(log_path(log, network_dir) for log in found.get("log_file", ("-",)))
    for name in {"fallback_peers", "record"} & found.keys():
        found[name] = network_dir / found[name]
    return {
        "lightning_dir": lightning_dir,
        "network_dir": network_dir,
        "rpc_file": network_dir / found.get("rpc_file", "lightning-rpc"),
        "pid_file": network_dir / found.get("pid_file", lightning_dir / f"lightningd-{network_dir.name}.pid"),
        **{bus: in_directory(found.get(bus, f"ipc://{bus}"), network_dir) for bus in BUSES},
        "log_file": logs,
        "log_level": levels_of_files(found.get("log_level", ("info",)), logs, network_dir),
    }


def in_directory(endpoint: str, network_dir: Path) -> str:
    """The endpoint with an absolute path, if it has one."""
    scheme, _, where = endpoint.partition("://")
    return f"ipc://{network_dir / where}" if scheme == "ipc" else endpoint


def _check_together(options: Options) -> None:
    """What no single option can know."""
    if options.daemon and all(log == "-" for log in options.log_file):
        raise UsageError("--daemon needs --log-file")
    if options.always_use_proxy and options.proxy is None:
        raise UsageError("--always-use-proxy needs --proxy")
    if flaw := values.announced_flaw(options.announce_addr, any_address=options.dev_allow_localhost):
        raise UsageError(f"--announce-addr: {flaw}")
    if missing := options.features.missing_dependency():
        raise UsageError(f"--feature: {missing}")
    names = [service.name for service in options.service]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--service {name} is given twice")
    named = [wanted.service for wanted in options.take + options.copy]
    for name in [*named, *(offered.service for offered in options.offer)]:
        if name not in names:
            raise UsageError(f"'{name}' is no service: there is no --service={name}=COMMAND")
