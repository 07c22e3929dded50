"""What a bus service may register and take back, and how much of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightningd_py.registrations import registered, registrations
from lightningd_py.registrations.registered import Refused
from lightningd_py.registrations.registrations import Registrations
from tests.lightningd_py.table import CHANNEL, CHANNEL_2, ID, NODE, OTHER, OWN, PROGRAMS, Table
from wire.bus.bus_wire import BusChannel, Register, Unregister


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Register(node_ids=[PROGRAMS]), f"node {PROGRAMS.hex()} is program's"),
        (Register(node_ids=[OTHER]), f"node {OTHER.hex()} is first's"),
        (Register(channels=[BusChannel(CHANNEL_2, PROGRAMS)]), f"node {PROGRAMS.hex()} is program's"),
        (Register(channels=[BusChannel(CHANNEL, NODE)]), f"channel {CHANNEL.hex()} is first's"),
        (Register(channels=[BusChannel(CHANNEL_2, NODE, 7)]), "short_channel_id 7 is first's"),
        (Register(take=[33]), r"message 33 \(accept_channel\) is program's"),
        (Register(take=[32]), r"message 32 \(open_channel\) is first's"),
        (Register(node_ids=[OWN]), "this node's own id cannot be registered"),
        (Register(channels=[BusChannel(CHANNEL_2, OWN)]), "this node's own id cannot be registered"),
        (Register(node_ids=[b"\2" * 33 + b"x"]), "is no node id"),
        (Register(node_ids=[b""]), "nothing is no node id"),
        (Register(node_ids=[b"\2" + b"\0" * 32]), "is no node id"),
        (Register(channels=[BusChannel(b"short", NODE)]), "73686f7274 is no channel_id"),
        (Register(channels=[BusChannel(bytes(32), NODE)]), "is no channel_id"),
        *(
            (Register(**{how: [number]}), "cannot be registered")  # type: ignore[arg-type]
            for how in ("take", "copy")
            for number in (1, 16, 17, 18, 19, 256, 257, 258, 261, 265)
        ),
        (Register(take=[1 << 16]), "65536 is no message type"),
        (Register(offer=["option_nonsense"]), "'option_nonsense' is no feature"),
        (Register(offer=["option_zeroconf"]), "offer: option_zeroconf needs option_scid_alias"),
        (Register(allow=["nobody knows"]), "'nobody knows' is no node id, address"),
        (Register(deny=["with:nothing"]), "'with:nothing' names no feature"),
    ],
)
def test_what_cannot_be_registered(table: Table, asked: Register, why: str) -> None:
    """All or nothing: the rest of it is not registered, either."""
    table.service("first", take=[32], node_ids=[OTHER], channels=[BusChannel(CHANNEL, ID, 7)])
    service = table.service()
    before = service.entry()
    changes = list(table.changes)
    asked.copy, asked.node_ids = [*asked.copy, 40_001], [*asked.node_ids, ID]
    with pytest.raises(Refused, match=why):
        table.register("s", asked)
    assert service.entry() == before
    assert table.changes == changes


WORDS = st.one_of(
    st.text(max_size=100),
    st.from_regex(
        r"(with:|without:|all|option_|0[23][0-9a-f]{60,66}|[0-9.:/\\[\\]a-f]{1,20}|[0-9]{1,6})(/odd|/even|/3)?",
        fullmatch=True,
    ),
)


@given(
    st.builds(
        Register,
        node_ids=st.lists(st.sampled_from([ID, NODE]) | st.binary(max_size=40), max_size=2),
        channels=st.lists(
            st.builds(BusChannel, st.just(CHANNEL) | st.binary(max_size=33), st.just(ID), st.none() | st.integers(0)),
            max_size=2,
        ),
        take=st.lists(st.integers(32, 70_000), max_size=2),
        copy=st.lists(st.integers(0, 1 << 16), max_size=1),
        offer=st.lists(WORDS, max_size=1),
        allow=st.lists(WORDS, max_size=1),
        deny=st.lists(WORDS, max_size=1),
    )
)
@settings(max_examples=300)
def test_whatever_is_asked_is_done_or_refused_in_a_sentence(asked: Register) -> None:
    """What was registered can be taken back in the same words."""
    table = Registrations()
    table.arrive("s")
    service = table.named("s")
    assert service is not None
    try:
        table.register("s", asked)
    except Refused as refused:
        assert str(refused)
    else:
        channel_ids = [channel.channel_id for channel in asked.channels]
        parts = (asked.take, asked.copy, asked.offer, asked.allow, asked.deny)
        table.unregister("s", Unregister(asked.node_ids, channel_ids, *parts))
        assert table.routes() == []
        assert table.rules() == ([], [])
    assert not service.takes
    assert service.entry().offer == []


@pytest.mark.parametrize(
    ("bound", "asked", "why"),
    [
        (
            "MOST_OF_ONE_SERVICE",
            Register(channels=[BusChannel(CHANNEL, ID)], node_ids=[ID, OTHER]),
            "4 nodes and channels",
        ),
        ("MOST_RULES", Register(allow=["1.1.1.1", "1.1.1.2"], deny=["all", "1.2.3.4"]), "4 rules"),
        ("MOST_OFFERED", Register(offer=["4001", "4003", "4005", "4007"]), "4 features"),
    ],
)
def test_bounds_of_one_service(
    table: Table, monkeypatch: pytest.MonkeyPatch, bound: str, asked: Register, why: str
) -> None:
    monkeypatch.setattr(registered, bound, 3)
    service = table.service(node_ids=[NODE])
    before = service.entry()
    with pytest.raises(Refused, match=f"{why} are too many for one service, 3 may be"):
        table.register("s", asked)
    assert service.entry() == before


def test_bound_of_all(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered already is not counted twice. A few of each service find room, whatever the others have."""
    monkeypatch.setattr(registrations, "MOST_OF_ALL_SERVICES", 3)
    monkeypatch.setattr(registrations, "FOR_EACH_SERVICE", 1)
    table.service("a", node_ids=[NODE], channels=[BusChannel(CHANNEL, NODE)])  # and one is the program's
    table.register("a", Register(node_ids=[NODE], channels=[BusChannel(CHANNEL, NODE)]))
    table.arrive("b")
    table.register("b", Register(node_ids=[ID]))
    with pytest.raises(Refused, match="3 nodes and channels of all services are the most"):
        table.register("b", Register(node_ids=[OTHER]))


def test_taking_back(table: Table) -> None:
    """In any spelling; what is not there is no error."""
    table.service(
        node_ids=[NODE],
        channels=[BusChannel(CHANNEL, ID)],
        take=[32],
        copy=[7, 9],
        offer=["option_provide_storage"],
        allow=["10.1.2.3/8"],
        deny=["ALL"],
    )
    table.unregister(
        "s",
        Unregister(
            node_ids=[NODE, OTHER],
            channel_ids=[CHANNEL, CHANNEL_2],
            take=[32, 34],
            copy=[7],
            offer=["43"],
            allow=["10.0.0.0/8"],
            deny=["all"],
        ),
    )
    service = table.named("s")
    assert service is not None
    entry = service.entry()
    assert (entry.node_ids, entry.channels, entry.take, entry.copy) == ([], [], [], [9])
    assert (entry.offer, entry.allow, entry.deny) == ([], [], [])
