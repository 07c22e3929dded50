"""Whatever peers and services do in whatever order: each message is delivered once, in order, or its fate is told."""

import itertools
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.connectd.connectiond.connectiond_process import about, channel_id
from tests.connectd.connectiond.fake_bus import FakeBus, FakeLine
from tests.gossipd.gossipd_process import PEER_ID
from wire.bus import bus_wire
from wire.bus.bus_message import BusError, BusMessage
from wire.bus.bus_wire import CREDIT, Message
from wire.bus.sessions import Session

SERVICES = ("one", "two", "three")
TYPES = {"one": (32,), "two": (64, 0x8001), "three": ()}
names = st.sampled_from(SERVICES)
numbers = st.integers(0, 7)


class Conversations(RuleBasedStateMachine):
    """Several connections of one node, three services that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = FakeBus()
        self.bus.routes.replace([(0x8001, "take")])
        self.lines: list[FakeLine] = []
        self.heard: dict[int, list[bytes]] = {}
        self.marks = itertools.count(1)
        self.seqs: dict[tuple[int, int], int] = {}
        for name in SERVICES:
            self.bus.service(name, credit=1, take=TYPES[name])
        for name in SERVICES[:2]:
            self.is_given(name, 136, 0)

    # what the test does

    def _line(self, which: int) -> FakeLine | None:
        """One that is here."""
        here = [line for line in self.lines if line.ended is None and not self._returned(line)]
        return here[which % len(here)] if here else None

    def _returned(self, line: FakeLine) -> list[bytes | None]:
        """What came back with it, if it came back."""
        log = self.bus.master.log
        return [entry[2] for entry in log if entry[:2] == ("returned", line.peer.conn_id)]  # type: ignore[misc]

    def _marked(self, number: int, channel: int) -> bytes:
        return about(number, channel_id(channel + 1), next(self.marks).to_bytes(8, "big"))

    @rule(name=names, credit=st.integers(0, 3))
    def comes(self, name: str, credit: int) -> None:
        if name not in self.bus.post.here:
            self.bus.post.unreachable.discard(name)
            self.bus.service(name, credit=credit, take=TYPES[name])

    @rule(name=names, noticed=st.booleans())
    def leaves(self, name: str, noticed: bool) -> None:
        """By a goodbye, or noticed when the next thing is sent to it."""
        if name not in self.bus.post.here:
            self.comes(name, 1)
        elif noticed:
            self.bus.post.cut_off(self.bus.post.here[name], "goodbye")
        else:
            self.bus.post.unreachable.add(name)

    @rule(name=names, channels=st.sets(numbers, max_size=3))
    def registers(self, name: str, channels: set[int]) -> None:
        ticket = self.bus.post.here[name].hello.ticket if name in self.bus.post.here else b""
        mine = tuple((channel_id(1 + number), PEER_ID) for number in channels if number % 3 == SERVICES.index(name))
        self.bus.registers(name, channels=mine, take=TYPES[name] if ticket else (), ticket=ticket)

    @rule(name=names, number=st.sampled_from([32, 64, 136, None]), channel=numbers)
    def is_given(self, name: str, number: int | None, channel: int) -> None:
        name = next(iter(self.bus.post.here), name) if number is None else name
        message = None if number is None else self._marked(number, channel)
        line = self.bus.give(name, message)
        self.lines.append(line)
        self.heard[line.peer.conn_id] = [] if message is None else [message]

    @rule(which=numbers, said=st.lists(st.tuples(st.sampled_from([32, 64, 136, 132, 0x8001]), numbers), max_size=6))
    def peer_speaks(self, which: int, said: list[tuple[int, int]]) -> None:
        for number, channel in said:
            line = self._line(which)
            if line is None or line.paused:
                return
            message = self._marked(number, channel)
            self.heard[line.peer.conn_id].append(message)
            here = self.bus.hub.heard(line, message)
            assert here == (line.ended is None and not self._returned(line))

    @rule(which=numbers)
    def peer_hangs_up(self, which: int) -> None:
        line = self._line(which)
        if line is not None:
            line.ended = ("by itself", [])
            self.bus.hub.ended(line, "by itself")

    def _as_service(self, name: str, which: int, say: Callable[[int, Session], BusMessage]) -> None:
        line, session = self._line(which), self.bus.post.here.get(name)
        if line is not None and session is not None:
            try:
                self.bus.hub.received(session, say(line.peer.conn_id, session))
            except BusError as error:
                assert "is not" in str(error) or "'s" in str(error)

    @rule(which=numbers, messages=st.integers(1, 3))
    def give_credit(self, which: int, messages: int) -> None:
        for name in SERVICES:
            self._as_service(name, which, lambda conn_id, _: bus_wire.Credit(conn_id, messages))

    @rule(which=numbers)
    def master_wants_it_back(self, which: int) -> None:
        line = self._line(which)
        if line is not None:
            self.bus.hub.give_back(line.peer.conn_id)

    @rule(name=names, which=numbers)
    def gives_back(self, name: str, which: int) -> None:
        self._as_service(name, which, lambda conn_id, _: bus_wire.GiveBack(conn_id))

    @rule(name=names, which=numbers, channel=numbers)
    def service_speaks(self, name: str, which: int, channel: int) -> None:
        """Rightly numbered if it has a part; if not, it is refused."""

        def say(conn_id: int, session: Session) -> BusMessage:
            taken = [
                number
                for number, (who, told) in enumerate(self.bus.post.history)
                if who is session and isinstance(told, bus_wire.TakePeer) and told.conn_id == conn_id
            ]
            part = taken[-1] if taken else -1
            seq = self.seqs[part, conn_id] = self.seqs.get((part, conn_id), 0) + 1
            return Message(conn_id, min(seq, CREDIT), self._marked(136, channel))

        self._as_service(name, which, say)

    @rule(which=numbers)
    def all_is_sent(self, which: int) -> None:
        line = self._line(which)
        if line is not None and (sent := len(line.said) - getattr(line, "told_sent", 0)):
            line.told_sent = len(line.said)  # type: ignore[attr-defined]
            self.bus.hub.sent(line, sent)

    @rule(seconds=st.sampled_from([0.0, 1.0, 100.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.bus.advance(seconds)

    # what must be

    @invariant()
    def each_message_is_delivered_once_and_in_order(self) -> None:
        delivered: dict[int, list[bytes]] = {}
        parts: dict[tuple[int, int], list[int]] = {}
        for session, message in self.bus.post.history:
            if isinstance(message, bus_wire.TakePeer):
                parts[id(session), message.conn_id] = []
            elif isinstance(message, bus_wire.PeerGivenBack | bus_wire.PeerDisconnected):
                assert parts.pop((id(session), message.conn_id)) is not None, "the last word about it"
            elif isinstance(message, Message):
                parts[id(session), message.conn_id].append(message.seq)
                assert message.seq == len(parts[id(session), message.conn_id])
                delivered.setdefault(message.conn_id, []).append(message.message)
        for conn_id, messages in delivered.items():
            heard = iter(self.heard[conn_id])
            assert all(message in heard for message in messages), "once, and in the order in which they were said"

    @invariant()
    def what_was_not_delivered_has_a_fate(self) -> None:
        delivered = {message.message for _, message in self.bus.post.history if isinstance(message, Message)}
        for line in self.lines:
            missing = [message for message in self.heard[line.peer.conn_id] if message not in delivered]
            answered = [said for said in line.said if said[:2] in (b"\0\1", b"\0\x11")]
            returned = [message for message in self._returned(line) if message is not None]
            unanswered = [message for message in missing if message[:2] == b"\x80\1"]  # odd, of no BOLT: no answer
            waiting = 1 if line.ended is not None or line.paused else 0
            assert len(missing) <= len(answered) + len(returned) + len(unanswered) + waiting

    @invariant()
    def every_end_is_told_once(self) -> None:
        for line in self.lines:
            fates = [entry for entry in self.bus.master.log if entry[1] == line.peer.conn_id]
            ends = [entry for entry in fates if entry[0] in ("returned", "disconnected")]
            assert len(ends) <= 1
            assert (line.ended is not None) == any(entry[0] == "disconnected" for entry in ends)


TestConversations = Conversations.TestCase
TestConversations.settings = settings(max_examples=100, stateful_step_count=60)
