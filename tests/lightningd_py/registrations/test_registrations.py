"""Who wants what: sessions of bus services, what is kept, whose a message or node is, and the options' programs."""

import sqlite3

import pytest

from lightningd_py.config.values import Offered, Service, Wanted
from lightningd_py.errors import NotSaved
from lightningd_py.registrations import registrations
from lightningd_py.registrations.registered import Refused
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.registrations.store import RegistrationStore
from tests.lightningd_py.table import CHANNEL, CHANNEL_2, ID, NODE, OTHER, PROGRAM, PROGRAMS, Open, Table
from wire.bus.bus_wire import BusChannel, Register, Unregister
from wire.control.control_wire import LocalChannel
from wire.features import Features, default_init_features

# sessions


def test_it_comes_and_goes(table: Table) -> None:
    ticket = table.arrive("s")
    assert len(ticket) == 16
    assert table.kept("s") == ([], [])
    with pytest.raises(Refused, match="service s is here already"):
        table.arrive("s")
    table.leave("s", "goodbye")
    assert table.named("s") is None
    assert table.arrive("s") != ticket
    assert table.changes == ["s"] * 3


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("program", "service program is a program"),
        ("gossipd", "'gossipd' is the name of a daemon"),
        ("master", "is the name of a daemon"),
        *((name, "is no name of a service") for name in ("", "A", "-a", "a" * 33, "a b", "ä", "a\n")),
    ],
)
def test_names_that_cannot_be(table: Table, name: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        table.arrive(name)
    assert table.changes == []


def test_presence(table: Table) -> None:
    """On MSG, too. Late words about a session that has ended mean nothing."""
    table.present("s", True)
    service = table.service(take=[32], node_ids=[NODE], present=False)
    assert (service.here, table.for_message(32, None, ID)) == (False, None)
    table.present("s", True)
    assert service.here
    assert table.for_message(32, None, ID) is service
    table.leave("s", "it is gone")
    table.present("s", True)
    assert not service.present


def test_there_is_a_bound_to_services(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "MOST_SERVICES", 2)
    table.service("a", node_ids=[NODE])
    table.leave("a", "")
    table.arrive("b")
    with pytest.raises(Refused, match="2 services are the most that there may be"):
        table.arrive("c")
    table.leave("b", "")
    table.arrive("c")
    table.arrive("a")


# kept


def test_nodes_and_channels_outlast_session_and_restart(table: Table, open_table: Open) -> None:
    channels = [BusChannel(CHANNEL, ID, (1 << 64) - 1), BusChannel(CHANNEL_2, ID)]
    table.service(node_ids=[NODE, OTHER], channels=channels, take=[32], copy=[513], offer=["option_quiesce"])
    table.register("s", Register(deny=["all"]))
    table.unregister("s", Unregister(node_ids=[OTHER]))
    table.leave("s", "goodbye")
    (_, away) = table.entries()
    assert (away.here, away.node_ids, away.channels) == (False, [NODE], channels)
    assert (away.take, away.copy, away.offer, away.deny) == ([], [], [], [])
    again = open_table()
    assert again.entries()[1] == away
    again.arrive("s")
    assert again.kept("s") == ([NODE], channels)


def test_a_program_has_what_was_kept_for_a_bus_service(table: Table, open_table: Open) -> None:
    """The operator decides: what is the options' is not the services'."""
    store = RegistrationStore(table.database)
    store.add("s", [PROGRAMS], [BusChannel(CHANNEL, PROGRAMS)])
    store.add("program", [NODE], [])
    table = open_table()
    assert [entry.service for entry in table.entries()] == ["program"]
    assert table.node_ids == [PROGRAMS]


async def test_what_cannot_be_written_is_said_to_have_failed(
    table: Table, open_table: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service hears so, and it is written whole as soon as it can be."""
    monkeypatch.setattr(table.database._writer, "_patience", 0.1)
    holder = sqlite3.connect(table.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    table.service(node_ids=[NODE], channels=[BusChannel(CHANNEL, NODE)])
    with pytest.raises(NotSaved, match=r"it is in force, and waits to be written: .* is held by another process"):
        await table.saved()
    monkeypatch.undo()
    holder.execute("ROLLBACK")
    holder.close()
    await table.saved()
    table.leave("s", "")
    again = open_table()
    again.arrive("s")
    assert again.kept("s") == ([NODE], [BusChannel(CHANNEL, NODE)])


def test_forgetting_a_service_that_never_comes_back(table: Table, open_table: Open) -> None:
    table.service(node_ids=[NODE])
    with pytest.raises(Refused, match="no bus service s that is away"):
        table.forget("s")
    table.leave("s", "")
    table.forget("s")
    for name in ("s", "program"):
        with pytest.raises(Refused, match=f"no bus service {name} that is away"):
            table.forget(name)
    assert [entry.service for entry in open_table().entries()] == ["program"]


# whose it is


def test_whose_a_message_is(table: Table) -> None:
    """By its channel, then the type of an opening, then the node, then its type."""
    with_channel = table.service("with-channel", channels=[BusChannel(CHANNEL, ID)])
    with_node = table.service("with-node", node_ids=[ID])
    with_types = table.service("with-types", take=[32, 136, 40_001])
    assert table.for_message(136, CHANNEL, ID) is with_channel
    assert table.for_message(136, CHANNEL_2, ID) is with_node
    assert table.for_message(136, CHANNEL, OTHER) is with_types, "a channel of another node's is no service's"
    assert table.for_message(32, CHANNEL_2, ID) is with_types
    assert table.for_message(64, CHANNEL_2, ID) is with_node
    assert table.for_message(40_001, None, ID) is with_types
    assert table.for_message(40_003, None, ID) is None
    assert table.for_message(38, None, NODE) is None


def test_away(table: Table) -> None:
    """Channel messages of its nodes are its own still; its types are no service's."""
    service = table.service(node_ids=[ID], channels=[BusChannel(CHANNEL, NODE)], take=[32, 40_001])
    table.leave("s", "")
    assert table.for_message(136, None, ID) is service
    assert table.for_message(136, CHANNEL, NODE) is service
    assert table.for_message(136, CHANNEL_2, NODE) is service, "the channel's node is its own"
    assert table.for_message(32, CHANNEL, OTHER) is None
    assert table.for_message(40_001, None, ID) is None
    assert table.routes() == [(513, "copy"), (33, "take")]
    assert table.node_ids == [PROGRAMS, ID, NODE]


def test_whose_a_node_is(table: Table) -> None:
    """Who has registered it; of those with a channel one that is present."""
    first = table.service("first", channels=[BusChannel(CHANNEL, ID)])
    second = table.service("second", channels=[BusChannel(CHANNEL_2, ID)])
    assert table.for_node(ID) is first
    assert table.for_node(NODE) is None
    table.present("first", False)
    assert table.for_node(ID) is second
    owner = table.service("owner", node_ids=[ID])
    assert table.for_node(ID) is owner
    assert table.concerned(ID) == [owner, first, second]
    assert table.for_node(PROGRAMS) is table.named("program")


def test_routes_copies_and_local_channels(table: Table) -> None:
    """To take goes before to copy; channel messages come to the master in any case."""
    service = table.service(
        take=[40_001], copy=[513, 33, 40_001, 40_003], channels=[BusChannel(CHANNEL, ID, 7), BusChannel(CHANNEL_2, ID)]
    )
    assert table.routes() == [(513, "copy"), (40_003, "copy"), (33, "take"), (40_001, "take")]
    assert table.for_copies(513) == [table.named("program"), service]
    assert (table.local_scids, table.local_channel(7)) == ([7], LocalChannel(7, ID, "s"))
    assert table.local_channel(8) is None


def test_features_while_it_is_here(table: Table) -> None:
    """One that takes nothing is here without MSG; an even bit stands alone; the operator has the last word."""
    base = set(default_init_features().bits())
    table.fixed_features = frozenset({34})
    service = table.service(offer=["option_provide_storage", "option_quiesce", "gossip_queries/even"], present=False)
    assert table.features == Features.of(base - {7} | {6, 43})
    table.register("s", Register(take=[32]))
    assert not service.here
    assert table.features == Features.of({*base, 43})


def test_rules(table: Table) -> None:
    table.service(allow=["1.2.3.4"], deny=["ALL"])
    allow, deny = table.rules()
    assert [(rule.what, rule.reason) for rule in (*allow, *deny)] == [("1.2.3.4/32", ""), ("all", "by service s")]
    table.leave("s", "")
    assert table.rules() == ([], [])


# what follows from it


def test_what_is_wanted_now(table: Table) -> None:
    """When it is present, all its nodes; later those that it did not have."""
    table.service(node_ids=[NODE], channels=[BusChannel(CHANNEL, ID)], present=False)
    assert table.wanted == []
    table.present("s", True)
    assert table.wanted.pop() == ("s", [NODE, ID])
    table.register("s", Register(node_ids=[NODE, ID], take=[32]))
    assert table.wanted == []
    table.register("s", Register(channels=[BusChannel(CHANNEL_2, OTHER)]))
    assert table.wanted == [("s", [OTHER])]


def test_ready(table: Table) -> None:
    """A program always; a bus service that has registered something, and is on MSG if that brings it connections."""
    assert table.is_ready("program")
    assert not table.is_ready("s")
    table.arrive("s")
    table.present("s", True)
    assert not table.is_ready("s")
    table.present("s", False)
    table.register("s", Register(copy=[513]))
    assert table.is_ready("s")
    table.register("s", Register(take=[32]))
    assert not table.is_ready("s")
    table.present("s", True)
    assert table.is_ready("s")


# the options


def test_of_programs_the_first_one_gets_it() -> None:
    a, b = Service("a", ("a-program",)), Service("b", ("b-program", "word"))
    take = [Wanted("b", (32,), (NODE,)), Wanted("a", (32, 33), (NODE, OTHER))]
    table = Registrations([a, b], take)
    program_a, program_b = table
    assert (program_a.program, program_b.program) == (a, b)
    assert table.for_message(32, None, ID) is program_b
    assert table.for_message(33, None, ID) is program_a
    assert (table.for_node(NODE), table.for_node(OTHER)) == (program_b, program_a)
    assert sorted(table.node_ids) == sorted([NODE, OTHER])
    assert (table.named("b"), table.named("c")) == (program_b, None)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (([Wanted("c", (32,), ())], [], []), "there is no --service c"),
        (([], [Wanted("c", (32,), ())], []), "there is no --service c"),
        (([], [], [Offered("c", (43,))]), "there is no --service c"),
        (([], [Wanted("program", (), (NODE,))], []), "--copy program: copies go by message"),
        (([Wanted("program", (18,), ())], [], []), r"message 18 \(ping\) cannot be registered"),
        (([], [Wanted("program", (256,), ())], []), "cannot be registered"),
    ],
)
def test_options_that_cannot_be(parts: tuple[list[Wanted], list[Wanted], list[Offered]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Registrations([PROGRAM], *parts)


def test_none_at_all() -> None:
    table = Registrations()
    assert (table.routes(), table.node_ids, table.entries()) == ([], [], [])
    assert table.for_message(32, None, ID) is None
