"""What is remembered across restarts."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightningd_py import database_writer
from lightningd_py.database import CONN_ID_STEP, FILE_NAME, MIGRATIONS, MOST_ADDRESSES, Ban, Database, KnownAddress
from lightningd_py.errors import DatabaseError, NotSaved
from tests.harness.waiting import until

ALICE, BOB = b"\x02" * 33, b"\x03" * 33


async def test_conn_ids_never_repeat(tmp_path: Path) -> None:
    firsts = []
    for _ in range(3):
        database = Database(tmp_path / FILE_NAME)
        firsts += [await database.next_conn_id_block(), await database.next_conn_id_block()]
        database.close()
    assert firsts == [1 + i * CONN_ID_STEP for i in range(6)]


def test_conn_ids_never_repeat_after_kill_9(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, sys; from pathlib import Path; from lightningd_py.database import Database;"
        "print(asyncio.run(Database(Path(sys.argv[1])).next_conn_id_block()), flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / FILE_NAME)]
    firsts = [int(subprocess.run(command, capture_output=True, text=True).stdout) for _ in range(3)]
    assert firsts == [1, 1 + CONN_ID_STEP, 1 + 2 * CONN_ID_STEP]


def test_addresses_are_kept_the_latest_success_first(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    database.remember_address(ALICE, "1.2.3.4:9735", 10.0)
    database.remember_address(ALICE, "[::1]:9735", 20.0)
    database.remember_address(BOB, "example.com:1", 30.0)
    database.remember_address(ALICE, "1.2.3.4:9735", 40.0)
    database.remember_hint(ALICE, "1.2.3.4:9735")
    database.remember_hint(ALICE, "1.2.3.4:1")
    database.close()
    database = Database(tmp_path / FILE_NAME)
    assert database.addresses_of(ALICE) == [
        KnownAddress("1.2.3.4:9735", 40.0),
        KnownAddress("[::1]:9735", 20.0),
        KnownAddress("1.2.3.4:1", 0.0),
    ]
    assert database.addresses_of(b"\x02" + b"\0" * 32) == []
    database.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=60))
def test_a_node_has_a_bounded_number_of_addresses(tmp_path_factory: pytest.TempPathFactory, ports: list[int]) -> None:
    database = Database(tmp_path_factory.mktemp("database") / FILE_NAME)
    for now, port in enumerate(ports):
        database.remember_address(ALICE, f"1.2.3.4:{port}", float(now))
    latest = list(dict.fromkeys(f"1.2.3.4:{port}" for port in reversed(ports)))[:MOST_ADDRESSES]
    assert [known.address for known in database.addresses_of(ALICE)] == latest
    database.close()


def test_where_peers_see_us(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    assert database.discovered() == []
    database.remember_discovered(["1.2.3.4:9735", "[::1]:9735"])
    database.remember_discovered(["1.2.3.5:9735"])
    database.close()
    database = Database(tmp_path / FILE_NAME)
    assert database.discovered() == ["1.2.3.5:9735"]
    database.close()


def test_kept_nodes(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    for node_id, keep in [(ALICE, True), (ALICE, True), (BOB, True), (BOB, False), (BOB, False)]:
        database.keep_node(node_id, keep)
    database.close()
    database = Database(tmp_path / FILE_NAME)
    assert database.kept_nodes() == [ALICE]
    database.close()


async def test_bans(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    await database.ban(Ban("10.0.0.0/8", "", 5.0, None))
    await database.ban(Ban(ALICE.hex(), "first", 1.0, 50.0))
    await database.ban(Ban(ALICE.hex(), "second", 2.0, 60.0))
    await database.ban(Ban("1.2.3.4/32", "short", 3.0, 40.0))
    database.close()
    database = Database(tmp_path / FILE_NAME)
    assert [(ban.what, ban.reason) for ban in database.bans(39.0)] == [
        (ALICE.hex(), "second"),
        ("1.2.3.4/32", "short"),
        ("10.0.0.0/8", ""),
    ]
    assert [ban.expires for ban in database.bans(40.0)] == [60.0, None]
    assert [ban.expires for ban in database.bans(0.0)] == [60.0, None], "ended bans are forgotten"
    assert await database.unban(ALICE.hex())
    assert not await database.unban(ALICE.hex())
    database.close()


def test_a_file_of_the_first_version(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as sqlite:
        sqlite.executescript(MIGRATIONS[0])
        sqlite.execute("INSERT INTO addresses VALUES (?, '1.2.3.4:1', 5.0, 1), (?, '1.2.3.4:2', 6.0, 0)", (ALICE, BOB))
        sqlite.execute("PRAGMA user_version = 1")
    sqlite.close()
    database = Database(path)
    assert database.kept_nodes() == [ALICE]
    assert database.addresses_of(BOB) == [KnownAddress("1.2.3.4:2", 6.0)]
    database.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    asyncio.run(database.next_conn_id_block())
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) > 1
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_file_from_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    Database(path).close()
    with sqlite3.connect(path) as sqlite:
        sqlite.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    sqlite.close()
    before = path.read_bytes()
    now = len(MIGRATIONS)
    sentence = f"is of version {now + 1}, from a newer lightningd-py: this one knows up to {now}"
    with pytest.raises(DatabaseError, match=sentence):
        Database(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("this is something else, and it is long enough to be read\n" * 10)
    with pytest.raises(
        DatabaseError, match=rf"{FILE_NAME} is damaged \(file is not a database\): put a copy of it back, or"
    ):
        Database(path)


def test_no_place_for_the_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"cannot open database .*No such file"):
        Database(tmp_path / "nowhere" / FILE_NAME)


class Holder:
    """Another process that holds the file, for writing."""

    def __init__(self, path: Path) -> None:
        self.sqlite = sqlite3.connect(path, isolation_level=None)
        self.sqlite.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self.sqlite.execute("ROLLBACK")
        self.sqlite.close()


def in_the_file(path: Path, query: str) -> list[Any]:
    sqlite = sqlite3.connect(path)
    try:
        return sqlite.execute(query).fetchall()
    finally:
        sqlite.close()


async def test_while_the_file_is_held_the_node_goes_on(tmp_path: Path) -> None:
    """What is remembered is known at once, and written later; what must be on the disk waits for that."""
    path = tmp_path / FILE_NAME
    database, holder = Database(path), Holder(path)
    database.remember_address(ALICE, "1.2.3.4:9735", 10.0)
    assert database.addresses_of(ALICE) == [KnownAddress("1.2.3.4:9735", 10.0)]
    banning = asyncio.create_task(database.ban(Ban("10.0.0.0/8", "", 5.0, None)))
    await asyncio.sleep(0)
    assert database.bans(6.0) == []
    assert in_the_file(path, "SELECT * FROM addresses") == []
    holder.let_go()
    await banning
    assert len(database.bans(6.0)) == 1
    assert len(in_the_file(path, "SELECT * FROM addresses")) == len(in_the_file(path, "SELECT * FROM bans")) == 1
    database.close()


async def test_what_must_not_be_lost_is_said_to_have_failed_and_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is it written later. What may wait is."""
    monkeypatch.setattr(database_writer, "WORTH_A_LINE", 0.0)
    path = tmp_path / FILE_NAME
    database, holder = Database(path, patience=1.0), Holder(path)
    database.remember_address(ALICE, "1.2.3.4:9735", 10.0)
    held = f"database {path} is held by another process: end that"
    with pytest.raises(NotSaved, match=f"nothing was changed: {held}"):
        await database.ban(Ban("10.0.0.0/8", "", 5.0, None))
    with pytest.raises(NotSaved, match=f"it is in force, and waits to be written: {held}"):
        await database.saved()
    assert database.bans(6.0) == []
    assert caplog.text.count(f"{held}; what is to be written waits") == 1
    monkeypatch.undo()
    holder.let_go()
    await database.saved()
    assert in_the_file(path, "SELECT * FROM bans") == []
    assert len(in_the_file(path, "SELECT * FROM addresses")) == 1
    database.close()


