"""Features: which bit means what, and sets of them as they stand in `init` and the announcements. BOLT 9.

A feature has a pair of bits: the even one says that it is required, the odd one that it is offered.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Iterator

from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. `bit` is its even bit; `contexts` are BOLT 9's letters, empty if it assigns none."""

    bit: int
    name: str
    dependencies: tuple[str, ...] = ()
    contexts: str = ""


# BOLT 9 of 2026-05-12.
_SPECIFIED = (
    Feature(0, "option_data_loss_protect"),
    Feature(4, "option_upfront_shutdown_script", contexts="IN"),
    Feature(6, "gossip_queries"),
    Feature(8, "var_onion_optin"),
    Feature(10, "gossip_queries_ex", contexts="IN"),
    Feature(12, "option_static_remotekey"),
    Feature(14, "payment_secret"),
    Feature(16, "basic_mpp", ("payment_secret",), "IN9"),
    Feature(18, "option_support_large_channel", contexts="IN"),
    Feature(22, "option_anchors", contexts="INT"),
    Feature(24, "option_route_blinding", contexts="IN9"),
    Feature(26, "option_shutdown_anysegwit", contexts="IN"),
    Feature(28, "option_dual_fund", contexts="IN"),
    Feature(34, "option_quiesce", contexts="IN"),
    Feature(36, "option_attribution_data", contexts="IN9"),
    Feature(38, "option_onion_messages", contexts="IN"),
    Feature(40, "zero_fee_commitments", ("option_channel_type",), "IN"),
    Feature(42, "option_provide_storage", contexts="IN"),
    Feature(44, "option_channel_type"),
    Feature(46, "option_scid_alias", contexts="INT"),
    Feature(48, "option_payment_metadata", contexts="9"),
    Feature(50, "option_zeroconf", ("option_scid_alias",), "INT"),
    Feature(60, "option_simple_close", ("option_shutdown_anysegwit",), "IN"),
    Feature(62, "option_splice", contexts="IN"),
)

# Seen on the network, but in no row of that table: earlier BOLTs, bLIPs, proposals and single implementations. Their
# dependencies are no spec's rule yet, so none are listed: a peer must not be cut off over one.
_IN_USE = (
    Feature(30, "option_amp"),
    Feature(52, "option_htlc_hold"),
    Feature(54, "option_keysend"),
    Feature(56, "option_trampoline_routing"),
    Feature(80, "option_simple_taproot"),
    Feature(104, "option_shutdown_wrong_funding"),
    Feature(112, "option_will_fund_for_food"),
    Feature(140, "option_zero_fee_commitments_staging"),
    Feature(148, "option_trampoline_payment_prototype"),
    Feature(152, "option_async_payment_prototype"),
    Feature(154, "option_splice_prototype"),
    Feature(160, "option_simple_close_staging"),
    Feature(162, "option_experimental_splice"),
    Feature(180, "option_simple_taproot_staging"),
    Feature(256, "option_hosted_channels"),
    Feature(258, "option_dns_resolver"),
    Feature(260, "option_htlc_endorsement"),
    Feature(262, "option_bolt11_blinded_paths"),
    Feature(560, "option_on_the_fly_funding"),
    Feature(562, "option_funding_fee_credit"),
    Feature(728, "option_supports_lsps"),
    Feature(2022, "option_script_enforced_lease"),
)

FEATURES: tuple[Feature, ...] = tuple(sorted(_SPECIFIED + _IN_USE, key=lambda feature: feature.bit))
"""Every feature that is known here. A peer that requires one of these may stay (B1-28)."""

NAMED_ONLY = (
    Feature(2, "option_initial_routing_sync"),
    Feature(20, "option_anchor_outputs"),
    Feature(66, "option_onion_messages_only_channels"),
    Feature(70, "option_gossip_v2"),
    Feature(72, "option_gossip_v2_p2wsh"),
    Feature(74, "option_gossip_announce_private"),
)
"""What BOLT 9 no longer assigns, and what is proposed for it (its pull requests 1343 and 1059). They are unknown to us,
so a peer that requires one is refused; their names are for logs."""


def long_name(feature: Feature) -> str:
    """CLN's way of writing a name: always with `option_` in front."""
    return feature.name if feature.name.startswith("option_") else f"option_{feature.name}"


_BY_BIT = {feature.bit: feature for feature in (*FEATURES, *NAMED_ONLY)}
_BY_NAME = {name: feature for feature in FEATURES for name in (feature.name, long_name(feature))}


def feature_bit(name: str) -> int:
    """The even bit of a feature, named with or without `option_`. Raises KeyError for a name not in FEATURES."""
    return _BY_NAME[name].bit


