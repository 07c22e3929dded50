"""The version is that of the installed package."""

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wire.start.version import version


@pytest.fixture(autouse=True)
def not_asked_yet() -> Iterator[None]:
    version.cache_clear()
    yield
    version.cache_clear()


def test_it_is_what_importlib_finds() -> None:
    assert version() == importlib.metadata.version("lightningd-py")


def test_the_first_directory_that_has_the_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "lightningd_py-1.2.3rc1.dist-info").mkdir(parents=True)
    (tmp_path / "b" / "lightningd_py_tools-9.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / name) for name in ("missing", "a", "b")])
    assert version() == "1.2.3rc1"


def test_source_that_is_run_as_it_lies_there_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), ""])
    assert version() == "uninstalled"


def test_it_stays_what_it_was_when_another_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = version()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert version() == before != "uninstalled"
