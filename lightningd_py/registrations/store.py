"""The nodes and channels of bus services, kept in SQLite: services come back, after our restart, too."""

from collections.abc import Iterable

from lightningd_py.database import Database
from wire.bus.bus_wire import BusChannel


class RegistrationStore:
    """The tables registered_nodes and registered_channels. A node, or a channel, is one service's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def nodes(self) -> list[tuple[bytes, str]]:
        """Each node with its service, in the order in which they were registered."""
        return list(self._database.sqlite.execute("SELECT node_id, service FROM registered_nodes ORDER BY rowid"))

    def channels(self) -> list[tuple[BusChannel, str]]:
        """Each channel with its service, in that order."""
        rows = self._database.sqlite.execute(
            "SELECT channel_id, node_id, short_channel_id, service FROM registered_channels ORDER BY rowid"
        )
        return [
            (BusChannel(channel_id, node_id, _number(scid)), service) for channel_id, node_id, scid, service in rows
        ]

    def add(self, service: str, node_ids: Iterable[bytes], channels: Iterable[BusChannel]) -> None:
        """All of these, or none."""
        nodes = [(node_id, service) for node_id in node_ids]
        rows = [(channel.channel_id, channel.node_id, _blob(channel.short_channel_id), service) for channel in channels]
        self._database.change(
            [
                ("INSERT OR REPLACE INTO registered_nodes VALUES (?, ?)", nodes),
                ("INSERT OR REPLACE INTO registered_channels VALUES (?, ?, ?, ?)", rows),
            ]
        )

    def remove(self, service: str, node_ids: Iterable[bytes], channel_ids: Iterable[bytes]) -> None:
        """What of these is this service's."""
        nodes = [(node_id, service) for node_id in node_ids]
        channels = [(channel_id, service) for channel_id in channel_ids]
        self._database.change(
            [
                ("DELETE FROM registered_nodes WHERE node_id = ? AND service = ?", nodes),
                ("DELETE FROM registered_channels WHERE channel_id = ? AND service = ?", channels),
            ]
        )

    def forget(self, service: str) -> None:
        """All that is this service's."""
        self._database.change(
            [
                ("DELETE FROM registered_nodes WHERE service = ?", [(service,)]),
                ("DELETE FROM registered_channels WHERE service = ?", [(service,)]),
            ]
        )

    async def saved(self) -> None:
        """Returns when all of that is on the disk. Raises NotSaved."""
        await self._database.saved()


def _blob(short_channel_id: int | None) -> bytes | None:
    """An alias may have its highest bit set, and SQLite's numbers are signed."""
    return None if short_channel_id is None else short_channel_id.to_bytes(8, "big")


def _number(blob: bytes | None) -> int | None:
    return None if blob is None else int.from_bytes(blob, "big")
