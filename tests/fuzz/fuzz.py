"""`python -m tests.fuzz.fuzz TARGET [libFuzzer's options]`: atheris on one parser, until it is told to stop."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wire", "gossipd", "lightningd_py"]):
    from tests.fuzz.targets import SEEDS, TARGETS


def main() -> None:
    """The first argument is the target's name, the rest is for libFuzzer."""
    name = sys.argv.pop(1)
    with tempfile.TemporaryDirectory(prefix="lightningd-py-corpus-") as corpus:
        (Path(corpus) / "seed").write_bytes(SEEDS.get(name, b""))
        atheris.Setup([*sys.argv, corpus], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
