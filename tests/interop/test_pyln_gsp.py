"""GSP is read and written with the same lengths by pyln-proto's varints, which lntopo uses."""

import json
import subprocess
from pathlib import Path

from lightningd_py.observatory.exchange.gsp import read_gsp, write_gsp

PROGRAM = Path(__file__).parent / "pyln" / "gsp.py"
MESSAGES = [b"\x01\x02" + bytes(size) for size in (0, 136, 250, 251, 430, 65_533)]


def test_theirs_reads_ours(pyln_python: Path, tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        write_gsp(file, MESSAGES)
    done = subprocess.run([pyln_python, PROGRAM, "read", tmp_path / "x"], capture_output=True, check=True)
    assert [bytes.fromhex(text) for text in json.loads(done.stdout)] == MESSAGES


def test_ours_reads_theirs(pyln_python: Path, tmp_path: Path) -> None:
    words = [raw.hex() for raw in MESSAGES[:-1]]
    subprocess.run([pyln_python, PROGRAM, "write", tmp_path / "x", *words], check=True)
    assert list(read_gsp(tmp_path / "x")) == MESSAGES[:-1]
