"""chan_point out of the node's database."""

from pathlib import Path

import pytest

from lightningd_py.chain.watch import Watch
from lightningd_py.database import FILE_NAME, Database
from lightningd_py.export.chan_points import NoChanPoints, chan_points_beside
from wire.scid import make_scid


async def test_what_the_node_has_looked_up(tmp_path: Path) -> None:
    """While the node has the database open, with the txid as people write it."""
    database = Database(tmp_path / FILE_NAME)
    scid = make_scid(800_000, 3, 2)
    watch = Watch(database)
    watch.add([(scid, bytes(range(32)))])
    watch.write()
    await database.saved()
    assert chan_points_beside(tmp_path / "gossip_store") == {scid: bytes(range(31, -1, -1)).hex() + ":2"}
    database.close()
    assert chan_points_beside(tmp_path / "gossip_store") == {scid: bytes(range(31, -1, -1)).hex() + ":2"}


def test_no_database_is_no_chan_points(tmp_path: Path) -> None:
    assert chan_points_beside(tmp_path / "gossip_store") == {}
    assert list(tmp_path.iterdir()) == [], "none is made"


def test_what_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("hello " * 1000)
    with pytest.raises(NoChanPoints, match=r"chan_point is left empty, for .* cannot be read: file is not a database"):
        chan_points_beside(tmp_path / "gossip_store")
