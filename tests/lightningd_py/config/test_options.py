"""The node's options: defaults, precedence, and one sentence for whatever is wrong."""

from pathlib import Path

import pytest

from lightningd_py.config.options import Options, located, parse, rpc_path
from lightningd_py.config.table import OPTIONS
from lightningd_py.errors import UsageError
from wire.control.timing import FAST_GOSSIP, Timing

NODE_ID = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without config files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def complaint(*argv: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(argv)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_with_nothing_said(home: Path) -> None:
    options = parse([])
    assert options.network == "bitcoin"
    assert options.network_dir == home / ".lightning-py" / "bitcoin"
    assert options.rpc_file == options.network_dir / "lightning-rpc"
    assert options.pid_file == options.lightning_dir / "lightningd-bitcoin.pid"
    assert options.log_file == ("-",)
    assert options.timing == Timing()
    assert options.chain == "none"


def test_every_option_of_the_table_is_a_field() -> None:
    special = {
        "mainnet",
        "testnet",
        "testnet4",
        "signet",
        "regtest",
        "help",
        "version",
        "list-features-only",
        "write-examples",
    }
    fields = set(Options.__dataclass_fields__) - {"network_dir", "settings", "without_use"}
    assert {option.field for option in OPTIONS if option.name not in special} == fields


def test_the_command_line_counts_before_the_networks_file_and_that_before_the_general_one(home: Path) -> None:
    base = home / ".lightning-py"
    config(base / "config", "network=regtest\nalias=general\nrgb=010101\nlog-level=io\n")
    config(base / "regtest" / "config", "alias=network\nrgb=020202\n")
    options = parse(["--alias=mine"])
    assert (options.network, options.alias, options.rgb, options.log_level) == (
        "regtest",
        "mine",
        b"\x02\x02\x02",
        ("io",),
    )


def test_the_command_lines_network_chooses_the_file(home: Path) -> None:
    config(home / ".lightning-py" / "config", "network=regtest\n")
    config(home / ".lightning-py" / "signet" / "config", "alias=signet\n")
    assert parse(["--signet"]).alias == "signet"


def test_repeated_options_add_up(home: Path) -> None:
    config(home / ".lightning-py" / "config", "bind-addr=127.0.0.1:1\nlog-file=a\n")
    options = parse(["--bind-addr=127.0.0.1:2", "--log-file=-"])
    assert [binding.port for binding in options.bind_addr] == [1, 2]
    assert options.log_file == (str(options.network_dir / "a"), "-")


def test_conf_replaces_both_files_and_may_name_the_directory(home: Path) -> None:
    config(home / ".lightning-py" / "config", "alias=general\n")
    config(home / "my.conf", f"lightning-dir={home / 'ln'}\nregtest\n")
    options = parse(["--conf=my.conf"])
    assert (options.alias, options.network_dir) == (None, home / "ln" / "regtest")
    assert "cannot be read" in complaint("--conf=nowhere")


@pytest.mark.parametrize(
    ("argv", "addr", "bind", "announce"),
    [
        ([], [":9735"], [], []),
        (["--regtest"], [":19846"], [], []),
        (["--testnet"], [":19735"], [], []),
        (["--signet"], [":39735"], [], []),
        (["--testnet4"], [":49735"], [], []),
        (["--autolisten=false"], [], [], []),
        (["--offline", "--bind-addr=127.0.0.1"], [], [], []),
        (["--announce-addr=1.2.3.4"], [], [], ["1.2.3.4:9735"]),
        (
            ["--announce-addr=pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"],
            [],
            [],
            ["pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:9735"],
        ),
        (["--announce-addr=10.1.2.3", "--developer", "--dev-allow-localhost"], [], [], ["10.1.2.3:9735"]),
        (["--announce-addr=dns:example.com:1"], [], [], ["example.com:1"]),
        (["--addr=8.8.8.8:1"], ["8.8.8.8:1"], [], []),
        (["--bind-addr=[::1]:1"], [], ["[::1]:1"], []),
        (["--bind-addr=/a/socket"], [], ["/a/socket"], []),
        (["--addr=:1", "--bind-addr=ws::2"], [":1"], ["ws::2"], []),
        (["--bind-addr="], [], [":9735"], []),
        (["--addr=autotor:127.0.0.1"], ["autotor:127.0.0.1:9051/torport=9735"], [], []),
    ],
)
def test_where_to_listen_and_what_to_announce(
    argv: list[str], addr: list[str], bind: list[str], announce: list[str]
) -> None:
    options = parse(argv)
    assert [str(binding) for binding in options.listen_and_announce] == addr
    assert [str(binding) for binding in options.listen] == bind
    assert [str(address) for address in options.announce_addr] == announce
    assert options.websockets == any(text.startswith("ws:") for text in bind)


def test_proxies_in_front_of_websockets() -> None:
    options = parse(["--ws-trusted-proxy=127.0.0.1,10.0.0.0/8", "--ws-trusted-proxy=::1"])
    assert options.ws_trusted_proxy == ("127.0.0.1/32", "10.0.0.0/8", "::1/128")
    with pytest.raises(UsageError, match=r"'proxy\.example' is no IP address and no network"):
        parse(["--ws-trusted-proxy=127.0.0.1,proxy.example"])


def test_ways_out() -> None:
    options = parse(["--proxy=127.0.0.1", "--always-use-proxy=true", "--disable-dns", "--tor-service-password=secret"])
    assert (str(options.proxy), options.always_use_proxy, options.disable_dns) == ("127.0.0.1:9050", True, True)
    assert options.tor_service_password == "secret"
    assert "secret" not in repr(options)
    assert str(parse(["--proxy=/run/tor/socks"]).proxy) == "/run/tor/socks"


@pytest.mark.parametrize(
    ("argv", "seeds"),
    [
        ([], ("nodes.lightning.directory", "nodes.lightning.wiki")),
        (["--dns-seed=A.Example.", "--dns-seed=b.example"], ("a.example", "b.example")),
        (["--testnet4"], ("test4.nodes.lightning.wiki",)),
        (["--signet"], ()),
        (["--regtest", "--dns-seed=a.example"], ()),
        (["--regtest", "--dns-seed=a.example", "--autoconnect-seeker-peers=1"], ("a.example",)),
        (["--disable-dns"], ()),
        (["--offline"], ()),
        (["--always-use-proxy=true", "--proxy=127.0.0.1"], ()),
        (["--autoconnect-seeker-peers=0"], ()),
    ],
)
def test_seeds_are_asked_only_where_names_are_looked_up_and_strangers_wanted(
    argv: list[str], seeds: tuple[str, ...]
) -> None:
    assert parse(argv).seeds == seeds


def test_levels_of_one_log_file(home: Path) -> None:
    own = home / ".lightning-py" / "bitcoin" / "own"
    levels = ["--log-level=debug:gossipd:own", "--log-level=unusual:hsmd", "--log-level=broken::-"]
    options = parse(["--log-file=-", "--log-file=own", *levels])
    assert options.log_level == (f"debug:gossipd:{own}", "unusual:hsmd", "broken::-")
    alone = parse(["--log-file=own", f"--log-level=debug:gossipd:{own}", "--log-level=info"])
    assert alone.log_level == ("info", "debug:gossipd"), "there is no other file: all lines are its own"


def test_a_relative_file_of_peers_is_in_the_networks_directory(home: Path) -> None:
    assert parse(["--fallback-peers=peers"]).fallback_peers == home / ".lightning-py" / "bitcoin" / "peers"


def test_services_and_what_they_want() -> None:
    options = parse(
        ["--service=lsp=python3 'my peer.py' $x", f"--take=lsp=open_channel,33,{NODE_ID}", "--copy=lsp=513"]
    )
    (service,), (take,), (copy,) = options.service, options.take, options.copy
    assert service.command == ("python3", "my peer.py", "$x")
    assert (take.messages, take.node_ids) == ((32, 33), (bytes.fromhex(NODE_ID),))
    assert (copy.service, copy.messages) == ("lsp", (513,))


def test_dev_options_only_replace_constants() -> None:
    argv = ["--dev-fast-gossip", "--dev-fast-gossip-prune", "--dev-timeout-secs=7", "--developer"]
    timing = parse(argv).timing
    assert (timing.gossip_flush, timing.gossip_prune) == (FAST_GOSSIP.gossip_flush, FAST_GOSSIP.gossip_prune)
    assert timing.connection_timeout == 7.0


def test_what_clns_test_tools_say() -> None:
    key = "01" * 32
    options = parse(
        f"--developer --dev-force-privkey={key} --dev-fast-gossip --dev-allow-localhost --dev-bitcoind-poll=1"
        " --bind-addr=127.0.0.1:19735 --bitcoin-rpcconnect=127.0.0.1 --bitcoin-rpcport=18443 --bitcoin-rpcuser=u"
        " --bitcoin-rpcpassword=p --network=regtest --dev-no-reconnect --dev-no-ping-timer".split()
    )
    assert options.dev_force_privkey == bytes.fromhex(key)
    assert options.bitcoin_rpcport == 18443
    assert key not in repr(options)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--colour=red"], "--colour=red: unknown option"),
        (["--dev-fast-reconnect", "--developer"], "--dev-fast-reconnect: unknown option"),
        (["stop"], "stop: unknown option"),
        (["--dev-fast-gossip"], "--dev-fast-gossip: requires --developer"),
        (["--alias"], "--alias: expected one argument"),
        (["--offline=1"], "--offline: ignored explicit argument '1'"),
        (["--network=mars"], "'mars' is not one of bitcoin"),
        (["--rgb=red"], "--rgb: 'red' is not six hex digits"),
        (["--alias=" + "é" * 17], "is over 32 bytes long"),
        (["--log-level=loud"], "--log-level: 'loud' is not one of io"),
        (["--log-level=debug:"], "--log-level: '' is no part of a subsystem's name"),
        (["--log-level=debug:gossipd:/tmp/log"], "--log-level: /tmp/log is none of the log files"),
        (["--log-level=debug:gossipd:"], "--log-level: '' is no log file"),
        (["--log-level=info,"], "--log-level: '' is not one of io"),
        (["--log-format=xml"], "'xml' is not one of text, json"),
        (["--log-prefix=\x1b[2J"], "--log-prefix: has characters that cannot be shown"),
        (["--log-timestamps=perhaps"], "--log-timestamps: "),
        (["--rpc-file-mode=600"], "is not a 4-digit octal number"),
        (["--bind-addr=127.0.0.1:99999"], "--bind-addr: unable to parse address '127.0.0.1:99999'"),
        (["--bind-addr=wss::80"], "TLS is for a proxy in front of us"),
        (["--addr=ws::80"], "cannot be announced: use --bind-addr"),
        (["--announce-addr=dns:a.example", "--announce-addr=dns:b.example"], "only one dns: name can be announced"),
        (["--addr=/a/socket"], "cannot be announced: use --bind-addr"),
        (["--announce-addr=/a/socket"], "cannot be announced: use --bind-addr"),
        (["--announce-addr=example.com"], "use dns:example.com to announce it"),
        (["--announce-addr=0.0.0.0"], "is every address"),
        (["--announce-addr=1.2.3.4:0"], "has port 0"),
        (["--announce-addr=10.1.2.3"], "'10.1.2.3:9735' is not on the internet"),
        (["--announce-addr=fe80::1"], "is not on the internet"),
        (["--announce-addr=224.0.0.1"], "is not on the internet"),
        (["--announce-addr=dns:node.local"], "is not on the internet"),
        (["--announce-addr=::ffff:8.8.8.8"], "is an IPv4 address: announce that"),
        (["--announce-addr=pg7mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"], "a letter is mistyped"),
        (["--deny=alll"], "'alll' is no node id, address, network, host:NAME"),
        (["--autolisten=perhaps"], "'perhaps' is not true or false"),
        (["--bitcoin-rpcport=0"], "'0' is not a number from 1 to 65535"),
        (["--always-use-proxy=1"], "--always-use-proxy needs --proxy"),
        (["--proxy=" + "a" * 55 + "d.onion"], "cannot be reached without a proxy"),
        (["--dns-seed=1.2.3.4"], "'1.2.3.4' is no host name"),
        (["--dev-dns-server=a.example", "--developer"], "'a.example' is no IP address"),
        (["--proxy=127.0.0.1:x"], "--proxy: unable to parse address '127.0.0.1:x': 'x' is no port"),
        (["--daemon"], "--daemon needs --log-file"),
        (["--daemon", "--log-file=-"], "--daemon needs --log-file"),
        (["--service=lsp"], "'lsp' is not NAME=..."),
        (["--service=lsp="], "'lsp=' has no command"),
        (["--service=lsp='a"], "no closing quotation"),
        (["--service=a=b", "--service=a=c"], "--service a is given twice"),
        (["--take=lsp=32"], "there is no --service=lsp=COMMAND"),
        (
            ["--service=a=b", "--take=a=open_chanel"],
            "'open_chanel' is neither a message's name or number nor a node id",
        ),
        (["--service=a=b", "--take=a=65536"], "'65536' is neither"),
        (["--service=a=b", "--take=a=02" + "00" * 32], "is no node id"),
        (["--developer", "--dev-force-privkey=abcd"], "--dev-force-privkey: is not 64 hex digits"),
        (["--developer", "--dev-force-privkey=" + "ff" * 32], "--dev-force-privkey: is no valid secret key"),
    ],
)
def test_one_clear_sentence(argv: list[str], sentence: str) -> None:
    assert sentence in complaint(*argv)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("config", "\ncolour=red\n", "config:2: colour: unknown option"),
        ("config", "alias\n", "config:1: alias: needs a value"),
        ("config", "offline=true\n", "config:1: offline: takes no value"),
        ("config", "regtest=1\n", "config:1: regtest: takes no value"),
        ("config", "rgb=red\n", "config:1: rgb: 'red' is not six hex digits"),
        ("config", "conf=x\n", "config:1: conf: not permitted in <lightning-dir>/config"),
        ("config", "lightning-dir=/x\n", "config:1: lightning-dir: not permitted"),
        ("config", "help\n", "config:1: help: not permitted"),
        ("config", "dev-fast-gossip\n", "config:1: dev-fast-gossip: requires --developer"),
        ("bitcoin/config", "network=regtest\n", "bitcoin/config:1: network: not permitted"),
        ("bitcoin/config", "regtest\n", "bitcoin/config:1: regtest: not permitted"),
    ],
)
def test_one_clear_sentence_with_file_and_line(home: Path, file: str, text: str, sentence: str) -> None:
    config(home / ".lightning-py" / file, text)
    assert sentence in complaint()


