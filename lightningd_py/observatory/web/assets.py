"""The two libraries that draw the map, from npm: their code is not in the repository. `make web-assets` calls this.

What npm gives is compared with the hashes here before anything of it is unpacked.
"""

import base64
import hashlib
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.files import make_folder, replace_file
from lightningd_py.observatory.web.files import VENDOR

TIMEOUT = 300.0


class Package(NamedTuple):
    """`sha512`: of the package's tarball, in base64. `files`: path in it -> name here."""

    name: str
    sha512: str
    files: dict[str, str]


PACKAGES = (
    Package(
        "graphology@0.26.0",
        "8SSImzgUUYC89Z042s+0r/vMibY7GX/Emz4LDO5e7jYXhuoWfHISPFJYjpRLUSJGq6UQ6xlenvX1p/hJdfXuXg==",
        {
            "package/dist/graphology.umd.min.js": "graphology.umd.min.js",
            "package/LICENSE.txt": "graphology-LICENSE.txt",
        },
    ),
    Package(
        "sigma@3.0.3",
        "5H0zFlx6/NTQpqBg4Rm569ZOpnBOXMaS25UQThIWMU3XyzI5AhmorK/gnl87BvJBLhQd0tW4C0LIp3enWzMoNw==",
        {"package/dist/sigma.min.js": "sigma.min.js", "package/LICENSE.txt": "sigma-LICENSE.txt"},
    ),
)
"""Both MIT."""


def fetch(folder: Path = VENDOR) -> list[Path]:
    """Get them; the files that are there now. Raises ObservatoryError."""
    made = []
    with tempfile.TemporaryDirectory() as place:
        contents = {name: body for package in PACKAGES for name, body in _files(package, Path(place)).items()}
    try:
        make_folder(folder)
        for name, body in contents.items():
            replace_file(folder / name, body)
            made.append(folder / name)
    except OSError as error:
        raise ObservatoryError(f"{folder} cannot be written: {error.strerror}") from error
    return made


def _files(package: Package, place: Path) -> dict[str, bytes]:
    command = ["npm", "pack", package.name, "--silent", "--pack-destination", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ObservatoryError(f"npm is needed, and does not run: {error}") from error
    if done.returncode:
        raise ObservatoryError(f"npm does not give {package.name}: {(done.stderr.splitlines() or ['no reason'])[-1]}")
    return unpacked(package, (place / done.stdout.split()[-1]).read_bytes())


def unpacked(package: Package, tarball: bytes) -> dict[str, bytes]:
    """The files that are wanted. Raises ObservatoryError if the tarball is another one."""
    if base64.b64encode(hashlib.sha512(tarball).digest()).decode() != package.sha512:
        raise ObservatoryError(f"what npm gives as {package.name} has another hash than it had: nothing is taken of it")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for path, name in package.files.items():
            member = archive.extractfile(path)
            assert member is not None
            found[name] = member.read()
    return found
