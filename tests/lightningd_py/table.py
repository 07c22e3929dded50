"""The table of registrations with a program in it, on a database of its own; and what it has told."""

from collections.abc import Callable
from pathlib import Path

from lightningd_py.config.values import Offered, Service, Wanted
from lightningd_py.database import Database
from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.registrations.store import RegistrationStore
from wire.bus.bus_wire import Register
from wire.features import default_init_features
from wire.secp256k1 import public_key

ID, NODE, OTHER, PROGRAMS, OWN = (public_key(bytes([n]) * 32) for n in range(1, 6))
CHANNEL, CHANNEL_2 = b"c" * 32, b"d" * 32
PROGRAM = Service("program", ("a-program",))


class Table(Registrations):
    """With a program that has one node and one message, and what the table has told."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            [PROGRAM],
            [Wanted("program", (33,), (PROGRAMS,))],
            [Wanted("program", (513,), ())],
            [Offered("program", (43,))],
        )
        self.changes: list[str] = []
        self.wanted: list[tuple[str, list[bytes]]] = []
        self.on_change = lambda changed: self.changes.append(changed.service.name)
        self.on_wanted = lambda service, node_ids: self.wanted.append((service.name, node_ids))
        self.base_features = default_init_features()
        self.path = path
        self.database = Database(path)
        self.begin(OWN, RegistrationStore(self.database))

    def service(self, name: str = "s", *, present: bool = True, **asked: object) -> Registered:
        """One that is here, and has registered this."""
        self.arrive(name)
        self.present(name, present)
        self.register(name, Register(**asked))  # type: ignore[arg-type]
        found = self.named(name)
        assert found is not None
        return found


Open = Callable[[], Table]
"""Opens the same file again."""
