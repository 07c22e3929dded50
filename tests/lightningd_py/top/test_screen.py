"""The screen of `top` at any size."""

import pytest
from rich.cells import cell_len

from lightningd_py.top.model import Model, Snapshot
from lightningd_py.top.processes import Usage
from lightningd_py.top.screen import Around, draw

EVIL = "ノード\x1b[31m\u202e"


def model(peers: int) -> Model:
    found = Model()
    rows = [
        {
            "id": f"02{i:064x}",
            "connected": True,
            "conn_id": i + 1,
            "owner": "channeld",
            "direction": "out",
            "netaddr": [f"{EVIL}:{i}"],
            "connected_since": 0,
            "feature_names": ["option_x"],
            "moves": [{"at": 1.0, "owner": "gossipd", "message": EVIL}],
            "last_error": EVIL,
        }
        for i in range(peers)
    ]
    gossip = {"state": "normal", "percent": 100, "channels": 7, "accepted": 3}
    found.feed(Snapshot(1.0, rows, gossip, [Usage(1, EVIL, 0.0, 1)] * 12))
    return found


def around(message: str = "") -> Around:
    return Around({"alias": EVIL, "id": "02" * 33}, ["a line"] * 9, message, 1_700_000_000.0)


@pytest.mark.parametrize("peers", [0, 1, 100])
@pytest.mark.parametrize("detail", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (20, 5), (20, 24), (80, 24), (200, 60), (500, 10)])
def test_every_line_fits(size: tuple[int, int], peers: int, detail: bool) -> None:
    shown = model(peers)
    shown.detail = detail and peers > 0
    lines = draw(shown, around(), *size)
    assert 1 <= len(lines) <= size[1]
    assert max(cell_len(line.plain) for line in lines) <= size[0]
    assert all(line.plain.isprintable() for line in lines), "nothing that a stranger says moves the cursor"


def test_the_peer_under_the_cursor_is_in_sight() -> None:
    shown = model(100)
    for _ in range(100):
        assert shown.peer is not None
        assert any(line.plain.startswith(shown.peer.node_id) for line in draw(shown, around(), 200, 24))
        shown.move(1)


def test_a_question_stands_in_the_place_of_the_keys() -> None:
    assert draw(model(1), around(" ban? y/n"), 80, 24)[-1].plain == " ban? y/n"
    assert "q quit" in draw(model(1), around(), 80, 24)[-1].plain
