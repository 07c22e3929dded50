"""The rules that a reader relies on, held by the source itself: imports, system access, sizes."""

import ast
import functools
import re
import subprocess
from pathlib import Path

import pytest

from tests.tools import rooms
from tests.tools.system_access import SYSTEM

ROOT = Path(__file__).parent.parent
PACKAGES = ("wire", "connectd", "gossipd", "lightningd_py")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.parent.name != "examples"
}
"""All but the examples: they are programs for users, and stand beside no `__init__.py`."""
_TOP_FILES = (".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml")
TOP_LEVEL = {*PACKAGES, *_TOP_FILES, "docs", "tests"}
LONGEST_FILE = 400
LONG_TABLES = {
    "wire/control/control_wire.py": "a hundred declarations, which are found better in one place",
    "wire/bus/bus_wire.py": "forty declarations, likewise",
}

MAY_IMPORT = {
    "wire": {"wire"},
    "connectd": {"connectd", "wire"},
    "gossipd": {"gossipd", "wire"},
    "lightningd_py": {"lightningd_py", "wire"},
}
READ_ONLY_LIBRARY = {"gossipd.gossmap", "gossipd.store.writer", "gossipd.store.records"}
"""What lightningd_py may use of gossipd: the store and its index, so that a listing never makes gossipd wait."""

FORBIDDEN_CALLS = {"eval", "exec", "__import__", "compile"}


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(), filename=str(MODULES[module]))


@functools.cache
def imports_of(module: str) -> list[str]:
    """Dotted names of all that a module imports, wherever in it the import stands."""
    found: list[str] = []
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def importers(package: str) -> set[str]:
    return {module for module in MODULES if any(name.split(".")[0] == package for name in imports_of(module))}


@pytest.mark.parametrize("module", MODULES)
def test_daemons_import_wire_and_never_each_other(module: str) -> None:
    package = module.split(".")[0]
    for name in imports_of(module):
        imported = name.split(".")[0]
        if package == "lightningd_py" and {name, name.rpartition(".")[0]} & READ_ONLY_LIBRARY:
            continue
        assert imported not in PACKAGES or imported in MAY_IMPORT[package], f"{module} imports {name}"


@pytest.mark.parametrize("package", SYSTEM)
def test_only_named_modules_touch_the_system(package: str) -> None:
    assert importers(package) - SYSTEM[package].keys() == set(), f"these import {package} and are not in the list"
    assert SYSTEM[package].keys() - importers(package) == set(), f"these are in the list and do not import {package}"


def test_only_secp256k1_imports_coincurve() -> None:
    assert importers("coincurve") <= {"wire.secp256k1"}


def test_nothing_unpickles_or_evaluates_or_runs_a_shell() -> None:
    assert importers("pickle") | importers("marshal") | importers("shelve") == set()
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            assert name not in FORBIDDEN_CALLS, f"{module}:{node.lineno} calls {name}"
            shells = [keyword.value for keyword in node.keywords if keyword.arg == "shell"]
            assert all(isinstance(shell, ast.Constant) and shell.value is False for shell in shells), module


def test_top_level_has_only_what_belongs_there() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} <= TOP_LEVEL


def test_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == [], "tests/wire/__init__.py would shadow wire"


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_lie_as_the_rooms_do(package: str) -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests" / package).rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_are_named_after_what_they_test(package: str) -> None:
    """`test_<module>.py`, or `test_<module>_<topic>.py`; the module stands in the same room."""
    strays = []
    for path in sorted((ROOT / "tests" / package).rglob("test_*.py")):
        room = ROOT / path.parent.relative_to(ROOT / "tests")
        name = path.stem.removeprefix("test_")
        if not any(name == module.stem or name.startswith(module.stem + "_") for module in room.glob("*.py")):
            strays.append(str(path.relative_to(ROOT)))
    assert strays == []


def test_files_are_short() -> None:
    sources = [*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in sources}
    assert {name for name, length in lengths.items() if length > LONGEST_FILE} <= LONG_TABLES.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are_for(module: str) -> None:
    assert ast.get_docstring(tree_of(module)), f"{module} has no docstring"


# rooms

KNOWN_CIRCLES: set[frozenset[str]] = set()
"""Circles of files or of rooms that are still to be undone. Strike out what is gone, add nothing."""

MOST_FILES = 16


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_make_no_circles(package: str) -> None:
    known = {circle for circle in KNOWN_CIRCLES if next(iter(circle)).split(".")[0] == package}
    modules = rooms.modules(package)
    found = rooms.circles(rooms.imports(modules)) | rooms.circles(rooms.imports_of_rooms(modules))
    parts = {circle for circle in found if any(circle <= larger for larger in known)}
    assert found - parts == set(), "these are new"
    assert known - parts == set(), "these have become smaller or are gone: say so in KNOWN_CIRCLES"


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_import_towards_the_ground(package: str) -> None:
    edges = rooms.imports_of_rooms(rooms.modules(package))
    order = rooms.ORDER[package]
    for room in edges.keys() - {package}:
        assert room in order or (room.count(".") == 1 and "*" in order), f"{room} has no place in rooms.ORDER"
    assert set(order) - {"*"} <= edges.keys(), "these are in rooms.ORDER, and are no rooms"
    wrong = {
        (room, imported)
        for room, others in edges.items()
        for imported in others
        if rooms.place_of(imported) > rooms.place_of(room)
    }
    known = {pair for pair in wrong if any(circle.issuperset(pair) for circle in KNOWN_CIRCLES)}
    assert wrong - known == set(), "these import from a room that stands above theirs"


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_are_not_crowded(package: str) -> None:
    assert {room: count for room, count in rooms.sizes(rooms.modules(package)).items() if count > MOST_FILES} == {}


def test_rooms_say_in_two_sentences_what_lives_there_and_who_may_call_it() -> None:
    for module, path in MODULES.items():
        if path.name == "__init__.py" and path.parent.parent != ROOT:
            text = " ".join((ast.get_docstring(tree_of(module)) or "").split())
            assert len(re.findall(r"[.!?](?= [A-Z`]|$)", text)) >= 2, f"{module}: {text}"


def test_circles_are_found_wherever_the_import_stands(tmp_path: Path) -> None:
    """Under TYPE_CHECKING, within a function, from the package or from the module."""
    for name, text in {
        "p/__init__.py": "",
        "p/top.py": "from p import other\n",
        "p/other.py": "if TYPE_CHECKING:\n    from p.room.first import x\n",
        "p/room/__init__.py": "",
        "p/room/first.py": "def f():\n    import p.top\n",
        "p/room/second.py": "from p.room import first\nimport p.ground\n",
        "p/ground.py": "import os\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    modules = rooms.modules("p", tmp_path)
    assert rooms.circles(rooms.imports(modules)) == {frozenset({"p.top", "p.other", "p.room.first"})}
    assert rooms.circles(rooms.imports_of_rooms(modules)) == {frozenset({"p.top", "p.other", "p.room"})}
    assert rooms.imports(modules)["p.room.second"] == {"p.room.first", "p.ground"}


def test_rooms_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 1 as long as there are circles."""
    found = rooms.main()
    printed = capsys.readouterr().out
    for package in PACKAGES:
        assert re.search(rf"^{package}: \d+ files, median \d+ lines a file$", printed, re.M)
    assert re.search(r"^    gossipd\.map +\d+ files$", printed, re.M)
    assert bool(found) == ("circle of" in printed) == bool(KNOWN_CIRCLES)
