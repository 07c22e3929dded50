"""With CI set a skipped interop test is a failure, without it a skip; in a worker as in one process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "interop/conftest.py"


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 error"), ("", "1 skipped")])
@pytest.mark.parametrize("where", ["fixture", "module"])
@pytest.mark.parametrize("workers", [0, 1])
def test_skipped_interop_test(tmp_path: Path, ci: str, outcome: str, where: str, workers: int) -> None:
    shutil.copy(CONFTEST, tmp_path)
    source = {
        "fixture": "import pytest\n@pytest.fixture\ndef peer(): pytest.skip('no npm')\ndef test_it(peer): ...\n",
        "module": "import pytest\npytest.skip('no npm', allow_module_level=True)\n",
    }
    (tmp_path / "test_it.py").write_text(source[where])
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        *("-p", "xdist.plugin"),
        f"-n{workers}",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome in done.stdout.splitlines()[-1], done.stdout
    assert "no npm" in done.stdout
