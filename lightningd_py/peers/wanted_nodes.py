"""Nodes whose connections gossipd does not end when there are too many: it is told which these are."""

from collections.abc import Callable, Iterable

from wire.bus.told import Told
from wire.control.control_wire import ChangeWantedNodes


class WantedNodes:
    """What gossipd has been told of them."""

    def __init__(
        self,
        all_wanted: Callable[[], Iterable[bytes]],
        is_wanted: Callable[[bytes], bool],
        tell: Callable[[ChangeWantedNodes], None],
    ) -> None:
        """`tell` says something to the gossipd of that moment."""
        self._all_wanted = all_wanted
        self._is_wanted = is_wanted
        self._tell = tell
        self._told: Told[bytes, bool] = Told()

    def fresh_gossipd(self) -> None:
        """Tell a gossipd that knows of none."""
        self._told.forget()
        self.look_again(self._all_wanted())

    def look_again(self, node_ids: Iterable[bytes]) -> None:
        """These may be wanted now, or no longer."""
        added, removed = self._told.news(node_ids, lambda node_id: self._is_wanted(node_id) or None)
        if added or removed:
            self._tell(ChangeWantedNodes(list(added), removed))
