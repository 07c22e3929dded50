"""Places of nodes: made once, kept, and stable for those who come."""

import math
from pathlib import Path

import pytest

from lightningd_py.observatory.web.positions import Positions

IDS = [b"\2" + number.to_bytes(32, "big") for number in range(12)]
A, B = [0] * 10 + [10], [*range(1, 11), 11]
"""A star, with a tail."""


def test_layout_brings_neighbours_together_and_is_kept(tmp_path: Path) -> None:
    positions = Positions(tmp_path / "cache" / "positions")
    assert not positions.is_good and not positions.covers(IDS)
    assert positions.lay_out(IDS, A, B)
    spots = positions.placed(IDS, A, B)
    assert all(math.hypot(*spot) <= 1001 for spot in spots) and len(set(spots)) == len(IDS)
    near = sum(math.dist(spots[0], spots[leaf]) for leaf in range(1, 10)) / 9
    assert near < math.dist(spots[0], spots[11])
    again = Positions(tmp_path / "cache" / "positions")
    assert again.covers(IDS) and again.placed(IDS, A, B) == spots


def test_layout_is_the_same_for_the_same_graph_and_goes_on_from_what_is_there() -> None:
    one, two = Positions(), Positions()
    assert one.lay_out(IDS, A, B) and two.lay_out(IDS, A, B)
    before = one.placed(IDS, A, B)
    assert before == two.placed(IDS, A, B)
    assert one.lay_out(IDS, A, B)
    after = one.placed(IDS, A, B)
    assert max(math.dist(*pair) for pair in zip(before, after, strict=True)) < 700


def test_newcomer_stands_beside_its_neighbours_and_the_rest_stay() -> None:
    positions = Positions()
    assert positions.lay_out(IDS[:11], A[:10], B[:10])
    before = positions.placed(IDS[:11], A[:10], B[:10])
    alone = b"\3" + bytes(32)
    after = positions.placed([*IDS, alone], A, B)
    assert after[:11] == before
    assert math.dist(after[11], after[10]) <= 21
    assert math.hypot(*after[12]) == pytest.approx(1000)
    assert positions.placed([*IDS, alone], A, B) == after


def test_without_a_layout_hubs_are_in_the_middle() -> None:
    spots = Positions().placed(IDS, A, B)
    assert spots[0] == (0.0, 0.0) and len(set(spots)) == len(IDS)
    assert all(math.hypot(*spot) <= 1000 for spot in spots)


def test_map_of_no_node_and_of_one() -> None:
    positions = Positions()
    assert positions.placed([], [], []) == []
    assert positions.covers([])
    assert positions.lay_out([], [], [])
    assert positions.lay_out(IDS[:2], [0], [1])
    assert all(math.isfinite(value) for spot in positions.placed(IDS[:2], [0], [1]) for value in spot)


@pytest.mark.parametrize("damage", [b"", b"x", b"cut", b"nan"])
def test_damaged_file_is_as_none(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "positions"
    assert Positions(path).lay_out(IDS, A, B)
    whole = path.read_bytes()
    content = {b"cut": whole[:-1], b"nan": whole[:-4] + b"\0\0\xc0\x7f"}.get(damage, damage)
    path.write_bytes(content)
    assert not Positions(path).is_good


def test_full_disk_costs_the_cache_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    positions = Positions(tmp_path / "file" / "positions")
    assert positions.lay_out(IDS, A, B) and positions.is_good


def test_layout_that_fails_is_no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where numpy is missing."""
    monkeypatch.setattr("lightningd_py.observatory.web.positions.MODULE", "lightningd_py.observatory.web.no_such")
    positions = Positions()
    assert not positions.lay_out(IDS, A, B)
    assert not positions.is_good
