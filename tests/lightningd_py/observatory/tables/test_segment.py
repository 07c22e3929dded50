"""A segment cut at every byte of its last batch."""

from pathlib import Path

from lightningd_py.observatory.record.spool import Spool
from lightningd_py.observatory.tables.schemas import batch
from lightningd_py.observatory.tables.segment import is_cut, read_segment, whole_size

ROW = (1, "here", "", None, None, None, "start")


def written(folder: Path, batches: int) -> Path:
    spool = Spool(folder, "here", 5)
    for number in range(batches):
        spool.write("losses", batch("losses", [(number, "here", None, "topic", None, number, "gap")]), "{}")
    spool.close()
    (path,) = folder.glob("spool/losses/*")
    return path


def test_cut_at_every_byte_of_its_last_batch(tmp_path: Path) -> None:
    whole = written(tmp_path / "two", 2).read_bytes()
    path = written(tmp_path / "three", 3)
    data = path.read_bytes()
    two, three = len(whole) - 8, whole_size(path)
    assert data[:two] == whole[:two] and three == len(data) - 8
    for size in range(two, len(data) + 1):
        path.write_bytes(data[:size])
        found = [row["time_ns"] for each in read_segment(path) for row in each.batch.to_pylist()]
        assert found == ([0, 1] if size < three else [0, 1, 2]), size
        assert whole_size(path) == (two if size < three else three)
        assert is_cut(path) == (size not in (two, three, len(data)))


def test_nothing_whole_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for data in (b"", b"\xff", b"\xff" * 8, b"rubbish of some length, which is no Arrow"):
        path.write_bytes(data)
        assert list(read_segment(path)) == []


def test_only_these_columns(tmp_path: Path) -> None:
    (found,) = read_segment(written(tmp_path, 1), ["time_ns", "count"])
    assert found.batch.to_pylist() == [{"time_ns": 0, "count": 0}]
    assert found.place == {}
