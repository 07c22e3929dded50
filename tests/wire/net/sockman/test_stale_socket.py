"""What is at a path where a Unix socket is to be: a dead one goes, everything else stays and is named."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from wire.net.sockman.stale_socket import remove_stale_socket


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        yield listener


def test_a_dead_one_goes(path: Path, listener: socket.socket) -> None:
    listener.close()
    remove_stale_socket(path)
    assert not path.exists()
    remove_stale_socket(str(path))


def test_one_that_was_never_listened_on_goes(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)
    remove_stale_socket(path)
    assert not path.exists()


def test_one_with_a_process_stays(path: Path, listener: socket.socket) -> None:
    listener.listen()
    with pytest.raises(OSError, match="another process listens there") as failed:
        remove_stale_socket(path)
    assert (failed.value.errno, path.exists()) == (errno.EADDRINUSE, True)


def test_one_whose_backlog_is_full_stays_and_nothing_waits(path: Path, listener: socket.socket) -> None:
    listener.listen(0)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(path))
        with pytest.raises(OSError, match="another process listens there"):
            remove_stale_socket(path)
    assert path.exists()


def test_one_of_another_kind_stays(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(OSError, match="another process listens there"):
            remove_stale_socket(path)
    assert path.exists()


def test_a_file_a_folder_and_a_link_stay(tmp_path: Path, path: Path, listener: socket.socket) -> None:
    listener.close()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(path)
    for name in ("file", "folder", "link"):
        with pytest.raises(OSError, match="something else is there that is no socket"):
            remove_stale_socket(tmp_path / name)
        assert (tmp_path / name).exists()


def test_a_path_that_no_socket_can_have_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    os.mknod(folder / "socket", stat.S_IFSOCK | 0o600)
    with pytest.raises(OSError, match="path too long"):
        remove_stale_socket(folder / "socket")
