"""The table of owners, as one program of the master's process leaves it to the next one: nothing in it changes."""

from dataclasses import field

from lightningd_py.owners.claims import ClaimsLeft
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import PeerLeft
from lightningd_py.owners.programs import ProgramsLeft
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class TableLeft:
    """All connections."""

    peers: list[PeerLeft] = field(default_factory=list)
    at_connectiond: list[int] = field(default_factory=list)
    wanted_by: list[tuple[int, str]] = field(default_factory=list)
    first_conn_id: int = 0
    claims: ClaimsLeft = field(default_factory=ClaimsLeft)


def table_of(ownership: Ownership) -> TableLeft:
    """As it is now. Of what claims hold nothing is in it."""
    return TableLeft(
        [peer.leave() for peer in ownership.peers],
        sorted(ownership.at_connectiond),
        [(conn_id, service.name) for conn_id, service in ownership.wanted_by.items()],
        ownership.first_conn_id,
        ownership.claims.leave(),
    )


def resume_table(ownership: Ownership, left: TableLeft, programs: ProgramsLeft) -> None:
    """Go on with what the program before us has left. A service that is no more wants nothing."""
    for one in left.peers:
        ownership.strangers.moved(ownership.peers.resume(one))
    ownership.at_connectiond.update(left.at_connectiond)
    for conn_id, name in left.wanted_by:
        if (service := ownership.registrations.named(name)) is not None:
            ownership.wanted_by[conn_id] = service
    ownership.first_conn_id = left.first_conn_id
    ownership.claims.resume(left.claims)
    ending = {one.info.conn_id for one in left.peers if one.end_wanted is not None}
    ownership.programs.resume(programs, ending)
