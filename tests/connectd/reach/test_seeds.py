"""DNS seeds: what is made of their answers, and of those of servers that are none. BOLT 10."""

import os
import struct
from collections.abc import Callable

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectd.reach import seeds
from connectd.reach.seeds import ALIAS, MAX_RECORDS, Candidate, Seeds, node_id_of
from tests.connectd.connectd_process import ConnectdProcess
from tests.connectd.dns_server import DnsServer, label_of
from wire.address import parse_address
from wire.control.control_wire import Bootstrap, BootstrapReply, Ways

SEED = "seed.example"
SRV = (f"{ALIAS}.{SEED}", "SRV")
LABELS = {
    "ln1qwktpe6jxltmpphyl578eax6fcjc2m807qalr76a5gfmx7k9qqfjwy4mctz": "03acb0e7",
    "ln1qv2w3tledmzczw227nnkqrrltvmydl8gu4w4d70g9td7avke6nmz2tdefqp": "0314e8af",
    "ln1qtynyymv99pqf0r9cuexvvqtxrlgejuecf8myfsa96vcpflgll5cqmr2xsu": "02c93213",
    "ln1qdfvlysfpyh96apy3w3qdwlu8jjkdhnuxa689ka540tnde6gnx86cf7ga2d": "0352cf92",
    "ln1qwf789tlcpe4n34649xrqllxt97whsvfk5pm07ggqms3vrjwdj3cu6332zs": "0393e395",
}
"""Those of BOLT 10's examples, and how their ids begin."""
FIRST, SECOND, *_ = LABELS
FIRST_ID, SECOND_ID = (node_id_of(label) for label in (FIRST, SECOND))

Answer = tuple[list[Candidate], list[tuple[str, str]]]
"""Nodes, and (seed, reason) for each seed that gave none."""


def test_the_specs_host_names() -> None:
    for label, start in LABELS.items():
        assert node_id_of(label).hex().startswith(start)
        assert node_id_of(label.upper()) == node_id_of(label)
        assert label_of(node_id_of(label)) == label


