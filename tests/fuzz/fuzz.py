"""`python -m tests.fuzz.fuzz TARGET [libFuzzer's options]`: atheris on one parser, until it is told to stop."""

import sys

import atheris

with atheris.instrument_imports(include=["wire", "gossipd", "lightningd_py"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """The first argument is the target's name, the rest is for libFuzzer."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
