"""Where the page's answers come from, and what they are kept for."""

import json
import time
from pathlib import Path

import pytest

from lightningd_py.observatory.web.positions import Positions
from tests.harness.small_map import make_small_map, write_small_map
from tests.lightningd_py.observatory.made_up_day import Day, make_day
from tests.lightningd_py.observatory.page import served
from tests.lightningd_py.observatory.recorded import T0


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


def at(seconds: int) -> int:
    return T0 // 1_000_000 + 1000 * seconds


async def test_map_of_a_recorded_time(day: Day) -> None:
    async with served(record=day.folder) as page:
        for seconds, channels in ((0, 18), (1500, 19), (3500, 18), (9999, 19)):
            found = await page.json(f"/api/map?at={at(seconds)}")
            assert len(found["channels"]["scid"]) == channels, seconds
        first = (await page.json("/api/extent"))["since_ms"]
        assert len((await page.json("/api/map?at=5"))["channels"]["scid"]) == 18
        assert abs(first - at(0)) < 60_000


async def test_growth_follows_each_change(day: Day) -> None:
    async with served(record=day.folder) as page:
        points = (await page.json("/api/growth"))["points"]
    assert points[0][1] == 18 and points[-1][1] == 19
    assert [point[0] for point in points] == sorted(point[0] for point in points)
    assert points[-1][0] == pytest.approx(time.time() * 1000, abs=60_000)


async def test_propagation_of_a_day_without_arrivals_is_empty(day: Day) -> None:
    async with served(record=day.folder) as page:
        found = await page.json("/api/propagation")
    assert (found["messages"], found["delays_ms"], found["shares_ms"]["p50"]) == (0, [], None)


async def test_record_that_is_not_there_yet(tmp_path: Path) -> None:
    async with served(record=tmp_path / "none") as page:
        for path in ("/api/extent", "/api/growth", "/api/propagation", "/api/map?at=1"):
            status, _, body = await page.get(path)
            assert status == 503 and "nothing was recorded" in json.loads(body)["error"]


async def test_node_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    async with served(rpc=tmp_path / "lightning-rpc") as page:
        assert "no node answers" in (await page.json("/api/figures"))["error"]


async def test_layout_is_made_in_the_background_and_then_shown(tmp_path: Path) -> None:
    store = write_small_map(make_small_map(), tmp_path / "gossip_store")
    async with served(store, positions=Positions(tmp_path / "positions")) as page:
        laying = page.sources._laying
        assert laying is not None
        await laying
        assert page.sources.layouts == 1
        assert (await page.json("/api/map"))["is_laid_out"]
    assert Positions(tmp_path / "positions").is_good


async def test_end_does_not_wait_for_a_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sleep` in place of the layout: what is stopped has given none."""
    monkeypatch.setattr("lightningd_py.observatory.web.positions.MODULE", "http.server")
    store = write_small_map(make_small_map(), tmp_path / "gossip_store")
    async with served(store, positions=Positions()) as page:
        assert page.sources._laying is not None
    assert page.sources.layouts == 0
