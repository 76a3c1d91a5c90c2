"""Deciding ReprioritizeJobs and ReprioritizeJobSet."""

from typing import Any

import pytest

from app.domain.commands import (
    CancelJobs,
    Command,
    Continue,
    Permission,
    Principal,
    QueueChange,
    ReportState,
    ReprioritizeJobs,
    ReprioritizeJobSet,
    Subject,
    UpdateQueues,
)
from app.domain.decision import Decision
from app.domain.lifecycle import EventKind as E
from app.domain.limits import OPERATION_JOBS_PER_COMMAND_MAX, PRIORITY_MAX
from app.domain.rows import FLAG_MORE
from tests.unit.domain.builders import ADMIN, ALICE, MALLORY, Partition, codes, kinds, run_id


def of_set(priority: int, **fields: Any) -> ReprioritizeJobSet:
    whole: dict[str, Any] = {"principal": ALICE, "queue": "a", "job_set": "s", "priority": priority, "reason": "urgent"}
    return ReprioritizeJobSet(**whole | fields)


def of_jobs(priority: int, *jobs: bytes, **fields: Any) -> ReprioritizeJobs:
    whole: dict[str, Any] = {"principal": ALICE, "job_ids": jobs, "priority": priority, "reason": "sooner"}
    return ReprioritizeJobs(**whole | fields)


def priorities(p: Partition, jobs: list[bytes]) -> list[int]:
    return [p.head(job).priority for job in jobs]


def untouched(decision: Decision) -> bool:
    return not decision.events and not decision.changes


def test_a_queued_and_a_running_job_get_the_priority_in_one_step_with_requestor_and_reason() -> None:
    p = Partition()
    queued, running = p.submit(2)
    p.lease(running, run_id(1))
    p.report(running, run_id(1), ReportState.RUNNING)
    decision = p.decide(of_jobs(7, queued, running, queue="a", job_set="s"))
    assert decision.outcome.affected == (queued, running)
    assert kinds(decision) == [E.REPRIORITIZING, E.REPRIORITIZED] * 2
    for _, event in decision.events:
        assert (event.requestor, event.reason, event.priority) == ("alice", "sooner", 7)
        assert event.before is event.after
        assert not event.terminal
    assert [event.run_id for _, event in decision.events] == [None, None, run_id(1), run_id(1)]
    assert priorities(p, [queued, running]) == [7, 7]
    assert decision.stops == []


def test_a_repeated_command_gets_the_same_answer_and_says_nothing_more() -> None:
    p = Partition()
    jobs = p.submit(2)
    first = p.decide(of_jobs(7, *jobs))
    again = p.decide(of_jobs(7, *jobs, principal=ALICE, reason="other words"))
    assert again.outcome == first.outcome
    assert untouched(again)


def test_ids_that_cannot_be_changed_are_refused_each_with_its_reason() -> None:
    p = Partition()
    [job], [other] = p.submit(), p.submit(job_set="t")
    ended = p.submit()[0]
    p.decide(CancelJobs(principal=ALICE, job_ids=(ended,)))
    decision = p.decide(of_jobs(7, b"x" * 16, other, ended, job, job_set="s"))
    found = [(refusal.index, refusal.code, refusal.path, refusal.id) for refusal in decision.outcome.refusals]
    assert found == [
        (0, "NOT_FOUND", "jobIds[0]", b"x" * 16),
        (1, "INVALID", "jobIds[1]", other),
        (2, "NOT_FOUND", "jobIds[2]", ended),
    ]
    assert decision.outcome.affected == (job,)


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        (ALICE, True),
        (MALLORY, False),
        (Principal(user="x", verbs=("reprioritize_any_jobs",)), True),
        (Principal(user="x", verbs=("cancel_any_jobs",)), False),
        (Principal(user="x", groups=("tuners",)), True),
        (Principal(user="tuners"), False),
    ],
)
def test_the_verb_is_needed_for_ids_and_for_the_set(principal: Principal, allowed: bool) -> None:
    p = Partition()
    granted = (Permission(subjects=(Subject(kind="Group", name="tuners"),), verbs=("reprioritize",)),)
    p.decide(UpdateQueues(principal=ADMIN, queues=(QueueChange(name="a", permissions=granted),)))
    [job] = p.submit()
    for command in (of_jobs(7, job, principal=principal), of_set(8, principal=principal)):
        decision = p.decide(command)
        assert codes(decision) == ([] if allowed else ["FORBIDDEN"])
        assert bool(decision.events) is allowed


