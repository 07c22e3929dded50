"""Vantage points that are silent, behind, or ahead of the clock are named once, and again when they are right."""

from lightningd_py.observatory.jetstream.points import AHEAD_NS, BEHIND_NS, MOST, SILENT, Points
from lightningd_py.observatory.tables.schemas import batch

T0 = 1_790_000_000_000_000_000


def test_what_is_said() -> None:
    said: list[str] = []
    now = [0.0]
    points = Points(said.append, lambda: now[0])

    def heard(time_ns: int) -> None:
        points.heard("clock", batch("clock", [(time_ns, "here", *[None] * 7)]))

    def look(time_ns: int) -> list[str]:
        points.look(time_ns)
        points.look(time_ns)
        taken = said[:]
        said.clear()
        return taken

    heard(T0)
    assert look(T0 + BEHIND_NS) == []
    assert look(T0 + BEHIND_NS + 1) == ["here is behind"]
    heard(T0 + BEHIND_NS)
    assert look(T0 + BEHIND_NS + 1) == ["here is there again, and up to date"]
    now[0] = SILENT + 1
    assert look(T0) == ["here is silent"]
    heard(T0 + 3 * AHEAD_NS)
    assert look(T0) == ["here has a clock that is ahead"]


def test_names_are_bounded() -> None:
    points = Points(lambda sentence: None)
    for number in range(MOST + 5):
        points.heard("clock", batch("clock", [(T0, f"v{number}", *[None] * 7)]))
    assert len(points.by_name) == MOST