@given(st.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio-", max_size=70))
@example("")
@example("ln1")
@example("lnbc1" + FIRST[3:])
@example(FIRST[:-1])
@example(FIRST[:-1] + "q")
@example(FIRST + "q")
def test_no_other_text_is_a_node_id(label: str) -> None:
    if label not in LABELS:
        with pytest.raises(ValueError, match="is no node id"):
            node_id_of(label)


def srv(*labels: str, port: int = 9735, seed: str = SEED) -> list[str]:
    return [f"10 10 {port} {label}.{seed}." for label in labels]


async def ask(server: DnsServer, *seeds: str, local: bool = False, time: float = 5.0) -> Answer:
    asking = Seeds(parse_address(server.address, 53), routable_only=not local, time=time)
    return await asking.ask(seeds or [SEED])


@pytest.mark.bolt("B10-107")
async def test_nodes_with_addresses_that_are_asked_for() -> None:
    zone = {
        SRV: srv(FIRST, SECOND),
        (f"{FIRST}.{SEED}", "A"): ["8.8.8.8"],
        (f"{SECOND}.{SEED}", "A"): ["8.8.4.4"],
        (f"{SECOND}.{SEED}", "AAAA"): ["2001:4860:4860::8844"],
    }
    async with DnsServer(zone).running() as server:
        found, failed = await ask(server)
    assert sorted(found) == sorted([(FIRST_ID, "8.8.8.8:9735"), (SECOND_ID, "[2001:4860:4860::8844]:9735")])
    assert failed == []


@pytest.mark.parametrize(("rdclass", "data"), [(3, b"\0\0\7"), (4, bytes([8, 8, 8, 8])), (254, bytes([8, 8, 8, 8]))])
def test_an_address_of_another_class_is_none(rdclass: int, data: bytes) -> None:
    """Found by atheris: such an A record has no address, or a number for one, and connectd ended over it."""
    name = dns.name.from_text(f"{FIRST}.{SEED}.")
    answer = dns.message.make_response(dns.message.make_query(f"{ALIAS}.{SEED}", "SRV"))
    answer.answer = [dns.rrset.from_text(f"{ALIAS}.{SEED}.", 60, "IN", "SRV", f"1 1 9735 {name}")]
    name_in_wire = name.to_wire()
    assert name_in_wire is not None
    wire = answer.to_wire() + name_in_wire + struct.pack(">HHIH", 1, rdclass, 60, len(data)) + data
    counted = wire[:10] + b"\0\1" + wire[12:]
    heard = dns.message.from_wire(counted)
    found = dns.resolver.Answer(heard.question[0].name, dns.rdatatype.SRV, dns.rdataclass.IN, heard)  # type: ignore[arg-type]
    assert len(heard.additional) == 1 and seeds._additional(found, name) == []


async def test_addresses_that_come_along_are_not_asked_for() -> None:
    server = DnsServer({SRV: srv(FIRST, port=7)})
    server.additional = [(f"{FIRST}.{SEED}", "A", "8.8.8.8"), (f"{SECOND}.{SEED}", "A", "8.8.4.4")]
    async with server.running():
        assert await ask(server) == ([(FIRST_ID, "8.8.8.8:7")], [])
    assert not any(FIRST in question for question in server.asked)


async def test_an_answer_too_long_for_udp() -> None:
    server = DnsServer({SRV: srv(*LABELS), **{(f"{label}.{SEED}", "A"): ["8.8.8.8"] for label in LABELS}})
    server.truncate = True
    async with server.running():
        found, _ = await ask(server)
    assert len(found) == len(LABELS)
    assert any(question.endswith("by TCP") for question in server.asked)


async def test_several_seeds_each_node_once() -> None:
    zone = {
        SRV: srv(FIRST),
        (f"{ALIAS}.other.example", "SRV"): srv(FIRST, SECOND, seed="other.example"),
        (f"{FIRST}.{SEED}", "A"): ["8.8.8.8"],
        (f"{FIRST}.other.example", "A"): ["8.8.8.9"],
        (f"{SECOND}.other.example", "A"): ["8.8.4.4"],
    }
    async with DnsServer(zone).running() as server:
        found, failed = await ask(server, SEED, "nowhere.example", "Other.Example.")
    assert found == [(FIRST_ID, "8.8.8.8:9735"), (SECOND_ID, "8.8.4.4:9735")]
    assert failed == [("nowhere.example", "there is no such seed")]


@pytest.mark.bolt("B10-108")
async def test_what_is_passed_over() -> None:
    records = [
        *srv(FIRST, seed="elsewhere.example"),
        *srv("www", FIRST[:-1]),
        *srv(FIRST, port=0),
        *srv(SECOND),
        f"10 10 9735 {SEED}.",
        "0 0 0 .",
    ]
    zone = {SRV: records, (f"{SECOND}.{SEED}", "A"): ["10.0.0.1", "127.0.0.1"]}
    async with DnsServer(zone).running() as server:
        assert await ask(server) == ([], [(SEED, f"{len(records)} records, and none leads to a node")])
        ((node_id, address),) = (await ask(server, local=True))[0]
        assert (node_id, address in ("10.0.0.1:9735", "127.0.0.1:9735")) == (SECOND_ID, True)


async def test_a_resolver_that_answers_everything_is_not_believed() -> None:
    server = DnsServer({SRV: srv(FIRST, SECOND), (f"{SECOND}.{SEED}", "A"): ["8.8.4.4"]})
    server.everything = "8.8.8.8"
    async with server.running():
        assert await ask(server) == ([(SECOND_ID, "8.8.4.4:9735")], [])


async def test_a_seed_of_a_thousand_records_is_bounded() -> None:
    labels = [f"{number}" for number in range(1000)]
    server = DnsServer({SRV: srv(*labels)})
    server.truncate = True
    async with server.running():
        assert await ask(server) == ([], [(SEED, "1000 records, and none leads to a node")])
        assert len(server.asked) < 2 * MAX_RECORDS + 10


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda reply: None, "no answer"),
        (lambda reply: b"", "no answer"),
        (lambda reply: os.urandom(20), "no answer"),
        (lambda reply: reply[:2] + bytes([reply[2], reply[3] & 0xF0 | 2]) + reply[4:], ""),
        (lambda reply: reply[:2] + bytes([reply[2], reply[3] & 0xF0 | 5]) + reply[4:], ""),
        (lambda reply: reply[:-3], ""),
    ],
)
async def test_servers_that_are_none(spoil: Callable[[bytes], bytes | None], reason: str) -> None:
    server = DnsServer({SRV: srv(FIRST)})
    server.spoil = spoil
    async with server.running():
        found, ((seed, why),) = await ask(server, time=0.3)
    assert (found, seed) == ([], SEED)
    assert reason in why


async def test_a_seed_that_names_no_nodes() -> None:
    async with DnsServer({(SRV[0], "TXT"): ["x"]}).running() as server:
        assert await ask(server) == ([], [(SEED, "it names no nodes")])


async def test_connectd_asks_for_the_master(new_connectd: Callable[[], ConnectdProcess]) -> None:
    async with DnsServer({SRV: srv(FIRST), (f"{FIRST}.{SEED}", "A"): ["127.0.0.1"]}).running() as server:
        for ways, wanted in (
            (Ways(None, False, True), ([(FIRST_ID, "127.0.0.1:9735")], [])),
            (Ways(None, False, False), ([], [(SEED, "DNS is disabled")])),
            (Ways("127.0.0.1:1", True, True), ([], [(SEED, "DNS is disabled")])),
        ):
            connectd = new_connectd()
            await connectd.start(ways=ways)
            reply = await connectd.master.request(Bootstrap([SEED], server.address), BootstrapReply)
            assert (reply.candidates, reply.errors) == wanted
    assert server.asked.count(" ".join((SRV[0], "SRV"))) == 1
