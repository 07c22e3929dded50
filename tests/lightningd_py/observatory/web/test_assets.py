"""What npm gives is taken only with the hash that it had."""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.web.assets import PACKAGES, Package, fetch, unpacked
from lightningd_py.observatory.web.files import LIBRARIES


def tarball(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


def test_only_what_is_named_is_unpacked() -> None:
    data = tarball(a=b"1", b=b"2")
    package = Package("x@1", base64.b64encode(hashlib.sha512(data).digest()).decode(), {"package/b": "c"})
    assert unpacked(package, data) == {"c": b"2"}
    with pytest.raises(ObservatoryError, match="x@1 has another hash"):
        unpacked(package, data + b"\0")


def test_both_libraries_come_with_their_licenses() -> None:
    names = {name for package in PACKAGES for name in package.files.values()}
    assert set(LIBRARIES) < names and len([name for name in names if "LICENSE" in name]) == 2
    assert all(len(base64.b64decode(package.sha512)) == 64 for package in PACKAGES)


def test_without_npm_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ObservatoryError, match="npm is needed"):
        fetch(tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()
