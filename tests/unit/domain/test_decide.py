"""Deciding, verb by verb."""

import pytest

from app.domain.commands import (
    BeginEpoch,
    BeginInstance,
    Continue,
    CreateQueues,
    Permission,
    QueueSpec,
    Report,
    ReportRuns,
    ReportState,
    Settings,
    Subject,
)
from app.domain.events import StopReason
from app.domain.lifecycle import EventKind as E
from app.domain.lifecycle import JobState
from app.domain.limits import ATTEMPTS_TOTAL_MAX
from app.domain.rows import QueueRow, incarnation_of, queue_key
from tests.unit.domain.builders import ADMIN, ALICE, INSTANCE, MALLORY, Partition, codes, kinds, run_id

RUN = run_id(1)


def a_running_job(p: Partition) -> bytes:
    [job] = p.submit()
    p.lease(job, RUN)
    p.report(job, RUN, ReportState.RUNNING)
    return job


# Queues


def test_who_creates_a_queue_without_owners_owns_it() -> None:
    p = Partition()
    p.decide(CreateQueues(principal=ADMIN, queues=(QueueSpec(name="b"), QueueSpec(name="b"))))
    row = p.state.row(queue_key("b"))
    assert isinstance(row, QueueRow)
    assert row.spec.owners == ("admin",)
    assert row.incarnation == incarnation_of(p.offset, 0)


def test_an_existing_queue_is_a_conflict_and_the_others_are_created() -> None:
    p = Partition()
    decision = p.decide(CreateQueues(principal=ADMIN, queues=(QueueSpec(name="a"), QueueSpec(name="b"))))
    assert [(r.index, r.code) for r in decision.outcome.refusals] == [(0, "CONFLICT")]
    assert p.state.row(queue_key("b")) is not None


def test_creating_queues_needs_the_global_verb() -> None:
    p = Partition()
    assert codes(p.decide(CreateQueues(principal=ALICE, queues=(QueueSpec(name="b"),)))) == ["FORBIDDEN"]
    assert p.state.row(queue_key("b")) is None


# Submitting


def test_a_submitted_job_is_queued_with_its_data() -> None:
    p = Partition()
    decision = p.decide(p.call(2))
    assert kinds(decision) == [E.SUBMITTED, E.QUEUED, E.SUBMITTED, E.QUEUED]
    assert [data.owner for data in decision.jobs] == ["alice", "alice"]
    assert [spec.spec_id for spec in decision.specs] == [b"s" * 16]
    assert decision.outcome.affected_count == 2


def test_an_unknown_queue_is_not_found_and_a_strangers_is_forbidden() -> None:
    p = Partition()
    assert codes(p.decide(p.call(queue="nope"))) == ["NOT_FOUND"]
    assert codes(p.decide(p.call(principal=MALLORY))) == ["FORBIDDEN"]


@pytest.mark.parametrize(
    "queue",
    [
        QueueSpec(name="b", group_owners=("research",)),
        QueueSpec(
            name="b",
            owners=("x",),
            permissions=(Permission(subjects=(Subject(kind="User", name="alice"),), verbs=("submit",)),),
        ),
        QueueSpec(
            name="b",
            owners=("x",),
            permissions=(Permission(subjects=(Subject(kind="Group", name="research"),), verbs=("submit",)),),
        ),
    ],
)
def test_group_owners_and_permissions_let_in(queue: QueueSpec) -> None:
    p = Partition()
    p.decide(CreateQueues(principal=ADMIN, queues=(queue,)))
    assert codes(p.decide(p.call(queue="b"))) == []
    assert codes(p.decide(p.call(queue="b", principal=MALLORY))) == ["FORBIDDEN"]


def test_a_user_named_like_a_group_gains_nothing() -> None:
    p = Partition()
    permission = Permission(subjects=(Subject(kind="Group", name="mallory"),), verbs=("submit",))
    p.decide(CreateQueues(principal=ADMIN, queues=(QueueSpec(name="b", permissions=(permission,)),)))
    assert codes(p.decide(p.call(queue="b", principal=MALLORY))) == ["FORBIDDEN"]


def test_a_client_id_stands_for_one_job_across_and_within_calls() -> None:
    p = Partition()
    first = p.decide(p.call(2, client_ids=["x", "x"]))
    [job] = first.outcome.affected
    assert [(d.index, d.job_id) for d in first.outcome.duplicates] == [(1, job)]
    again = p.decide(p.call(1, client_ids=["x"]))
    assert again.outcome.duplicates[0].job_id == job
    assert again.events == []


