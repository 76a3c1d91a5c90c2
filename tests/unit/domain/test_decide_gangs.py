"""Deciding gangs: who may join, leases all or none, and the common restart."""

from typing import Any

import pytest
from msgspec.structs import replace

from app.domain.commands import (
    CancelJobs,
    CreateQueues,
    ExpireKind,
    ExpireRuns,
    Expiry,
    Gang,
    QueueSpec,
    ReportState,
    Settings,
)
from app.domain.decision import Decision
from app.domain.events import StopReason
from app.domain.lifecycle import EventKind as E
from app.domain.lifecycle import JobState
from app.domain.limits import ATTEMPTS_TOTAL_MAX, GANG_CARDINALITY_MAX
from app.domain.records import records_of
from app.domain.rows import FLAG_GANG, FLAG_MORE, JobGang, RunRow, run_key
from app.domain.state import GangKey
from app.log.codec import decode_events, encode_events
from tests.unit.domain.builders import ADMIN, ALICE, Partition, codes, kinds, run_id


def gang(cardinality: int = 3, **fields: Any) -> dict[str, Any]:
    """The fields of a member."""
    return {"gang": Gang(gang_id="g", cardinality=cardinality, **fields)}


def refusals(decision: Decision) -> list[tuple[int, str, str]]:
    return [(refusal.index, refusal.code.value, refusal.path) for refusal in decision.outcome.refusals]


def generations(p: Partition, jobs: list[bytes]) -> list[int]:
    return [found.generation for job in jobs if (found := p.gang(job)) is not None]


def start(p: Partition, jobs: list[bytes], first_run: int = 1) -> list[bytes]:
    """Leases all of them in one command; returns the runs."""
    runs = [run_id(first_run + index) for index in range(len(jobs))]
    assert codes(p.lease_all(zip(jobs, runs, strict=True))) == []
    return runs


# Joining


def test_members_of_one_call_carry_their_gang_in_row_and_events() -> None:
    p = Partition()
    decision = p.decide(p.call(3, job=gang(uniformity_label="zone", fail_fast=False)))
    jobs = list(decision.outcome.affected)
    want = JobGang(
        gang_id="g",
        cardinality=3,
        uniformity_label="zone",
        fail_fast=False,
        priority_class="argosy-default",
        generation=0,
    )
    assert [p.gang(job) for job in jobs] == [want] * 3
    assert all(p.head(job).flags & FLAG_GANG and p.head(job).flags & FLAG_MORE for job in jobs)
    assert [data.gang and data.gang.gang_id for data in decision.jobs] == ["g"] * 3
    submitted = [event for _, event in decision.events if event.kind is E.SUBMITTED]
    assert [event.gang_generation for event in submitted] == [0, 0, 0]
    assert p.state.gang_sizes(GangKey(0, "g")) == {0: 3}


def test_a_gang_of_one_is_an_ordinary_job() -> None:
    p = Partition()
    [job] = p.submit(job=gang(1))
    assert p.gang(job) is None
    assert p.head(job).flags == 0
    assert codes(p.lease(job, run_id(1))) == []


def test_members_may_come_in_several_calls() -> None:
    p = Partition()
    jobs = [job for _ in range(3) for job in p.submit(job=gang())]
    assert generations(p, jobs) == [0, 0, 0]
    start(p, jobs)


@pytest.mark.parametrize(
    ("other", "field", "words"),
    [
        (gang(4), "gang.cardinality", "queued members with 3, this one has 4"),
        (gang(uniformity_label="zone"), "gang.uniformityLabel", "queued members with none, this one has zone"),
        (gang(fail_fast=False), "gang.failFast", "queued members with true, this one has false"),
        (gang() | {"priority_class": "urgent"}, "priorityClass", "argosy-default, this one has urgent"),
    ],
)
def test_a_member_must_agree_with_those_that_wait(other: dict[str, Any], field: str, words: str) -> None:
    p = Partition()
    p.submit(job=gang())
    decision = p.decide(p.call(job=other))
    assert refusals(decision) == [(0, "INVALID", f"jobs[0].{field}")]
    assert words in decision.outcome.refusals[0].message
    assert decision.events == []


def test_a_member_too_many_is_refused_and_one_in_place_of_a_cancelled_one_is_not() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang())
    assert refusals(p.decide(p.call(job=gang()))) == [(0, "INVALID", "jobs[0].gang.id")]
    p.decide(CancelJobs(principal=ALICE, job_ids=(jobs[0],)))
    [job] = p.submit(job=gang())
    assert generations(p, [job]) == [0]
    start(p, [*jobs[1:], job])


