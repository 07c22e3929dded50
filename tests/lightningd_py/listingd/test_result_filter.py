"""CLN's `filter`."""

from typing import Any

import pytest

from lightningd_py.listingd.result_filter import apply_filter


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"peers": [{"id": True}]}, {"peers": [{"id": 1}, {"id": 2}]}),
        ({"peers": True}, {"peers": [{"id": 1, "x": {"y": 3}}, {"id": 2}]}),
        ({"peers": [{"x": {"y": True}}]}, {"peers": [{"x": {"y": 3}}, {}]}),
        ({"nothing": True}, {}),
    ],
)
def test_a_filter_keeps_what_it_names(wanted: Any, left: Any) -> None:
    assert apply_filter({"peers": [{"id": 1, "x": {"y": 3}}, {"id": 2}], "n": 5}, wanted) == left


@pytest.mark.parametrize("wanted", [False, 1, [], "peers", {"n": {"x": True}}, {"n": [True]}])
def test_a_filter_that_does_not_fit(wanted: Any) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        apply_filter({"n": 5}, wanted)
