"""The example programs and units, which an installed package brings along: written where a user can read and change
them.
"""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from lightningd_py.errors import DirectoryError
from wire.command.console import reason


def write_examples(directory: Path) -> list[Path]:
    """Write each into `directory`, which is made if need be; the paths. Raises DirectoryError.

    A file of that name that is another one is left as it is, and none is written.
    """
    try:
        examples = dict(_examples(files("lightningd_py").joinpath("examples"), directory))
        for path, content in examples.items():
            if path.exists() and path.read_bytes() != content:
                raise DirectoryError(f"{path} is there already, and is not the example: choose another directory")
        for path, content in examples.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise DirectoryError(f"the examples cannot be written into {directory}: {reason(error)}") from error
    return list(examples)


def _examples(source: Traversable, directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Where each is to be, and its content, by name."""
    for example in sorted(source.iterdir(), key=lambda each: each.name):
        if not example.is_dir():
            yield directory / example.name, example.read_bytes()
        elif example.name != "__pycache__":
            yield from _examples(example, directory / example.name)
