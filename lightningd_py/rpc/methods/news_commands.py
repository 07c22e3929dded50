"""JSON-RPC methods about what has happened: the log, network events, and waiting for more. All are CLN's."""

from typing import Any

from lightningd_py.news.news import PEERS, News
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import WAIT_TIMEOUT, OneOf, RpcError, node_id, optional, required, u32, u64
from wire.log.style import LEVELS

SUBSYSTEMS = ("networkevents", PEERS)
INDEXES = ("created", "updated", "deleted")


class NewsCommands:
    """The methods of one node."""

    def __init__(self, news: News) -> None:
        self._news = news

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command(
                "getlog",
                self.getlog,
                (optional("level", OneOf(tuple(LEVELS)), "lines of this level and above", "info"),),
                "Show the last lines of the log, of all processes.",
            ),
            Command(
                "listnetworkevents",
                self.listnetworkevents,
                (
                    optional("id", node_id, "of this node alone"),
                    optional("index", OneOf(("created",)), "CLN's: there is this order only"),
                    optional("start", u64, "the first created_index", 0),
                    optional("limit", u32, "how many"),
                ),
                "Show connections that came, went or could not be made, and pings that were asked for.",
            ),
            Command(
                "wait",
                self.wait,
                (
                    required("subsystem", OneOf(SUBSYSTEMS), "networkevents, or peers: connections"),
                    required("indexname", OneOf(INDEXES), "created, updated or deleted"),
                    required("nextvalue", u64, "the value of this index to wait for; 0 to be told the present one"),
                    optional("timeout", u32, "seconds after which it is given up; CLN's has none"),
                ),
                "Wait until so much has happened.",
            ),
        ]

    async def getlog(self, level: str) -> dict[str, Any]:
        """CLN's fields. Only what `log-level` admits is there; each process has a share of its own, and SKIPPED says
        how many lines are not shown.
        """
        return self._news.log.content(level)

    async def listnetworkevents(
        self, id: bytes | None, index: str | None, start: int, limit: int | None
    ) -> dict[str, Any]:
        """CLN's fields: the last 10,000 events since the node began, with a share for each node."""
        return {"networkevents": [event.content for event in self._news.events.listed(id, start, limit)]}

    async def wait(
        self,
        subsystem: str,
        indexname: str,
        nextvalue: int,
        timeout: int | None,  # noqa: ASYNC109 - as waitblockheight's
    ) -> dict[str, Any]:
        """CLN's fields. Of CLN's subsystems there is networkevents; peers is our own: `created` counts connections,
        `updated` those that got another owner, `deleted` those that have ended. Code 2000 if it takes too long.
        """
        try:
            value, about = await self._news.indexes.until(subsystem, indexname, nextvalue, timeout)
        except TimeoutError:
            raise RpcError(WAIT_TIMEOUT, "Timed out.") from None
        return {"subsystem": subsystem, indexname: value} | ({subsystem: about} if about else {})
