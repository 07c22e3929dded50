"""The targets of atheris take any bytes: a few hundred of each here, so that they do not rot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)
    TARGETS[name](SEEDS.get(name, b"") + data)
