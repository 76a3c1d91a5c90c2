"""The life of a job: one enum of states, one enum of event kinds and one transition table. Nothing else says what
may follow what.

The documentation's diagram is generated from `TRANSITIONS`. An illegal transition raises and changes nothing.
"""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands. The first four are live, the others are the end."""

    QUEUED = "QUEUED"
    LEASED = "LEASED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    PREEMPTED = "PREEMPTED"
    REJECTED = "REJECTED"


STATES = tuple(JobState)
STATE_CODES = {state: code for code, state in enumerate(STATES)}
"""The number of each state in compact encodings: 0 QUEUED ... 8 REJECTED"""

LIVE = frozenset({JobState.QUEUED, JobState.LEASED, JobState.PENDING, JobState.RUNNING})
ACTIVE = frozenset({JobState.LEASED, JobState.PENDING, JobState.RUNNING})
ENDED = frozenset(JobState) - LIVE


class EventKind(StrEnum):
    """What happened to a job, in the words of the streams API."""

    SUBMITTED = "SUBMITTED"
    QUEUED = "QUEUED"
    LEASED = "LEASED"
    LEASE_RETURNED = "LEASE_RETURNED"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    INGRESS_INFO = "INGRESS_INFO"
    UTILISATION = "UTILISATION"
    REPRIORITIZING = "REPRIORITIZING"
    REPRIORITIZED = "REPRIORITIZED"
    PREEMPTING = "PREEMPTING"
    PREEMPTED = "PREEMPTED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"


class IllegalTransition(ValueError):
    """this event cannot follow in this state"""


_Q, _L, _P, _R = JobState.QUEUED, JobState.LEASED, JobState.PENDING, JobState.RUNNING
_F, _PRE, _REJ = JobState.FAILED, JobState.PREEMPTED, JobState.REJECTED

TRANSITIONS: dict[EventKind, dict[JobState | None, JobState]] = {
    EventKind.SUBMITTED: {None: _Q},
    EventKind.QUEUED: {_Q: _Q},
    EventKind.LEASED: {_Q: _L},
    EventKind.PENDING: {_L: _P},
    EventKind.RUNNING: {_P: _R},
    EventKind.LEASE_RETURNED: {_L: _Q, _P: _Q, _R: _Q},
    EventKind.LEASE_EXPIRED: {_L: _Q, _P: _Q, _R: _Q},
    EventKind.PREEMPTING: {_L: _L, _P: _P, _R: _R},
    EventKind.PREEMPTED: {_L: _PRE, _P: _PRE, _R: _PRE},
    EventKind.CANCELLING: {_Q: _Q, _L: _L, _P: _P, _R: _R},
    EventKind.CANCELLED: {
        _Q: JobState.CANCELLED,
        _L: JobState.CANCELLED,
        _P: JobState.CANCELLED,
        _R: JobState.CANCELLED,
    },
    EventKind.SUCCEEDED: {_R: JobState.SUCCEEDED},
    EventKind.FAILED: {_Q: _F, _L: _F, _P: _F, _R: _F, _PRE: _PRE, _REJ: _REJ},
    EventKind.REJECTED: {_Q: _REJ},
    EventKind.REPRIORITIZING: {_Q: _Q, _L: _L, _P: _P, _R: _R},
    EventKind.REPRIORITIZED: {_Q: _Q, _L: _L, _P: _P, _R: _R},
    EventKind.INGRESS_INFO: {_L: _L, _P: _P, _R: _R},
    EventKind.UTILISATION: {_L: _L, _P: _P, _R: _R},
}
"""event kind -> {state before: state after}. None is "no such job yet".

A lease that returns or expires takes the job back to QUEUED in the state; the event QUEUED or FAILED that follows
in the same step says whether it waits again or has ended. FAILED after PREEMPTED or REJECTED is the word that
clients expect; it does not change the state."""


def after(kind: EventKind, before: JobState | None) -> JobState:
    """The state after an event. Raises IllegalTransition."""
    state = TRANSITIONS[kind].get(before)
    if state is None:
        raise IllegalTransition(f"{kind} cannot follow {before or 'nothing'}")
    return state