def test_a_client_id_counts_for_its_retention_only_and_is_deleted_in_time() -> None:
    p = Partition()
    [job] = p.submit(client_ids=["x"])
    retention_ms = 7 * 24 * 3_600_000
    p.time_ms += retention_ms - 2
    assert p.decide(p.call(client_ids=["x"])).outcome.duplicates[0].job_id == job
    p.time_ms += 2
    renewed = p.decide(p.call(client_ids=["x"]))
    assert renewed.outcome.duplicates == ()
    assert len(p.state.ids) == 1
    p.time_ms += retention_ms + 1
    p.decide(Continue())
    assert p.state.ids == {}


def test_a_repeated_request_gets_the_first_answer() -> None:
    p = Partition()
    call = p.call(2, request_id="r", client_ids=["x", None])
    first = p.decide(call)
    again = p.decide(p.call(2, request_id="r"))
    assert again.outcome.repeated == call.jobs[0].job_id[:14]
    assert again.events == []
    assert again.outcome.duplicates == first.outcome.duplicates
    assert p.decide(p.call(1, request_id="other")).outcome.repeated == b""


def test_a_request_id_stands_for_calls_of_the_same_size_only() -> None:
    p = Partition()
    p.decide(p.call(2, request_id="r"))
    other = p.decide(p.call(3, request_id="r"))
    assert [(r.code, r.path) for r in other.outcome.refusals] == [("CONFLICT", "requestId")]
    assert (other.events, other.outcome.repeated) == ([], b"")


def test_a_refused_call_does_not_use_up_its_request_id() -> None:
    p = Partition()
    assert codes(p.decide(p.call(queue="late", request_id="r"))) == ["NOT_FOUND"]
    p.decide(CreateQueues(principal=ADMIN, queues=(QueueSpec(name="late", owners=("alice",)),)))
    assert p.decide(p.call(queue="late", request_id="r")).outcome.affected_count == 1


# Leasing


def test_a_lease_is_refused_for_every_mismatch() -> None:
    p = Partition()
    [job] = p.submit()
    assert codes(p.lease(job, RUN, epoch=0)) == ["CONFLICT"]
    assert codes(p.lease(job, RUN, attempt=1)) == ["CONFLICT"]
    assert codes(p.lease(b"x" * 16, RUN)) == ["NOT_FOUND"]
    assert p.state_of(job) is JobState.QUEUED
    assert codes(p.lease(job, RUN)) == []
    assert codes(p.lease(job, run_id(2))) == ["CONFLICT"]


def test_an_old_leaders_commands_are_refused_after_a_new_epoch() -> None:
    p = Partition()
    [job] = p.submit()
    p.decide(BeginEpoch(epoch=4, leader="new"))
    assert codes(p.lease(job, RUN, epoch=1)) == ["CONFLICT"]
    assert codes(p.decide(BeginEpoch(epoch=3, leader="older"))) == ["CONFLICT"]
    assert codes(p.lease(job, RUN, epoch=4)) == []


# Reports


def test_a_later_report_implies_the_skipped_states() -> None:
    p = Partition()
    [job] = p.submit()
    p.lease(job, RUN)
    decision = p.report(job, RUN, ReportState.SUCCEEDED, exit_code=0)
    assert kinds(decision) == [E.PENDING, E.RUNNING, E.SUCCEEDED]
    assert [event.terminal for _, event in decision.events] == [False, False, True]
    assert [(s.reason, s.gone) for s in decision.stops] == [(StopReason.FINISHED, True)]
    assert p.job(job) is None


def test_an_earlier_report_changes_nothing() -> None:
    p = Partition()
    job = a_running_job(p)
    decision = p.report(job, RUN, ReportState.PENDING)
    assert (kinds(decision), codes(decision)) == ([], [])
    assert p.state_of(job) is JobState.RUNNING


def test_the_first_report_says_so_once() -> None:
    p = Partition()
    [job] = p.submit()
    p.lease(job, RUN)
    assert p.report(job, RUN, ReportState.PENDING).reported == [RUN]
    assert p.report(job, RUN, ReportState.RUNNING).reported == []


def test_a_failure_before_any_container_ran_implies_nothing() -> None:
    p = Partition()
    [job] = p.submit()
    p.lease(job, RUN)
    assert kinds(p.report(job, RUN, ReportState.FAILED, reason="ImagePull")) == [E.FAILED]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"instance": b"o" * 16}, "CONFLICT"),
        ({"cluster": "c1"}, "CONFLICT"),
        ({"attempt": 3}, "CONFLICT"),
    ],
)
def test_a_report_of_another_is_refused(fields: dict[str, object], code: str) -> None:
    p = Partition()
    job = a_running_job(p)
    decision = p.report(job, RUN, ReportState.FAILED, **fields)
    assert codes(decision) == [code]
    assert p.state_of(job) is JobState.RUNNING