def test_spaces_at_the_end_belong_to_the_alias_only(home: Path) -> None:
    config(home / ".lightning-py" / "config", "alias=mine \nrgb=ffffff  \n")
    assert (parse([]).alias, parse([]).rgb) == ("mine ", b"\xff\xff\xff")


@pytest.mark.parametrize(
    ("option", "found"),
    [("--help", "--bind-addr ADDR"), ("--version", "."), ("--list-features-only", "option_data_loss_protect/odd")],
)
def test_what_prints_and_exits_reads_no_file(
    home: Path, capsys: pytest.CaptureFixture[str], option: str, found: str
) -> None:
    config(home / ".lightning-py" / "config", "nonsense\n")
    with pytest.raises(SystemExit) as caught:
        parse(["--developer", option])
    assert caught.value.code == 0
    assert found in capsys.readouterr().out


@pytest.mark.parametrize(("chosen", "listed"), [("all", True), ("channels", False), ("none", False)])
def test_listed_features_are_those_of_the_first_init(
    home: Path, capsys: pytest.CaptureFixture[str], chosen: str, listed: bool
) -> None:
    with pytest.raises(SystemExit):
        parse(["--list-features-only", f"--onion-messages={chosen}"])
    assert ("option_onion_messages/odd" in capsys.readouterr().out.split()) == listed


def test_the_socket_is_found_whatever_else_a_file_says(home: Path) -> None:
    config(home / ".lightning-py" / "config", "network=regtest\nnonsense\n")
    config(home / ".lightning-py" / "regtest" / "config", "rpc-file=my-rpc\nservice=x\n")
    assert rpc_path([]) == home / ".lightning-py" / "regtest" / "my-rpc"
    assert rpc_path(["--signet"]) == home / ".lightning-py" / "signet" / "lightning-rpc"


def test_where_the_feed_is(home: Path) -> None:
    assert parse([]).feed == f"ipc://{home}/.lightning-py/bitcoin/feed"
    assert parse(["--feed=ipc://other"]).feed == f"ipc://{home}/.lightning-py/bitcoin/other"
    assert parse(["--feed=none"]).feed == ""
    config(home / ".lightning-py" / "config", "network=regtest\nfeed=ipc:///tmp/elsewhere\n")
    assert located([], "feed").feed == "ipc:///tmp/elsewhere"
    assert located(["--feed=none"], "feed").feed == ""
