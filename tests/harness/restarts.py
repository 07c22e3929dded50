"""What tests of `restart` have in common."""

from tests.harness.node import Node
from tests.harness.waiting import until


async def another(node: Node, daemon: str, old: int) -> int:
    """The pid of the second one, as soon as it is there."""
    found: list[int] = []

    async def there() -> bool:
        found[:] = [pid for pid in node.pids_of(daemon) if pid != old]
        return bool(found)

    await until(there, f"no second {daemon} is started")
    return found[0]