def test_a_replaced_instance_is_not_heard_any_more() -> None:
    p = Partition()
    job = a_running_job(p)
    p.decide(BeginInstance(cluster="c0", instance=b"n" * 16))
    assert codes(p.report(job, RUN, ReportState.SUCCEEDED)) == ["CONFLICT"]
    assert codes(p.report(job, RUN, ReportState.SUCCEEDED, instance=b"n" * 16)) == []


def test_reports_of_unknown_jobs_and_runs_are_refused() -> None:
    p = Partition()
    job = a_running_job(p)
    assert codes(p.report(job, run_id(7), ReportState.FAILED)) == ["CONFLICT"]
    assert codes(p.report(b"x" * 16, RUN, ReportState.FAILED)) == ["NOT_FOUND"]
    assert codes(p.report(job, RUN, ReportState.GONE)) == ["CONFLICT"]


def test_a_returned_lease_queues_again_but_never_on_the_same_node() -> None:
    p = Partition()
    job = a_running_job(p)
    decision = p.report(job, RUN, ReportState.RETURNED, attempted=True)
    assert kinds(decision) == [E.LEASE_RETURNED, E.QUEUED]
    assert p.head(job).attempt == p.head(job).attempted == 1
    assert codes(p.lease(job, run_id(2))) == ["CONFLICT"]
    assert codes(p.lease(job, run_id(2), node="n1")) == []


def test_a_run_that_never_began_does_not_count_as_an_attempt() -> None:
    p = Partition()
    [job] = p.submit()
    p.lease(job, RUN)
    p.report(job, RUN, ReportState.RETURNED, attempted=False)
    assert (p.head(job).attempt, p.head(job).attempted) == (1, 0)
    assert codes(p.lease(job, run_id(2))) == []


def test_four_attempted_runs_are_the_end() -> None:
    p = Partition()
    [job] = p.submit()
    for number in range(4):
        assert codes(p.lease(job, run_id(number), node=f"n{number}")) == []
        decision = p.report(job, run_id(number), ReportState.RETURNED, attempted=True)
    assert kinds(decision) == [E.LEASE_RETURNED, E.FAILED]
    assert decision.events[-1][1].reason_code == "MaxRunsExceeded"
    assert decision.events[-1][1].run_id == run_id(3)
    assert p.job(job) is None


def test_settings_say_how_many_attempts_there_are() -> None:
    p = Partition()
    p.decide(Settings(epoch=1, version=1, max_attempts=1, client_id_retention_ms=1))
    job = a_running_job(p)
    assert kinds(p.report(job, RUN, ReportState.RETURNED)) == [E.LEASE_RETURNED, E.FAILED]
    assert codes(p.decide(Settings(epoch=1, version=1, max_attempts=9, client_id_retention_ms=1))) == ["CONFLICT"]
    assert codes(p.decide(Settings(epoch=0, version=2, max_attempts=9, client_id_retention_ms=1))) == ["CONFLICT"]
    assert codes(p.decide(Settings(epoch=1, version=2, max_attempts=0, client_id_retention_ms=1))) == ["INVALID"]


def test_runs_that_never_begin_end_too() -> None:
    p = Partition()
    [job] = p.submit()
    for number in range(ATTEMPTS_TOTAL_MAX + 1):
        p.lease(job, run_id(number))
        decision = p.report(job, run_id(number), ReportState.RETURNED, attempted=False)
    assert kinds(decision) == [E.LEASE_RETURNED, E.FAILED]


def test_a_report_that_raises_is_refused_alone() -> None:
    p = Partition()
    first, second = p.submit(2)
    p.lease(first, RUN)
    p.lease(second, run_id(2))
    good = p.report(first, RUN, ReportState.PENDING)
    assert good.failed_items == []
    row = p.job(first)
    assert row is not None
    p.state.rows[b"j" + first] = type(row)(head=b"", queue="a", incarnation=0, job_set="s")
    decision = p.decide(ReportRuns(reports=(a_report(first, RUN), a_report(second, run_id(2)))))
    assert [index for index, _ in decision.failed_items] == [0]
    assert codes(decision) == ["INTERNAL"]
    assert kinds(decision) == [E.PENDING]
    assert decision.events[0][1].job_id == second


def a_report(job: bytes, run: bytes) -> Report:
    return Report(
        cluster="c0", instance=INSTANCE, job_id=job, run_id=run, attempt=0, state=ReportState.PENDING, time_ms=1
    )
