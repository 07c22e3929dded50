"""Nodes whose peer storage is kept are not on the direct path, as long as it is: connectd is told."""

from tests.lightningd_py.bus_services import BusServices
from tests.lightningd_py.table import ID, NODE
from wire.control.control_wire import ChangeNodeRegistrations
from wire.features import Features


async def test_kept_nodes(bus: BusServices) -> None:
    bus.kept[ID] = None
    bus.news.tell_nodes([ID])
    assert bus.connectd.take() == [ChangeNodeRegistrations([ID], [])]
    await bus.service(node_ids=[ID, NODE])
    assert bus.connectd.take() == [ChangeNodeRegistrations([NODE], [])]
    del bus.kept[ID]
    bus.news.tell_nodes([ID])
    assert bus.connectd.take() == [], "a service wants it, too"
    bus.kept[ID] = None
    bus.news.fresh_connectd(Features())
    assert ID in next(each for each in bus.connectd.take() if isinstance(each, ChangeNodeRegistrations)).added