def test_a_refused_member_refuses_its_gang_in_the_call_and_nobody_else() -> None:
    p = Partition()
    call = p.call(5, all_or_nothing=False)
    gangs = [Gang(gang_id="g", cardinality=2), Gang(gang_id="g", cardinality=3), None, Gang(gang_id="h", cardinality=2)]
    jobs = tuple(replace(job, gang=some) for job, some in zip(call.jobs, [*gangs, gangs[3]], strict=True))
    decision = p.decide(replace(call, jobs=jobs))
    assert refusals(decision) == [(1, "INVALID", "jobs[1].gang.cardinality"), (0, "INVALID", "jobs[0].gang.id")]
    assert decision.outcome.affected == tuple(job.job_id for job in jobs[2:])
    whole = p.decide(p.call(jobs=jobs[:3]))
    assert whole.events == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Gang(gang_id="", cardinality=2), "gang.id"),
        (Gang(gang_id="g" * 101, cardinality=2), "gang.id"),
        (Gang(gang_id="g", cardinality=0), "gang.cardinality"),
        (Gang(gang_id="g", cardinality=-1), "gang.cardinality"),
        (Gang(gang_id="g", cardinality=GANG_CARDINALITY_MAX + 1), "gang.cardinality"),
    ],
)
def test_gangs_that_cannot_be_are_refused(wrong: Gang, field: str) -> None:
    p = Partition()
    assert refusals(p.decide(p.call(job={"gang": wrong}))) == [(0, "INVALID", f"jobs[0].{field}")]
    assert p.state.gang_sizes(GangKey(0, wrong.gang_id)) == {}


def test_a_call_sent_again_with_client_ids_names_the_first_jobs_though_the_gang_is_complete() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang(), client_ids=["x", "y", "z"])
    again = p.decide(p.call(3, job=gang(), client_ids=["x", "y", "z"]))
    assert refusals(again) == []
    assert [duplicate.job_id for duplicate in again.outcome.duplicates] == jobs
    twice = p.decide(p.call(3, job={"gang": Gang(gang_id="h", cardinality=2)}, client_ids=["a", "a", "b"]))
    assert refusals(twice) == []
    assert twice.outcome.affected_count == 2


def test_gangs_of_the_same_name_in_other_queues_are_others() -> None:
    p = Partition()
    p.decide(CreateQueues(principal=ADMIN, queues=(QueueSpec(name="b", owners=("alice",)),)))
    p.submit(3, job=gang())
    assert refusals(p.decide(p.call(2, queue="b", job=gang(2)))) == []


def test_a_gang_submitted_again_while_it_runs_is_the_next_generation() -> None:
    p = Partition()
    first = p.submit(3, job=gang())
    runs = start(p, first)
    second = p.submit(2, job=gang(2))
    assert generations(p, second) == [1, 1]
    for job, run in zip(first, runs, strict=True):
        p.report(job, run, ReportState.SUCCEEDED)
    assert generations(p, second) == [1, 1]
    assert p.state.gang_sizes(GangKey(0, "g")) == {1: 2}
    start(p, second, 10)


# Leases


def test_a_gang_is_leased_as_a_whole_or_not_at_all() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang())
    [single] = p.submit()
    part = p.lease_all([(jobs[0], run_id(1)), (single, run_id(2)), (jobs[1], run_id(3))])
    assert refusals(part) == [(0, "CONFLICT", "leases[0].jobId"), (2, "CONFLICT", "leases[2].jobId")]
    assert "all its 3 members or not at all, 2 are leased" in part.outcome.refusals[0].message
    assert part.outcome.affected == (single,)
    twice = p.lease_all([(jobs[0], run_id(1)), (jobs[1], run_id(2)), (jobs[1], run_id(3))])
    assert codes(twice) == ["CONFLICT"] * 3
    more = p.lease_all([(job, run_id(number)) for number, job in enumerate((*jobs, jobs[0]), 1)])
    assert codes(more) == ["CONFLICT"] * 4
    assert [p.state_of(job) for job in jobs] == [JobState.QUEUED] * 3
    start(p, jobs)
    assert [p.state_of(job) for job in jobs] == [JobState.LEASED] * 3


