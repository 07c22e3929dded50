"""The command begins without its libraries, and no daemon needs them."""

import importlib.util
import re
from importlib.machinery import ModuleSpec

import pytest

from lightningd_py.observatory import __main__ as module
from tests.tools import rooms
from wire.command import console


def test_without_the_extra_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str) -> ModuleSpec | None:
        return None if name == "duckdb" else found(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(console, "begin", lambda ends: None)
    assert module.main() == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "duckdb is needed and not there: pip install 'lightningd-py[observatory]' gets what it needs" in told


WITH_NATS = "lightningd_py.cli.nats_feed"
"""What --nats needs, within the functions that do it."""


def test_only_the_observatory_imports_it() -> None:
    """So no daemon, and no other command, waits for pyarrow, or needs it."""
    heavy = ("pyarrow", "duckdb", "networkx")
    for package in rooms.PACKAGES:
        known = rooms.modules(package)
        imports = rooms.imports(known)
        for name, path in known.items():
            if name.startswith("lightningd_py.observatory") or name == "lightningd_py.export.parquet":
                continue
            assert not any(f"import {each}" in path.read_text() for each in heavy), name
            if name == WITH_NATS:
                assert not re.search("^(from|import) lightningd_py", path.read_text(), re.MULTILINE)
                continue
            assert not any(each.startswith("lightningd_py.observatory") for each in imports[name]), name
