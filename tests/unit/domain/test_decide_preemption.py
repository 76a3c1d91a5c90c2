"""Deciding preemption in two steps (displacing leases, then preemptions) and rejection."""

import pytest

from app.domain.apply import apply
from app.domain.changes import JobEvent, JobSetKey
from app.domain.commands import (
    BeginEpoch,
    CancelJobs,
    Preemption,
    PreemptReason,
    PreemptRuns,
    ReportState,
    RunPosition,
)
from app.domain.events import Event, StopReason
from app.domain.lifecycle import EventKind as E
from app.domain.lifecycle import IllegalTransition, JobState
from app.domain.limits import DISPLACED_PER_LEASE_MAX
from app.domain.rows import FLAG_MORE, RunRow, run_key
from app.domain.state import Overlay
from tests.unit.domain.builders import ALICE, Partition, codes, kinds, run_id

RUN = run_id(1)
PREEMPTIBLE = {"preemptible": True}
VICTIM = RunPosition(run_id=run_id(77), partition=3, offset=12, ordinal=4)


def displaced_of(p: Partition, job: bytes) -> tuple[RunPosition, ...]:
    row = p.job(job)
    return row.more.displaced if row is not None and row.more is not None else ()


# Displacing leases


def test_a_displacing_lease_keeps_what_it_displaces_until_it_runs() -> None:
    p = Partition()
    [job] = p.submit()
    decision = p.lease(job, RUN, displaced=(VICTIM,))
    assert codes(decision) == []
    assert decision.leases[0].displaced == (VICTIM,)
    assert displaced_of(p, job) == (VICTIM,)
    p.report(job, RUN, ReportState.PENDING)
    assert displaced_of(p, job) == (VICTIM,)
    p.report(job, RUN, ReportState.RUNNING)
    assert displaced_of(p, job) == ()
    assert not p.head(job).flags & FLAG_MORE


@pytest.mark.parametrize("state", [ReportState.RETURNED, ReportState.FAILED, ReportState.SUCCEEDED])
def test_a_displacing_run_that_is_over_displaces_nobody(state: ReportState) -> None:
    p = Partition()
    [job] = p.submit()
    p.lease(job, RUN, displaced=(VICTIM,))
    p.report(job, RUN, state)
    assert displaced_of(p, job) == ()


def test_a_lease_displaces_a_bounded_number_of_runs() -> None:
    p = Partition()
    [job] = p.submit()
    decision = p.lease(job, RUN, displaced=(VICTIM,) * (DISPLACED_PER_LEASE_MAX + 1))
    assert [(refusal.code, refusal.path) for refusal in decision.outcome.refusals] == [
        ("INVALID", "leases[0].displaced")
    ]
    assert codes(p.lease(job, RUN, displaced=(VICTIM,) * DISPLACED_PER_LEASE_MAX)) == []


# Preemption


@pytest.mark.parametrize("state", [JobState.LEASED, JobState.PENDING, JobState.RUNNING])
def test_an_active_run_is_preempted_in_one_step_and_holds_its_room(state: JobState) -> None:
    p = Partition()
    [job] = p.submit(job=PREEMPTIBLE)
    p.lease(job, RUN)
    if state is not JobState.LEASED:
        p.report(job, RUN, ReportState(state))
    by = b"b" * 16
    decision = p.preempt(job, RUN, by_job=by, reason=PreemptReason.URGENCY)
    assert kinds(decision) == [E.PREEMPTING, E.PREEMPTED, E.FAILED]
    events = [event for _, event in decision.events]
    assert [(event.before, event.after, event.terminal) for event in events] == [
        (state, state, False),
        (state, JobState.PREEMPTED, False),
        (JobState.PREEMPTED, JobState.PREEMPTED, True),
    ]
    assert {(event.run_id, event.preempted_by, event.reason_code) for event in events} == {
        (RUN, by, "UrgencyPreemption")
    }
    assert events[-1].retryable is False
    assert [(stop.run_id, stop.reason, stop.gone) for stop in decision.stops] == [(RUN, StopReason.PREEMPTED, False)]
    assert decision.outcome.affected == (job,)
    assert p.job(job) is None
    row = p.state.row(run_key(RUN))
    assert isinstance(row, RunRow)
    assert (row.reason, row.job_id, row.node) == ("preempted", job, "n0")
    gone = p.report(job, RUN, ReportState.GONE)
    assert [(stop.reason, stop.gone) for stop in gone.stops] == [(StopReason.GONE, True)]
    assert p.state.row(run_key(RUN)) is None