def test_a_member_that_cannot_be_leased_keeps_the_others_back_and_says_why_itself() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang())
    p.decide(CancelJobs(principal=ALICE, job_ids=(jobs[2],)))
    [late] = p.submit(job=gang())
    p.state.rows[run_key(run_id(9))] = RunRow(
        job_id=late, attempt=0, cluster="c0", node="n", pool="p", shape_hash=b"", leased_offset=0, leased_ordinal=0,
        ended_offset=0, reason="cancelled",
    )  # fmt: skip
    decision = p.lease_all([(jobs[0], run_id(1)), (late, run_id(9)), (jobs[1], run_id(3))])
    assert [refusal.path for refusal in decision.outcome.refusals] == [
        "leases[0].jobId", "leases[1].runId", "leases[2].jobId",
    ]  # fmt: skip
    assert "another member" in decision.outcome.refusals[0].message
    assert decision.events == []


def test_a_cancelled_member_leaves_leases_that_are_too_few() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang())
    p.decide(CancelJobs(principal=ALICE, job_ids=(jobs[2],)))
    decision = p.lease_all([(job, run_id(number)) for number, job in enumerate(jobs, 1)])
    assert codes(decision) == ["CONFLICT", "CONFLICT", "NOT_FOUND"]
    assert decision.events == []


def test_the_largest_gang_is_leased_by_one_command_in_records_of_bounded_size() -> None:
    p = Partition()
    whole = gang(GANG_CARDINALITY_MAX)
    jobs = [job for _ in range(GANG_CARDINALITY_MAX // 1_000) for job in p.submit(1_000, job=whole)]
    decision = p.lease_all([(job, run_id(number)) for number, job in enumerate(jobs, 1)])
    assert codes(decision) == []
    records = records_of(
        decision, offset=p.offset, log_time_ms=p.time_ms, command="LeaseJobs", encode_events=encode_events
    )
    assert [len(record.leases) for record in records] == [4_000, 4_000, 2_000]
    assert sum(len(decode_events(block.body)) for record in records for block in record.blocks) == len(jobs)


# Members that return


@pytest.mark.parametrize("kind", [ExpireKind.UNREPORTED, ExpireKind.FORGOTTEN, None])
def test_a_lost_run_of_a_gang_that_fails_fast_fails_its_job_alone(kind: ExpireKind | None) -> None:
    p = Partition()
    jobs = p.submit(3, job=gang())
    runs = start(p, jobs)
    if kind is None:
        decision, first = p.report(jobs[0], runs[0], ReportState.RETURNED), E.LEASE_RETURNED
    else:
        expiry = Expiry(job_id=jobs[0], run_id=runs[0], attempt=0, kind=kind)
        decision, first = p.decide(ExpireRuns(epoch=1, expiries=(expiry,))), E.LEASE_EXPIRED
    assert kinds(decision) == [first, E.FAILED]
    assert decision.events[-1][1].reason_code == "GangMemberLost"
    assert p.job(jobs[0]) is None
    assert [p.state_of(job) for job in jobs[1:]] == [JobState.LEASED] * 2


def test_a_gang_that_does_not_fail_fast_starts_again_together_as_a_new_generation() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang(fail_fast=False))
    runs = start(p, jobs)
    p.report(jobs[1], runs[1], ReportState.RUNNING)
    decision = p.report(jobs[0], runs[0], ReportState.RETURNED)
    assert kinds(decision) == [E.LEASE_RETURNED, E.QUEUED, E.LEASE_RETURNED, E.QUEUED, E.LEASE_RETURNED, E.QUEUED]
    assert [(stop.run_id, stop.reason, stop.gone) for stop in decision.stops] == [
        (runs[0], StopReason.FINISHED, True),
        (runs[1], StopReason.RESTARTED, False),
        (runs[2], StopReason.RESTARTED, False),
    ]
    queued = [event for _, event in decision.events if event.kind is E.QUEUED]
    assert [(event.attempt, event.gang_generation) for event in queued] == [(1, 1)] * 3
    assert [p.state_of(job) for job in jobs] == [JobState.QUEUED] * 3
    assert [p.head(job).attempted for job in jobs] == [1, 0, 0]
    assert generations(p, jobs) == [1, 1, 1]
    assert all(p.head(job).flags & FLAG_GANG for job in jobs)
    assert p.state.gang_sizes(GangKey(0, "g")) == {1: 3}
    assert set(decision.outcome.affected) == set(jobs)
    early = p.lease_all([(job, run_id(10 + number)) for number, job in enumerate(jobs)], node="n1")
    assert codes(early) == ["CONFLICT"] * 3
    for job, run in zip(jobs[1:], runs[1:], strict=True):
        p.report(job, run, ReportState.GONE, attempt=0)
    late = p.lease_all([(job, run_id(10 + number)) for number, job in enumerate(jobs)], node="n1")
    assert codes(late) == []


def test_a_forgotten_cluster_starts_its_gangs_again_once() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang(fail_fast=False))
    runs = start(p, jobs)
    expiries = tuple(
        Expiry(job_id=job, run_id=run, attempt=0, kind=ExpireKind.FORGOTTEN)
        for job, run in zip(jobs, runs, strict=True)
    )
    decision = p.decide(ExpireRuns(epoch=1, expiries=expiries))
    assert codes(decision) == []
    assert generations(p, jobs) == [1, 1, 1]
    assert [p.head(job).attempt for job in jobs] == [1, 1, 1]
    assert all(p.state.row(run_key(run)) is None for run in runs)


