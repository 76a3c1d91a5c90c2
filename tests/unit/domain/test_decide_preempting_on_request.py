"""Deciding PreemptJobs."""

from typing import Any

import pytest

from app.domain.commands import (
    CancelJobs,
    CancelJobSet,
    Gang,
    PreemptJobs,
    Principal,
    ReportState,
)
from app.domain.events import StopReason
from app.domain.lifecycle import EventKind as E
from app.domain.lifecycle import JobState
from app.domain.rows import RunRow, run_key
from tests.unit.domain.builders import ALICE, MALLORY, Partition, codes, kinds, run_id

RUN = run_id(1)
PREEMPTIBLE = {"preemptible": True}


def preempt(*jobs: bytes, **fields: Any) -> PreemptJobs:
    whole: dict[str, Any] = {"principal": ALICE, "job_ids": jobs, "reason": "maintenance"}
    return PreemptJobs(**whole | fields)


def running(p: Partition, count: int = 1, **fields: Any) -> list[bytes]:
    """Jobs of one call with a run each, 1 and up."""
    jobs = p.submit(count, job=PREEMPTIBLE | fields)
    assert codes(p.lease_all((job, run_id(index + 1)) for index, job in enumerate(jobs))) == []
    return jobs


@pytest.mark.parametrize("state", [JobState.LEASED, JobState.PENDING, JobState.RUNNING])
def test_a_run_is_ended_as_the_scheduler_does_it_with_the_words_of_who_asked(state: JobState) -> None:
    p = Partition()
    [job] = running(p)
    if state is not JobState.LEASED:
        p.report(job, RUN, ReportState(state))
    decision = p.decide(preempt(job, queue="a", job_set="s"))
    assert kinds(decision) == [E.PREEMPTING, E.PREEMPTED, E.FAILED]
    for _, event in decision.events:
        assert (event.requestor, event.reason) == ("alice", "Preempted by alice - maintenance")
        assert event.reason_code == "RequestedPreemption"
        assert event.preempted_by is None
        assert event.run_id == RUN
    assert [event.terminal for _, event in decision.events] == [False, False, True]
    assert [(stop.run_id, stop.reason, stop.gone) for stop in decision.stops] == [(RUN, StopReason.PREEMPTED, False)]
    assert isinstance(p.state.row(run_key(RUN)), RunRow), "the run holds its room until its last word"
    assert p.job(job) is None
    assert decision.outcome.affected == (job,)


def test_without_a_reason_only_the_user_is_named() -> None:
    p = Partition()
    decision = p.decide(preempt(*running(p), reason=None))
    assert {event.reason for _, event in decision.events} == {"Preempted by alice"}


def test_what_cannot_be_preempted_is_refused_each_with_its_reason() -> None:
    p = Partition()
    fixed = p.submit()[0]
    p.lease(fixed, run_id(9))
    queued = p.submit(job=PREEMPTIBLE)[0]
    [other] = p.submit(job_set="t", job=PREEMPTIBLE)
    decision = p.decide(preempt(b"x" * 16, fixed, queued, other, job_set="s"))
    found = [(refusal.code, refusal.path, refusal.id) for refusal in decision.outcome.refusals]
    assert found == [
        ("NOT_FOUND", "jobIds[0]", b"x" * 16),
        ("INVALID", "jobIds[1]", fixed),
        ("CONFLICT", "jobIds[2]", queued),
        ("INVALID", "jobIds[3]", other),
    ]
    assert not decision.events
    assert not decision.stops


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        (ALICE, True),
        (MALLORY, False),
        (Principal(user="x", verbs=("preempt_any_jobs",)), True),
        (Principal(user="x", verbs=("cancel_any_jobs",)), False),
    ],
)
def test_the_verb_is_needed(principal: Principal, allowed: bool) -> None:
    p = Partition()
    decision = p.decide(preempt(*running(p), principal=principal))
    assert codes(decision) == ([] if allowed else ["FORBIDDEN"])
    assert bool(decision.events) is allowed


def test_the_first_who_ends_a_job_is_told_with_it() -> None:
    p = Partition()
    [job] = running(p)
    p.decide(preempt(job))
    again = p.decide(preempt(job, principal=Principal(user="bob", verbs=("preempt_any_jobs",))))
    assert codes(again) == ["NOT_FOUND"]
    assert not again.events
    assert codes(p.decide(CancelJobs(principal=ALICE, job_ids=(job,)))) == ["NOT_FOUND"]


