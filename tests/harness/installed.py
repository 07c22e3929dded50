"""The wheel of this checkout, and an empty environment in which it is installed; both without a registry."""

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"wire", "connectd", "gossipd", "lightningd_py"}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheel(source: Path, target: Path) -> Path:
    """Built into `target` from a copy of the sources in the empty `source`: no build/ of earlier days gets in."""
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        run("cp", "-r", ROOT / name, source, cwd=ROOT)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", target, source, cwd=source)
    return next(target.glob("*.whl"))


def install(wheel: Path, home: Path) -> None:
    """Into a new environment `home`; what it depends on is seen there through a .pth."""
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin/python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--disable-pip-version-check", wheel, cwd=home)
    # A .pth in there is not read, so our checkout is not found by it. No links to its entries: a daemon may only read
    # what lies under its sys.path, and Landlock judges a file by its real path.
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