@pytest.mark.parametrize("priority", [-1, PRIORITY_MAX + 1])
def test_a_priority_that_no_row_can_hold_is_refused_by_its_field(priority: int) -> None:
    p = Partition()
    [job] = p.submit()
    commands: tuple[Command, ...] = (of_jobs(priority, job), of_set(priority))
    for command in commands:
        decision = p.decide(command)
        assert [(refusal.index, refusal.code, refusal.path) for refusal in decision.outcome.refusals] == [
            (-1, "INVALID", "priority")
        ]
        assert untouched(decision)


# Whole sets


def test_a_set_is_an_operation_that_later_commands_move_on_and_that_leaves_younger_jobs_alone() -> None:
    p = Partition()
    old = [job for _ in range(3) for job in p.submit(900)]
    opened = p.decide(of_set(7))
    assert opened.outcome.operation
    offset = p.offset
    submitted = p.decide(p.call())
    [young] = submitted.outcome.affected
    progress = [*opened.operations, *submitted.operations]
    while p.state.operations():
        progress += p.decide(Continue()).operations
    assert {each.operation for each in progress} == {offset}
    assert [each.closed for each in progress] == [False] * (len(progress) - 1) + [True]
    assert all(len(each.affected) <= OPERATION_JOBS_PER_COMMAND_MAX for each in progress)
    assert sorted(job for each in progress for job in each.affected) == sorted(old)
    assert progress[-1].total == 2_700
    assert set(priorities(p, old)) == {7}
    assert p.head(young).priority == 0


def test_an_operation_tells_who_asked_and_why() -> None:
    p = Partition()
    p.submit()
    decision = p.decide(of_set(3))
    assert {(event.requestor, event.reason, event.priority) for _, event in decision.events} == {("alice", "urgent", 3)}


def test_a_repeated_set_affects_all_and_changes_nothing() -> None:
    p = Partition()
    jobs = p.submit(2)
    p.decide(of_set(7))
    again = p.decide(of_set(7))
    assert not again.events
    assert again.operations[0].affected == tuple(sorted(jobs))


def test_an_unknown_queue_has_no_operation() -> None:
    p = Partition()
    decision = p.decide(of_set(7, queue="nope"))
    assert codes(decision) == ["NOT_FOUND"]
    assert not p.state.operations()


@pytest.mark.parametrize("same", [False, True], ids=["another priority", "the priority that it has"])
def test_a_later_command_wins_over_an_older_operation_that_has_yet_to_reach_the_job(same: bool) -> None:
    p = Partition()
    jobs = sorted([job for _ in range(2) for job in p.submit(900)])
    last = jobs[-1]
    p.decide(of_set(7))
    wanted = p.head(last).priority if same else 3
    later = p.decide(of_jobs(wanted, last))
    assert last in later.outcome.affected
    assert p.state.operations() == [], "the later command has moved it to its end"
    assert p.head(last).priority == wanted
    assert last not in later.operations[0].affected
    assert set(priorities(p, jobs[:-1])) == {7}


def test_a_job_that_was_reached_already_takes_no_note_of_the_operation() -> None:
    p = Partition()
    jobs = sorted([job for _ in range(2) for job in p.submit(900)])
    p.decide(of_set(7))
    p.decide(of_jobs(3, jobs[0]))
    assert p.head(jobs[0]).priority == 3
    assert not p.head(jobs[0]).flags & FLAG_MORE


def test_a_younger_operation_wins_over_a_command_by_id() -> None:
    p = Partition()
    jobs = sorted([job for _ in range(2) for job in p.submit(900)])
    p.decide(of_set(7))
    p.decide(of_jobs(3, jobs[-1]))
    p.decide(of_set(9))
    while p.state.operations():
        p.decide(Continue())
    assert set(priorities(p, jobs)) == {9}


def test_operations_on_one_set_end_in_their_order() -> None:
    p = Partition()
    jobs = [job for _ in range(3) for job in p.submit(900)]
    for priority in (7, 8, 5):
        p.decide(of_set(priority))
    while p.state.operations():
        p.decide(Continue())
    assert set(priorities(p, jobs)) == {5}


def test_the_priority_stays_through_a_lease_and_its_return() -> None:
    p = Partition()
    [job] = p.submit()
    p.decide(of_jobs(7, job))
    p.lease(job, run_id(1))
    assert p.head(job).priority == 7
    p.report(job, run_id(1), ReportState.RETURNED)
    assert p.head(job).priority == 7
