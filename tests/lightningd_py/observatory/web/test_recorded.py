"""What the page asks of a record: of an archive of it the same."""

from pathlib import Path

from lightningd_py.observatory.jetstream.files import archive_files
from lightningd_py.observatory.web.recorded import Recorded
from tests.lightningd_py.observatory.made_up_day import SECOND, T0, make_day
from tests.lightningd_py.observatory.page import Still
from tests.lightningd_py.observatory.recorded import FakeFeed, record


def test_archive_answers_as_the_record_does(tmp_path: Path) -> None:
    """The slider's ends, and the map at a time between them."""
    day = make_day(tmp_path, converted=False)
    archive = tmp_path / "archive"
    assert archive_files(archive, [day.folder], lambda sentence: None) > 0
    record, archived = Recorded(day.folder), Recorded(archive)
    extent = record.extent()
    assert extent["since_ms"] == archived.extent()["since_ms"] is not None
    for at_ms in (extent["since_ms"], (T0 + 30 * SECOND) // 1_000_000):
        found = archived.map_at(at_ms, Still())
        assert found == record.map_at(at_ms, Still())
        assert found["channels"]["scid"]


def test_growth_is_of_the_vantage_point_that_still_records(tmp_path: Path) -> None:
    """From its own first map on, also if another one was there before."""
    day = make_day(tmp_path, converted=False)
    store, later = tmp_path / "gossip_store", T0 + 40_000 * SECOND
    for vantage, at_ns in (("anna", T0 - 40_000 * SECOND), ("zora", later), ("zora", later + 3_600 * SECOND)):
        record(day.folder, FakeFeed([]), vantage=vantage, store=store, now_ns=at_ns)
    found = Recorded(day.folder).growth()
    assert found["vantage"] == "zora"
    at_ms, channels = found["points"][0]
    assert abs(at_ms - later // 1_000_000) <= 1_000 and channels == len(day.channels) - 2
