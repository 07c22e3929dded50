"""JSON-RPC methods about who our peers are: bans, and nodes to stay connected with. CLN has none of these."""

from typing import Any

from lightningd_py.database import Ban, Database
from lightningd_py.peers.access_control import AccessControl, TooManyBans
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import (
    INTERNAL_ERROR,
    INVALID_PARAMETERS,
    RpcError,
    boolean,
    optional,
    peer,
    required,
    text,
    u32,
)
from wire.address import WireAddr
from wire.control.access import parse_what


def whom(value: Any) -> str:
    """The peers that a rule names."""
    return parse_what(text(value))


class PeerCommands:
    """The methods of one node."""

    def __init__(self, port: int, database: Database, staying: StayingConnected, access: AccessControl) -> None:
        """`port`: of addresses that have none."""
        self._port = port
        self._database = database
        self._staying = staying
        self._access = access

    def all(self) -> list[Command]:
        """For `Commands`."""
        who = required("who", whom, "whom it is about")
        node = required("id", peer(self._port), "the node, and perhaps where it is")
        return [
            Command(
                "keepconnected",
                self.keepconnected,
                (node, optional("keep", boolean, "false: no longer", True)),
                "Stay connected with this node, or no longer: it is dialled again whenever the connection is lost,"
                " after a restart, too, and does not go when there are too many peers.",
            ),
            Command(
                "ban",
                self.ban,
                (
                    who,
                    optional("seconds", u32, "how long; for ever if it is left out"),
                    optional("reason", text, "for listbans, and for the log", ""),
                ),
                "Refuse all peers that this names, and dial none of them: a node id, an address or network"
                " (10.0.0.0/8), an .onion, with:FEATURE, without:FEATURE or all. Ends what is connected."
                " For so long, or for ever.",
            ),
            Command("unban", self.unban, (who,), "End a ban."),
            Command("listbans", self.listbans, (), "Show the bans in force, with reason and end."),
        ]

    async def keepconnected(self, id: tuple[bytes, WireAddr | None], keep: bool) -> dict[str, Any]:
        """A connection that is there stays in either case."""
        node_id, address = id
        if address is not None:
            self._database.remember_hint(node_id, str(address))
        if keep:
            self._staying.keep(node_id)
        else:
            self._staying.let_go(node_id)
        return {"id": node_id.hex(), "keepconnected": keep}

    async def ban(self, who: str, seconds: int | None, reason: str) -> dict[str, Any]:
        """The ban, as `listbans` shows it."""
        try:
            return _ban_json(await self._access.ban(who, reason, seconds))
        except TooManyBans as error:
            raise RpcError(INTERNAL_ERROR, "The list of bans is full: use networks, or unban some") from error

    async def unban(self, who: str) -> dict[str, Any]:
        """Only what was banned under that very name."""
        if not await self._access.unban(who):
            raise RpcError(INVALID_PARAMETERS, f"who: {who} is not banned")
        return {}

    async def listbans(self) -> dict[str, Any]:
        """The oldest first."""
        return {"bans": [_ban_json(ban) for ban in self._access.bans()]}


def _ban_json(ban: Ban) -> dict[str, Any]:
    fields: dict[str, Any] = {"who": ban.what, "reason": ban.reason, "created": int(ban.created)}
    if ban.expires is not None:
        fields["expires"] = int(ban.expires)
    return fields
