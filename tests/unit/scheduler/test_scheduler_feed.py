"""Rows of argosy.state become columns by whole steps only, however the log is cut."""

import random

import numpy as np
import pytest

from app.domain.apply import head_of
from app.domain.commands import BeginInstance, CancelJobs, ExpireKind, ExpireRuns, Expiry, ReportState, Settings
from app.domain.ids import format_id
from app.domain.rows import JobRow, name_hash
from app.log.codec import decode
from app.scheduler.id_text import id_texts
from app.scheduler.interning import NONE, NameNumbers
from app.scheduler.job_columns import LEASED, QUEUED, RowTooShort
from app.scheduler.state import State, StateUnreadable
from app.scheduler.steps import Steps
from tests.unit.scheduler.partition import (
    CHIEF,
    INSTANCE,
    Partition,
    StateRow,
    begin,
    lease,
    leases,
    queues,
    report,
    run_id,
)


def feed(state: State, steps: Steps, records: list[StateRow], now_s: float = 0.0) -> None:
    for whole in steps.add(records):
        state.apply(whole, now_s)


def loaded(records: list[StateRow], partitions: int = 1) -> State:
    state = State(partitions, decode)
    feed(state, Steps(), records)
    return state


def facts(state: State) -> dict[str, object]:
    """Everything that the state knows, without slots."""
    jobs = state.jobs
    rows = {}
    for key, slot in jobs.slots.items():
        rows[key] = (
            int(jobs.state[slot]),
            int(jobs.attempt[slot]),
            int(jobs.flags[slot]),
            int(jobs.priority[slot]),
            int(jobs.submitted_ms[slot]),
            jobs.queues.name_of(int(jobs.queue[slot])),
            bytes(jobs.run_id[slot]),
            int(jobs.node[slot]) == NONE,
            jobs.avoid.get(slot, ()),
            bytes(jobs.text[slot]).decode(),
        )
        assert jobs.live[slot]
        assert jobs.keys[slot] == key
    assert int(jobs.live[: jobs.count].sum()) == len(jobs)
    return {
        "jobs": rows,
        "stopping": {run: each.row for run, each in state.stopping.items()},
        "queues": state.queues,
        "positions": state.positions,
        "settings": state.settings,
        "instances": state.instances,
        "operations": state.operations,
    }


def a_life() -> Partition:
    """Every kind of row, written, changed and deleted."""
    partition = Partition()
    partition.step(queues("a", "b"), BeginInstance(cluster="c0", instance=INSTANCE))
    ids, submit = partition.submit("a", 5)
    others, submit_others = partition.submit("b", 4)
    partition.step(submit, submit_others)
    partition.step(begin(7), leases(7, *(lease(job, run_id(n)) for n, job in enumerate(ids[:4], 1))))
    partition.step(report(ids[0], run_id(1), ReportState.RUNNING))
    partition.step(
        Settings(epoch=7, version=1, max_attempts=3, client_id_retention_ms=5_000),
        report(ids[1], run_id(2), ReportState.RETURNED),
    )
    partition.step(CancelJobs(principal=CHIEF, job_ids=(ids[2], others[1])))
    partition.step(report(ids[0], run_id(1), ReportState.SUCCEEDED))
    expiry = Expiry(job_id=ids[3], run_id=run_id(4), attempt=0, kind=ExpireKind.UNREPORTED)
    partition.step(ExpireRuns(epoch=7, expiries=(expiry,)))
    partition.step(report(ids[2], run_id(3), ReportState.GONE))
    return partition


def test_columns_say_what_the_rows_say() -> None:
    partition = a_life()
    state = loaded(partition.records)
    jobs = state.jobs
    rows = {key: row for key, row in partition.state.rows.items() if isinstance(row, JobRow)}
    assert set(jobs.slots) == set(rows)
    for key, row in rows.items():
        head, slot = head_of(row), jobs.slots[key]
        assert jobs.state[slot] == head.state
        assert jobs.attempt[slot] == head.attempt
        assert jobs.flags[slot] == head.flags
        assert jobs.submitted_ms[slot] == head.submitted_ms
        assert jobs.scheduled_at_priority[slot] == head.scheduled_at_priority
        assert bytes(jobs.run_id[slot]) == head.run_id
        assert jobs.queues.name_of(int(jobs.queue[slot])) == row.queue
        assert jobs.job_id(slot) == key[1:]
        assert bytes(jobs.text[slot]).decode() == format_id(key[1:])
        assert jobs.partition[slot] == 0
        assert jobs.avoid.get(slot, ()) == (row.more.avoid_nodes if row.more else ())
    assert set(state.stopping) == {run_id(4)}
    assert state.position(0).epoch == 7
    assert state.settings_of(0).max_attempts == 3
    assert state.instances == {"c0": INSTANCE}
    assert state.counts()["queued"] == sum(1 for row in rows.values() if head_of(row).state == QUEUED)


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_of_the_log_gives_the_same_state(seed: int) -> None:
    records = a_life().records
    generator = random.Random(seed)
    state, steps, at = State(1, decode), Steps(), 0
    while at < len(records):
        length = generator.randint(1, 9)
        feed(state, steps, records[at : at + length])
        at += length
    assert facts(state) == facts(loaded(records))
    assert steps.held_back == 0


