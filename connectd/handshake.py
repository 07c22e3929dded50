"""From a connected socket to a peer that has said INIT: one coroutine for each role, without a clock of its own.

The node's key stays in hsmd, which does the one multiplication that needs it. A wrong act ends the connection without
another byte (B8-45..47); an INIT that we refuse is answered by a warning first.
"""

import time
from collections.abc import Awaitable, Callable

from connectd.connection import Connection, ConnectionEnded
from connectd.initmsg import InitRefused, TheirInit, our_init, read_init
from wire import secp256k1
from wire.control.access import Access
from wire.frames import FrameError
from wire.noise import (
    ACT_ONE_SIZE,
    ACT_THREE_SIZE,
    ACT_TWO_SIZE,
    HandshakeError,
    Initiator,
    Responder,
)

MAX_IGNORED = 10
"""Unknown odd messages that a peer may say before its INIT."""

Ecdh = Callable[[bytes], Awaitable[bytes]]
"""SHA256 of the compressed product of our node key and a point. BOLT 8."""


class Handshake:
    """The handshakes of one node: who we are, and what our INIT says."""

    def __init__(self, *, node_id: bytes, chain_hash: bytes, features: bytes, ecdh: Ecdh, access: Access) -> None:
        self._node_id = node_id
        self._chain_hash = chain_hash
        self.features = features
        """What our INIT says from now on."""
        self._ecdh = ecdh
        self._access = access

    async def respond(self, connection: Connection) -> TheirInit:
        """Be the responder; `connection.node_id` says afterwards who dialled. Raises ConnectionEnded."""
        act = await _act(connection, "act one", ACT_ONE_SIZE)
        responder = Responder(self._node_id, ephemeral=secp256k1.new_secret())  # who says nothing costs no key
        try:
            point = responder.receive_act_one(act)
            connection.write(responder.act_two(await self._ecdh(point)))
            act = await _act(connection, "act three", ACT_THREE_SIZE)
            connection.node_id, crypto = responder.receive_act_three(act)
        except HandshakeError as error:
            raise ConnectionEnded(f"handshake: {error}") from None
        if reason := self._access.refuses_node(connection.address, connection.node_id, time.time()):
            raise ConnectionEnded(reason)
        connection.encrypted_from_here(crypto)
        connection.say(our_init(self._chain_hash, self.features, connection.address))
        return await self._their_init(connection, connection.node_id)

    async def initiate(self, connection: Connection, node_id: bytes) -> TheirInit:
        """Be the initiator, to reach `node_id`. Raises ConnectionEnded, ValueError if `node_id` is no point."""
        if reason := self._access.refuses_node(connection.address, node_id, time.time()):
            raise ConnectionEnded(reason)
        initiator = Initiator(self._node_id, node_id, ephemeral=secp256k1.new_secret())
        connection.node_id = node_id
        try:
            connection.write(initiator.act_one())
            point = initiator.receive_act_two(await _act(connection, "act two", ACT_TWO_SIZE))
            act, crypto = initiator.act_three(await self._ecdh(point))
        except HandshakeError as error:
            raise ConnectionEnded(f"handshake: {error}") from None
        connection.write(act)
        connection.encrypted_from_here(crypto)
        connection.say(our_init(self._chain_hash, self.features, None))
        return await self._their_init(connection, node_id)

    async def _their_init(self, connection: Connection, node_id: bytes) -> TheirInit:
        """The peer's INIT, the rest of what it says left encrypted."""
        connection.stage = connection.step = "init"
        try:
            for _ in range(MAX_IGNORED + 1):
                if theirs := read_init(await connection.hear(), self._chain_hash):
                    if reason := self._access.refuses_features(
                        connection.address, node_id, theirs.features, time.time()
                    ):
                        raise InitRefused(reason)
                    return theirs
        except (ConnectionEnded, FrameError) as error:
            raise ConnectionEnded(f"init: {error}") from None
        except InitRefused as refused:
            if words := refused.last_words():
                connection.say_at_parting(words)
            raise ConnectionEnded(f"init: {refused}") from None
        raise ConnectionEnded(f"init: {MAX_IGNORED} other messages came before it")


async def _act(connection: Connection, name: str, size: int) -> bytes:
    connection.step = name.replace(" ", "_")
    try:
        return await connection.read(size)
    except ConnectionEnded as error:
        raise ConnectionEnded(f"handshake: {name}: {error}") from None
