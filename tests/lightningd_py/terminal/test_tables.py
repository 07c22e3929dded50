"""Tables that fit into a terminal, whichever letters they hold."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lightningd_py.terminal.tables import bar, console, fitted, line, table

HEAD = ["ID", "ALIAS", "CHANNELS"]
ROWS = [["02" * 33, "ノードの東京⚡" * 4, "7"], ["03" * 33, "e\u0301 accent", "12"]]


@pytest.mark.parametrize("room", [22, 30, 80, 200])
def test_no_line_is_wider_than_the_terminal(room: int) -> None:
    assert max(cell_len(text.plain) for text in table(HEAD, ROWS, room)) <= room


def test_columns_are_aligned_by_cells() -> None:
    lines = [text.plain for text in table(HEAD, ROWS, 60)]
    assert (
        len({cell_len(text[: text.index(last)]) for text, last in zip(lines, ["CHANNELS", "7", "12"], strict=True)})
        == 1
    )


def test_what_is_cut_says_so() -> None:
    assert "…" in next(iter(list(table(HEAD, ROWS, 60))[1:])).plain


def test_twenty_columns_have_a_block_for_each_row() -> None:
    lines = [text.plain for text in table(HEAD, ROWS, 20)]
    assert lines[0].startswith("ID: 0202")
    assert lines[2] == "CHANNELS: 7"
    assert max(map(cell_len, lines)) <= 20


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(1, 250))
def test_widths_fill_the_room_and_no_more(widths: list[int], room: int) -> None:
    found = fitted(widths, room)
    if found is None:
        return
    total = sum(found) + 2 * (len(widths) - 1)
    assert total <= room
    assert all(0 <= now <= before for now, before in zip(found, widths, strict=True))
    assert found == widths or total == room, "room is left, and something was cut"


def test_markup_is_text() -> None:
    out = io.StringIO()
    console(out).print(line("", "alias:", "[red]x[/red]"))
    assert out.getvalue() == "alias: [red]x[/red]\n"


def test_bars() -> None:
    assert bar(50, 4) == "██░░"
    assert bar(-1, 4) == "░░░░"
    assert bar(1000, 4) == "████"
