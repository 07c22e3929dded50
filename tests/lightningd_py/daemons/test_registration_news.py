"""What connectd, gossipd, programs and the access rules are told when services register, come and go."""

from typing import Any

from lightningd_py.daemons.gossip_control import GossipControl
from lightningd_py.news.topics import Topics
from tests.lightningd_py.bus_services import BusServices
from tests.lightningd_py.ownership_among_fakes import CHANNEL, PRIVILEGED, said
from tests.lightningd_py.table import ID, NODE
from wire.bus.bus_wire import BusChannel, Register, Unregister
from wire.control.control_wire import (
    ChangeLocalChannels,
    ChangeNodeRegistrations,
    FeaturesChanged,
    LocalChannel,
    RemoteChannelUpdate,
    SetFeatures,
    SetMessageRoutes,
)
from wire.features import Features


async def test_nodes(bus: BusServices) -> None:
    """Those of services that are away stay; what is known is not said again."""
    await bus.service(node_ids=[ID], channels=[BusChannel(CHANNEL, NODE)])
    assert bus.connectd.take() == [ChangeNodeRegistrations([ID, NODE], [])]
    assert bus.looked_at == [[PRIVILEGED], [], [ID, NODE], [ID, NODE]]
    bus.registrations.register("bus", Register(node_ids=[NODE]))
    bus.registrations.leave("bus", "")
    assert bus.connectd.take() == []
    assert not bus.registrations.is_to_stay(ID)
    bus.registrations.arrive("bus")
    bus.registrations.unregister("bus", Unregister(node_ids=[ID, NODE], channel_ids=[CHANNEL]))
    assert bus.connectd.take() == [ChangeNodeRegistrations([], [ID, NODE])]


async def test_features(bus: BusServices) -> None:
    """Offered while it is here, withdrawn when it leaves."""
    await bus.service(offer=["option_provide_storage"], copy=[7, 9], present=False)
    offered = Features.of([43]).to_bytes()
    assert bus.connectd.take() == [SetFeatures(offered)]
    assert bus.gossipd.take() == [FeaturesChanged(offered), SetMessageRoutes([(7, "copy"), (9, "copy"), (32, "take")])]
    bus.registrations.leave("bus", "")
    assert bus.connectd.take() == [SetFeatures(b"")]
    assert bus.gossipd.take() == [FeaturesChanged(b""), SetMessageRoutes([(32, "take")])]


async def test_rules(bus: BusServices) -> None:
    await bus.service(deny=["10.0.0.0/8"])
    assert bus.rules_put_in_force == 1
    bus.registrations.register("bus", Register(take=[33]))
    assert bus.rules_put_in_force == 1
    bus.registrations.leave("bus", "")
    assert bus.rules_put_in_force == 2


async def test_running_programs_hear_of_routes(bus: BusServices) -> None:
    _, program, _ = bus.with_program()
    await bus.service(take=[33])
    assert said(program.channel) == [SetMessageRoutes([(32, "take"), (33, "take")])]


async def test_local_channels_and_what_their_peers_say(bus: BusServices) -> None:
    """gossipd knows them while the service is away, too; an update goes to the service of the channel."""
    await bus.service(channels=[BusChannel(CHANNEL, ID, 7), BusChannel(bytes([1]) * 32, ID)])
    assert ChangeLocalChannels([LocalChannel(7, ID, "bus")], []) in bus.gossipd.take()
    bus.registrations.leave("bus", "")
    assert not any(isinstance(told, ChangeLocalChannels) for told in bus.gossipd.take())
    heard: list[tuple[str, RemoteChannelUpdate]] = []
    bus.registrations.remote_update_to = lambda service, message: heard.append((service, message))
    nothing: Any = None
    update = RemoteChannelUpdate(ID, 7, "bus", b"update")
    GossipControl(bus.ownership, nothing, nothing, Topics()).received(update, nothing)
    assert heard == [("bus", update)]


async def test_what_is_fresh_is_told_all(bus: BusServices) -> None:
    """And what has changed since its first request."""
    await bus.service(node_ids=[ID], channels=[BusChannel(CHANNEL, NODE, 7)], offer=["option_provide_storage"])
    features = bus.registrations.features
    bus.connectd.take(), bus.gossipd.take()
    bus.news.fresh_gossipd(features)
    local, routes = bus.gossipd.take()
    assert isinstance(routes, SetMessageRoutes)
    assert local == ChangeLocalChannels([LocalChannel(7, NODE, "bus")], [])
    bus.news.fresh_connectd(features)
    assert bus.connectd.take() == [ChangeNodeRegistrations([PRIVILEGED, ID, NODE], [])]
    bus.news.fresh_connectd(Features())
    assert SetFeatures(features.to_bytes()) in bus.connectd.take()