def test_a_gang_of_which_members_have_ended_does_not_start_again() -> None:
    p = Partition()
    jobs = p.submit(3, job=gang(fail_fast=False))
    runs = start(p, jobs)
    p.report(jobs[2], runs[2], ReportState.SUCCEEDED)
    decision = p.report(jobs[0], runs[0], ReportState.RETURNED)
    assert kinds(decision) == [E.LEASE_RETURNED, E.FAILED]
    assert decision.events[-1][1].reason_code == "GangIncomplete"
    assert p.state_of(jobs[1]) is JobState.LEASED


def test_a_gang_starts_again_only_as_often_as_the_returned_member_may() -> None:
    p = Partition()
    p.decide(Settings(epoch=1, version=1, max_attempts=2, client_id_retention_ms=0))
    jobs = p.submit(2, job=gang(2, fail_fast=False))
    for attempt in range(2):
        runs = [run_id(10 * attempt + number) for number in (1, 2)]
        assert codes(p.lease_all(zip(jobs, runs, strict=True), node=f"n{attempt}")) == []
        decision = p.report(jobs[0], runs[0], ReportState.RETURNED)
        p.report(jobs[1], runs[1], ReportState.GONE, attempt=attempt)
    assert kinds(decision) == [E.LEASE_RETURNED, E.FAILED]
    assert decision.events[-1][1].reason_code == "MaxRunsExceeded"


def test_no_member_gets_more_runs_than_a_row_can_count() -> None:
    p = Partition()
    jobs = p.submit(2, job=gang(2, fail_fast=False))
    for attempt in range(ATTEMPTS_TOTAL_MAX + 1):
        runs = start(p, jobs, 10 * attempt)
        decision = p.report(jobs[attempt % 2], runs[attempt % 2], ReportState.RETURNED, attempted=False)
        p.report(jobs[1 - attempt % 2], runs[1 - attempt % 2], ReportState.GONE, attempt=attempt)
    assert decision.events[-1][1].reason_code == "MaxRunsExceeded"


def test_a_member_in_place_of_another_cannot_give_the_others_more_runs() -> None:
    p = Partition()
    old, replaced = p.submit(2, job=gang(2, fail_fast=False))
    for attempt in range(ATTEMPTS_TOTAL_MAX):
        runs = start(p, [old, replaced], 10 * attempt)
        p.report(replaced, runs[1], ReportState.RETURNED, attempted=False)
        p.report(old, runs[0], ReportState.GONE, attempt=attempt)
    assert p.head(old).attempt == ATTEMPTS_TOTAL_MAX
    p.decide(CancelJobs(principal=ALICE, job_ids=(replaced,)))
    [young] = p.submit(job=gang(2, fail_fast=False))
    runs = start(p, [old, young], 10_000)
    decision = p.report(young, runs[1], ReportState.RETURNED, attempted=False)
    assert kinds(decision) == [E.LEASE_RETURNED, E.FAILED]
    assert decision.events[-1][1].reason_code == "MaxRunsExceeded"
    assert p.state_of(old) is JobState.LEASED


def test_a_restart_passes_a_generation_that_waits_for_members() -> None:
    p = Partition()
    first = p.submit(2, job=gang(2, fail_fast=False))
    runs = start(p, first)
    waiting = p.submit(job=gang(2, fail_fast=False))
    p.report(first[0], runs[0], ReportState.RETURNED, attempted=False)
    assert generations(p, [*first, *waiting]) == [2, 2, 1]
    waiting += p.submit(job=gang(2, fail_fast=False))
    assert generations(p, waiting) == [1, 1]
    p.report(first[1], runs[1], ReportState.GONE, attempt=0)
    start(p, first, 10)
    start(p, waiting, 20)
