"""INIT: the first message each way. What ours says, and what theirs must not say. BOLT 1, The `init` Message."""

import functools

from wire.address import WireAddr, is_routable
from wire.cursor import WireError, write_tlvs
from wire.features import Features, bit_name
from wire.message import UnknownMessage
from wire.peer_wire import ALL_CHANNELS, REMOTE_ADDR_CODEC, ErrorMessage, Init, WarningMessage, decode, message_name
from wire.start.late_dataclass import dataclass

KEPT, LONGEST_KEPT = 64, 512
"""INITs whose reading is remembered, and how many bytes such a one has at most. Nodes of one version say the same."""
_REMOTE_ADDR = 3
"""The number of that record: no record of ours comes after it."""
_GLOBAL_BITS = (1 << 13) - 1
MOST_FEATURES = 1_250
"""Bytes of a peer's features that are kept: up to bit 9,999, the last one that a service can register. What is above
may only be odd, and means nothing here."""
MOST_NETWORKS = 16
"""Networks of a peer that are kept."""


class InitRefused(Exception):
    """We do not talk to this peer. `warn` is False where an answer would be out of place."""

    def __init__(self, reason: str, *, warn: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.warn = warn

    def last_words(self) -> bytes | None:
        """The warning to send before the connection is closed, if there is one to send."""
        return WarningMessage(channel_id=ALL_CHANNELS, data=self.reason.encode()).encode() if self.warn else None


@dataclass(frozen=True, slots=True)
class TheirInit:
    """What is kept of a peer's INIT: both feature maps as one (B1-27), the rest as it came."""

    features: bytes
    networks: list[bytes]
    remote_addr: str | None


def our_init(chain_hash: bytes, features: bytes, remote: WireAddr | None) -> bytes:
    """Our INIT. `remote` is the other end of an inbound connection: told if it is a public IP address (B1-26)."""
    init = _same_for_all(chain_hash, features)
    if remote is not None and remote.port and _is_public_ip(remote):  # a proxy may not have said the port
        init += write_tlvs({_REMOTE_ADDR: REMOTE_ADDR_CODEC.write(remote)})
    return init


@functools.lru_cache(maxsize=1)
def _same_for_all(chain_hash: bytes, features: bytes) -> bytes:
    """Our INIT without the record that differs from peer to peer."""
    init = Init(globalfeatures=_low_bits(features), features=Features(features).to_bytes(), networks=[chain_hash])
    return init.encode()


def _low_bits(features: bytes) -> bytes:
    """The bits that old nodes look for in the first map; none above 13 may be there (B1-23), and CLN stops at 12."""
    return Features((int.from_bytes(features, "big") & _GLOBAL_BITS).to_bytes(2, "big")).to_bytes()


def _is_public_ip(address: WireAddr) -> bool:
    return address.kind in ("ipv4", "ipv6") and is_routable(address)


def read_init(raw: bytes, chain_hash: bytes) -> TheirInit | None:
    """What the peer's first message says; None for one to be ignored, after which INIT must still come (B1-5, B1-21).

    Raises InitRefused for any other message than INIT, for one that cannot be read, and for a peer that is not for us.
    """
    return _read(raw, chain_hash) if len(raw) > LONGEST_KEPT else _read_before(raw, chain_hash)


def _read(raw: bytes, chain_hash: bytes) -> TheirInit | None:
    try:
        message = decode(raw)
    except WireError as error:
        raise InitRefused(f"bad message: {error}") from error
    match message:
        case Init():
            return _check(message, chain_hash)
        case ErrorMessage() | WarningMessage():
            raise InitRefused(f"peer said: {message.text()}", warn=False)
        case UnknownMessage() if message.number % 2 and message_name(message.number).startswith("unknown"):
            return None
    raise InitRefused(f"peer sent {message_name(message.number)} before init")


_read_before = functools.lru_cache(KEPT)(_read)
"""Reading one takes 16 µs, a tenth of all Python of a handshake. What is refused is read each time."""


def _check(init: Init, chain_hash: bytes) -> TheirInit:
    features = init.all_features()
    if (bit := features.unknown_even()) is not None:
        raise InitRefused(f"Unsupported feature {bit} ({bit_name(bit)})")  # B1-28
    if missing := features.missing_dependency():
        raise InitRefused(f"Missing feature: {missing}")  # B1-30
    if init.networks is not None and chain_hash not in init.networks:
        raise InitRefused("No common network")  # B1-29; an empty record has none in common, as CLN reads it
    # What we look like from there is kept only if it is something that the internet could know.
    seen = init.remote_addr
    return TheirInit(
        features=features.to_bytes()[-MOST_FEATURES:],
        networks=(init.networks or [])[:MOST_NETWORKS],
        remote_addr=str(seen) if seen and _is_public_ip(seen) else None,
    )
