"""The page in a headless Chromium without a GPU: from the start of the navigation to the drawn map, by the clock."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.web.assets import fetch
from lightningd_py.observatory.web.files import VENDOR, has_libraries, page_files
from tests.bench.harness import ROOT, Bench, Row
from tests.harness.browser import Tab, browser

ROUNDS = 5
DRAWN = "performance.getEntriesByName('map')[0]?.startTime"
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
NAME = "page: first map drawn"
TARGET = "<= 3,000 (whole public map)"


def _serve(store: Path, cache: Path) -> tuple[subprocess.Popen[str], str]:
    """`lightning-observatory web` over this store alone, and its address."""
    command = [sys.executable, "-m", "lightningd_py.observatory", "web", "--store", str(store)]
    command += ["--feed", str(store.with_name("no-feed")), "--rpc", "none", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen([*command, "--cache", str(cache)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://\S+", line):
            return process, found[0]
    raise ConnectionError("the page does not serve")


async def _load(tab: Tab, url: str) -> tuple[float, float]:
    """Milliseconds to the map, and to the first paint of anything."""
    await tab.open("about:blank")
    await tab.open(url)
    return float(await tab.until(DRAWN)), float(await tab.until(PAINTED))


async def measure(bench: Bench) -> Iterator[Row]:
    """The first load of all, for which the store is read and the layout made, and the best of those after it."""
    try:
        if not has_libraries(page_files()):
            fetch(VENDOR)
        process, url = _serve(bench.map.path, bench.directory)
        try:
            async with browser(bench.directory) as tab:
                first, _ = await _load(tab, url)
                rounds = [await _load(tab, url) for _ in range(ROUNDS)]
        finally:
            process.terminate()
            process.communicate()
    except (ObservatoryError, pytest.skip.Exception) as error:
        print(f"page: {error}", file=sys.stderr)
        return iter(())
    drawn, painted = map(min, zip(*rounds, strict=True))
    reference = "the page's first paint of anything"
    return iter(
        [
            Row(f"{NAME}, the server's first", first, "ms", painted, reference, TARGET),
            Row(NAME, drawn, "ms", painted, reference, TARGET),
        ]
    )
