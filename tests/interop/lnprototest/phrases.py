"""Short sequences that most cases are made of, and checks for ExpectMsg's `if_match`."""

import io
import time
from collections.abc import Callable
from typing import Any

from lnprototest import Connect, Event, EventError, ExpectDisconnect, ExpectMsg, Msg, RawMsg, bitfield, namespace
from pyln.proto.message import Message

REGTEST = "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"
MAINNET = "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000"
GOSSIP_QUERIES = 7
ALL_TIME = 0xFFFFFFFF
PATIENCE = 60.0
"""Seconds until what must come is given up."""

Events = list[Event]
Check = Callable[[Event, Message, Any], None]


def bits(*numbers: int) -> str:
    """Features as Msg takes them."""
    return str(bitfield(*numbers)) if numbers else ""


def raw(text: str) -> RawMsg:
    """A message in hex, with spaces for the reader."""
    return RawMsg(bytes.fromhex(text))


def init(*features: int, others: tuple[int, ...] = (), networks: tuple[str, ...] = ()) -> Msg:
    """Our INIT: the bits of `features` and, in `globalfeatures`, `others`. No networks TLV without networks."""
    tlvs = {"tlvs": f"{{networks={{chains=[{','.join(networks)}]}}}}"} if networks else {}
    return Msg("init", globalfeatures=bits(*others), features=bits(*features), **tlvs)


def dial(key: str) -> Events:
    """Up to their INIT."""
    return [Connect(connprivkey=key), ExpectMsg("init")]


def hello(key: str) -> Events:
    """Both INITs; we offer gossip_queries."""
    return [*dial(key), init(GOSSIP_QUERIES)]


def alive(conn: str | None = None) -> Events:
    """The node answers a ping, and has said nothing before that: the connection is well."""
    return [
        Msg("ping", connprivkey=conn, num_pong_bytes=3, ignored="00"),
        ExpectMsg("pong", connprivkey=conn, ignored="000000"),
    ]


class HangsUp(ExpectDisconnect):  # type: ignore[misc]
    """ExpectDisconnect, if what comes before it is no more than a question about gossip."""

    def action(self, runner: Any) -> bool:
        """Read to the end. Raises EventError for anything else that the node says."""
        conn, deadline = self.find_conn(runner), time.monotonic() + PATIENCE
        while (text := runner.check_error(self, conn)) is not None:
            if time.monotonic() > deadline:
                raise EventError(self, "the node does not hang up")
            if ExpectMsg.ignore_gossip_queries(Message.read(namespace(), io.BytesIO(bytes.fromhex(text)))) is None:
                raise EventError(self, f"instead of hanging up the node said {text}")
        return True


def warned() -> Events:
    """The node says what is wrong and hangs up."""
    return [ExpectMsg("warning"), HangsUp()]


def fields(check: Callable[[dict[str, Any]], bool], complaint: str) -> Check:
    """For `if_match`: the message's fields must pass this check."""

    def if_match(event: Event, message: Message, runner: Any) -> None:
        if not check(message.to_py()):
            raise EventError(event, f"{complaint}: {message.to_str()}")

    return if_match
