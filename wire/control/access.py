"""Who may connect: bans, allow rules and deny rules, all of one form.

A rule names a node id, an IP address or network (`10.0.0.0/8`, `2001:db8::/32`), an onion service, a host name
(`host:NAME`, as it is dialled: names are not looked up for this), a feature (`with:NAME`, `without:NAME`), or `all`.
What an allow rule matches is admitted, whatever else there is; what a deny rule or a ban matches is not. So `all` as a
deny rule turns the allow rules into a list of those who may.

connectd asks at each step at which a stranger is better known, by the rules that the master has sent last.
"""

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from wire.address import WireAddr, is_hostname, onion_flaw, parse_address
from wire.features import Features, feature_bit
from wire.start.late_dataclass import dataclass

if TYPE_CHECKING:
    from wire.control.control_wire import SetAccess

_NODE_ID = re.compile("0[23][0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Rule:
    """`what` as `parse_what` gives it back; `expires` in unix seconds, None for never. `reason` goes into logs."""

    what: str
    reason: str = ""
    expires: float | None = None


def parse_what(text: str) -> str:
    """The one form of what a rule may name. Raises ValueError, words that fit after the text."""
    lowered = text.lower()
    if lowered == "all":
        return lowered
    if lowered.startswith("host:"):
        return f"host:{_host(lowered.removeprefix('host:'))}"
    if lowered.startswith(("with:", "without:")):
        kind, _, name = lowered.partition(":")
        return f"{kind}:{_feature(name)}"
    if _NODE_ID.fullmatch(lowered):
        from wire.secp256k1 import is_point  # not for each command that knows the options

        if not is_point(bytes.fromhex(lowered)):
            raise ValueError("is no node id")
        return lowered
    try:
        return str(ipaddress.ip_network(lowered.strip("[]"), strict=False))
    except ValueError:
        with contextlib.suppress(ValueError):
            address = parse_address(lowered, 1)
            if address.kind == "torv3" and address.host == lowered and not onion_flaw(lowered):
                return lowered
    raise ValueError("is no node id, address, network, host:NAME, with:FEATURE, without:FEATURE or all")


def _host(name: str) -> str:
    if not is_hostname(name):
        raise ValueError("names no host")
    return name


def _feature(name: str) -> str:
    try:
        feature_bit(name)
    except KeyError as error:
        raise ValueError("names no feature") from error
    return name


def is_node_id(what: str) -> bool:
    """Whether a rule for this is about one node."""
    return _NODE_ID.fullmatch(what) is not None


class Rules:
    """Some rules, looked up in time that does not grow with their number."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """The latest of rules for the same thing counts."""
        self._exact: dict[str, Rule] = {}
        self._networks: dict[tuple[int, int], dict[int, Rule]] = {}
        self._features: list[tuple[bool, str, Rule]] = []
        for rule in rules:
            self._add(rule)

    def _add(self, rule: Rule) -> None:
        kind, colon, name = rule.what.partition(":")
        if colon and kind in ("with", "without"):
            self._features.append((kind == "with", name, rule))
            return
        try:
            network = ipaddress.ip_network(rule.what)
        except ValueError:
            self._exact[rule.what] = rule
            return
        shift = network.max_prefixlen - network.prefixlen
        same_size = self._networks.setdefault((network.version, shift), {})
        same_size[int(network.network_address) >> shift] = rule

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._exact or self._networks or self._features)

    @property
    def name_features(self) -> bool:
        """Whether some of them are about features."""
        return bool(self._features)

    @property
    def name_nodes(self) -> bool:
        """Whether some of them are about node ids."""
        return any(map(is_node_id, self._exact))

    def for_address(self, address: WireAddr, now: float) -> Rule | None:
        """A rule that an address falls under."""
        return next((rule for rule in self._of_address(address) if _in_force(rule, now)), None)

    def _of_address(self, address: WireAddr) -> Iterator[Rule]:
        host = f"host:{address.host}" if address.kind == "dns" else address.host
        yield from (rule for what in ("all", host) if (rule := self._exact.get(what)))
        if self._networks and address.kind in ("ipv4", "ipv6"):
            ip = ipaddress.ip_address(address.host)
            for (version, shift), same_size in self._networks.items():
                if version == ip.version and (rule := same_size.get(int(ip) >> shift)):
                    yield rule

    def for_node(self, node_id: bytes, now: float) -> Rule | None:
        """The rule that a node falls under by its id."""
        rule = self._exact.get(node_id.hex())
        return rule if rule is not None and _in_force(rule, now) else None

    def for_features(self, features: bytes, now: float) -> Rule | None:
        """The first rule that a peer falls under by what it offers."""
        offered = Features(features)
        for wanted, name, rule in self._features:
            if offered.offers(name) == wanted and _in_force(rule, now):
                return rule
        return None


def _in_force(rule: Rule, now: float) -> bool:
    return rule.expires is None or rule.expires > now


class Access:
    """Allow rules and deny rules together. Each question is answered by the reason for a refusal, or None.

    `now` is unix seconds.
    """

    def __init__(self, allow: Iterable[Rule] = (), deny: Iterable[Rule] = ()) -> None:
        self._allow = Rules(allow)
        self._deny = Rules(deny)

    def obey(self, message: "SetAccess") -> None:
        """Put these rules in force, in the place of the earlier ones."""
        self._allow = Rules(Rule(*rule) for rule in message.allow)
        self._deny = Rules(Rule(*rule) for rule in message.deny)

    def refuses_address(self, address: WireAddr, now: float) -> str | None:
        """Before Noise: who may still turn out to be allowed by id or features is not refused yet."""
        if not self._deny or self._allow.name_nodes or self._allow.name_features:
            return None
        return _reason(self._allow.for_address(address, now), self._deny.for_address(address, now))

    def refuses_node(self, address: WireAddr, node_id: bytes, now: float) -> str | None:
        """As soon as the id is known: features may still allow it."""
        if not self._deny or self._allow.name_features:
            return None
        allowed = self._allow.for_node(node_id, now) or self._allow.for_address(address, now)
        denied = self._deny.for_node(node_id, now) or self._deny.for_address(address, now)
        return _reason(allowed, denied)

    def refuses_features(self, address: WireAddr, node_id: bytes, features: bytes, now: float) -> str | None:
        """After INIT: everything is known."""
        allow, deny = self._allow, self._deny
        if not deny:
            return None
        allowed = allow.for_node(node_id, now) or allow.for_address(address, now) or allow.for_features(features, now)
        denied = deny.for_node(node_id, now) or deny.for_address(address, now) or deny.for_features(features, now)
        return _reason(allowed, denied)


def _reason(allowed: Rule | None, denied: Rule | None) -> str | None:
    if allowed is not None or denied is None:
        return None
    return f"refused: {denied.what}" + (f", {denied.reason}" if denied.reason else "")