@pytest.mark.parametrize("reason", PreemptReason)
def test_every_reason_has_words_and_the_leaders_own_win(reason: PreemptReason) -> None:
    p = Partition()
    first, second = p.submit(2, job=PREEMPTIBLE)
    p.lease_all([(first, run_id(1)), (second, run_id(2))])
    plain = p.preempt(first, run_id(1), reason=reason).events[-1][1]
    assert (plain.reason_code or "").endswith("Preemption")
    assert len(plain.reason or "") > 20
    assert p.preempt(second, run_id(2), reason=reason, message="because").events[-1][1].reason == "because"


def test_what_cannot_be_preempted_is_refused_and_stays() -> None:
    p = Partition()
    [job] = p.submit(job=PREEMPTIBLE)
    [firm] = p.submit()
    assert codes(p.preempt(job, RUN)) == ["CONFLICT"], "it is queued"
    p.lease_all([(job, RUN), (firm, run_id(2))])
    paths = []
    for decision in (
        p.preempt(job, run_id(9)),
        p.preempt(job, RUN, attempt=1),
        p.preempt(firm, run_id(2)),
        p.preempt(b"x" * 16, RUN),
        p.preempt(job, RUN, epoch=0),
    ):
        assert decision.events == []
        [refusal] = decision.outcome.refusals
        paths.append((refusal.code.value, refusal.path))
    assert paths == [
        ("CONFLICT", "preemptions[0].runId"),
        ("CONFLICT", "preemptions[0].attempt"),
        ("INVALID", "preemptions[0].jobId"),
        ("NOT_FOUND", "preemptions[0].jobId"),
        ("CONFLICT", "epoch"),
    ]
    assert p.state_of(job) is p.state_of(firm) is JobState.LEASED


def test_a_run_that_is_stopping_already_is_not_preempted() -> None:
    p = Partition()
    [job] = p.submit(job=PREEMPTIBLE)
    p.lease(job, RUN)
    p.decide(CancelJobs(principal=ALICE, job_ids=(job,)))
    assert codes(p.preempt(job, RUN)) == ["NOT_FOUND"]
    assert p.state.row(run_key(RUN)) is not None


def test_items_are_decided_one_by_one() -> None:
    p = Partition()
    first, second = p.submit(2, job=PREEMPTIBLE)
    p.lease(first, RUN)
    items = tuple(
        Preemption(job_id=job, run_id=RUN, attempt=0, reason=PreemptReason.FAIR_SHARE) for job in (second, first, first)
    )
    decision = p.decide(PreemptRuns(epoch=1, preemptions=items))
    assert [(refusal.index, refusal.code) for refusal in decision.outcome.refusals] == [
        (0, "CONFLICT"),
        (2, "NOT_FOUND"),
    ]
    assert decision.outcome.affected == (first,)


def test_a_leader_that_was_replaced_preempts_and_rejects_nobody() -> None:
    p = Partition()
    running, waiting = p.submit(2, job=PREEMPTIBLE)
    p.lease(running, RUN)
    p.decide(BeginEpoch(epoch=2, leader="next"))
    assert codes(p.preempt(running, RUN, epoch=1)) == codes(p.reject(waiting, epoch=1)) == ["CONFLICT"]
    assert codes(p.preempt(running, RUN, epoch=2)) == codes(p.reject(waiting, epoch=2)) == []


# Rejection


def test_a_queued_job_is_rejected_with_the_reason() -> None:
    p = Partition()
    [job] = p.submit()
    decision = p.reject(job)
    assert kinds(decision) == [E.REJECTED, E.FAILED]
    events = [event for _, event in decision.events]
    assert [(event.before, event.after, event.terminal) for event in events] == [
        (JobState.QUEUED, JobState.REJECTED, False),
        (JobState.REJECTED, JobState.REJECTED, True),
    ]
    assert {(event.reason_code, event.reason) for event in events} == {("FitsNowhere", "no node has 5 GPUs")}
    assert p.job(job) is None
    assert decision.outcome.affected == (job,)


def test_only_a_queued_job_at_that_attempt_is_rejected() -> None:
    p = Partition()
    [job] = p.submit()
    assert codes(p.reject(job, attempt=1)) == ["CONFLICT"]
    assert codes(p.reject(b"x" * 16)) == ["NOT_FOUND"]
    p.lease(job, RUN)
    assert codes(p.reject(job)) == ["CONFLICT"]
    assert p.state_of(job) is JobState.LEASED


def test_apply_refuses_what_cannot_follow_and_writes_nothing() -> None:
    p = Partition()
    [job] = p.submit(job=PREEMPTIBLE)
    overlay = Overlay(p.state)
    event = Event(ordinal=0, kind=E.PREEMPTED, job_id=job, before=JobState.QUEUED, after=JobState.PREEMPTED, attempt=0)
    with pytest.raises(IllegalTransition):
        apply(overlay, JobEvent(JobSetKey("a", 0, "s"), event), 9, p.time_ms)
    overlay.keep()
    assert overlay.changed == {}
