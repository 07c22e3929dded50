"""The states of the seeker, the events that move it on, and where to: its table."""

from enum import Enum


class State(Enum):
    """What we are about."""

    STARTING_UP = "starting up"
    """Waiting for, or listening to, one peer that streams all it has."""
    PROBING_SCIDS = "probing scids"
    """A peer was asked which channels it knows."""
    ASKING_FOR_SCIDS = "asking for scids"
    """Peers are asked for what we lack."""
    NORMAL = "normal"


class Event(Enum):
    """What moves us on."""

    STREAM_WENT_QUIET = "stream went quiet"
    STREAM_LOST = "stream lost"
    PROBE_DUE = "probe due"
    PROBE_FOUND_SOMETHING = "probe found something"
    PROBE_FOUND_NOTHING = "probe found nothing"
    PROBE_FAILED = "probe failed"
    SOMETHING_OWED = "something owed"
    ANSWERED = "answered"
    QUERY_FAILED = "query failed"
    NOTHING_LEFT = "nothing left"
    SUCCEEDED = "succeeded"
    RESYNC = "resync"


S, E = State, Event

NEXT: dict[tuple[State, Event], State] = {
    (S.STARTING_UP, E.STREAM_WENT_QUIET): S.PROBING_SCIDS,
    (S.STARTING_UP, E.STREAM_LOST): S.STARTING_UP,
    (S.STARTING_UP, E.SUCCEEDED): S.NORMAL,
    (S.PROBING_SCIDS, E.PROBE_FOUND_SOMETHING): S.ASKING_FOR_SCIDS,
    (S.PROBING_SCIDS, E.PROBE_FOUND_NOTHING): S.NORMAL,
    (S.PROBING_SCIDS, E.PROBE_FAILED): S.NORMAL,
    (S.ASKING_FOR_SCIDS, E.ANSWERED): S.ASKING_FOR_SCIDS,
    (S.ASKING_FOR_SCIDS, E.QUERY_FAILED): S.ASKING_FOR_SCIDS,
    (S.ASKING_FOR_SCIDS, E.NOTHING_LEFT): S.NORMAL,
    (S.ASKING_FOR_SCIDS, E.PROBE_DUE): S.PROBING_SCIDS,
    (S.NORMAL, E.PROBE_DUE): S.PROBING_SCIDS,
    (S.NORMAL, E.SOMETHING_OWED): S.ASKING_FOR_SCIDS,
    **{(state, E.RESYNC): S.STARTING_UP for state in State},
}
