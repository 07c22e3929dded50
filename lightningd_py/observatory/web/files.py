"""The page's own files, and the two libraries that draw the map: read once, so that no request leads to the disk."""

import hashlib
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "static"
VENDOR = STATIC / "vendor"
LIBRARIES = ("graphology.umd.min.js", "sigma.min.js")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class File(NamedTuple):
    """What is sent, and its ETag."""

    kind: str
    body: bytes
    etag: str


def page_files(static: Path = STATIC) -> dict[str, File]:
    """By the path of the URL; `/` is index.html."""
    found = {
        f"/{path.relative_to(static)}": _file(path)
        for path in sorted(static.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }
    return {"/": found["/index.html"], **found}


def _file(path: Path) -> File:
    body = path.read_bytes()
    return File(TYPES[path.suffix], body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def has_libraries(files: dict[str, File]) -> bool:
    """Whether the map can be drawn."""
    return all(f"/vendor/{name}" in files for name in LIBRARIES)
