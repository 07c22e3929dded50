"""Other people's software for these tests: installed once into the user's cache, pinned, and never skipped in CI."""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

PYLN = ("pyln-proto==26.6.9", "pyln-client==26.6.9")
LNPROTOTEST = (
    "lnprototest==0.0.7",
    "pyln-bolt1==1.0.222",
    "pyln-bolt2==1.0.246",
    "pyln-bolt7==1.0.246",
    "crc32c==2.9.post0",
    "python-bitcoinlib==0.11.2",
)
"""Installed as they stand: lnprototest asks for versions of pyln that are years old, and works with these."""
INSTALL_TIMEOUT = 300.0
TEST_TIMEOUT = 600.0
"""Seconds for a test that has to install something first."""
WHILE_IT_CHECKS = 240.0
"""Seconds in which other people's software has told, or taken in, a map of thousands of signatures."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT))


def _no_skips_in_ci(report: Any) -> Any:
    """With CI set, what is skipped has failed: CI has npm and the registries."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr[2]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    return _no_skips_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    return _no_skips_in_ci((yield))


class InstallFailed(Exception):
    """A package client said no; its first line about that."""


def _run(*command: str | Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallFailed(str(error)) from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        raise InstallFailed(next(iter(errors), f"exit status {done.returncode}"))


def cached(name: str, pins: Sequence[str], install: Callable[[Path], None]) -> Path:
    """A directory of the user's cache in which `install` has succeeded with these pins; skips where it cannot.

    A lock and a stamp written last make it safe against a second test run and against one that was interrupted.
    """
    digest = hashlib.sha256("\n".join(pins).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightningd-py"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{name}-{digest}"
    with (cache / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "installed").exists():
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            try:
                install(target)
            except InstallFailed as error:
                pytest.skip(f"cannot install the packages of {name}: {error}")
            (target / "installed").touch()
    return target


def pyln_environment() -> Path:
    """The interpreter of a virtual environment with pyln and lnprototest; skips where it cannot be made.

    It is one of its own because pyln-proto brings a fork of coincurve that installs over coincurve.
    """

    def install(target: Path) -> None:
        _run(sys.executable, "-m", "venv", target)
        pip = (target / "bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--retries", "1")
        _run(*pip, "--quiet", "--only-binary", ":all:", *PYLN)
        _run(*pip, "--quiet", "--only-binary", ":all:", "--no-deps", *LNPROTOTEST)

    return cached("pyln", [*PYLN, *LNPROTOTEST, sys.version], install) / "bin/python"


@pytest.fixture(scope="session")
def pyln_python() -> Path:
    """See pyln_environment."""
    return pyln_environment()


class Program:
    """A script in another environment that answers JSON lines with JSON lines (tests/interop/pyln/lines.py)."""

    def __init__(self, *command: str | Path) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command: str, **arguments: Any) -> Any:
        """What the script's function of this name returns; RuntimeError with its exception's text if it raised one."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(json.dumps({"command": command, **arguments}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        answer = json.loads(line or '{"error": "the program has ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    async def answer(self, command: str, **arguments: Any) -> Any:
        """What `ask` returns, from a thread."""
        return await asyncio.to_thread(self.ask, command, **arguments)

    def end(self) -> None:
        """Its standard input ends, and so it does; killed where it does not."""
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def pyln(pyln_python: Path) -> Iterator[Callable[..., Program]]:
    """`pyln("peer.py")`: a script of tests/interop/pyln in pyln's environment; ended with the test."""
    programs: list[Program] = []

    def start(script: str, *arguments: str | Path) -> Program:
        programs.append(Program(pyln_python, Path(__file__).parent / "pyln" / script, *arguments))
        return programs[-1]

    yield start
    for program in programs:
        program.end()


def pins(package: Path) -> list[str]:
    """What a package.json pins, as `node_modules` takes it."""
    return [f"{name}@{version}" for name, version in sorted(json.loads(package.read_text())["dependencies"].items())]


def node_modules_directory(packages: Sequence[str]) -> Path:
    """The node_modules directory with exactly these npm packages; skips where it cannot be made."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node or npm is not installed")

    def install(target: Path) -> None:
        (target / "package.json").write_text(json.dumps({"private": True}))
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1")
        _run(npm, "install", "--prefix", target, *options, *packages)

    return cached("npm", packages, install) / "node_modules"


@pytest.fixture(scope="session")
def node_modules() -> Callable[[Sequence[str]], Path]:
    """`node_modules(["lightningdevkit@0.1.2-0"])`: see node_modules_directory."""
    return node_modules_directory
