"""The node's key is in hsmd and nowhere else; what is given up; how people sign with it."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightningd_py.hsm.secret import derive_node_key
from tests.harness import processes
from tests.harness.node import Node, Nodes, RpcError

PROC = Path("/proc")
MESSAGE = "this is a test!"


def memory(pid: int) -> Iterator[bytes]:
    """All that a process can read of itself. Raises PermissionError without ptrace rights."""
    with (PROC / str(pid) / "mem").open("rb", buffering=0) as file:
        for line in (PROC / str(pid) / "maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if match and not line.endswith(("[vvar]", "[vvar_vclock]", "[vsyscall]")):
                start, end = int(match[1], 16), int(match[2], 16)
                file.seek(start)
                left = end - start
                while left > 0 and (piece := file.read(min(left, 1 << 24))):
                    yield piece
                    left -= len(piece)


def holds(pid: int, secrets: list[bytes]) -> bool:
    return any(secret in piece for piece in memory(pid) for secret in secrets)


def secrets_of(node: Node) -> list[bytes]:
    words = (node.directory / "hsm_secret").read_bytes()[32:]
    seed = hashlib.pbkdf2_hmac("sha512", words, b"mnemonic", 2048)
    return [words, seed[:32], derive_node_key(seed[:32]), derive_node_key(seed[:32]).hex().encode()]


def may_read_memory() -> None:
    """Skips the test without the right to."""
    if os.geteuid() != 0:
        pytest.skip("reading other processes' memory needs ptrace rights: not root")


def who_holds_the_key(node: Node) -> list[int]:
    """The pids of its processes in whose memory the words, the seed or the key are."""
    secrets = secrets_of(node)
    pids = [node.process.pid, *processes.descendants(node.process.pid)]
    assert len(pids) >= 5, "the master, hsmd, connectd, gossipd and a worker of its"
    return [pid for pid in pids if holds(pid, secrets)]


async def test_the_key_is_in_hsmd_and_nowhere_else(nodes: Nodes) -> None:
    may_read_memory()
    one, two = nodes.start(), nodes.start()
    await one.rpc("connect", id=two.target)
    await one.rpc("signmessage", message=MESSAGE)
    assert who_holds_the_key(one) == [one.pids()["hsmd"]]
    for secret in secrets_of(one):
        assert secret.hex() not in one.log and secret not in one.log.encode()


async def test_what_daemons_give_up(nodes: Nodes) -> None:
    node = nodes.start()
    for name in ("hsmd", "connectd", "gossipd"):
        proc = PROC / str(node.pids()[name])
        assert "NoNewPrivs:\t1" in (proc / "status").read_text()
        limits = {line[:25].strip(): line.split()[-3:-1] for line in (proc / "limits").read_text().splitlines()}
        assert limits["Max core file size"] == ["0", "0"]
        assert limits["Max data size"] == [str(4 << 30)] * 2
        files = [Path(link) for link in processes.links(int(proc.name)) if link.startswith("/")]
        allowed = (Path("/dev/null"), node.directory / "gossipd" / "gossip_store")
        assert [file for file in files if file not in allowed] == [], "no file that is not its own"


async def test_signmessage_and_checkmessage(nodes: Nodes) -> None:
    node, other = nodes.start(), nodes.start()
    signed = await node.rpc("signmessage", message=MESSAGE)
    assert signed.keys() == {"signature", "recid", "zbase"}
    zbase = signed["zbase"]
    with pytest.raises(RpcError) as caught:
        await other.rpc("checkmessage", message=MESSAGE, zbase=zbase)
    assert (caught.value.code, caught.value.data) == (1301, {"claimed_key": node.node_id})
    checked = await other.rpc("checkmessage", message=MESSAGE, zbase=zbase, pubkey=node.node_id)
    assert checked == {"pubkey": node.node_id, "verified": True}
    wrong = await other.rpc("checkmessage", message=MESSAGE, zbase=zbase, pubkey=other.node_id)
    assert wrong == {"pubkey": node.node_id, "verified": False}
    with pytest.raises(RpcError, match="zbase is not valid zbase32"):
        await other.rpc("checkmessage", message=MESSAGE, zbase="wrong zbase format")
    with pytest.raises(RpcError, match="Message must be < 64k"):
        await node.rpc("signmessage", message="x" * 65_536)


@pytest.mark.long
async def test_a_passphrase_from_standard_input(nodes: Nodes, tmp_path: Path) -> None:
    typed = tmp_path / "typed"
    typed.write_text("open sesame\n")
    with typed.open() as stdin:
        node = nodes.start("--hsm-passphrase", name="l1", stdin=stdin)
    assert node.stop() == 0
    refused = nodes.begin(name="l1")
    await refused.logged("hsm_secret has a passphrase: start with --hsm-passphrase")
    nodes.expect_end(refused)
    typed.write_text("open barley\n")
    with typed.open() as stdin:
        wrong = nodes.begin("--hsm-passphrase", name="l1", stdin=stdin)
    await wrong.logged("wrong passphrase for ")
    nodes.expect_end(wrong)
    typed.write_text("open sesame\n")
    with typed.open() as stdin:
        again = nodes.start("--hsm-passphrase", name="l1", stdin=stdin)
    assert again.node_id == node.node_id
