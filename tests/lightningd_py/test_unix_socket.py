"""Unix sockets by paths of any length, in directories that may be of another user."""

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from lightningd_py.unix_socket import connect

CLIENT = """
import ctypes, os, sys
from pathlib import Path
from lightningd_py.unix_socket import connect
if os.geteuid() == 0:
    os.seteuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # dumpable, as a program of that user is: /proc/self is its own
try:
    os.listdir(Path(sys.argv[1]).parent)
except PermissionError:
    connect(Path(sys.argv[1])).close()
"""


def test_a_directory_that_may_be_gone_through_but_not_listed() -> None:
    """As that of another user who lets the group in (0710)."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        path = Path(directory) / "rpc"
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(60)
        path.chmod(0o777)
        path.parent.chmod(0o311)
        done = subprocess.run([sys.executable, "-c", CLIENT, path], capture_output=True, text=True, check=False)
        assert done.stderr == ""
        listener.accept()[0].close()


def test_a_path_that_fits_no_socket_address(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 100) / ("y" * 100)
    directory.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        (tmp_path / "s").rename(directory / "s")
        connect(directory / "s").close()
