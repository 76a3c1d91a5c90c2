"""Deciding UpdateQueues and DeleteQueues."""

from typing import Any

import pytest

from app.domain.commands import (
    CancelJobs,
    CancelJobSet,
    CreateQueues,
    DeleteQueues,
    Gang,
    Permission,
    Principal,
    QueueChange,
    QueueSpec,
    Subject,
    UpdateQueues,
)
from app.domain.decision import Decision
from app.domain.limits import QUEUES_PER_COMMAND_MAX
from app.domain.rows import QueueRow, queue_key
from tests.unit.domain.builders import ADMIN, ALICE, MALLORY, Partition, codes

CHIEF = Principal(user="chief", verbs=("create_queue", "cordon_queue", "delete_queue", "submit_any_jobs"))
CORDONER = Principal(user="cordoner", verbs=("cordon_queue",))


def spec_of(p: Partition, name: str = "a") -> QueueSpec:
    row = p.state.row(queue_key(name))
    assert isinstance(row, QueueRow)
    return row.spec


def update(p: Partition, principal: Principal = CHIEF, name: str = "a", **fields: Any) -> Decision:
    return p.decide(UpdateQueues(principal=principal, queues=(QueueChange(name=name, **fields),)))


def refusals(decision: Decision) -> list[tuple[int, str, str]]:
    return [(refusal.index, refusal.code.value, refusal.path) for refusal in decision.outcome.refusals]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority_factor", 4.0),
        ("cordoned", True),
        ("owners", ("bob",)),
        ("group_owners", ("research",)),
        ("permissions", (Permission(subjects=(Subject(kind="User", name="z"),), verbs=("watch",)),)),
        ("resource_limits", '{"argosy-default":{"cpu":0.5}}'),
        ("labels", {"team": "x"}),
        ("retry_policies", ("p",)),
    ],
)
def test_each_field_is_changed_alone_and_the_queue_stays_the_same_queue(field: str, value: Any) -> None:
    p = Partition()
    before, row = spec_of(p), p.state.row(queue_key("a"))
    assert codes(update(p, **{field: value})) == []
    after = spec_of(p)
    changed = {name for name in QueueSpec.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    assert changed == {field}
    assert getattr(after, field) == value
    now = p.state.row(queue_key("a"))
    assert isinstance(row, QueueRow)
    assert isinstance(now, QueueRow)
    assert (now.incarnation, now.created_ms) == (row.incarnation, row.created_ms)


def test_a_queue_that_is_as_wanted_stays_untouched() -> None:
    p = Partition()
    decision = update(p, priority_factor=1.0, cordoned=False)
    assert not decision.changes
    assert codes(decision) == []


def test_a_queue_keeps_its_owners_when_none_is_named() -> None:
    p = Partition()
    update(p, owners=(), group_owners=())
    assert spec_of(p).owners == ("alice",)
    update(p, owners=(), group_owners=("g",))
    assert (spec_of(p).owners, spec_of(p).group_owners) == ((), ("g",))


def test_a_wrong_queue_is_refused_and_the_others_are_changed() -> None:
    p = Partition()
    changes = (
        QueueChange(name="nope", priority_factor=2.0),
        QueueChange(name="a", priority_factor=2.0),
        QueueChange(name="a", priority_factor=0.0),
    )
    decision = p.decide(UpdateQueues(principal=CHIEF, queues=changes))
    assert refusals(decision) == [(0, "NOT_FOUND", "queues[0].name"), (2, "INVALID", "queues[2].priorityFactor")]
    assert spec_of(p).priority_factor == 2.0


@pytest.mark.parametrize(
    ("principal", "fields", "path"),
    [
        (ALICE, {"priority_factor": 2.0}, "queues[0]"),
        (MALLORY, {"labels": {}}, "queues[0]"),
        (CORDONER, {"priority_factor": 2.0, "cordoned": True}, "queues[0]"),
        (ALICE, {"cordoned": True}, "queues[0].cordoned"),
        (ADMIN, {"cordoned": False}, "queues[0].cordoned"),
        (ADMIN, {"priority_factor": 2.0, "cordoned": True}, "queues[0].cordoned"),
    ],
)
def test_global_verbs_are_needed_also_of_owners(principal: Principal, fields: dict[str, Any], path: str) -> None:
    p = Partition()
    decision = update(p, principal, **fields)
    assert refusals(decision) == [(0, "FORBIDDEN", path)]
    assert spec_of(p) == QueueSpec(name="a", owners=("alice",))


def test_who_may_cordon_needs_no_other_verb_and_who_leaves_the_cordon_needs_none_for_it() -> None:
    p = Partition()
    assert codes(update(p, CORDONER, cordoned=True)) == []
    assert spec_of(p).cordoned
    assert codes(update(p, ADMIN, cordoned=True, priority_factor=3.0)) == []
    assert spec_of(p).priority_factor == 3.0


# Deleting


def delete(p: Partition, *names: str, principal: Principal = CHIEF) -> Decision:
    return p.decide(DeleteQueues(principal=principal, names=names))


def test_a_queue_without_jobs_is_deleted_and_one_of_the_same_name_starts_clean() -> None:
    p = Partition()
    [job] = p.submit(client_ids=["c"])
    p.decide(CancelJobs(principal=ALICE, job_ids=(job,)))
    before = p.state.row(queue_key("a"))
    assert codes(delete(p, "a")) == []
    assert p.state.row(queue_key("a")) is None
    assert codes(p.decide(p.call())) == ["NOT_FOUND"]
    p.decide(CreateQueues(principal=ADMIN, queues=(QueueSpec(name="a", owners=("alice",)),)))
    now = p.state.row(queue_key("a"))
    assert isinstance(before, QueueRow)
    assert isinstance(now, QueueRow)
    assert now.incarnation > before.incarnation
    assert p.submit(client_ids=["c"]) != [job], "client ids are of the queue's incarnation"


def test_a_queue_with_live_jobs_is_not_deleted() -> None:
    p = Partition()
    p.submit(2)
    decision = delete(p, "a", "nope")
    assert refusals(decision) == [(0, "CONFLICT", "names[0]"), (1, "NOT_FOUND", "names[1]")]
    assert spec_of(p)


def test_jobs_that_end_in_the_same_step_are_gone() -> None:
    """Deciding sees what earlier commands of the step did, beside what the store still says."""
    from app.domain.decide import decide
    from app.domain.state import Overlay

    p = Partition()
    jobs = p.submit(3)
    overlay = Overlay(p.state)
    decide(overlay, CancelJobs(principal=ALICE, job_ids=tuple(jobs[:2])), 0, p.offset + 1, p.time_ms)
    overlay.keep()
    refused = decide(overlay, DeleteQueues(principal=CHIEF, names=("a",)), 0, p.offset + 2, p.time_ms)
    assert codes(refused) == ["CONFLICT"]
    overlay.keep()
    decide(overlay, CancelJobSet(principal=ALICE, queue="a", job_set="s"), 0, p.offset + 3, p.time_ms)
    overlay.keep()
    decide(overlay, p.call(), 0, p.offset + 4, p.time_ms)
    overlay.keep()
    assert codes(decide(overlay, DeleteQueues(principal=CHIEF, names=("a",)), 0, p.offset + 5, p.time_ms)) == [
        "CONFLICT"
    ]


def test_deleting_needs_its_verb() -> None:
    p = Partition()
    decision = delete(p, "a", principal=ALICE)
    assert refusals(decision) == [(-1, "FORBIDDEN", "names")]
    assert spec_of(p)


def test_queues_of_one_command_share_nothing() -> None:
    """Their job sets, client ids and gangs of the same names are apart."""
    p = Partition()
    p.decide(CreateQueues(principal=CHIEF, queues=tuple(QueueSpec(name=name, owners=("alice",)) for name in "xyz")))
    member = {"gang": Gang(gang_id="g", cardinality=2)}
    x = p.submit(2, queue="x", client_ids=["c", "d"], job=member)
    y = p.submit(2, queue="y", client_ids=["c", "d"], job=member)
    p.decide(CancelJobSet(principal=ALICE, queue="x", job_set="s"))
    assert [p.job(job) for job in x] == [None, None]
    assert all(p.job(job) is not None for job in y)
    assert codes(delete(p, "x", "y", "z")) == ["CONFLICT"]
    assert spec_of(p, "y")


def test_one_command_creates_a_bounded_number_of_queues() -> None:
    p = Partition()
    names = [f"q{number}" for number in range(QUEUES_PER_COMMAND_MAX + 1)]
    decision = p.decide(CreateQueues(principal=CHIEF, queues=tuple(QueueSpec(name=name) for name in names)))
    assert refusals(decision) == [(QUEUES_PER_COMMAND_MAX, "INVALID", f"queues[{QUEUES_PER_COMMAND_MAX}]")]


def test_a_cordon_is_taken_back() -> None:
    p = Partition()
    update(p, CORDONER, cordoned=True)
    assert codes(update(p, CORDONER, cordoned=False)) == []
    assert not spec_of(p).cordoned
