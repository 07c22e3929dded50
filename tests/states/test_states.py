"""States as releases have written them are read by the version of now; what is none is refused in one sentence."""

import dataclasses
import os

import msgpack
import pytest

from lightningd_py.node_left import NodeLeft, read_state
from tests.states.examples import EXAMPLES, FDS, NODE, RELEASE, path
from wire.net.states import StateError, dump, fds_in, load

NAMES = sorted(EXAMPLES)


def written(name: str) -> bytes:
    return path(name, RELEASE).read_bytes()


def read(name: str, data: bytes) -> object:
    state, newest = EXAMPLES[name]
    return load(type(state), data, newest)


def refused(name: str, data: bytes) -> str:
    """The sentence."""
    with pytest.raises(StateError) as refusal:
        read(name, data)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_release_has_written_is_read(name: str) -> None:
    assert read(name, written(name)) == EXAMPLES[name].state


@pytest.mark.parametrize("name", NAMES)
def test_every_field_has_a_value_of_its_own_in_the_example(name: str) -> None:
    """Else a field that is not read would not be missed. Those aside that have come after the release."""
    state, (_, fields) = EXAMPLES[name].state, msgpack.unpackb(written(name))
    same = {each.name for each in dataclasses.fields(state) if getattr(state, each.name) == _default(each)}
    assert same & fields.keys() <= {"failed", "passphrase_begins", "listening_sockets"}


def _default(field: "dataclasses.Field[object]") -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


@pytest.mark.parametrize("name", NAMES)
def test_fields_of_a_later_version_are_passed_over(name: str) -> None:
    version, fields = msgpack.unpackb(written(name))
    assert read(name, msgpack.packb([version, fields | {"of a later version": 1}])) == EXAMPLES[name].state


@pytest.mark.parametrize("name", NAMES)
def test_fields_that_an_earlier_version_did_not_have(name: str) -> None:
    """Each has its default, or what is without it is no such state."""
    version, fields = msgpack.unpackb(written(name))
    for each in dataclasses.fields(EXAMPLES[name].state):
        data = msgpack.packb([version, {key: value for key, value in fields.items() if key != each.name}])
        if each.name not in fields:
            continue
        if _default(each) is dataclasses.MISSING:
            assert refused(name, data).startswith("no state of ")
        else:
            assert getattr(read(name, data), each.name) == _default(each)


@pytest.mark.parametrize("name", NAMES)
def test_a_newer_version_is_refused(name: str) -> None:
    kind = type(EXAMPLES[name].state).__name__
    assert f"{kind} is of version 99" in refused(name, msgpack.packb([99, {}]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, 1, 20, -1])
def test_a_state_that_is_cut_is_one_sentence(name: str, size: int) -> None:
    assert refused(name, written(name)[:size]).startswith("no state of ")


@pytest.mark.parametrize("name", NAMES)
def test_a_lie_about_a_length_is_one_sentence(name: str) -> None:
    """A map, a list, or bytes, that say they have more than there is."""
    for head in (b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"):
        assert refused(name, b"\x92\x01" + head + written(name)[2:]).startswith("no state of ")


def test_every_fd_is_found() -> None:
    assert set(fds_in(NODE)) == FDS


def test_master_reads_its_state_from_a_memfd() -> None:
    memfd = os.memfd_create("state")
    os.write(memfd, written("node"))
    assert read_state(memfd) == NODE
    memfd = os.memfd_create("state")
    os.write(memfd, dump(NODE, 99))
    with pytest.raises(StateError, match="NodeLeft is of version 99"):
        read_state(memfd)
    assert isinstance(NODE, NodeLeft)
