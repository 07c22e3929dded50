"""docs/observatory.md's ten commands, as they stand there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.snippets import ROOT, snippets

PAGE = "docs/observatory.md"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Both nodes end with the test, whatever has come of it."""
    programs = Path(sys.executable).parent
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    yield environment
    for name in ("east", "west"):
        where = ("--network=regtest", f"--lightning-dir={tmp_path / name}")
        stopped = subprocess.run(
            [programs / "lightning-cli-py", *where, "stop"], capture_output=True, timeout=60, check=False
        )
        assert stopped.returncode == 0, stopped.stderr


@pytest.mark.long
@pytest.mark.timeout(300)
def test_ten_commands_as_printed(tmp_path: Path, environment: dict[str, str]) -> None:
    code = snippets("sh")[f"{PAGE} 1"]
    commands = code.splitlines()
    assert len(commands) == 10
    script = tmp_path / "commands.sh"
    script.write_text(f"set -e\n{code}")
    out, err = tmp_path / "out", tmp_path / "err"  # no pipes: the nodes keep them
    with out.open("w") as output, err.open("w") as error:
        done = subprocess.run(
            ["/bin/bash", script], cwd=tmp_path, env=environment, stdout=output, stderr=error, timeout=240, check=False
        )
    assert done.returncode == 0, out.read_text() + err.read_text()
    lines = [line for line in out.read_text().splitlines() if not re.fullmatch(r"\[\d\].*", line)]
    assert shapes(lines) == shapes(printed()), lines
    svg = (tmp_path / "propagation.svg").read_text()
    assert svg.startswith("<svg ") and "receipts" in svg


def printed() -> list[str]:
    """What the page shows below the commands."""
    text = (ROOT / PAGE).read_text().split("printed:\n\n")[1].split("\n\n")[0]
    return [line.removeprefix("    ") for line in text.splitlines()]


def shapes(lines: list[str]) -> list[str]:
    """The words that do not differ from run to run."""
    return [" ".join(re.findall(r"\b[a-z]{3,}\b", re.sub(r"\S*\d\S*", "", line))) for line in lines]
