"""The map of now, out of the gossip_store. Blocking, and for one thread at a time: `Questions` has it."""

from pathlib import Path
from typing import Any

from gossipd.gossmap import Gossmap, StoreError
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.web import map_json
from lightningd_py.observatory.web.positions import Positions
from wire.command.console import reason


class CurrentMap:
    """`path`: of the store, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._gossmap: Gossmap | None = None

    def columns(self, positions: Positions) -> dict[str, Any]:
        """See map_json. Raises ObservatoryError."""
        return map_json.columns(self._fresh(), positions)

    def graph(self) -> tuple[list[bytes], list[int], list[int]]:
        """node_ids, and where in them both ends of each channel are. Raises ObservatoryError."""
        index = self._fresh().index
        places = {row: place for place, row in enumerate(index.nodes.values())}
        rows = index.channels.values()
        return [*index.nodes], [places[index.node1[row]] for row in rows], [places[index.node2[row]] for row in rows]

    def node(self, node_id: bytes) -> dict[str, Any] | None:
        """None if it is not on the map. Raises ObservatoryError."""
        gossmap = self._fresh()
        node = gossmap.node(node_id)
        return None if node is None else map_json.node_details(gossmap, node)

    def channel(self, short_channel_id: int) -> dict[str, Any] | None:
        """None if it is not on the map. Raises ObservatoryError."""
        channel = self._fresh().channel(short_channel_id)
        return None if channel is None else map_json.channel_details(channel)

    def close(self) -> None:
        """Give the file back."""
        if self._gossmap is not None:
            self._gossmap.close()
            self._gossmap = None

    def _fresh(self) -> Gossmap:
        try:
            if self._gossmap is None:
                self._gossmap = Gossmap(self._path)
            else:
                self._gossmap.refresh()
        except OSError as error:
            raise ObservatoryError(f"{self._path} cannot be read: {reason(error)}") from error
        except StoreError as error:
            raise ObservatoryError(str(error)) from error
        return self._gossmap
