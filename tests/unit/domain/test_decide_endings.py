"""Deciding how jobs end before their time: cancelled, by id and by job set, and expired."""

import pytest

from app.domain.commands import (
    CancelJobs,
    CancelJobSet,
    Continue,
    ExpireKind,
    ExpireRuns,
    Expiry,
    ReportState,
)
from app.domain.decision import Decision
from app.domain.events import StopReason
from app.domain.lifecycle import EventKind as E
from app.domain.lifecycle import JobState
from app.domain.rows import FLAG_STOPPING, run_key
from tests.unit.domain.builders import ALICE, MALLORY, Partition, codes, kinds, run_id

RUN = run_id(1)


def a_running_job(p: Partition) -> bytes:
    [job] = p.submit()
    p.lease(job, RUN)
    p.report(job, RUN, ReportState.RUNNING)
    return job


# Cancelling


def test_a_queued_job_is_cancelled_at_once() -> None:
    p = Partition()
    [job] = p.submit()
    decision = p.decide(CancelJobs(principal=ALICE, job_ids=(job,), reason="typo"))
    assert kinds(decision) == [E.CANCELLED]
    assert decision.events[0][1].reason == "typo"
    assert decision.events[0][1].requestor == "alice"
    assert decision.stops == []


def test_a_running_job_is_cancelled_in_one_step_and_its_run_stops() -> None:
    p = Partition()
    job = a_running_job(p)
    decision = p.decide(CancelJobs(principal=ALICE, job_ids=(job,)))
    assert kinds(decision) == [E.CANCELLING, E.CANCELLED]
    assert [(s.reason, s.gone) for s in decision.stops] == [(StopReason.CANCELLED, False)]
    assert p.job(job) is None
    assert p.state.row(run_key(RUN)) is not None
    gone = p.report(job, RUN, ReportState.GONE)
    assert [(s.reason, s.gone) for s in gone.stops] == [(StopReason.GONE, True)]
    assert p.state.row(run_key(RUN)) is None


@pytest.mark.parametrize("word", [ReportState.SUCCEEDED, ReportState.FAILED, ReportState.RETURNED, ReportState.GONE])
def test_any_last_word_ends_a_stopping_run(word: ReportState) -> None:
    p = Partition()
    job = a_running_job(p)
    p.decide(CancelJobs(principal=ALICE, job_ids=(job,)))
    assert p.report(job, RUN, ReportState.RUNNING).stops == []
    decision = p.report(job, RUN, word)
    assert decision.stops[0].gone
    assert decision.events == []


def test_what_cannot_be_cancelled_is_named() -> None:
    p = Partition()
    [job] = p.submit()
    assert codes(p.decide(CancelJobs(principal=MALLORY, job_ids=(job,)))) == ["FORBIDDEN"]
    assert codes(p.decide(CancelJobs(principal=ALICE, job_ids=(b"x" * 16,)))) == ["NOT_FOUND"]
    assert codes(p.decide(CancelJobs(principal=ALICE, job_ids=(job,), job_set="other"))) == ["INVALID"]
    assert p.state_of(job) is JobState.QUEUED


def test_a_job_set_is_cancelled_in_bounded_pieces_and_spares_the_younger() -> None:
    p = Partition()
    old = [job for _ in range(3) for job in p.submit(800)]
    opened = p.decide(CancelJobSet(principal=ALICE, queue="a", job_set="s", reason="done"))
    assert opened.outcome.operation
    operation = p.offset
    [young] = p.submit()
    pieces = [opened.operations[0]]
    while not pieces[-1].closed:
        decision = p.decide(Continue())
        assert len(decision.events) <= 2_000
        pieces += decision.operations
    assert {piece.operation for piece in pieces} == {operation}
    assert pieces[-1].total == len(old)
    assert p.state_of(young) is JobState.QUEUED
    assert all(p.job(job) is None for job in old)
    assert p.state.operations() == []


