"""The doors, from what `connectd_init` says: sockets that are there already, those to be bound, and onion services."""

from contextlib import suppress

from connectd.doors.listen import BindRules, Listeners, in_order
from connectd.doors.tor import OnionServices
from wire.address import DEFAULT_PORTS, parse_address
from wire.control.binding import parse_binding
from wire.control.control_wire import ConnectdInit, ConnectdInitReply
from wire.net.sockman.sockman import SockMan
from wire.types import NETWORKS


async def open_doors(
    init: ConnectdInit, plain: SockMan, websocket: SockMan | None, onions: OnionServices
) -> ConnectdInitReply:
    """Listen, and accept nothing yet. Onion services that another connectd has are not made again: it moves them.

    Raises BindFailed.
    """
    rules = BindRules(
        port=default_port(init.chain_hash),
        use_dns=init.ways.use_dns and not init.ways.always_use_proxy,
        guess=not init.ways.always_use_proxy,
        announce_any=init.dev_allow_localhost,
    )
    listeners = Listeners(plain, websocket, rules)
    for there in init.listeners:
        listeners.adopt(there)
    for text in init.addr:
        await listeners.listen(text, announce=True)
    for text in init.bind:
        await listeners.listen(text, announce=False)
    if init.predecessor_fd is None:
        await listeners.listen_by_tor(onions)
    named = [parse_address(text, rules.port) for text in init.announce]
    announceable = in_order([*named, *listeners.announceable])
    return ConnectdInitReply(listeners.bindings, [str(address) for address in announceable], listeners.copies())


def wants_tor(init: ConnectdInit) -> bool:
    """Whether an onion service is among the doors. What cannot be parsed is none: `open_doors` refuses it."""
    port = default_port(init.chain_hash)
    for text in (*init.addr, *init.bind):
        with suppress(ValueError):
            if parse_binding(text, port).is_onion:
                return True
    return False


def default_port(chain_hash: bytes) -> int:
    """The port that an address has when it names none."""
    names = [name for name, known in NETWORKS.items() if known == chain_hash]
    return DEFAULT_PORTS[names[0] if names else "bitcoin"]
