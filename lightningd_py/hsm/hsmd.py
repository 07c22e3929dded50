"""hsmd: the only process that knows the node's secret. Run as `python -S -P -m lightningd_py.hsm.hsmd FD LOGLEVEL`.

FD is the control socket to the master, who has the secret loaded (`hsm_init`) and introduces clients (`client_hsmfd`).
Each client has its own socket and its own row of PERMITTED; a client that asks for anything else has a bug or was taken
over, so its socket is closed and the rest lives on. hsmd ends when the master's socket does.

One request is done after the other: an ECDH takes 40 µs. No client is waited for: one that leaves so many replies
unread that its socket is full (several hundred; our daemons ask 64 at a time) is cut off. What a client says fits one
datagram. After the secret has been read no file can be opened. At a `restart` the clients' sockets move to another hsmd
(`moving.py`), which has read the secret before.
"""

import ctypes
import os
import selectors
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from lightningd_py.hsm import moving
from lightningd_py.hsm import sign as hsm_sign
from lightningd_py.hsm.passphrase import NoPassphrase, PassphraseSource
from lightningd_py.hsm.secret import SecretError, derive_node_key, derive_secret, derive_secrets_root, load_secret
from lightningd_py.hsm.signmessage import digest_of
from wire import secp256k1
from wire.command.console import leave_signals_to_master
from wire.control.control_message import MAX_INLINE, ControlError, ControlMessage
from wire.control.control_socket import DONT_WAIT, encode, receive_message, send_message, transmit
from wire.control.control_wire import (
    ClientHsmfd,
    DeriveSecret,
    DeriveSecretReply,
    DeriveSecretReplyfail,
    Ecdh,
    EcdhReply,
    GetMetrics,
    GetMetricsReply,
    Heartbeat,
    HeartbeatReply,
    HsmInit,
    HsmInitReply,
    HsmInitReplyfail,
    LogLine,
    MoveAll,
    MoveAllReply,
    MoveAllReplyfail,
    MoveClient,
    MoveClients,
    MoveDone,
    OnionHopKeys,
    OnionHopKeysReply,
    SetLog,
    SignChannelAnnouncement,
    SignChannelAnnouncementReply,
    SignChannelAnnouncementReplyfail,
    SignChannelUpdate,
    SignChannelUpdateReply,
    SignMessage,
    SignMessageReply,
    SignNodeAnnouncement,
    SignNodeAnnouncementReply,
    TakePlace,
)
from wire.control.landlock import restrict_files
from wire.control.privilege import give_up_privileges
from wire.control.status import Status, heed_log, lines_lost, set_up_logging
from wire.metrics import declared
from wire.metrics.metric import Samples
from wire.onion.keys import keys_of_onion
from wire.secp256k1 import sign_recoverable

PERMITTED: Mapping[str, frozenset[type[ControlMessage]]] = MappingProxyType(
    {
        "master": frozenset(
            {HsmInit, ClientHsmfd, SignMessage, DeriveSecret, Heartbeat, SetLog, GetMetrics, MoveAll, TakePlace}
        ),
        "connectd": frozenset({Ecdh}),
        "gossipd": frozenset({SignNodeAnnouncement, SignChannelUpdate}),
        "oniond": frozenset({OnionHopKeys}),
        "service": frozenset({SignChannelAnnouncement}),
        "predecessor": frozenset({MoveClient, MoveClients, MoveDone}),
    }
)
"""Who may ask for what."""
COUNTED = (
    Ecdh,
    OnionHopKeys,
    SignMessage,
    DeriveSecret,
    SignNodeAnnouncement,
    SignChannelUpdate,
    SignChannelAnnouncement,
)
"""The requests for which the key is used."""

_NOT_INTRODUCED = ("master", "predecessor")

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4

status = Status("hsmd")


class Forbidden(Exception):
    """A client asked for what it may not have, or cannot have meant."""


