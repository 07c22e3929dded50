"""The unit files that the wheel brings: systemd has no complaint, and the page shows them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lightningd_py.config.examples import write_examples

ROOT = Path(__file__).parent.parent
UNITS = ROOT / "lightningd_py/examples/systemd"


def verify(directory: Path) -> str:
    """What systemd says about both."""
    if shutil.which("systemd-analyze") is None:
        assert "CI" not in os.environ, "CI has systemd-analyze: .ci/run installs it"
        pytest.skip("systemd-analyze is not installed")
    units = [directory / f"systemd/lightningd-py.{kind}" for kind in ("service", "socket")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")


def test_systemd_has_no_complaint(tmp_path: Path) -> None:
    """But for what is not there: the command is where this package would be installed."""
    write_examples(tmp_path)
    service = tmp_path / "systemd/lightningd-py.service"
    text = service.read_text().replace("/opt/lightningd-py/bin/lightningd-py", "/bin/true")
    service.write_text(text)
    assert verify(tmp_path) == ""
    service.write_text(text.replace("Type=notify", "Typ=notify"))
    assert "Typ" in verify(tmp_path)


@pytest.mark.parametrize("unit", sorted(UNITS.iterdir()), ids=lambda path: path.name)
def test_the_page_shows_it(unit: Path) -> None:
    assert f"```ini\n{unit.read_text()}```\n" in (ROOT / "docs/running.md").read_text()
