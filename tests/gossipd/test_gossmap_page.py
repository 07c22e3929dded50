"""The example of docs/gossmap.md over a store that changes; its snippets are run by tests/system/test_snippets.py."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.gossipd.map.test_compaction import compact
from tests.gossipd.writer import Writer, scid

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "follow_gossmap", ROOT / "lightningd_py" / "examples" / "follow_gossmap.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_follower(tmp_path: Path, example: ModuleType) -> None:
    writer = Writer(tmp_path / "gossip_store")
    writer.full_channel(1, 1, 2, 10)
    writer.store.flush()
    with example.Gossmap(tmp_path / "gossip_store") as gossmap:
        known = example.scids(gossmap)
        assert example.news(gossmap, known) == []
        writer.full_channel(2, 1, 3, 10)
        writer.forgetting.prune([scid(1)])
        writer.store.flush()
        assert example.news(gossmap, known) == ["+ 102x1x0", "- 101x1x0"]
        compact(writer)
        writer.full_channel(3, 1, 3, 10)
        writer.store.flush()
        assert example.news(gossmap, known) == ["+ 103x1x0"]
        assert example.news(gossmap, known) == []
    writer.close()
