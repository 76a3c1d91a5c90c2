"""The transition table: what it allows is legal, everything else raises and changes nothing."""

import itertools

import pytest

from app.domain.apply import apply
from app.domain.changes import JobEvent, JobSetKey
from app.domain.events import Event
from app.domain.lifecycle import ENDED, LIVE, STATES, TRANSITIONS, EventKind, IllegalTransition, JobState, after
from app.domain.memory import MemoryState
from app.domain.rows import JOB_HEAD, NO_RUN, JobHead, JobRow, job_key
from app.domain.state import Overlay

JOB = b"j" * 16


def a_job(state: JobState) -> Overlay:
    base = MemoryState()
    head = JobHead(STATES.index(state), 0, 0, 0, 0, 0, 0, -1, 0, -1, 0, 0, 0, 0, 0, 0, NO_RUN, bytes(16))
    base.rows[job_key(JOB)] = JobRow(head=JOB_HEAD.pack(*head), queue="a", incarnation=0, job_set="s")
    return Overlay(base)


ILLEGAL = [
    (kind, before)
    for kind, before in itertools.product(EventKind, JobState)
    if kind is not EventKind.SUBMITTED and before not in TRANSITIONS[kind]
]


@pytest.mark.parametrize(("kind", "before"), ILLEGAL)
def test_an_illegal_transition_raises_and_changes_nothing(kind: EventKind, before: JobState) -> None:
    state = a_job(before)
    event = Event(ordinal=0, kind=kind, job_id=JOB, before=before, after=before, attempt=0)
    with pytest.raises(IllegalTransition):
        apply(state, JobEvent(JobSetKey("a", 0, "s"), event), 1, 1)
    state.keep()
    assert state.changed == {}


def test_an_event_that_misstates_the_state_before_is_refused() -> None:
    state = a_job(JobState.RUNNING)
    event = Event(
        ordinal=0, kind=EventKind.PENDING, job_id=JOB, before=JobState.LEASED, after=JobState.PENDING, attempt=0
    )
    with pytest.raises(IllegalTransition, match="the job is RUNNING"):
        apply(state, JobEvent(JobSetKey("a", 0, "s"), event), 1, 1)


def test_every_state_is_reached_and_no_ended_state_is_left_for_a_live_one() -> None:
    reached = {state for row in TRANSITIONS.values() for state in row.values()}
    assert reached == set(JobState)
    for row in TRANSITIONS.values():
        assert not [before for before, state in row.items() if before in ENDED and state in LIVE]


def test_every_event_kind_has_a_row_in_the_table() -> None:
    assert TRANSITIONS.keys() == set(EventKind)


def test_the_error_names_event_and_state() -> None:
    with pytest.raises(IllegalTransition, match="RUNNING cannot follow QUEUED"):
        after(EventKind.RUNNING, JobState.QUEUED)
