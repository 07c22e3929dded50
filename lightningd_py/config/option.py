"""What an option of the node is: one row of `table.OPTIONS`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lightningd_py.config.config_file import Origin
from wire.start.late_dataclass import dataclass

ANYWHERE, COMMAND_LINE = frozenset(Origin), frozenset({Origin.COMMAND_LINE})


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table. `parse` is None for an option that takes no value."""

    name: str
    help: str
    parse: Callable[..., Any] | None = None
    metavar: str = ""
    multiple: bool = False
    """May be repeated; `parse` then gives a tuple, and the tuples are joined."""
    one_text: bool = False
    """What is repeated is shown, and set while the node runs, as one text with commas."""
    by_network: bool = False
    """`parse` wants the network's default port as its second argument."""
    trailing_spaces: bool = False
    """Spaces at the end of the value are part of it; they are cut off otherwise."""
    allowed_in: frozenset[Origin] = ANYWHERE
    group: str = "node"
    short: str = ""
    """One letter, for the command line."""

    @property
    def dev(self) -> bool:
        """Needs --developer."""
        return self.name.startswith("dev-")

    @property
    def dynamic(self) -> bool:
        """`setconfig` can change it while the node runs."""
        return self.name in DYNAMIC

    @property
    def field(self) -> str:
        """The name in `Options`."""
        return self.name.replace("-", "_")


def one(parse: Callable[[str], Any]) -> Callable[[str], tuple[Any]]:
    """For an option that may be repeated: its one value as a tuple."""
    return lambda value: (parse(value),)


def rows(group: str, *options: Option) -> tuple[Option, ...]:
    """These, in this group."""
    return tuple(replace(option, group=group) for option in options)


DYNAMIC = frozenset(
    (
        *("log-level", "alias", "rgb", "announce-addr", "announce-addr-discovered"),
        *("max-inbound", "max-half-open", "max-half-open-per-source", "max-inbound-per-source", "max-connect-rate"),
        *("max-read-rate", "gossip-peer-rate", "gossip-total-rate", "slow-reader-timeout"),
        *("gossip-store-compact-size", "gossip-store-compact-ratio", "max-programs", "max-programs-per-service"),
    )
)
"""What `setconfig` can change while the node runs."""
