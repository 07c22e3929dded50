"""The last lines of a log that matter."""

from pathlib import Path

from lightningd_py.top.log_tail import READ, last_lines


def test_only_what_is_strange(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "2026-11-29T10:00:00.000Z INFO    connectd: a peer says UNUSUAL things\n"
        "2026-11-29T10:00:01.000Z UNUSUAL connectd: one \x1b[31m\n"
        "2026-11-29T10:00:02.000Z BROKEN  gossipd: two\n"
        "2026-11-29T10:00:03.000Z UNUSUAL hsmd: three\n"
    )
    assert [line[25:] for line in last_lines(log, 2)] == ["BROKEN  gossipd: two", "UNUSUAL hsmd: three"]
    assert last_lines(log, 5)[0].endswith("one ?[31m")
    assert last_lines(log, 0) == last_lines(tmp_path / "none", 3) == []


def test_no_more_than_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    line = "2026-11-29T10:00:01.000Z UNUSUAL connectd: x\n"
    log.write_text(line + "y" * (READ - 10) + "\n")
    assert last_lines(log, 5) == []
