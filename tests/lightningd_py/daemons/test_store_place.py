"""gossipd's files have a folder of their own, and are found where CLN's tools look for them."""

from pathlib import Path

import pytest

from lightningd_py.daemons.store_place import place_store
from lightningd_py.errors import StartError


def test_a_new_one(tmp_path: Path) -> None:
    path = place_store(tmp_path)
    path.write_bytes(b"store")
    assert (tmp_path / "gossip_store").read_bytes() == b"store"
    assert list(path.parent.iterdir()) == [path]
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert place_store(tmp_path) == path


def test_one_that_an_earlier_version_has_left(tmp_path: Path) -> None:
    """With all that belongs to it; also if such a version has run in between."""
    folder = tmp_path / "gossipd"
    for round in (b"1", b"2"):
        (tmp_path / "gossip_store").unlink(missing_ok=True)
        (tmp_path / "gossip_store").write_bytes(b"store" + round)
        if round == b"1":
            (tmp_path / "gossip_store.index").write_bytes(b"index")
        (tmp_path / "gossip_store.gone").write_bytes(b"gone" + round)
        assert place_store(tmp_path).read_bytes() == b"store" + round
        assert (folder / "gossip_store.gone").read_bytes() == b"gone" + round
        assert (folder / "gossip_store.index").read_bytes() == b"index", "it says itself of which store it is"
        assert not (tmp_path / "gossip_store.gone").exists()


def test_a_move_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    (tmp_path / "gossipd").mkdir()
    (tmp_path / "gossipd" / "gossip_store").write_bytes(b"store")
    assert place_store(tmp_path).read_bytes() == b"store"
    assert (tmp_path / "gossip_store").read_bytes() == b"store"


def test_a_link_of_the_operator_s_is_followed(tmp_path: Path) -> None:
    """A store that is not there yet is begun there."""
    elsewhere = tmp_path / "disk" / "store"
    elsewhere.parent.mkdir()
    (tmp_path / "gossip_store").symlink_to(elsewhere)
    assert place_store(tmp_path) == elsewhere


def test_a_link_to_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "gossip_store").symlink_to(tmp_path / "disk" / "store")
    with pytest.raises(StartError, match=r"gossip_store is a symbolic link to nothing: .*/disk is no directory$"):
        place_store(tmp_path)


def test_what_cannot_be_moved_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "gossipd").write_bytes(b"a file")
    with pytest.raises(StartError, match=r"gossip_store cannot be put into .*: File exists"):
        place_store(tmp_path)
    (tmp_path / "gossipd").unlink()
    (tmp_path / "gossip_store").symlink_to("gossip_store")
    with pytest.raises(StartError, match="gossip_store is a symbolic link that leads to itself"):
        place_store(tmp_path)
