"""Rubbish in a stream costs a bounded number of sentences and rows."""

from lightningd_py.observatory.jetstream.left_out import MINUTE, MOST, LeftOut


def test_sentences_and_rows_are_bounded() -> None:
    said: list[str] = []
    rows: list[tuple[str, int | None, int]] = []
    now = [0.0]
    found = LeftOut(said.append, lambda *row: rows.append(row), lambda: now[0])
    for number in range(1, MOST + 501):
        found.add("arrivals", f"LN_ARRIVALS, message {number}", number, "it is no\x1b batch")
        found.look()
    assert said[0] == "LN_ARRIVALS, message 1 is left out: it is no? batch"
    assert len(said) == len(rows) == MOST and rows[-1] == ("arrivals", MOST, 1)
    now[0] = MINUTE
    found.look()
    assert said[MOST:] == ["500 more messages for arrivals are left out"]
    assert rows[MOST:] == [("arrivals", None, 500)]
    found.add("arrivals", "LN_ARRIVALS, message 999", 999, "it is no batch")
    found.end()
    assert len(said) == MOST + 2 and sum(row[2] for row in rows) == MOST + 501