class Hsmd:
    """The loop over the clients' sockets."""

    def __init__(self, master: socket.socket) -> None:
        self._node_key: bytes | None = None
        self._node_id = b""
        self._secrets_root: bytes | None = None
        """Of makesecret's; None with a forced key."""
        self._master = master
        self._arrivals = moving.Arrivals()
        self._selector = selectors.DefaultSelector()
        self._answered = {kind.name(): 0 for kind in COUNTED}
        self._cut_off = 0
        self._add_client("master", master)

    def run(self) -> None:
        """Answer until the master's socket ends."""
        while self._master.fileno() >= 0:
            for key, _ in self._selector.select():
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj.fileno() >= 0:  # it may have moved in this turn
                    self._serve(key.data, key.fileobj)

    def close(self) -> None:
        """Close all sockets."""
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            self._drop(str(key.data), key.fileobj)
        self._selector.close()
        self._arrivals.close()

    def _add_client(self, client: str, sock: socket.socket) -> None:
        self._selector.register(sock, selectors.EVENT_READ, client)

    def _drop(self, client: str, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        sock.close()
        if client == "predecessor":  # it has ended, or goes on with what has not come as it should
            self._arrivals.close()

    def _serve(self, client: str, sock: socket.socket) -> None:
        """One message of one client; on any fault that client is gone."""
        try:
            message = receive_message(sock, client, largest=MAX_INLINE)
            if message is None:
                self._drop(client, sock)
                return
            reply = self._answer(client, message)
            if type(message) in COUNTED:
                self._answered[message.name()] += 1
            if reply is not None:
                send_message(sock, reply)
        except (ControlError, Forbidden) as error:
            status.broken(f"{client} is cut off: {error}")
            self._cut_off += 1
            self._drop(client, sock)
        except BlockingIOError:
            status.unusual(f"{client} is cut off: it does not read its replies")
            self._cut_off += 1
            self._drop(client, sock)
        except OSError as error:
            status.unusual(f"{client} went away: {error}")
            self._drop(client, sock)

    def _answer(self, client: str, message: ControlMessage) -> ControlMessage | None:
        if type(message) not in PERMITTED[client]:
            message.close_fds()
            raise Forbidden(f"it may not ask for {message.name()}")
        match message:
            case Ecdh():
                return self._ecdh(message)
            case OnionHopKeys():
                return self._onion(message)
            case SignMessage() | SignNodeAnnouncement() | SignChannelUpdate():
                return self._sign(message)
            case SignChannelAnnouncement():
                return self._sign_for_service(message)
            case DeriveSecret():
                return self._derive(message)
            case ClientHsmfd():
                self._introduce(message)
                return None
            case HsmInit():
                return self._init(message)
            case Heartbeat():
                return HeartbeatReply()
            case SetLog():
                heed_log(message, self._say_line)
                return None
            case MoveAll() | TakePlace() | MoveClient() | MoveClients() | MoveDone():
                return self._move(message)
            case GetMetrics():
                return self._metrics(message)
            case _:
                raise AssertionError(f"{message.name()} is permitted and not implemented")

    def _say_line(self, line: LogLine) -> bool:
        """Now or never: the master may not be reading."""
        try:
            transmit(self._master, *encode(line), DONT_WAIT)
        except OSError:
            return False
        return True

    def _metrics(self, request: GetMetrics) -> GetMetricsReply:
        samples = Samples()
        samples.put_each(declared.HSM_REQUESTS, self._answered)
        samples.put(declared.HSM_CUT_OFF, self._cut_off)
        samples.put(declared.LOG_LOST, lines_lost())
        reply = samples.reply()
        reply.request_id = request.request_id
        return reply

    def _move(self, message: ControlMessage) -> ControlMessage | None:
        """To another hsmd, or here from another one."""
        match message:
            case MoveAll():
                return self._move_all(message)
            case TakePlace():
                self._add_client("predecessor", socket.socket(fileno=message.predecessor_fd))
            case MoveClient():
                self._arrivals.take(message)
            case MoveClients():
                return self._arrivals.check(message)
            case MoveDone():
                for client, sock in self._arrivals.all():
                    self._add_client(client, sock)
        return None

    def _move_all(self, request: MoveAll) -> MoveAllReply | MoveAllReplyfail:
        clients = [(str(key.data), key.fileobj) for key in self._selector.get_map().values()]
        ours = [(client, sock) for client, sock in clients if isinstance(sock, socket.socket) and client != "master"]
        with socket.socket(fileno=request.successor_fd) as successor:
            try:
                moving.move(successor, ours)
            except moving.MoveFailed as failed:
                status.unusual(f"another hsmd cannot take our place, and we go on: {failed}")
                return MoveAllReplyfail(str(failed), request_id=request.request_id)
        for client, sock in ours:
            self._drop(client, sock)
        return MoveAllReply(len(ours), 0, request_id=request.request_id)

    def _ecdh(self, request: Ecdh) -> EcdhReply:
        key = self._key_for(request)
        try:
            shared_secret = secp256k1.ecdh(key, request.point)
        except ValueError as error:  # the handshake checks points before it asks (B8-47)
            raise Forbidden(f"ecdh with {request.point.hex()}: {error}") from error
        return EcdhReply(shared_secret, request_id=request.request_id)

    def _onion(self, request: OnionHopKeys) -> OnionHopKeysReply:
        key = self._key_for(request)
        try:
            path, onion = keys_of_onion(key, request.path_key, request.public_key)
        except ValueError as error:  # oniond checks points before it asks
            raise Forbidden(f"onion_hop_keys with {request.path_key.hex()}: {error}") from error
        keys = (path.rho, path.factor, onion.rho, onion.mu, onion.factor)
        return OnionHopKeysReply(*keys, request_id=request.request_id)

    def _sign(self, request: SignMessage | SignNodeAnnouncement | SignChannelUpdate) -> ControlMessage:
        key, request_id = self._key_for(request), request.request_id
        try:
            match request:
                case SignMessage():
                    return SignMessageReply(*sign_recoverable(key, digest_of(request.message)), request_id=request_id)
                case SignNodeAnnouncement():
                    signature = hsm_sign.node_announcement(key, self._node_id, request.announcement)
                    return SignNodeAnnouncementReply(signature, request_id=request_id)
                case SignChannelUpdate():
                    return SignChannelUpdateReply(hsm_sign.channel_update(key, request.message), request_id=request_id)
        except ValueError as error:
            raise Forbidden(f"{request.name()}: {error}") from error

    def _derive(self, request: DeriveSecret) -> DeriveSecretReply | DeriveSecretReplyfail:
        self._key_for(request)
        if self._secrets_root is None:
            return DeriveSecretReplyfail("the node's key was forced: there is no secret", request_id=request.request_id)
        return DeriveSecretReply(derive_secret(self._secrets_root, request.info), request_id=request.request_id)

    def _sign_for_service(self, request: SignChannelAnnouncement) -> ControlMessage:
        """A service is not ours: a wrong message of its is refused, and it may try again."""
        key, request_id = self._key_for(request), request.request_id
        try:
            signature = hsm_sign.channel_announcement(key, self._node_id, request.message)
        except ValueError as error:
            return SignChannelAnnouncementReplyfail(str(error), request_id=request_id)
        return SignChannelAnnouncementReply(signature, request_id=request_id)

    def _key_for(self, request: ControlMessage) -> bytes:
        if self._node_key is None:
            raise Forbidden(f"{request.name()} before hsm_init")
        return self._node_key

    def _introduce(self, message: ClientHsmfd) -> None:
        if message.client not in PERMITTED or message.client in _NOT_INTRODUCED:
            message.close_fds()
            raise Forbidden(f"there is no client {message.client!r}")
        sock = socket.socket(fileno=message.fd)
        sock.setblocking(False)
        self._add_client(message.client, sock)

    def _init(self, request: HsmInit) -> HsmInitReply | HsmInitReplyfail:
        if self._node_key is not None:
            request.close_fds()
            raise Forbidden("a second hsm_init")
        try:
            key = request.dev_force_privkey
            if key is None:
                secret = self._load(request)
                key, self._secrets_root = derive_node_key(secret), derive_secrets_root(secret)
            node_id = secp256k1.public_key(key)
        except (SecretError, NoPassphrase) as error:
            return HsmInitReplyfail(str(error), request_id=request.request_id)
        except ValueError:
            return HsmInitReplyfail("dev_force_privkey is no secret key", request_id=request.request_id)
        finally:
            if request.passphrase_fd is not None:
                os.close(request.passphrase_fd)
        self._node_key, self._node_id = key, node_id
        keep_in_memory(key)
        restrict_files(status)
        return HsmInitReply(node_id, request_id=request.request_id)

    def _load(self, request: HsmInit) -> bytes:
        path, fd = Path(request.hsm_secret), request.passphrase_fd
        if request.must_exist and not path.exists():
            raise SecretError(f"{path} is no longer there")
        if fd is None:
            return load_secret(path)
        source = PassphraseSource(fd, self._master)
        return load_secret(path, source.ask, lambda: source.ask(new=True))


def keep_in_memory(key: bytes) -> None:
    """See that no page of this process, or at least none with this key, is ever written to a disk.

    All of it may be locked by root, and by others if `ulimit -l` lets them; a few pages by every user.
    """
    libc = ctypes.CDLL(None)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0:
        return
    address = ctypes.cast(ctypes.c_char_p(key), ctypes.c_void_p)
    if libc.mlock(address, ctypes.c_size_t(len(key))) != 0:
        status.unusual("the node's key is in memory that may be swapped: mlock failed")


def main() -> int:
    """Serve the control socket whose fd is the first argument; the second one is the log level."""
    leave_signals_to_master()
    set_up_logging(sys.argv[2])
    give_up_privileges(status)
    hsmd = Hsmd(socket.socket(fileno=int(sys.argv[1])))
    try:
        hsmd.run()
    except Exception:
        status.broken("hsmd ends", exc_info=True)
        return 1
    finally:
        hsmd.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
