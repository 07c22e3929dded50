"""Both ends of a connection: sockets and crypto states that fit each other."""

import socket

from wire.crypto_state import CryptoState


def mirrored(rn: int = 0, sn: int = 0) -> tuple[CryptoState, CryptoState]:
    """The crypto states of both ends of a connection; `rn` and `sn` are those of the first, gossipd's."""
    near_key, far_key, near_chain, far_chain = (bytes([number]) * 32 for number in (1, 2, 3, 4))
    return (
        CryptoState(rn, sn, far_key, near_key, far_chain, near_chain),
        CryptoState(sn, rn, near_key, far_key, near_chain, far_chain),
    )


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    return ours, theirs
