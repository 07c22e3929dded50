"""The wheel in an empty environment, used from a directory whose folders have the names of our packages."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness.installed import PACKAGES, run
from tests.tools.newest import minors, runs
from tests.tools.oldest import oldest, requirements

SCRIPTS = ("lightningd-py", "lightning-cli-py", "connectiond", "lightning-observatory")
HOSTILE = "raise SystemExit('a module of the working directory was taken')\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A working directory that would be taken for us if the daemons looked into it."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        for module in ("__init__.py", "__main__.py"):
            (tmp_path / package / module).write_text(HOSTILE)
    return tmp_path


def test_wheel_has_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith((".dist-info", ".data"))} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    page = {f"lightningd_py/observatory/web/static/{name}" for name in ("index.html", "page.css", "page.js", "map.js")}
    assert page <= set(names)


def test_completion_and_man_pages_are_where_shells_and_man_look(environment: Path) -> None:
    """`lightning-cli-py completion` prints the same, for those who look elsewhere."""
    share = environment / "share"
    assert {path.name for path in (share / "man/man1").iterdir()} == {"lightning-cli-py.1", "lightningd-py.1"}
    for shell, place in {
        "bash": "bash-completion/completions/lightning-cli-py.bash",
        "zsh": "zsh/site-functions/_lightning-cli-py",
        "fish": "fish/vendor_completions.d/lightning-cli-py.fish",
    }.items():
        printed = run(environment / "bin/lightning-cli-py", "completion", shell, cwd=environment)
        assert printed == (share / place).read_text()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_script_answers_from_a_hostile_directory(environment: Path, hostile: Path, script: str, option: str) -> None:
    output = run(environment / "bin" / script, option, cwd=hostile)
    assert (script if option == "--help" else "0.1.0") in output


def test_node_starts_from_a_hostile_directory(environment: Path, hostile: Path) -> None:
    """Its daemons are found by name, and not in the working directory."""
    where = ("--network=regtest", f"--lightning-dir={hostile / 'node'}")
    command: list[str | Path] = [environment / "bin/lightningd-py", *where, "--offline"]
    node = subprocess.Popen(command, cwd=hostile, stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    try:
        log = ""
        while "listens on" not in log:
            line = node.stdout.readline()
            assert line, log
            log += line
        assert run(environment / "bin/lightning-cli-py", *where, "--json", "stop", cwd=hostile)
        assert node.wait(timeout=60) == 0
    finally:
        node.kill()
        node.communicate()


def test_demo_runs_from_an_empty_directory(environment: Path, tmp_path: Path) -> None:
    """With its examples, which `lightningd-py --write-examples` writes, too."""
    output = run(environment / "bin/python", "-m", "lightningd_py.tools.demo", cwd=tmp_path)
    assert "nothing is left behind" in output
    assert list(tmp_path.iterdir()) == []
    written = run(environment / "bin/lightningd-py", "--write-examples=mine", cwd=tmp_path).split()
    assert {"mine/refuse_channels.py", "mine/systemd/lightningd-py.service"} <= set(written)
    found = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == sorted(written)


SERVICE = """
import wire.program
print("wire is", wire.program.__file__)
for copy in wire.program.copies():
    pass
"""


def test_service_of_the_readme_finds_wire(environment: Path, tmp_path: Path) -> None:
    """`python3 mine.py` is the node's own interpreter, whatever PATH says, and a `wire.py` beside it is not ours."""
    (tmp_path / "mine.py").write_text(SERVICE)
    (tmp_path / "wire.py").write_text(HOSTILE)
    where = ("--network=regtest", f"--lightning-dir={tmp_path / 'node'}")
    service = ("--service", "mine=python3 mine.py", "--copy", "mine=onion_message")
    command: list[str | Path] = [environment / "bin/lightningd-py", *where, "--offline", *service]
    path = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    node = subprocess.Popen(command, cwd=tmp_path, env=path, stdout=subprocess.PIPE, text=True)
    assert node.stdout is not None
    try:
        log = ""
        while "wire is" not in log:
            line = node.stdout.readline()
            assert line, log
            assert "exited" not in line, log + line
            log += line
        assert Path(log.rpartition("wire is ")[2].strip()).is_relative_to(environment)
    finally:
        node.terminate()
        node.communicate()


def test_installed_packages_are_those_of_the_wheel(environment: Path, hostile: Path) -> None:
    code = "import wire, lightningd_py; print(wire.__file__, lightningd_py.__file__)"
    for path in run(environment / "bin/python", "-P", "-c", code, cwd=hostile).split():
        assert Path(path).is_relative_to(environment)


def test_newest_interpreter() -> None:
    """What `make test-versions` takes: one that runs, and that pyproject.toml allows."""
    assert all(minor > sys.version_info.minor for minor in minors())
    assert runs(sys.executable)
    assert not runs("/bin/true/python3.13")
    assert not runs("/bin/false")


def test_oldest_versions() -> None:
    """What `make test-oldest` installs."""
    assert oldest("websockets>=15,<18") == "websockets==15"
    assert oldest("coincurve==21.0.0") == "coincurve==21.0.0"
    with pytest.raises(ValueError, match="no lower bound"):
        oldest("rich~=13.9")
    assert {each for each in requirements() if "==" not in each} == {"types-cffi"}, "types for mypy, of no version"
