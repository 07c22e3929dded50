"""What setconfig writes: read again it says the same, and nothing else has changed."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightningd_py.config.options import Options, parse
from lightningd_py.config.setconfig import FIRST_LINE, Keeper, NotKept, transient, transients
from lightningd_py.errors import UsageError


@pytest.fixture
def node(tmp_path: Path) -> Path:
    (tmp_path / "regtest").mkdir()
    return tmp_path


def options(node: Path, *more: str) -> Options:
    return parse([f"--lightning-dir={node}", "--network=regtest", *more])


def keep(node: Path, name: str, *texts: str, more: tuple[str, ...] = ()) -> Options:
    """As the next start finds it."""
    before = options(node, *more)
    kept = Keeper(before).keep(name, texts)
    live = before.changed(name, kept)
    after = options(node, *more)
    assert [(one.where, one.value) for one in after.settings if one.name == name] == [
        (one.where, one.value) for one in live.settings if one.name == name
    ]
    return after


def test_there_was_no_file(node: Path) -> None:
    assert keep(node, "alias", "me ").alias == "me "
    own = node / "regtest" / "config.setconfig"
    assert own.read_text() == f"{FIRST_LINE}\nalias=me \n"
    said = (node / "regtest" / "config").read_text().splitlines()
    assert said[0].startswith("# Inserted by setconfig 20")
    assert said[1:] == ["include config.setconfig"]
    assert own.stat().st_mode & 0o777 == 0o600


def test_again_and_again_the_file_does_not_grow(node: Path) -> None:
    for number in range(5):
        assert keep(node, "max-inbound", str(number)).max_inbound == number
        assert keep(node, "announce-addr", *["8.8.8.8"] * (number % 3)).announce_addr == () or number % 3
    assert len((node / "regtest" / "config.setconfig").read_text().splitlines()) <= 5
    assert (node / "regtest" / "config").read_text().count("include") == 1


def test_what_other_files_said_becomes_a_comment(node: Path) -> None:
    (node / "config").write_text("# mine\nalias=old\nrgb=010203")
    (node / "regtest" / "config").write_text("log-level=debug\r\nalias=older\nlog-level=io:hsmd\ninclude more")
    (node / "regtest" / "more").write_text("max-inbound=7\n")
    (node / "regtest" / "more").chmod(0o644)
    after = keep(node, "alias", "new")
    assert (after.alias, after.rgb, after.max_inbound) == ("new", b"\1\2\3", 7)
    assert "# setconfig commented out (see config.setconfig): alias=old\n" in (node / "config").read_text()
    assert keep(node, "log-level", "info,debug:gossipd").log_level == ("info", "debug:gossipd")
    assert keep(node, "max-inbound", "8").max_inbound == 8
    assert (node / "regtest" / "more").read_text().endswith("max-inbound=7\n")
    assert (node / "regtest" / "more").stat().st_mode & 0o777 == 0o644


def test_with_a_file_of_its_own(node: Path) -> None:
    conf = node / "mine.conf"
    conf.write_text("network=regtest\n")
    parsed = parse([f"--lightning-dir={node}", f"--conf={conf}"])
    Keeper(parsed).keep("rgb", ["0a0b0c"])
    assert (node / "mine.conf.setconfig").exists()
    assert parse([f"--lightning-dir={node}", f"--conf={conf}"]).rgb == b"\x0a\x0b\x0c"
    assert not (node / "regtest" / "config").exists()


def test_a_link_stays_a_link(node: Path) -> None:
    (node / "elsewhere").write_text("alias=old\n")
    (node / "regtest" / "config").symlink_to("../elsewhere")
    assert keep(node, "alias", "new").alias == "new"
    assert (node / "regtest" / "config").is_symlink()


def test_the_command_line_counts_more_at_the_next_start(node: Path) -> None:
    Keeper(options(node, "--alias=cmdline")).keep("alias", ["kept"])
    assert options(node, "--alias=cmdline").alias == "cmdline"
    assert options(node).alias == "kept"


def test_a_file_that_has_changed_meanwhile(node: Path) -> None:
    config = node / "regtest" / "config"
    config.write_text("\nalias=old\n")
    before = options(node)
    config.write_text("alias=old\n")
    with pytest.raises(NotKept, match=f"Configfile {config} line 2 changed from alias=old to nothing!"):
        Keeper(before).keep("alias", ["new"])
    assert config.read_text() == "alias=old\n"
    assert not (node / "regtest" / "config.setconfig").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written(node: Path) -> None:
    (node / "regtest").chmod(0o500)
    with pytest.raises(NotKept, match=r"Cannot write to config file .*: Permission denied"):
        Keeper(options(node)).keep("alias", ["new"])
    (node / "regtest").chmod(0o700)
    assert list((node / "regtest").iterdir()) == []


def test_a_directory_in_the_way(node: Path) -> None:
    before = options(node)
    (node / "regtest" / "config.setconfig").mkdir()
    with pytest.raises(NotKept, match=r"Cannot read config file .*: Is a directory"):
        Keeper(before).keep("alias", ["new"])


def test_for_this_life_only() -> None:
    before = parse(["--regtest", "--alias=old"])
    after = before.changed("alias", transient("alias", ["new"]))
    assert (before.alias, after.alias, transients(after)) == ("old", "new", [("alias", "new")])
    with pytest.raises(UsageError, match="setconfig: rgb: 'red' is not six hex digits"):
        before.changed("rgb", transient("rgb", ["red"]))


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=50, deadline=None)
@given(st.lists(LINES, max_size=6), st.lists(LINES.filter(lambda text: len(text.encode()) <= 32), max_size=4))
def test_whatever_the_files_hold(lines: list[str], aliases: list[str]) -> None:
    """Comments, empty lines and spaces stay; the alias is the last one that was set."""
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        node = Path(made)
        (node / "regtest").mkdir()
        kept = [f"#{line}" for line in lines]
        (node / "regtest" / "config").write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        for alias in aliases:
            assert keep(node, "alias", alias).alias == alias
        assert (node / "regtest" / "config").read_text(encoding="utf-8").split("\n")[: len(kept)] == kept
