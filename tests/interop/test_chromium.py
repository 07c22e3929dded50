"""The page in a real browser, Chromium without a screen: what a person does, and what is there then."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.live.follower import PointFollower
from lightningd_py.observatory.replay.publisher import Publisher
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.web.arrivals import Arrivals
from lightningd_py.observatory.web.assets import fetch
from lightningd_py.observatory.web.files import VENDOR, has_libraries, page_files
from lightningd_py.observatory.web.follower import TOPICS, Follower
from lightningd_py.observatory.web.guard import Guard
from lightningd_py.observatory.web.server import PageServer
from lightningd_py.observatory.web.sources import Sources
from lightningd_py.tools.feed_client import Feed
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.browser import Tab, browser
from tests.lightningd_py.observatory.live.made import arrivals as heard_at
from tests.lightningd_py.observatory.made_up_day import Day, make_day
from tests.lightningd_py.observatory.page import Still
from wire.gossip_layout import BODY_ALIAS, node_body, node_id_of, node_timestamp
from wire.peer_wire import ChannelUpdate
from wire.scid import scid_to_text
from wire.types import NETWORKS

HOSTILE = b'<img src=x onerror="window.hurt=1">'[:32]
RIGHT_TO_LEFT = b"\xe2\x80\xae" + b"a\xcc\x81" * 9
T = "document.getElementById"


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """sigma and graphology from npm, as `make web-assets` gets them."""
    if not has_libraries(page_files()):
        try:
            fetch(VENDOR)
        except ObservatoryError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


def write_hostile_store(path: Path) -> list[bytes]:
    """A small map in which two nodes have bad names (nobody checks signatures of a store); its node_announcements."""
    made = SyntheticMap(random_edges(1, 60, 25), 1, int(time.time()))
    store = GossipStore.open(path)
    for channel in made.channels():
        store.append_channel(channel.announcement, channel.timestamps[0], channel.capacity_sat)
        for update, timestamp in zip(channel.updates, channel.timestamps, strict=True):
            store.append(update, timestamp)
    said = []
    for number, message in enumerate(made.node_announcements()):
        alias = {0: HOSTILE, 1: RIGHT_TO_LEFT}.get(number)
        if alias is not None:
            at = node_body(message) + BODY_ALIAS
            message = message[:at] + alias.ljust(32, b"\0") + message[at + 32 :]
        said.append(message)
        store.append(message, node_timestamp(message))
    store.close()
    return said


class Shown(NamedTuple):
    tab: Tab
    url: str
    feed: Publisher
    nodes: list[bytes]


@pytest.fixture
async def shown(tmp_path: Path, day: Day) -> AsyncIterator[Shown]:
    """The page over a hostile store, a feed, and a record of another day."""
    nodes = write_hostile_store(tmp_path / "gossip_store")
    arrivals = Arrivals()
    points = PointFollower(Access("nats://127.0.0.1:1"), "regtest")
    points.figures.take(heard_at(HOSTILE.decode(), b"\x01\x02", at=time.time_ns()))
    sources = Sources(arrivals, tmp_path / "gossip_store", None, day.folder, Still(), points)
    server = PageServer(sources, Guard(token="t" * 40))
    with Publisher(tmp_path / "feed") as feed:
        follower = Follower(lambda: Feed(tmp_path / "feed", TOPICS), arrivals)
        follower.start()
        assert feed.wait(30.0)
        port = await server.start("127.0.0.1", 0)
        try:
            async with browser(tmp_path) as tab:
                yield Shown(tab, f"http://127.0.0.1:{port}/", feed, nodes)
        finally:
            follower.close()
            await server.close()


@pytest.mark.long
async def test_page(shown: Shown, day: Day) -> None:
    """One browser for all of it: its start is what takes long."""
    tab = shown.tab
    await is_locked(shown)
    await loads(shown)
    await finds_by_alias_id_and_scid(shown)
    await shows_hostile_names_as_text(shown)
    await shows_arrivals_as_they_come(shown)
    await shows_vantage_points(shown)
    await goes_back_in_time(shown, day)
    for width, height in ((360, 780), (800, 1000), (3840, 2160)):
        await fits(tab, width, height)
    assert [url for url in tab.requests if not url.startswith((shown.url, "data:"))] == []
    assert [error for error in tab.errors if "401" not in error] == []


async def is_locked(shown: Shown) -> None:
    """Without the token there is a field for it, and nothing else."""
    await shown.tab.open(shown.url)
    await shown.tab.until(f"{T}('locked') && !{T}('locked').hidden && document.activeElement.id === 'token'")
    assert await shown.tab.evaluate("document.querySelector('main').hidden")
    await shown.tab.type("wrong")
    await shown.tab.key("Enter", "\r")
    await shown.tab.until(f"{T}('refused').textContent === 'this is not the token'")


async def loads(shown: Shown) -> None:
    """With the token in the address, which is taken out of it."""
    await shown.tab.open(f"{shown.url}?#token={'t' * 40}")
    await shown.tab.until(f"{T}('map')?.dataset.nodes === '25'")
    assert await shown.tab.evaluate("location.href") == shown.url
    assert "25 nodes · 60 channels" in await shown.tab.evaluate(f"{T}('counts').textContent")
    assert await shown.tab.evaluate("document.querySelectorAll('#map canvas').length") > 0


async def find(shown: Shown, text: str) -> None:
    await shown.tab.evaluate(f"{T}('search').value = ''")
    await shown.tab.evaluate("document.activeElement.blur()")
    await shown.tab.key("/", "/")
    await shown.tab.type(text)
    await shown.tab.until("document.querySelectorAll('#found li[aria-selected=true]').length === 1")
    await shown.tab.key("Enter", "\r")


async def finds_by_alias_id_and_scid(shown: Shown) -> None:
    node_id = node_id_of(shown.nodes[3]).hex()
    await find(shown, node_id[:20])
    await shown.tab.until(f"document.querySelector('#details code')?.textContent === '{node_id}'")
    await shown.tab.until(f"{T}('details').textContent.includes('Features')")
    assert int(await shown.tab.evaluate(f"{T}('map').dataset.edges")) > 0
    alias = await shown.tab.evaluate("document.querySelector('#details h3').textContent")
    await find(shown, alias.lower())
    await shown.tab.until(f"document.querySelector('#details code')?.textContent === '{node_id}'")
    await find(shown, "101x1x0")
    await shown.tab.until("document.querySelector('#details h3')?.textContent === '101x1x0'")
    await shown.tab.until(f"{T}('details').textContent.includes('ppm')")


async def shows_hostile_names_as_text(shown: Shown) -> None:
    await find(shown, node_id_of(shown.nodes[0]).hex())
    name = HOSTILE.decode()
    await shown.tab.until(f"document.querySelector('#details h3')?.textContent === {name!r}")
    await find(shown, node_id_of(shown.nodes[1]).hex())
    await shown.tab.until("document.querySelector('#details h3')?.textContent.startsWith('\\\\xe2\\\\x80\\\\xae')")
    assert await shown.tab.evaluate("window.hurt === undefined && document.querySelectorAll('img').length") == 1


async def shows_arrivals_as_they_come(shown: Shown) -> None:
    scid = 101 << 40 | 1 << 16
    policy = (int(time.time()), 1, 1, 40, 1, 1_000, 1, 10**8)
    raw = ChannelUpdate(bytes(64), NETWORKS["regtest"], scid, *policy).encode()
    about = {"node_id": node_id_of(shown.nodes[0]), "conn_id": 1, "incoming": True, "raw": raw, "type": 258}
    for outcome, reason in (("new", ""), ("rejected", "<script>window.hurt=2</script>")):
        fields = about | {"outcome": outcome, "reason": reason, "short_channel_id": scid, "direction": 1}
        shown.feed.say("gossip.channel_update", time.time_ns(), **fields, size=len(raw))
    await shown.tab.until("document.querySelectorAll('#list .verdict').length === 2")
    said = await shown.tab.evaluate(f"{T}('list').innerText")
    assert "update 101x1x0/1" in said and HOSTILE.decode()[:10] in said
    assert (
        await shown.tab.evaluate("document.querySelector('#list [data-of=rejected]').title")
        == "<script>window.hurt=2</script>"
    )
    assert "rejected1" in await shown.tab.evaluate(f"{T}('totals').textContent")
    assert await shown.tab.evaluate("document.querySelectorAll('#peerrows tr').length") == 1
    assert await shown.tab.evaluate("window.hurt === undefined")


async def shows_vantage_points(shown: Shown) -> None:
    await shown.tab.until(f"!{T}('vantages').hidden && document.querySelectorAll('#vantagerows tr').length === 1")
    said = await shown.tab.evaluate(f"{T}('vantagerows').innerText")
    assert HOSTILE.decode() in said and "well" in said
    assert await shown.tab.evaluate("window.hurt === undefined")


async def goes_back_in_time(shown: Shown, day: Day) -> None:
    """By the keyboard: to the beginning of the record, and to now."""
    await shown.tab.until(f"!{T}('past').hidden")
    await shown.tab.until("document.querySelector('#growthplot path.curve') !== null")
    await shown.tab.evaluate(f"{T}('time').focus()")
    await shown.tab.key("Home")
    await shown.tab.until(f"{T}('counts').textContent.includes('18 channels')")
    assert "UTC" in await shown.tab.evaluate(f"{T}('when').textContent")
    await find(shown, scid_to_text(day.scid(0)))
    await shown.tab.evaluate(f"{T}('time').focus()")
    await shown.tab.key("End")
    await shown.tab.until(f"{T}('map').dataset.nodes === '25'")
    assert await shown.tab.evaluate(f"{T}('when').textContent") == "now"


async def fits(tab: Tab, width: int, height: int) -> None:
    """Nothing is wider than the window, and the map has a good part of it."""
    await tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    await tab.until(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
    assert await tab.evaluate(f"{T}('map').clientWidth") > 0.4 * width
    assert await tab.evaluate(f"{T}('map').clientHeight") > 0.3 * height


async def test_page_without_the_libraries(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says how to get them; the search and all else works."""
    tab = shown.tab
    await tab.ask("Network.setBlockedURLs", urls=["*/vendor/*"])
    await tab.open(f"{shown.url}?#token={'t' * 40}")
    await tab.until(f"{T}('mapnote')?.textContent.includes('lightning-observatory web-assets')")
    await tab.until(f"{T}('counts').textContent.includes('60 channels')")
    await find(shown, "101x1x0")
    await tab.until("document.querySelector('#details h3')?.textContent === '101x1x0'")