def test_an_id_that_stands_twice_counts_once() -> None:
    p = Partition()
    [job] = running(p)
    decision = p.decide(preempt(job, job))
    assert decision.outcome.affected == (job,)
    assert kinds(decision) == [E.PREEMPTING, E.PREEMPTED, E.FAILED]


def test_a_job_that_an_operation_is_yet_to_cancel_is_cancelled_and_not_preempted() -> None:
    p = Partition()
    for _ in range(2):
        p.submit(900)
    [job] = running(p)
    p.decide(CancelJobSet(principal=ALICE, queue="a", job_set="s", reason="over"))
    assert p.job(job) is not None
    decision = p.decide(preempt(job))
    assert codes(decision) == ["CONFLICT"]
    assert "cancelled by alice" in decision.outcome.refusals[0].message
    last = [event.kind for _, event in decision.events if event.job_id == job]
    assert last == [E.CANCELLING, E.CANCELLED], "the same command has moved the operation on"


def test_an_operation_that_will_not_reach_the_job_does_not_matter() -> None:
    p = Partition()
    for _ in range(2):
        p.submit(900)
    [job] = running(p)
    p.decide(CancelJobSet(principal=ALICE, queue="a", job_set="s", states=(JobState.QUEUED,)))
    assert codes(p.decide(preempt(job))) == []


# Gangs


def gang(cardinality: int = 3, **fields: Any) -> dict[str, Any]:
    return {"gang": Gang(gang_id="g", cardinality=cardinality, fail_fast=False, **fields)}


def test_the_others_of_a_gang_are_preempted_with_one_of_it() -> None:
    p = Partition()
    jobs = running(p, 3, **gang())
    decision = p.decide(preempt(jobs[1]))
    assert kinds(decision) == [E.PREEMPTING, E.PREEMPTED, E.FAILED] * 3
    said = {event.job_id: (event.reason_code, event.reason) for _, event in decision.events}
    whole = "another member of its gang was preempted: Preempted by alice - maintenance"
    assert said == {
        jobs[1]: ("RequestedPreemption", "Preempted by alice - maintenance"),
        jobs[0]: ("GangPreemption", whole),
        jobs[2]: ("GangPreemption", whole),
    }
    assert {event.requestor for _, event in decision.events} == {"alice"}
    assert set(decision.outcome.affected) == set(jobs)
    assert len(decision.stops) == 3


def test_members_that_are_named_are_preempted_for_themselves() -> None:
    p = Partition()
    jobs = running(p, 3, **gang())
    decision = p.decide(preempt(jobs[2], jobs[0]))
    codes_said = {event.job_id: event.reason_code for _, event in decision.events}
    assert codes_said == {
        jobs[0]: "RequestedPreemption",
        jobs[1]: "GangPreemption",
        jobs[2]: "RequestedPreemption",
    }
    assert decision.outcome.affected_count == 3
    assert codes(decision) == []


def test_a_gang_that_waits_beside_the_one_that_runs_is_left_alone() -> None:
    p = Partition()
    running(p, 3, **gang())
    [first, *_] = [key[1:] for key in p.state.rows if key[:1] == b"j"]
    waiting = p.submit(3, job=PREEMPTIBLE | gang())
    decision = p.decide(preempt(first))
    assert decision.outcome.affected_count == 3
    assert {p.state_of(job) for job in waiting} == {JobState.QUEUED}


def test_one_call_ends_a_bounded_number_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.domain.preempting_on_request.PREEMPTED_PER_COMMAND_MAX", 4)
    p = Partition()
    jobs = running(p, 3, **gang())
    alone = p.submit(2, job=PREEMPTIBLE)
    p.lease_all([(alone[0], run_id(11)), (alone[1], run_id(12))])
    decision = p.decide(preempt(alone[0], jobs[0], alone[1]))
    assert [(refusal.code, refusal.id) for refusal in decision.outcome.refusals] == [("INVALID", alone[1])]
    assert decision.outcome.affected_count == 4
    assert codes(p.decide(preempt(alone[1]))) == []
