"""The targets of atheris take any bytes: a few hundred of each here, so that they do not rot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import elsewhere
from tests.fuzz.targets import SEEDS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)
    TARGETS[name](SEEDS.get(name, b"") + data)


@pytest.mark.parametrize("name", SEEDS)
@given(changes=st.lists(st.tuples(st.integers(0, 1_000), st.binary(min_size=1, max_size=4)), max_size=3))
def test_what_is_right_but_for_some_bytes(name: str, changes: list[tuple[int, bytes]]) -> None:
    """Most bytes are refused at the first: these get further."""
    data = bytearray(SEEDS[name])
    for place, other in changes:
        at = place % (len(data) + 1)
        data[at : at + len(other)] = other
    TARGETS[name](bytes(data))


def test_what_is_right_is_read() -> None:
    """Or the seeds of these targets would lead nowhere."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elsewhere, "batch", lambda table, rows: found.append((table, len(rows))))
        TARGETS["imports"](SEEDS["imports"])
    assert sorted(found) == [("map", 6), ("messages", 4)]
