"""Funding transactions that the node has looked up on the chain: what describegraph's `chan_point` is made from."""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from lightningd_py.database import FILE_NAME
from wire.scid import output_of

LOCKED_TIME = 5.0
"""Seconds that a node may be writing at the file."""


class NoChanPoints(Exception):
    """The node's database cannot be read; the text is one sentence."""


def chan_points_beside(store: Path) -> dict[int, str]:
    """scid -> `txid:output`, as the node whose gossip_store lies there knows them: none without a database, or a chain.

    Raises NoChanPoints.
    """
    path = store.parent / FILE_NAME
    if not path.exists():
        return {}
    where = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(where, uri=True, timeout=LOCKED_TIME)) as database:
            rows = database.execute("SELECT scid, txid FROM funding").fetchall()
    except sqlite3.Error as error:
        raise NoChanPoints(f"chan_point is left empty, for {path} cannot be read: {error}") from error
    return {scid: f"{txid[::-1].hex()}:{output_of(scid)}" for scid, txid in rows}
