"""A CLN node's config files, as its documentation suggests them, in the directory of a node of ours."""

from tests.harness.node import NETWORK, Nodes

GENERAL = """\
# ~/.lightning/config
network=regtest
alias=SLICKERGOPHER
rgb=008000
log-file=log
log-level=debug
rpc-file-mode=0660

wallet=sqlite3://~/.lightning/lightningd.sqlite3:/mnt/backup/lightningd.sqlite3
fee-base=1000
fee-per-satoshi=10
min-capacity-sat=100000
large-channels
funding-confirms=3
cltv-delta=34
autoclean-cycle=3600
autoclean-expiredinvoices-age=86400

# plugins
plugin-dir=/usr/local/libexec/plugins
plugin=/opt/summary/summary.py
important-plugin=/opt/backup/backup.py
disable-plugin=cln-grpc
clnrest-port=3010
clnrest-protocol=http
grpc-port=9736
experimental-dual-fund
experimental-splicing
"""
OF_THE_NETWORK = """\
# ~/.lightning/regtest/config
bind-addr=127.0.0.1:0
autolisten=false
announce-addr-discovered=false
bitcoin-cli=/usr/bin/bitcoin-cli
bitcoin-retry-timeout=120
disable-dns
include config.setconfig
"""
SETCONFIG = """\
# Created and update by setconfig, but you can edit this manually when node is stopped.
min-capacity-sat=200000
xpay-handle-pay=true
"""


async def test_node_starts_with_the_config_files_of_a_cln(nodes: Nodes) -> None:
    directory = nodes.directory("l1")
    (directory / "config").write_text(GENERAL)
    (directory / NETWORK / "config").write_text(OF_THE_NETWORK)
    (directory / NETWORK / "config.setconfig").write_text(SETCONFIG)
    node = nodes.start("--log-file=-", name="l1")
    info = await node.rpc("getinfo")
    assert (info["alias"], info["color"]) == ("SLICKERGOPHER", "008000")
    assert node.rpc_file.stat().st_mode & 0o777 == 0o660
    unusual = [line.partition("UNUSUAL ")[2] for line in node.lines if "without effect" in line]
    assert [line.partition(": without effect")[0].partition(": ")[2] for line in unusual] == [
        "wallet",
        "fee-base, fee-per-satoshi, min-capacity-sat, large-channels, funding-confirms, cltv-delta",
        "autoclean-cycle, autoclean-expiredinvoices-age",
        "plugin-dir, plugin, important-plugin, disable-plugin",
        "clnrest-port, clnrest-protocol, grpc-port",
        "experimental-dual-fund, experimental-splicing",
        "bitcoin-cli, bitcoin-retry-timeout",
        "xpay-handle-pay",
    ]
    assert (directory / NETWORK / "log").read_text().count("without effect") == 8
