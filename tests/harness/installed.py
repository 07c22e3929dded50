"""Wheels of this checkout and of earlier ones, and environments in which they are installed; all without a registry."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"wire", "connectd", "gossipd", "lightningd_py"}
SOURCES = (*sorted(PACKAGES), "pyproject.toml", "README.md", "LICENSE")
SAID = ("wire/control/control_wire.py", "wire/control/timing.py", "wire/control/limits.py", "wire/frames.py")
"""Where control messages, and what they consist of, are declared."""
_PIP = (sys.executable, "-m", "pip")
_QUIET = ("--quiet", "--disable-pip-version-check", "--no-deps")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_sources(target: Path) -> None:
    """What a wheel is made of, into the empty `target`: no build/ of earlier days gets in."""
    for name in SOURCES:
        run("cp", "-r", ROOT / name, target, cwd=ROOT)


def copy_commit(commit: str, target: Path) -> None:
    """The same of another commit."""
    archive = subprocess.run(
        ("git", "archive", commit, *SOURCES), cwd=ROOT, capture_output=True, timeout=60, check=True
    ).stdout
    subprocess.run(("tar", "-x"), input=archive, cwd=target, timeout=60, check=True)


def last_compatible_commit() -> str | None:
    """The oldest of the last ones, in a row, whose processes say the same to each other as ours; None without any."""
    found = None
    for commit in _git("rev-list", "--max-count=100", "HEAD").split():
        if any(_git("show", f"{commit}:{path}") != (ROOT / path).read_text() for path in SAID):
            break
        found = commit
    return found


def _git(*words: str) -> str:
    """Its output; nothing where there is no git, or no history."""
    if shutil.which("git") is None:
        return ""
    return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False).stdout


def set_version(source: Path, version: str) -> None:
    """Of the sources in this directory."""
    project = source / "pyproject.toml"
    text, count = re.subn(r'^version = ".*"$', f'version = "{version}"', project.read_text(), flags=re.MULTILINE)
    assert count == 1
    project.write_text(text)


def make_wheel(source: Path, target: Path) -> Path:
    """Of the sources in this directory, into the empty `target`."""
    run(*_PIP, "wheel", *_QUIET, "--no-build-isolation", "--wheel-dir", target, source, cwd=source)
    return next(target.glob("*.whl"))


def build_wheel(source: Path, target: Path) -> Path:
    """Of this checkout, into `target`, from a copy of the sources in the empty `source`."""
    copy_sources(source)
    return make_wheel(source, target)


def install(wheel: Path, home: Path) -> None:
    """Into a new environment `home`; what it depends on is seen there through a .pth."""
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    # A .pth in there is not read, so our checkout is not found by it. No links to its entries: a daemon may only read
    # what lies under its sys.path, and Landlock judges a file by its real path.
    (site_packages(home) / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    upgrade(wheel, home)


def upgrade(wheel: Path, home: Path) -> None:
    """`pip install` into an environment that is there."""
    run(*_PIP, "--python", home / "bin/python", "install", *_QUIET, "--no-index", wheel, cwd=home)


def site_packages(home: Path) -> Path:
    """Where its packages are."""
    return Path(
        run(home / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    )
