"""RPC about services; rules of services beside those of the operator; options that name services."""

from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.config.options import parse
from lightningd_py.config.values import Service
from lightningd_py.errors import UsageError
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.peer_requests import PeerRequests
from lightningd_py.rpc.methods.service_commands import ServiceCommands
from lightningd_py.rpc.params import RpcError
from tests.lightningd_py.bus_services import BusServices
from tests.lightningd_py.ownership_among_fakes import CHANNEL
from tests.lightningd_py.table import ID, NODE, Table
from wire.bus.bus_wire import BusChannel, Register
from wire.control.control_wire import Disconnect, SetAccess
from wire.control.timing import Timing


class Rpc:
    """The methods, called as a client does."""

    def __init__(self, bus: BusServices, *, waits_for: list[str]) -> None:
        opening: Any = SimpleNamespace(waits_for=waits_for)
        nothing: Any = None
        requests = PeerRequests(bus.ownership, nothing, nothing, Timing())
        self.server = RpcServer(ServiceCommands(bus.ownership, requests, opening).all())

    async def __call__(self, method: str, **params: object) -> Any:
        return await self.server.call(method, params)

    async def refused(self, method: str, **params: object) -> str:
        with pytest.raises(RpcError) as error:
            await self.server.call(method, params)
        return error.value.message


async def test_listservices(bus: BusServices) -> None:
    await bus.service(
        node_ids=[ID],
        channels=[BusChannel(CHANNEL, NODE, 1 << 40), BusChannel(CHANNEL[::-1], NODE)],
        take=[33],
        copy=[40_001],
        offer=["option_quiesce"],
        allow=["1.2.3.4"],
        deny=["all"],
    )
    listed = await Rpc(bus, waits_for=["lsp"])("listservices")
    assert listed["waits_for"] == ["lsp"]
    program, service = listed["services"]
    assert (program["service"], program["kind"], program["here"]) == ("s", "program", True)
    assert program["take"] == ["open_channel"]
    assert service == {
        "service": "bus",
        "kind": "bus",
        "here": True,
        "node_ids": [ID.hex()],
        "channels": [
            {"channel_id": CHANNEL.hex(), "id": NODE.hex(), "short_channel_id": "1x0x0"},
            {"channel_id": CHANNEL[::-1].hex(), "id": NODE.hex()},
        ],
        "take": ["accept_channel"],
        "copy": ["40001"],
        "offer": ["option_quiesce/odd"],
        "allow": ["1.2.3.4/32"],
        "deny": ["all"],
        "onion_messages": [],
    }
    assert "waits_for" not in await Rpc(bus, waits_for=[])("listservices")


async def test_takepeer(bus: BusServices) -> None:
    """For a bus service as for a program; not for one that is away, and not what a service has."""
    rpc = Rpc(bus, waits_for=[])
    await bus.service(take=[33], present=False)
    bus.taken(node_id=ID)
    assert await rpc.refused("takepeer", service="bus", id=ID.hex()) == "Service bus is not here"
    assert "no service 'x'" in await rpc.refused("takepeer", service="x", id=ID.hex())
    bus.presence(here=True)
    assert await rpc.refused("takepeer", service="bus", id=NODE.hex()) == "Peer not connected"
    assert await rpc("takepeer", service="bus", id=ID.hex()) == {}
    bus.released()
    bus.taken_by_bus()
    assert await rpc.refused("takepeer", service="bus", id=ID.hex()) == "the connection is bus's"


async def test_forgetservice(bus: BusServices) -> None:
    rpc = Rpc(bus, waits_for=[])
    await bus.service(node_ids=[ID])
    assert "no bus service bus that is away" in await rpc.refused("forgetservice", service="bus")
    bus.registrations.leave("bus", "")
    assert await rpc("forgetservice", service="bus") == {}
    assert [entry.service for entry in bus.registrations.entries()] == ["s"]


async def test_rules_of_services_and_of_the_operator(bus: BusServices, table: Table) -> None:
    """A service's rules end what is connected, as a ban does; an allow rule goes before each of the others."""
    said: list[Any] = []
    access = AccessControl(
        table.database, bus.ownership, ("1.1.1.0/24",), ("with:gossip_queries",), said.append, bus.registrations.rules
    )
    bus.taken(1, ID)
    bus.taken(2, NODE)
    bus.registrations.arrive("bus")
    bus.registrations.register("bus", Register(allow=[NODE.hex()], deny=["127.0.0.0/8"]))
    bus.gossipd.take()
    access.put_in_force()
    assert said == [
        SetAccess(
            [("1.1.1.0/24", "", None), (NODE.hex(), "", None)],
            [("127.0.0.0/8", "by service bus", None), ("with:gossip_queries", "by --deny", None)],
        )
    ]
    assert bus.gossipd.take() == [Disconnect(ID, 1, [], "refused: 127.0.0.0/8, by service bus")]
    bus.registrations.leave("bus", "")
    access.put_in_force()
    assert said[-1].deny == [("with:gossip_queries", "by --deny", None)]


# options


def test_require_service() -> None:
    assert parse(["--regtest", "--require-service=lsp", "--require-service=b.2"]).require_service == ("lsp", "b.2")


@pytest.mark.parametrize(
    "option",
    [
        "--require-service=gossipd",
        "--service=master=program",
        "--service=Upper=program",
        "--require-service=" + "a" * 33,
    ],
)
def test_names_that_no_service_may_have(option: str) -> None:
    with pytest.raises(UsageError, match=r"is the name of a daemon|is no name of a service"):
        parse(["--regtest", option])


def test_what_the_operator_has_decided() -> None:
    options = parse(
        [
            "--regtest",
            "--feature=option_quiesce",
            "--disable-feature=gossip_queries_ex",
            "--service=a=b",
            "--offer=a=43",
        ]
    )
    assert options.fixed_features == {34, 10}
    registrations = Registrations([Service("a", ("b",))], offer=options.offer)
    registrations.base_features, registrations.fixed_features = options.features, options.fixed_features
    assert registrations.features == options.features
    registrations.arrive("bus")
    registrations.register("bus", Register(offer=["option_quiesce/even", "gossip_queries_ex", "option_splice"]))
    assert set(registrations.features.bits()) == {*options.features.bits(), 63}
