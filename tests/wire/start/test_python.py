"""How a process of ours runs Python: it finds what its parent finds, and nothing in the working directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wire.start import python

DEAR = ("_ssl", "shutil", "argparse", "email", "http", "zipfile")
"""Modules that a daemon has no use for, and that come in easily with others."""


def run(code: str, cwd: Path, environment: dict[str, str]) -> str:
    start = python.command("nothing")[:-2]
    done = subprocess.run([*start, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_child_finds_the_modules_that_its_parent_has_found(tmp_path: Path) -> None:
    for module in ("wire", "msgpack", "cryptography", "json"):
        path = run(f"import {module}; print({module}.__file__)", tmp_path, python.environment()).strip()
        assert path == sys.modules.get(module, __import__(module)).__file__


def test_nothing_is_imported_from_the_working_directory(tmp_path: Path) -> None:
    for name in ("wire", "json", "connectd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('hostile')")
    run("import wire, json, connectd", tmp_path, python.environment())


def test_relative_directories_and_a_script_s_own_do_not_reach_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["/of/the/script", "", ".", "relative", "/absolute", "/absolute"])
    path = python.environment()["PYTHONPATH"].split(os.pathsep)
    assert path == ["/absolute", str(Path(python.__file__).parents[2])]


def test_what_this_process_is_started_with_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTNING_TEST", "1")
    assert {**python.environment(), "PYTHONPATH": ""} == {**os.environ, "PYTHONPATH": ""}


@pytest.mark.parametrize("module", ["connectd", "gossipd", "lightningd_py.listingd", "lightningd_py.oniond"])
def test_a_daemon_loads_neither_tls_nor_what_others_need(module: str, tmp_path: Path) -> None:
    """Without a socket it ends at once; what it has loaded by then is looked at."""
    code = f"""
import runpy, sys
sys.argv[1:] = ["x", "info"]
try:
    runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
except BaseException:
    pass
print(sys.modules["ssl"], *(name for name in {DEAR} if name in sys.modules))
"""
    assert run(code, tmp_path, python.environment()).split() == ["None"]


def test_nothing_is_collected_while_modules_are_loaded(tmp_path: Path) -> None:
    code = """
import gc
from wire.start.python import loading
with loading():
    before = gc.isenabled()
print(before, gc.isenabled(), gc.get_freeze_count() > 1000)
"""
    assert run(code, tmp_path, python.environment()).split() == ["False", "True", "True"]
