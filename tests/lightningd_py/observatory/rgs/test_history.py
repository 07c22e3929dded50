"""The file of a history: what is written is read; what is no history is a sentence."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from lightningd_py.observatory.rgs.history import HistoryError, advanced, pack, unpack
from tests.lightningd_py.observatory.rgs.made import CHAIN, NOW, SCIDS, USUAL, write


def test_history_comes_back_from_its_file(tmp_path: Path) -> None:
    history = None
    with Gossmap(write(tmp_path / "gossip_store", dict.fromkeys(range(12), (USUAL, USUAL)))) as gossmap:
        for step in (NOW, NOW + 60):
            history = advanced(history, gossmap, step, 60, bytes(32))
    assert history is not None
    assert (history.chain_hash, history.steps) == (CHAIN, (NOW, NOW + 60))
    assert list(history.channels) == sorted(SCIDS) and history.nodes
    assert unpack(pack(history)) == history


def test_map_without_channels_is_of_the_chain_that_is_named(tmp_path: Path) -> None:
    with Gossmap(write(tmp_path / "gossip_store", {})) as gossmap:
        history = advanced(None, gossmap, NOW, 60, b"\x09" * 32)
    assert (history.chain_hash, history.channels, history.nodes) == (b"\x09" * 32, {}, {})


@given(st.binary(max_size=100))
def test_what_is_no_history_is_a_sentence(data: bytes) -> None:
    with pytest.raises(HistoryError):
        unpack(data)


def test_cut_history_is_a_sentence(tmp_path: Path) -> None:
    with Gossmap(write(tmp_path / "gossip_store", {0: (USUAL, USUAL)})) as gossmap:
        data = pack(advanced(None, gossmap, NOW, 60, CHAIN))
    for size in range(len(data)):
        with pytest.raises(HistoryError):
            unpack(data[:size])
