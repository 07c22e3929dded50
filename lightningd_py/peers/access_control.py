"""Bans, and the allow and deny rules of the options and the services: kept here, put in force by connectd.

A ban ends the connections that fall under it, and outlives a restart. connectd asks the rules at every step of a
stranger's way; here only those who are connected already are looked at.
"""

import time
from collections.abc import Callable

from lightningd_py.database import Ban, Database
from lightningd_py.owners.ownership import Ownership
from wire.address import parse_address
from wire.control.access import Access, Rule
from wire.control.control_message import ControlMessage
from wire.control.control_wire import PeerInfo, SetAccess

MOST_BANS = 10_000


class TooManyBans(Exception):
    """The list is full."""


class AccessControl:
    """Who may be connected with. `allow` and `deny` are the options', `tell` says something to connectd."""

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        allow: tuple[str, ...],
        deny: tuple[str, ...],
        tell: Callable[[ControlMessage], None],
        of_services: Callable[[], tuple[list[Rule], list[Rule]]] = lambda: ([], []),
    ) -> None:
        """`of_services` gives the allow and deny rules that services have registered."""
        self._database = database
        self._ownership = ownership
        self._allow = [Rule(what) for what in allow]
        self._deny = [Rule(what, "by --deny") for what in deny]
        self._tell = tell
        self._of_services = of_services
        self.refuses_all = ""
        """Why no connection is made or taken any more; empty if they are."""

    async def ban(self, what: str, reason: str, seconds: int | None) -> Ban:
        """Ban for so long, or for ever. Raises TooManyBans, NotSaved."""
        now = time.time()
        if len(self._database.bans(now)) >= MOST_BANS:
            raise TooManyBans
        ban = Ban(what, reason, now, None if seconds is None else now + seconds)
        await self._database.ban(ban)
        self.put_in_force()
        return ban

    async def unban(self, what: str) -> bool:
        """End a ban. False if there is none. Raises NotSaved."""
        found = await self._database.unban(what)
        self.put_in_force()
        return found

    def bans(self) -> list[Ban]:
        """Those in force."""
        return self._database.bans(time.time())

    def refuse_all(self, reason: str) -> None:
        """From now on connectd makes and takes no connection, unless `reason` is empty; those that are there are the
        caller's business.
        """
        self.refuses_all = reason
        self.put_in_force()

    def put_in_force(self) -> None:
        """connectd is told all rules, and who may no longer be connected is disconnected."""
        if self.refuses_all:
            self._tell(SetAccess([], [("all", self.refuses_all, None)]))
            return
        service_allow, service_deny = self._of_services()
        allow = [*self._allow, *service_allow]
        deny = [*service_deny, *self._deny, *(Rule(ban.what, _why(ban), ban.expires) for ban in self.bans())]
        self._tell(
            SetAccess(
                [(rule.what, rule.reason, rule.expires) for rule in allow],
                [(rule.what, rule.reason, rule.expires) for rule in deny],
            )
        )
        access = Access(allow, deny)
        for peer in self._ownership.peers:
            if reason := self._refuses(access, peer.info):
                self._ownership.disconnect(peer, reason)

    def _refuses(self, access: Access, info: PeerInfo) -> str | None:
        return access.refuses_features(parse_address(info.address, 1), info.node_id, info.features, time.time())


def _why(ban: Ban) -> str:
    return f"banned: {ban.reason}" if ban.reason else "banned"