@pytest.mark.parametrize("at_the_end", [False, True])
async def test_more_changes_than_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_the_end: bool) -> None:
    """The file becomes what the node knows, once it can be written."""
    monkeypatch.setattr(database_writer, "MOST_WAITING", 10)
    path = tmp_path / FILE_NAME
    database, holder = Database(path), Holder(path)
    for number in range(30):
        database.remember_address(bytes([number]) * 33, "1.2.3.4:9735", 10.0)
    with pytest.raises(NotSaved, match="too much waits"):
        await database.saved()
    holder.let_go()
    if not at_the_end:

        async def all_has_been_written() -> bool:
            return len(in_the_file(path, "SELECT * FROM addresses")) == 10

        await until(all_has_been_written, "what waits is not written")
        await database.ban(Ban("10.0.0.0/8", "", 5.0, None))
    database.close()
    assert len(in_the_file(path, "SELECT * FROM addresses")) == 30
    assert len(in_the_file(path, "SELECT * FROM bans")) == (0 if at_the_end else 1)
    assert in_the_file(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_file_that_is_held_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    Database(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseError, match=f"database {path} is held by another process: end that"):
        Database(path, patience=0.1)
    holder.close()
    Database(path).close()


def test_a_damaged_page(tmp_path: Path) -> None:
    """The sentence says which file, and what to do."""
    path = tmp_path / FILE_NAME
    database = Database(path)
    for number in range(200):
        database.remember_address(bytes([number]) * 33, "1.2.3.4:9735", 10.0)
    database.close()
    whole = path.read_bytes()
    place = whole.rindex(bytes([150]) * 33) // 4096 * 4096
    path.write_bytes(whole[:place] + bytes(4096) + whole[place + 4096 :])
    with pytest.raises(DatabaseError, match=rf"database {path} is damaged \(.*\): put a copy of it back, or try"):
        Database(path)


def test_a_symbolic_link_to_nothing(tmp_path: Path) -> None:
    """A disk that is not mounted: a new database would give conn_ids again."""
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "disk")
    with pytest.raises(DatabaseError, match="it is a symbolic link to nothing"):
        Database(tmp_path / FILE_NAME)
    assert not (tmp_path / "disk").exists()
