"""What is remembered across restarts."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightningd_py.database import CONN_ID_STEP, FILE_NAME, MIGRATIONS, MOST_ADDRESSES, Ban, Database, KnownAddress
from lightningd_py.errors import DatabaseError

ALICE, BOB = b"\x02" * 33, b"\x03" * 33


def test_conn_ids_never_repeat(tmp_path: Path) -> None:
    firsts = []
    for _ in range(3):
        database = Database(tmp_path / FILE_NAME)
        firsts += [database.next_conn_id_block(), database.next_conn_id_block()]
        database.close()
    assert firsts == [1 + i * CONN_ID_STEP for i in range(6)]


def test_conn_ids_never_repeat_after_kill_9(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from lightningd_py.database import Database;"
        "print(Database(Path(sys.argv[1])).next_conn_id_block(), flush=True); os.kill(os.getpid(), 9)"
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


def test_bans(tmp_path: Path) -> None:
    database = Database(tmp_path / FILE_NAME)
    database.ban(Ban("10.0.0.0/8", "", 5.0, None))
    database.ban(Ban(ALICE.hex(), "first", 1.0, 50.0))
    database.ban(Ban(ALICE.hex(), "second", 2.0, 60.0))
    database.ban(Ban("1.2.3.4/32", "short", 3.0, 40.0))
    database.close()
    database = Database(tmp_path / FILE_NAME)
    assert [(ban.what, ban.reason) for ban in database.bans(39.0)] == [
        (ALICE.hex(), "second"),
        ("1.2.3.4/32", "short"),
        ("10.0.0.0/8", ""),
    ]
    assert [ban.expires for ban in database.bans(40.0)] == [60.0, None]
    assert [ban.expires for ban in database.bans(0.0)] == [60.0, None], "ended bans are forgotten"
    assert database.unban(ALICE.hex())
    assert not database.unban(ALICE.hex())
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
    database.next_conn_id_block()
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
    with pytest.raises(DatabaseError, match=f"cannot use database {path}: file is not a database"):
        Database(path)


def test_no_place_for_the_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"cannot open database .*No such file"):
        Database(tmp_path / "nowhere" / FILE_NAME)
