"""CLN's config file format."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.config.config_file import Origin, read_config
from lightningd_py.errors import UsageError


def written(path: Path, text: str) -> list[tuple[str, str | None]]:
    path.write_text(text, newline="")
    return [(setting.name, setting.value) for setting in read_config(path, Origin.BASE_FILE, must_exist=True)]


def test_keys_values_bare_keys_and_comments(tmp_path: Path) -> None:
    text = "# all about it\n\nalias=a=b \noffline \r\naddr=:1\naddr=:2\n   \n"
    expected = [("alias", "a=b "), ("offline", None), ("addr", ":1"), ("addr", ":2")]
    assert written(tmp_path / "config", text) == expected


def test_include_is_relative_to_its_file_and_keeps_the_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("b=1\ninclude ../c\nd=1\n")
    (tmp_path / "c").write_text("c=1\n")
    found = written(tmp_path / "config", "a=1\ninclude sub/a\ne=1\n")
    assert [name for name, _ in found] == ["a", "b", "c", "d", "e"]


def test_a_setting_knows_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("\n\nrgb=1\n")
    (tmp_path / "config").write_text("include more\n")
    (setting,) = read_config(tmp_path / "config", Origin.BASE_FILE, must_exist=True)
    assert setting.where == f"{tmp_path / 'more'}:3: rgb"


def test_a_file_that_includes_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="config:1: include loop"):
        written(tmp_path / "config", "include config\n")


def test_an_included_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere cannot be read: No such file"):
        written(tmp_path / "config", "include nowhere\n")


def test_a_missing_file_is_empty_where_it_may_be_missing(tmp_path: Path) -> None:
    assert read_config(tmp_path / "config", Origin.BASE_FILE, must_exist=False) == []
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(tmp_path / "config", Origin.EXPLICIT_FILE, must_exist=True)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"alias=\xff\n")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        read_config(tmp_path / "config", Origin.BASE_FILE, must_exist=True)


KEYS = st.from_regex("[a-z][a-z-]{0,20}", fullmatch=True)
VALUES = st.none() | st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(KEYS, VALUES)), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], end: str
) -> None:
    lines = [key if value is None else f"{key}={value}" for key, value in pairs]
    path = tmp_path_factory.mktemp("config") / "config"
    assert written(path, "".join(line + end for line in lines)) == pairs


@given(st.binary())
def test_any_bytes_are_settings_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("config") / "config"
    path.write_bytes(data)
    try:
        read_config(path, Origin.BASE_FILE, must_exist=True)
    except UsageError as error:
        assert str(path.parent) in str(error)


def test_the_mark_of_a_windows_editor_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert written(tmp_path / "config", "\ufeffoffline\n") == [("offline", None)]


def test_a_nul_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config:2: has a NUL byte"):
        written(tmp_path / "config", "offline\nlog-file=a\0b\n")


def test_a_symbolic_link_to_nothing_is_no_missing_file(tmp_path: Path) -> None:
    """Something was meant to be there."""
    (tmp_path / "config").symlink_to(tmp_path / "nothing")
    with pytest.raises(UsageError, match="symbolic link to nothing"):
        read_config(tmp_path / "config", Origin.BASE_FILE, must_exist=False)
