"""The declarations of the control messages: what travels comes back, and the numbers say what they should."""

import dataclasses
import re
import typing
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.control import control_wire
from wire.control.control_message import ControlError, ControlMessage, Fd, Refusal, Reply, Request
from wire.control.control_wire import MOVES

DECLARED = sorted(ControlMessage.registry.values(), key=lambda cls: cls.number)
RANGES = {
    1: "the children",
    2: "connectd",
    3: "gossipd",
    4: "the link",
    5: "hsmd",
    6: "owners",
    7: "listingd",
    8: "oniond",
}
PARTIES = {
    1: {"master", "hsmd", "connectd", "gossipd", "connectiond", "listingd", "websocketd", "oniond", "program"},
    2: {"master", "connectd", "gossipd", "program", "connectiond", "websocketd"},
    3: {"master", "gossipd", "connectd", "connectiond"},
    4: {"connectd", "gossipd"},
    5: {"master", "hsmd", "connectd", "gossipd", "oniond", "service"},
    6: {"master", "gossipd", "program", "connectiond"},
    7: {"master", "listingd"},
    8: {"master", "oniond"},
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field that is declared so."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{f.name: values_of(hints[f.name]) for f in dataclasses.fields(hint)})
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if arguments:
        return st.one_of([values_of(argument) for argument in arguments])
    return {
        Fd: st.integers(3, 60),
        int: st.integers(-(2**63), 2**64 - 1),
        bool: st.booleans(),
        str: st.text(max_size=20),
        bytes: st.binary(max_size=40),
        float: st.floats(allow_nan=False),
        type(None): st.none(),
    }[hint]


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_what_is_sent_is_received(cls: type[ControlMessage], data: st.DataObject) -> None:
    message = data.draw(values_of(cls))
    for sender in sorted(cls.senders):
        datagram, fds = message.encode()
        assert ControlMessage.decode(datagram, fds, sender) == message
        assert fds == []


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
def test_only_its_senders_may_say_it(cls: type[ControlMessage]) -> None:
    assert cls.senders
    for sender in {
        "master",
        "connectd",
        "gossipd",
        "hsmd",
        "program",
        "connectiond",
        "listingd",
        "oniond",
        "",
    } - cls.senders:
        with pytest.raises(ControlError, match=f"may not say {cls.name()}$"):
            ControlMessage.decode(msgpack.packb([cls.number]), [], sender)


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
def test_numbers_are_in_the_range_of_those_who_speak(cls: type[ControlMessage]) -> None:
    assert cls.number // 1000 in RANGES
    assert cls.senders <= PARTIES[cls.number // 1000] | set(MOVES)


@pytest.mark.parametrize("cls", DECLARED, ids=lambda cls: cls.__name__)
def test_names_are_snake_case_and_what_is_declared_is_explained(cls: type[ControlMessage]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.name())
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}(")


def test_names_are_unique_and_nobody_elses_aliases() -> None:
    names = [cls.name() for cls in DECLARED]
    assert len(set(names)) == len(names)
    for cls in DECLARED:
        assert not set(cls.aliases) & set(names) - {cls.name()}, cls


@pytest.mark.parametrize("cls", [cls for cls in DECLARED if issubclass(cls, Reply)], ids=lambda cls: cls.__name__)
def test_replies_are_numbered_after_their_requests(cls: type[Reply]) -> None:
    distance = 200 if issubclass(cls, Refusal) else 100
    request = ControlMessage.registry[cls.number - distance]
    assert issubclass(request, Request)
    assert not request.senders & cls.senders


@pytest.mark.parametrize("cls", [cls for cls in DECLARED if issubclass(cls, Request)], ids=lambda cls: cls.__name__)
def test_every_request_has_a_reply(cls: type[Request]) -> None:
    assert issubclass(ControlMessage.registry[cls.number + 100], Reply)


def test_secrets_do_not_print() -> None:
    shared = b"very secret" * 3
    reply = control_wire.EcdhReply(shared)
    assert "secret" not in repr(reply).replace("shared_secret", "")
    for moving in (control_wire.MovePeer(b"secret", None, None), control_wire.MoveRest(b"secret")):
        assert "secret" not in repr(moving), "keys of connections"
