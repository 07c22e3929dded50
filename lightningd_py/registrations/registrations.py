"""Who wants what is not gossip: the one table of the programs of the options and the services of the buses.

A service has nodes and channels, whose connections it gets as soon as they are there; message types, which bring it a
connection (take) or a copy; features that the node offers while it is here; and rules of who may connect. Nodes and
channels are kept while a bus service is away, and over a restart; the rest ends with its session. docs/bus.md.

Here it is only known. `registration_news.py` tells the daemons, `ownership.py` moves connections.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator

from lightningd_py.config.values import Offered, Service, Wanted
from lightningd_py.registrations import registered
from lightningd_py.registrations.changed import Changed
from lightningd_py.registrations.index import Index
from lightningd_py.registrations.registered import Refused, Registered, SessionLeft
from lightningd_py.registrations.store import RegistrationStore
from wire.bus.bus_wire import BusChannel, Register, ServiceEntry, Unregister
from wire.bus.service_name import name_flaw
from wire.control.access import Rule
from wire.control.control_wire import LocalChannel, PeerMessage, RemoteChannelUpdate
from wire.control.status import Status
from wire.features import Features
from wire.peer_wire import is_channel_message, message_name
from wire.routing import OPENINGS, Action

MOST_SERVICES = 100
"""Bus services that are here or have something kept."""
MOST_OF_ALL_SERVICES = 50_000
"""Nodes and channels of all services."""
FOR_EACH_SERVICE = 100
"""So many of them each service may have, however many the others have."""
TICKET_SIZE = 16

status = Status("lightningd")


class Registrations:
    """The table. What it must tell others it tells through the callables that are its attributes."""

    def __init__(
        self,
        services: Iterable[Service] = (),
        take: Iterable[Wanted] = (),
        copy: Iterable[Wanted] = (),
        offer: Iterable[Offered] = (),
    ) -> None:
        """The programs; of two that want the same, the one that was named first gets it.

        Raises ValueError, one sentence, for what is no service or cannot be wanted.
        """
        self.on_change: Callable[[Changed], None] = lambda changed: None
        """Something is different for a service, or for all because of it."""
        self.on_wanted: Callable[[Registered, list[bytes]], None] = lambda service, node_ids: None
        """These nodes are this service's from now on, and it is present."""
        self.msg_lost: Callable[[str], None] = lambda name: None
        """connectiond has died, and with it the session on MSG of this bus service, which cannot know that."""
        self.copy_to: Callable[[str, PeerMessage], None] = lambda service, message: None
        """A copy for a bus service, by its name."""
        self.remote_update_to: Callable[[str, RemoteChannelUpdate], None] = lambda service, message: None
        """What a peer says about a channel of a bus service, by its name."""
        self._services: dict[str, Registered] = {}
        self._returning: set[str] = set()
        """Services that have a session of the program before us, and have not said hello to us."""
        self._own_id = b""
        self._store: RegistrationStore | None = None
        for service in services:
            self._services.setdefault(service.name, Registered(service.name, service, present=True))
        try:
            self._of_options(take, copy, offer)
        except Refused as refused:
            raise ValueError(str(refused)) from refused
        self._index = Index(self)

    def _of_options(self, take: Iterable[Wanted], copy: Iterable[Wanted], offer: Iterable[Offered]) -> None:
        taken: dict[int | bytes, None] = {}
        for wanted in take:
            program = self._program(wanted.service)
            for number in wanted.messages:
                registered.check_type(number)
            program.take.update((number, None) for number in wanted.messages if number not in taken)
            program.node_ids.update((node_id, None) for node_id in wanted.node_ids if node_id not in taken)
            taken |= dict.fromkeys((*wanted.messages, *wanted.node_ids))
        for wanted in copy:
            program = self._program(wanted.service)
            for number in wanted.messages:
                registered.check_type(number)
            if wanted.node_ids:
                raise Refused(f"--copy {wanted.service}: copies go by message, not by node")
            program.copy.update(dict.fromkeys(wanted.messages))
        for offered in offer:
            self._program(offered.service).offer.update(dict.fromkeys(Features.of(offered.bits).names()))

    def _program(self, name: str) -> Registered:
        if name not in self._services:
            raise Refused(f"there is no --service {name}")
        return self._services[name]

    def begin(self, own_id: bytes, store: RegistrationStore) -> None:
        """Whose node this is is known now, and what was kept is read. What a program wants now is the program's."""
        self._own_id, self._store = own_id, store
        for node_id, name in store.nodes():
            if (service := self._kept_by(name, node_id)) is not None:
                service.node_ids[node_id] = None
        for channel, name in store.channels():
            if (service := self._kept_by(name, channel.node_id)) is not None:
                service.channels[channel.channel_id] = channel
        self._index = Index(self)

    def _kept_by(self, name: str, node_id: bytes) -> Registered | None:
        service, owner = self._services.get(name), self._index.nodes.get(node_id)
        program = next((each.name for each in (service, owner) if each is not None and each.program is not None), None)
        if program is None:
            return self._services.setdefault(name, Registered(name))
        status.unusual(f"bus service {name} has registered this node, but service {program} is a program", node_id)
        return None

    def sessions(self) -> list[SessionLeft]:
        """The sessions of bus services, for the next program of this process."""
        return [service.session() for service in self if service.ticket]

    def resume(self, left: Iterable[SessionLeft]) -> None:
        """Go on with the sessions of the program before us: after `begin`. Each service is to say hello once more."""
        for one in left:
            service = self._services.setdefault(one.name, Registered(one.name))
            if service.program is None:
                service.resume(one)
                self._returning.add(one.name)
        self._index = Index(self)

    def end_returning(self, reason: str) -> None:
        """Who has not said hello until now does not come back."""
        for name in tuple(self._returning):
            self.leave(name, reason)

    # sessions of bus services

    def arrive(self, name: str) -> bytes:
        """A service says hello on CTL: a fresh ticket, which it says on MSG, too. Raises Refused."""
        if flaw := name_flaw(name):
            raise Refused(f"'{name:.40}' {flaw}")
        service = self._services.get(name)
        if service is not None and service.program is not None:
            raise Refused(f"service {name} is a program")
        if service is not None and name in self._returning:
            self._returning.discard(name)
            status.info(f"service {name} is here again")
            return service.ticket
        if service is not None and service.ticket:
            raise Refused(f"service {name} is here already")
        if service is None:
            if sum(each.program is None for each in self) >= MOST_SERVICES:
                raise Refused(f"{MOST_SERVICES} services are the most that there may be")
            service = self._services[name] = Registered(name)
            self._index.add_service(service)
        service.ticket = secrets.token_bytes(TICKET_SIZE)
        status.info(f"service {name} is here")
        self.on_change(Changed.whole(service))
        return service.ticket

    def kept(self, name: str) -> tuple[list[bytes], list[BusChannel]]:
        """The nodes and channels of this service."""
        service = self._services[name]
        return list(service.node_ids), list(service.channels.values())

    def leave(self, name: str, reason: str) -> None:
        """Its session on CTL has ended: nodes and channels stay."""
        self._returning.discard(name)
        service = self._services[name]
        changed = Changed.whole(service)
        self._index.drop_takes(service, service.take)
        service.end_session()
        if not service.keeps:
            del self._services[name]
            self._index.drop_service(service)
        status.info(f"service {name} has left: {reason}")
        self.on_change(changed)

    def present(self, name: str, here: bool) -> None:
        """A service has come to MSG, or has left it. A late word about a session that has ended is ignored."""
        service = self._services.get(name)
        if service is None or not service.ticket or service.present == here:
            return
        service.present = here
        status.info(f"service {name} {'takes' if here else 'no longer takes'} connections")
        self.on_change(Changed.whole(service))
        if here:
            self.on_wanted(service, list(service.wanted_nodes))

    def forget(self, name: str) -> None:
        """What an absent bus service has kept is given up. Raises Refused if it is none."""
        service = self._services.get(name)
        if service is None or service.program is not None or service.ticket:
            raise Refused(f"there is no bus service {name} that is away")
        if self._store is not None:
            self._store.forget(name)
        changed = Changed.whole(service)
        del self._services[name]
        self._index.drop_service(service)
        service.node_ids.clear()
        service.channels.clear()
        self.on_change(changed)

    async def saved(self) -> None:
        """Returns when all that is kept of services is on the disk. Raises NotSaved."""
        if self._store is not None:
            await self._store.saved()

    # registering

    def register(self, name: str, asked: Register) -> None:
        """Add to what this service wants: all of it, or nothing. Raises Refused."""
        service = self._services[name]
        asked = registered.checked(asked, self._own_id)
        self._check_conflicts(service, asked)
        self._check_features(service, asked)
        changed = Changed.by(service, asked)
        before = {node_id for node_id in changed.node_ids if self._index.is_services(node_id, service)}
        self._add(service, asked)
        if self._store is not None and (asked.node_ids or asked.channels):
            self._store.add(name, asked.node_ids, asked.channels)
        self.on_change(changed)
        now = [node_id for node_id in changed.node_ids if self._index.is_services(node_id, service)]
        if service.present and (new := [node_id for node_id in now if node_id not in before]):
            self.on_wanted(service, new)

    def unregister(self, name: str, asked: Unregister) -> None:
        """Take this back; its connections stay where they are. Raises Refused for what could not be registered."""
        service = self._services[name]
        asked = registered.in_one_form(asked)
        changed = Changed.by(service, asked)
        for node_id in asked.node_ids:
            self._index.drop_node(service, node_id)
        for channel_id in service.channels.keys() & set(asked.channel_ids):
            self._index.drop_channel(service, service.channels[channel_id])
        self._index.drop_takes(service, asked.take)
        registered.remove(service, asked)
        if self._store is not None and (asked.node_ids or asked.channel_ids):
            self._store.remove(name, asked.node_ids, asked.channel_ids)
        self.on_change(changed)

    def _add(self, service: Registered, asked: Register) -> None:
        """To the table and its index; nothing if it is refused. A channel may be there, with another node or scid."""
        channel_ids = dict.fromkeys(channel.channel_id for channel in asked.channels)
        replaced = [service.channels[each] for each in channel_ids if each in service.channels]
        registered.add(service, asked)
        for channel in replaced:
            self._index.drop_channel(service, channel)
        for channel_id in channel_ids:
            self._index.add_channel(service, service.channels[channel_id])
        self._index.nodes.update(dict.fromkeys(asked.node_ids, service))
        self._index.takers.update(dict.fromkeys(asked.take, service))

    def _check_conflicts(self, service: Registered, asked: Register) -> None:
        new = {*asked.node_ids, *(channel.channel_id for channel in asked.channels)}
        new -= service.node_ids.keys() | service.channels.keys()
        own = len(new) + len(service.node_ids) + len(service.channels)
        all_services = len(new) + sum(len(each.node_ids) + len(each.channels) for each in self)
        if new and own > FOR_EACH_SERVICE and all_services > MOST_OF_ALL_SERVICES:
            raise Refused(f"{MOST_OF_ALL_SERVICES} nodes and channels of all services are the most that there may be")
        for node_id in asked.node_ids:
            registered.refuse_if_others(self._index.nodes.get(node_id), service, f"node {node_id.hex()}")
        for channel in asked.channels:
            registered.refuse_if_others(
                self._index.channels.get(channel.channel_id), service, f"channel {channel.channel_id.hex()}"
            )
            scid = channel.short_channel_id
            registered.refuse_if_others(self._index.with_scid(scid), service, f"short_channel_id {scid}")
            owner = self._index.nodes.get(channel.node_id)
            if owner is not None and owner.program is not None:  # it alone has the whole connection
                registered.refuse_if_others(owner, service, f"node {channel.node_id.hex()}")
        for number in asked.take:
            registered.refuse_if_others(
                self._index.takers.get(number), service, f"message {number} ({message_name(number)})"
            )

    def _check_features(self, service: Registered, asked: Register) -> None:
        """Complete by itself, so that nothing is missing when other services go."""
        offered = self.base_features | registered.features_of([*service.offer, *asked.offer])
        if asked.offer and (missing := offered.missing_dependency()):
            raise Refused(f"offer: {missing}")

    # questions

    base_features = Features()
    """What the node offers by itself and for its programs."""
    fixed_features: frozenset[int] = frozenset()
    """Even bits of the features about which the operator has decided: no service changes them."""

    own_copies: frozenset[int] = frozenset()
    """Messages of which the node itself wants copies."""

    def __iter__(self) -> Iterator[Registered]:
        return iter(list(self._services.values()))

    def named(self, name: str) -> Registered | None:
        """The service of that name, if it is known."""
        return self._services.get(name)

    def entries(self) -> list[ServiceEntry]:
        """All services, programs first, as buses and RPC show them."""
        return [service.entry() for service in self]

    def for_message(self, number: int, channel_id: bytes | None, node_id: bytes) -> Registered | None:
        """Whose message it is: by channel, the type of an opening, node, type. None if no service's.

        Where the service that it is is away, it is not present: then the connection is to be closed, without a word.
        """
        by_type = self._index.takers.get(number)
        taker = by_type if by_type is not None and by_type.present else None
        if not is_channel_message(number):
            return taker
        if by_channel := self.of_channel(channel_id or b"", node_id):
            return by_channel[0]
        if taker is not None and number in OPENINGS:
            return taker
        return self.for_node(node_id) or taker

    def of_channel(self, channel_id: bytes, node_id: bytes) -> list[Registered]:
        """The service that has this channel with this node, if there is one."""
        service = self._index.channels.get(channel_id)
        return [] if service is None or service.channels[channel_id].node_id != node_id else [service]

    def for_node(self, node_id: bytes) -> Registered | None:
        """The service that gets every connection of this node: which has registered it, or else is the first that has
        a channel with it; one that is present before one that is away.
        """
        wanting = self.concerned(node_id)
        return next((service for service in wanting if service.present), wanting[0] if wanting else None)

    def concerned(self, node_id: bytes) -> list[Registered]:
        """Every service with something registered for this node."""
        owner = self._index.nodes.get(node_id)
        others = [service for service in self._index.with_channels(node_id) if service is not owner]
        return [*([owner] if owner is not None else []), *others]

    def with_channels(self, node_id: bytes) -> list[Registered]:
        """Every service with a channel with this node."""
        return self._index.with_channels(node_id)

    def for_copies(self, number: int) -> list[Registered]:
        """Who gets a copy of such a message."""
        return [service for service in self if number in service.copy]

    def routes(self) -> list[tuple[int, str]]:
        """What differs from the defaults in the routes table. Channel messages come to the master in any case: they
        may be a service's that is away.
        """
        copied = {number for service in self for number in service.copy if not is_channel_message(number)}
        copied |= self.own_copies
        taken = {number for number, service in self._index.takers.items() if service.present}
        copies = [(number, Action.COPY.value) for number in sorted(copied - taken)]
        return copies + [(number, Action.TAKE.value) for number in sorted(taken)]

    @property
    def node_ids(self) -> list[bytes]:
        """Nodes of services that are here or away: never on the direct path."""
        return self._index.all_nodes()

    def is_registered(self, node_id: bytes) -> bool:
        """Whether it is one of these."""
        return node_id in self._index

    def is_to_stay(self, node_id: bytes) -> bool:
        """Whether a bus service wants the node, and takes connections now."""
        return any(service.program is None and service.present for service in self.concerned(node_id))

    @property
    def local_scids(self) -> list[int]:
        """Of the channels that gossipd is to know: with a short_channel_id or an alias."""
        return self._index.scids

    def local_channel(self, scid: int) -> LocalChannel | None:
        """One of these."""
        found = self._index.newest_with_scid(scid)
        return None if found is None else LocalChannel(scid, found[1].node_id, found[0].name)

    @property
    def features(self) -> Features:
        """What the node offers now. Where a feature is required its other bit, that it is optional, is left out."""
        offered = registered.features_of(name for service in self if service.here for name in service.offer)
        added = (bit for bit in offered.bits() if bit & ~1 not in self.fixed_features)
        bits = {*self.base_features.bits(), *added}
        return Features.of(bit for bit in bits if bit % 2 == 0 or bit - 1 not in bits)

    def rules(self) -> tuple[list[Rule], list[Rule]]:
        """Allow and deny rules of all services."""
        return (
            [Rule(what) for service in self for what in service.allow],
            [Rule(what, f"by service {service.name}") for service in self for what in service.deny],
        )

    def is_ready(self, name: str) -> bool:
        """Whether a service that the node needs is there, and has registered what it does."""
        service = self._services.get(name)
        if service is None or service.program is not None:
            return service is not None
        return service.here and bool(service.takes or service.copy or service.offer)
