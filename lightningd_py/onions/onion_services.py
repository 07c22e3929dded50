"""Which services hear an onion message that is for this node."""

from collections.abc import Callable, Iterator

from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from wire.control.control_wire import OnionForUs
from wire.net.onion_rates import ONION_MESSAGE
from wire.onion.payloads import FIRST_OF_FINAL

OF_PROGRAMS = (64, 66, 68)
"""BOLT 12's payloads: a program that copies 513 is told of these, and of odd ones."""


class OnionServices:
    """For all services of a node."""

    def __init__(self, registrations: Registrations, to_program: Callable[[str, OnionForUs], None]) -> None:
        """`to_program`: to the program of this service that listens."""
        self._registrations = registrations
        self._to_program = to_program
        self.to_bus: Callable[[str, OnionForUs], None] = lambda service, message: None
        """To this service on CTL."""

    def wants(self, service: Registered) -> bool:
        """Whether oniond is needed for this service: for its channels, or for messages to it."""
        return bool(service.channels or service.onion_messages or _listens(service))

    def payloads(self) -> list[int]:
        """Types of payloads that are understood."""
        understood = {number for service in self._registrations for number in service.onion_messages}
        if any(map(_listens, self._registrations)):
            understood.update(OF_PROGRAMS)
        return sorted(understood)

    def tell(self, message: OnionForUs) -> bool:
        """Whether there was a service for it."""
        told = False
        for service in self._hearing(message):
            told = True
            (self._to_bus if service.program is None else self._to_program)(service.name, message)
        return told

    def _to_bus(self, service: str, message: OnionForUs) -> None:
        self.to_bus(service, message)

    def _hearing(self, message: OnionForUs) -> Iterator[Registered]:
        """What came along a path of ours is for the service alone that has made it (B4-123)."""
        number = next((number for number, _ in message.fields if number >= FIRST_OF_FINAL), None)
        for service in self._registrations:
            if message.service in (None, service.name) and number is not None and _understands(service, number):
                yield service


def _listens(service: Registered) -> bool:
    return service.program is not None and ONION_MESSAGE in service.copy


def _understands(service: Registered, number: int) -> bool:
    if service.program is None:
        return number in service.onion_messages
    return _listens(service) and (number % 2 == 1 or number in OF_PROGRAMS)
