"""What a process may still open, tried in children: one restricted as connectd is, a worker, and hsmd's own code."""

import subprocess
import sys
from pathlib import Path

import pytest

from wire.control.landlock import landlock_version

needs_landlock = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")

RESTRICTED = """
import os, socket, sys
from wire.control.landlock import restrict_files
from wire.control.privilege import give_up_privileges
from wire.control.status import Status

status = Status("test")
give_up_privileges(status)
restrict_files(status)
"""

TRIED = """
def tried(what):
    try:
        what()
    except OSError as error:
        return error.strerror
    return "done"

secret, other = sys.argv[1:]
print(tried(lambda: open(secret).read()))
print(tried(lambda: os.open(secret, os.O_WRONLY)))
print(tried(lambda: os.truncate(secret, 0)))
print(tried(lambda: os.link(secret, other)))
print(tried(lambda: open(other, "w")))
print(tried(lambda: os.listdir(os.path.dirname(secret))))
print(tried(lambda: os.execv("/bin/sh", ["sh", "-c", "cat " + secret])))
"""

GOES_ON = """
socket.getaddrinfo("localhost", 1)
"example".encode("idna")
import dns.asyncresolver, sqlite3
dns.asyncresolver.Resolver
os.urandom(1), open("/etc/hosts").read(), open("/dev/urandom", "rb").read(1)
listening = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listening.getsockname())
unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[2])
os.unlink(sys.argv[2])
print("goes on")
"""


def child(code: str, tmp_path: Path) -> list[str]:
    secret = tmp_path / "hsm_secret"
    secret.write_bytes(b"\1" * 32)
    done = subprocess.run(
        [sys.executable, "-c", code, secret, tmp_path / "other"], capture_output=True, text=True, check=False
    )
    assert secret.read_bytes() == b"\1" * 32
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_landlock
def test_nothing_of_the_node_s_directory_can_be_opened(tmp_path: Path) -> None:
    assert child(RESTRICTED + TRIED, tmp_path) == ["Permission denied"] * 7


def test_what_a_daemon_needs_goes_on(tmp_path: Path) -> None:
    assert child(RESTRICTED + GOES_ON, tmp_path) == ["goes on"]


@needs_landlock
def test_what_is_named_can_be_read_and_not_written(tmp_path: Path) -> None:
    code = RESTRICTED.replace("restrict_files(status)", "restrict_files(status, [sys.argv[1]])")
    assert child(code + TRIED, tmp_path) == ["done"] + ["Permission denied"] * 6


@needs_landlock
def test_a_signature_worker_can_open_nothing(tmp_path: Path) -> None:
    code = """
import os, sys
from gossipd.ingest import workers
from wire.control.privilege import give_up_privileges
from wire.control.status import Status

def work(sock):
    try:
        os.open(sys.argv[1], os.O_RDONLY)
    except OSError as error:
        os.write(1, error.strerror.encode())

give_up_privileges(Status("test"))
workers.work = work
source = workers.Workers(1)
pid, sock = source.start()
sock.setblocking(True)
sock.recv(1)
source.close()
"""
    assert child(code, tmp_path) == ["Permission denied"]


@needs_landlock
def test_hsmd_can_open_nothing_when_it_has_read_the_secret(tmp_path: Path) -> None:
    code = """
import os, socket, sys
from lightningd_py.hsm.hsmd import Hsmd
from wire.control.control_wire import HsmInit
from wire.control.privilege import give_up_privileges
from wire.control.status import Status

os.chmod(sys.argv[1], 0o400)
give_up_privileges(Status("test"))
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
hsmd = Hsmd(theirs)
print(type(hsmd._answer("master", HsmInit(sys.argv[1], None))).__name__)
try:
    open(sys.argv[1])
except OSError as error:
    print(error.strerror)
"""
    assert child(code, tmp_path) == ["HsmInitReply", "Permission denied"]


@needs_landlock
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("connectd.websocketd", ["3", "info"]),
        ("lightningd_py.listingd", ["3", "info"]),
        ("lightningd_py.oniond", ["3", "4", "info"]),
    ],
)
def test_a_daemon_restricts_itself_before_it_hears_anybody(module: str, arguments: list[str], tmp_path: Path) -> None:
    """Its own main, up to where its loop would begin."""
    code = f"""
import runpy, sys
from wire.control import daemon

def run(name, start):
    try:
        open(secret)
    except OSError as error:
        print(name, error.strerror)
    return 0

daemon.run, daemon.inherited_socket = run, int
secret, sys.argv[1:] = sys.argv[1], {arguments}
runpy.run_module("{module}", run_name="__main__")
"""
    assert child(code, tmp_path) == [f"{module.rpartition('.')[2]} Permission denied"]


@needs_landlock
def test_the_log_writer_reads_nothing_and_writes_where_its_files_are(tmp_path: Path) -> None:
    """Its own main, up to where it begins to write; a new file after the old one was moved away is made."""
    (tmp_path / "logs").mkdir()
    code = """
import os, sys
from lightningd_py import log_writer

def attempt(files, style):
    for path, flags in ((secret, os.O_RDONLY), (secret, os.O_WRONLY), (files[0], os.O_RDONLY)):
        try:
            os.open(path, flags)
        except OSError as error:
            print(error.strerror)
    os.close(log_writer.open_log(files[0]))
    os.rename(files[0], files[0] + ".1")
    os.close(log_writer.open_log(files[0]))
    print(sorted(os.path.basename(entry) for entry in (files[0], files[0] + ".1") if os.path.exists(entry)))

secret, log_writer.write_log = sys.argv[1], attempt
log = os.path.dirname(secret) + "/logs/log"
open(log, "w").close()
sys.argv[1:] = ["info", log]
log_writer.main()
"""
    assert child(code, tmp_path) == ["Permission denied"] * 3 + ["['log', 'log.1']"]


@needs_landlock
def test_a_directory_that_is_kept(tmp_path: Path) -> None:
    """What gossipd has: all that it does with its files, and nothing beside them."""
    (tmp_path / "kept").mkdir()
    code = RESTRICTED.replace(
        "restrict_files(status)", 'restrict_files(status, kept=[os.path.dirname(sys.argv[1]) + "/kept"])'
    )
    code += """
kept = os.path.dirname(sys.argv[1]) + "/kept/"
with open(kept + "a.tmp", "w") as made:
    made.write("12345")
    made.truncate(3)
os.replace(kept + "a.tmp", kept + "a")
print(open(kept + "a").read(), os.listdir(kept))
os.unlink(kept + "a")
for source, target in ((sys.argv[1], kept + "secret"), (kept + "b", sys.argv[2])):
    try:
        os.path.exists(source) or open(source, "w").close()
        os.rename(source, target)
    except OSError as error:
        print(error.strerror)
"""
    assert child(code, tmp_path) == ["123 ['a']", "Invalid cross-device link", "Permission denied"]


def test_a_kernel_without_it(tmp_path: Path) -> None:
    code = "from wire.control import landlock\nlandlock.landlock_version = lambda: 0\n" + RESTRICTED
    assert child(code + "print(open(sys.argv[1], 'rb').read() == b'\\1' * 32)", tmp_path) == ["True"]