def test_rows_of_a_step_wait_for_its_position_row() -> None:
    partition = Partition()
    first = partition.step(queues("a"))
    ids, submit = partition.submit("a", 3)
    second = partition.step(submit)
    state, steps = State(1, decode), Steps()
    feed(state, steps, [*first, *second[:-1]])
    assert len(state.jobs) == 0
    assert state.position(0).offset == 0
    assert steps.held_back == 3
    feed(state, steps, second[-1:])
    assert [key[1:] for key in state.jobs.slots] == ids
    assert state.position(0).offset == 1


def test_partitions_wait_for_their_own_position_rows_only() -> None:
    zero, one = Partition(0), Partition(1)
    for partition in (zero, one):
        partition.step(queues("a"))
        partition.step(partition.submit("a", 2)[1])
    state, steps = State(2, decode), Steps()
    feed(state, steps, [*zero.records[:-1], *one.records])
    assert state.position(1).offset == 1
    assert state.position(0).offset == 0
    assert len(state.jobs) == 2
    feed(state, steps, zero.records[-1:])
    assert len(state.jobs) == 4


def test_a_compacted_log_gives_the_same_state_at_its_end() -> None:
    records = a_life().records
    last = {record.key: at for at, record in enumerate(records)}
    compacted = [record for at, record in enumerate(records) if last[record.key] == at]
    without_tombstones = [record for record in compacted if record.value is not None]
    assert len(without_tombstones) < len(compacted) < len(records)
    assert facts(loaded(compacted)) == facts(loaded(records))
    assert facts(loaded(without_tombstones)) == facts(loaded(records))


def test_a_replay_over_what_is_known_changes_nothing() -> None:
    records = a_life().records
    state, steps = State(1, decode), Steps()
    feed(state, steps, records)
    once = facts(state)
    feed(state, steps, records)
    assert facts(state) == once


def test_slots_of_ended_jobs_are_used_again() -> None:
    partition = Partition()
    state, steps = State(1, decode), Steps()
    feed(state, steps, partition.step(queues("a")))
    ids: list[bytes] = []
    for _ in range(2):
        some, submit = partition.submit("a", 900)
        ids += some
        feed(state, steps, partition.step(submit))
    assert state.jobs.count == len(state.jobs) == 1800
    feed(state, steps, partition.step(CancelJobs(principal=CHIEF, job_ids=tuple(ids))))
    assert len(state.jobs) == 0
    more, submit = partition.submit("a", 1000)
    feed(state, steps, partition.step(submit))
    assert state.jobs.count == 1800
    assert {state.jobs.job_id(slot) for slot in state.jobs.slots.values()} == set(more)
    assert state.jobs.slot(ids[0]) is None


def test_a_run_is_seen_anew_when_it_is_another_run() -> None:
    partition = Partition()
    (job,), submit = partition.submit("a", 1)
    first = [*partition.step(queues("a")), *partition.step(submit, begin(1))]
    state, steps = State(1, decode), Steps()
    feed(state, steps, first, now_s=1.0)
    feed(state, steps, partition.step(leases(1, lease(job, run_id(1)))), now_s=5.0)
    slot = state.jobs.slot(job)
    assert slot is not None
    assert state.jobs.state[slot] == LEASED
    assert state.jobs.seen_s[slot] == 5.0
    feed(state, steps, [record for record in partition.records if record.key[:1] == b"j"][-1:], now_s=9.0)
    feed(state, steps, partition.step(Settings(epoch=1, version=1, max_attempts=2, client_id_retention_ms=1)), 9.0)
    assert state.jobs.seen_s[slot] == 5.0


def test_a_row_that_is_too_short_or_of_another_kind_is_refused_by_name() -> None:
    state = State(1, decode)
    with pytest.raises(RowTooShort, match="no whole fixed field"):
        state.jobs.apply({b"j" + bytes(16): b"12345short"}, 0.0)
    partition = Partition()
    records = partition.step(queues("a"))
    queue_value = next(record.value for record in records if record.key == b"qa")
    with pytest.raises(StateUnreadable, match="another release"):
        feed(State(1, decode), Steps(), [StateRow(0, b"x1", queue_value), records[-1]])


def test_texts_of_many_ids_are_those_of_single_ids() -> None:
    generator = random.Random(3)
    ids = [bytes(16), b"\xff" * 16, *(generator.randbytes(16) for _ in range(500))]
    assert [text.decode() for text in id_texts(b"".join(ids)).tolist()] == [format_id(each) for each in ids]


def test_names_have_numbers_before_they_are_known() -> None:
    names = NameNumbers()
    hashes = np.array([name_hash("b"), 0, name_hash("a"), name_hash("b")], np.uint64)
    numbers = names.numbers(hashes)
    assert numbers[0] == numbers[3] != numbers[2]
    assert numbers[1] == NONE
    assert names.name_of(int(numbers[0])) == ""
    assert names.learn("b") == numbers[0]
    assert names.name_of(int(numbers[0])) == "b"
    assert names.find("never seen") == NONE
    assert names.name_of(NONE) == ""


def test_batches_of_nothing_are_taken() -> None:
    state, steps = State(1, decode), Steps()
    feed(state, steps, [])
    assert facts(state)["jobs"] == {}
