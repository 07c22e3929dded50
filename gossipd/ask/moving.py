"""What another gossipd needs to go on asking where this one is."""

from dataclasses import field

from gossipd.ask.seeker import Seeker
from gossipd.ask.states import State
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class MovedSeeker:
    """What another gossipd needs to go on asking; questions under way are asked again."""

    state: str = State.STARTING_UP.value
    streamer: int | None = None
    """The connection that streams everything."""
    stream_left: float = 0.0
    """Seconds for which it is still listened to."""
    probe_in: float = 0.0
    """Seconds until the next comparison."""
    wanted: list[tuple[int, int, int]] = field(default_factory=list)
    """(scid, query_flags, conn_id of the peer that has spoken of it or 0)."""


def leave(seeker: Seeker) -> MovedSeeker:
    """Ask for nothing more: another one goes on."""
    clock, question = seeker.around.clock(), seeker.question
    starts = seeker.state is State.STARTING_UP
    probe_in = seeker.next_probe - clock
    if question is not None and question.batch and not question.is_rumour:
        for scid, flags in question.batch:
            seeker.wanted.add(scid, flags, question.source)
    elif question is not None:
        probe_in = seeker.timing.query_timeout
    moved = MovedSeeker(
        (State.STARTING_UP if starts else State.NORMAL).value,
        seeker.streamer,
        max(0.0, (seeker.stream_until or clock) - clock),
        max(0.0, probe_in),
        seeker.wanted.all(),
    )
    seeker.retire()
    return moved


def go_on(seeker: Seeker, moved: MovedSeeker) -> None:
    """What another gossipd has left, after its peers have come."""
    clock = seeker.around.clock()
    for scid, flags, source in moved.wanted:
        seeker.wanted.add(scid, flags, source or None)
    seeker.next_probe = clock + moved.probe_in
    seeker.state = State(moved.state)
    if seeker.state is not State.STARTING_UP:
        return
    seeker.stream_until = clock + moved.stream_left
    if moved.streamer in seeker.peers:
        seeker.streamer = moved.streamer
        seeker.stream_seen = (clock, seeker.around.novel.get(moved.streamer, 0))
    else:
        seeker.choose_streamer()