def parse_feature(text: str) -> int:
    """A feature that a person names, or its number, with /odd (the default) or /even: its bit. Raises ValueError."""
    name, slash, which = text.partition("/")
    if which not in ("odd", "even") and slash:
        raise ValueError(f"'{text}' ends neither in /odd nor in /even")
    if re.fullmatch("[0-9]{1,4}", name):
        return int(name) if not slash else (int(name) & ~1) + (which == "odd")
    try:
        return feature_bit(name) + (which != "even")
    except KeyError as error:
        raise ValueError(f"'{name}' is no feature") from error


class Features:
    """An immutable set of feature bits. Strangers send up to 64 kB of them: all that follows is linear in the bytes."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes = b"") -> None:
        """From a field of a message: the bytes, in which bit 0 is the lowest bit of the last one (B9-104)."""
        self._data = bytes(data).lstrip(b"\0")

    @classmethod
    def of(cls, bits: Iterable[int]) -> "Features":
        """From the bits' numbers."""
        places = set(bits)
        data = bytearray(max(places, default=-1) // 8 + 1)
        for bit in places:
            data[-1 - bit // 8] |= 1 << bit % 8
        return cls(bytes(data))

    def to_bytes(self) -> bytes:
        """The shortest bytes that hold them (B1-24)."""
        return self._data

    def has(self, bit: int) -> bool:
        """Whether exactly this bit is set."""
        place = len(self._data) - 1 - bit // 8
        return place >= 0 and bool(self._data[place] >> bit % 8 & 1)

    def offers(self, name: str) -> bool:
        """Whether the feature is there, optional or required. Raises KeyError for a name not in FEATURES."""
        bit = feature_bit(name)
        return self.has(bit) or self.has(bit + 1)

    def requires(self, name: str) -> bool:
        """Whether the even bit is set; then the odd one does not matter (B9-104)."""
        return self.has(feature_bit(name))

    def bits(self) -> Iterator[int]:
        """The numbers of the bits that are set, from the lowest."""
        for place, byte in enumerate(reversed(self._data)):
            if byte:
                yield from (8 * place + bit for bit in range(8) if byte >> bit & 1)

    def names(self, most: int | None = None) -> list[str]:
        """Each bit as CLN writes it: `option_data_loss_protect/odd`, `option_unknown_1000/even`; the lowest `most`."""
        return [bit_name(bit) for bit in itertools.islice(self.bits(), most)]

    def unknown_even(self) -> int | None:
        """The lowest required feature that is unknown here, or None (B1-28, B7-63, B7-75)."""
        size = len(self._data)
        unknown = int.from_bytes(self._data, "big") & int.from_bytes(b"\x55" * size, "big") & ~_KNOWN_EVEN
        return (unknown & -unknown).bit_length() - 1 if unknown else None

    def missing_dependency(self) -> str | None:
        """What is offered without what it depends on, as `basic_mpp needs payment_secret`, or None (B1-30).

        Each feature is asked for its own dependencies only: theirs are found when it is their turn.
        """
        offered = int.from_bytes(self._data, "big")
        for either, needed, text in _DEPENDENCIES:
            if offered & either and not offered & needed:
                return text
        return None

    def __or__(self, other: "Features") -> "Features":
        size = max(len(self._data), len(other._data))
        united = int.from_bytes(self._data, "big") | int.from_bytes(other._data, "big")
        return Features(united.to_bytes(size, "big"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Features) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        return f"Features({self._data.hex()!r})"


def _either(name: str) -> int:
    """The two bits of a feature."""
    return 3 << feature_bit(name)


_DEPENDENCIES = tuple(
    (_either(feature.name), _either(needed), f"{feature.name} needs {needed}")
    for feature in FEATURES
    for needed in feature.dependencies
)
_KNOWN_EVEN = sum(1 << feature.bit for feature in FEATURES)


def bit_name(bit: int) -> str:
    """One bit as CLN writes it: `option_keysend/odd`, `option_unknown_1000/even`."""
    feature = _BY_BIT.get(bit & ~1)
    name = long_name(feature) if feature else f"option_unknown_{bit & ~1}"
    return f"{name}/{'odd' if bit % 2 else 'even'}"


@functools.cache
def default_init_features() -> Features:
    """What our `init` says (B9-106). All optional: no peer is turned away for what it cannot do."""
    ours = (
        "option_data_loss_protect",
        "gossip_queries",
        "var_onion_optin",
        "gossip_queries_ex",
        "option_static_remotekey",
        "payment_secret",
        "option_channel_type",
    )
    return Features.of(feature_bit(name) + 1 for name in ours)