def test_the_states_of_a_job_set_cancel_are_judged_when_a_job_is_reached() -> None:
    p = Partition()
    running = a_running_job(p)
    [queued] = p.submit()
    decision = p.decide(CancelJobSet(principal=ALICE, queue="a", job_set="s", states=(JobState.QUEUED,)))
    assert decision.operations[0].affected == (queued,)
    assert p.state_of(running) is JobState.RUNNING


def test_a_job_set_cancel_is_refused_where_it_may_not_or_makes_no_sense() -> None:
    p = Partition()
    assert codes(p.decide(CancelJobSet(principal=ALICE, queue="x", job_set="s"))) == ["NOT_FOUND"]
    assert codes(p.decide(CancelJobSet(principal=MALLORY, queue="a", job_set="s"))) == ["FORBIDDEN"]
    ended = CancelJobSet(principal=ALICE, queue="a", job_set="s", states=(JobState.FAILED,))
    assert codes(p.decide(ended)) == ["INVALID"]
    assert p.state.operations() == []


# Expiry


def expire(p: Partition, job: bytes, run: bytes | None, kind: ExpireKind, attempt: int = 0) -> Decision:
    return p.decide(ExpireRuns(epoch=1, expiries=(Expiry(job_id=job, run_id=run, attempt=attempt, kind=kind),)))


def test_a_silent_clusters_job_fails_and_its_run_still_holds_its_room() -> None:
    p = Partition()
    job = a_running_job(p)
    decision = expire(p, job, RUN, ExpireKind.SILENT)
    assert kinds(decision) == [E.LEASE_EXPIRED, E.FAILED]
    assert decision.stops[0].gone is False
    assert p.state.row(run_key(RUN)) is not None


def test_an_unreported_run_is_replaced_only_after_its_last_word() -> None:
    p = Partition()
    [job] = p.submit()
    p.lease(job, RUN)
    assert kinds(expire(p, job, RUN, ExpireKind.UNREPORTED)) == [E.LEASE_EXPIRED, E.QUEUED]
    assert p.head(job).flags & FLAG_STOPPING
    assert codes(p.lease(job, run_id(2))) == ["CONFLICT"]
    p.report(job, RUN, ReportState.GONE)
    assert not p.head(job).flags & FLAG_STOPPING
    assert codes(p.lease(job, run_id(2))) == []


def test_a_forgotten_clusters_runs_are_gone() -> None:
    p = Partition()
    job = a_running_job(p)
    assert kinds(expire(p, job, RUN, ExpireKind.FORGOTTEN)) == [E.LEASE_EXPIRED, E.QUEUED]
    assert codes(p.lease(job, run_id(2))) == []
    p.decide(CancelJobs(principal=ALICE, job_ids=(job,)))
    stopping = expire(p, job, run_id(2), ExpireKind.FORGOTTEN, attempt=1)
    assert stopping.stops[0].gone
    assert p.state.row(run_key(run_id(2))) is None


def test_an_aged_job_fails_with_that_reason_queued_or_running() -> None:
    p = Partition()
    [queued] = p.submit()
    assert kinds(expire(p, queued, None, ExpireKind.AGED)) == [E.FAILED]
    running = a_running_job(p)
    decision = expire(p, running, RUN, ExpireKind.AGED)
    assert kinds(decision) == [E.FAILED]
    assert decision.stops[0].reason is StopReason.EXPIRED


def test_an_expiry_that_saw_another_run_is_refused() -> None:
    p = Partition()
    job = a_running_job(p)
    assert codes(expire(p, job, run_id(9), ExpireKind.SILENT)) == ["CONFLICT"]
    assert codes(expire(p, job, None, ExpireKind.AGED)) == ["CONFLICT"]
    assert codes(expire(p, job, RUN, ExpireKind.SILENT, attempt=2)) == ["CONFLICT"]
    assert p.state_of(job) is JobState.RUNNING
