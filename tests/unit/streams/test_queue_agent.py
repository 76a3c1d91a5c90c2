"""The queue agent and its tables without Kafka: whatever the cuts into steps, events, changelogs and store equal
the fold."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from app.domain.clusters import DeadLetter
from app.domain.commands import BeginEpoch, Continue, CreateQueues, Principal, QueueSpec, ReportRuns
from app.domain.decide import Decision, decide
from app.domain.errors import ErrorCode
from app.domain.events import EventsRecord
from app.domain.rows import FLAG_GANG, FLAG_MORE, JOB_HEAD, JobGang, JobHead, JobMore, JobRow, PositionRow
from app.domain.state import GangKey, gang_key_of
from app.log.codec import decode, decode_as, encode
from app.log.topics import CLIENT_IDS, DEAD_LETTERS, EVENTS, STATE
from app.streams.step import StepLimits
from tables.state import BY_GANG, BY_SET, PartitionState, entries_of, gang_prefix, set_prefix
from tests.faults.fold import Fold, LogRecord
from tests.faults.load import Load
from tests.faults.poisoned_queue import decide_or_raise
from tests.unit.streams.memory_log import MemoryTenure

NOW_MS = 1_800_000_000_000
LIMITS = StepLimits()
CHIEF = Principal(user="chief", verbs=("create_queue",))
EPOCH = encode(BeginEpoch(epoch=3, leader="test"))


@pytest.fixture
async def tenure(tmp_path: Path) -> AsyncIterator[MemoryTenure]:
    made = MemoryTenure(tmp_path, 0)
    yield made
    made.store.close()


def quarantine_of(tenure: MemoryTenure) -> str | None:
    """As it is now: a type checker believes that a step leaves it as it was."""
    return tenure.quarantined


@pytest.mark.parametrize("seed", range(4))
async def test_any_cut_into_steps_gives_the_events_rows_and_store_of_the_fold(tenure: MemoryTenure, seed: int) -> None:
    load, chance, fold = Load(seed, 1), random.Random(seed), Fold(0)
    now_ms = NOW_MS
    for number in range(400):
        # The broker's clock may go back; log time may not.
        now_ms += chance.randrange(-30, 200)
        _, value = load.next()
        tenure.feed(value, now_ms)
        fold.take(LogRecord(number, b"q", value, now_ms))
        if chance.random() < 0.1:
            await tenure.all_steps(decide_or_raise, chance)
        if chance.random() < 0.01:
            tenure.reopen()
    await tenure.all_steps(decide_or_raise, chance)
    assert tenure.quarantined is None
    assert tenure.log.values(EVENTS) == fold.events
    assert tenure.log.latest(STATE) == fold.state_rows()
    assert tenure.log.latest(CLIENT_IDS) == fold.id_rows()
    assert tenure.held() == fold.store()
    index = {key for key in fold.store() if key[:1] in (BY_SET, BY_GANG)}
    assert {entry for key, value in fold.state_rows().items() for entry in entries_of(key, value)} == index
    queues = {row.incarnation for row in fold.state.rows.values() if isinstance(row, JobRow)}
    assert len(queues) > 1
    for queue in queues:
        assert sorted(tenure.view.jobs_of_queue(queue, 10_000)) == sorted(fold.state.jobs_of_queue(queue, 10_000))
        assert len(tenure.view.jobs_of_queue(queue, 1)) == 1
    gangs = {key for row in fold.state.rows.values() if isinstance(row, JobRow) and (key := gang_key_of(row))}
    assert gangs
    for gang in gangs:
        sizes = fold.state.gang_sizes(gang)
        # The sizes that were kept in memory step by step, and those counted anew.
        assert tenure.view.gang_sizes(gang) == PartitionState(tenure.store).gang_sizes(gang) == sizes
        for generation in sizes:
            for limit in (1, 100):
                wanted = fold.state.gang_members(gang, generation, limit)
                assert tenure.view.gang_members(gang, generation, limit) == wanted
    letters = [decode_as(DeadLetter, value) for value in tenure.log.values(DEAD_LETTERS)]
    assert [(letter.offset, letter.item, letter.reason) for letter in letters] == fold.letters
    assert tenure.log.transactions < 400
    assert fold.letters
    assert fold.state.ids


async def test_an_undecodable_command_is_refused_and_dead_lettered_and_the_step_goes_on(tenure: MemoryTenure) -> None:
    tenure.feed(b"no command", NOW_MS)
    tenure.feed(EPOCH, NOW_MS)
    await tenure.step(decide, LIMITS)
    first, second = (decode(value) for value in tenure.log.values(EVENTS))
    assert isinstance(first, EventsRecord)
    assert isinstance(second, EventsRecord)
    assert first.outcome is not None
    assert [(refusal.index, refusal.code) for refusal in first.outcome.refusals] == [(-1, ErrorCode.INVALID)]
    assert (first.offset, first.command, first.count, first.last) == (0, "", 0, True)
    assert (second.offset, second.command) == (1, "BeginEpoch")
    [letter] = [decode(value) for value in tenure.log.values(DEAD_LETTERS)]
    assert isinstance(letter, DeadLetter)
    assert (letter.topic, letter.offset, letter.reason, letter.body) == (
        "argosy.commands",
        0,
        "UNDECODABLE",
        b"no command",
    )
    assert tenure.position == PositionRow(offset=1, epoch=3, log_time_ms=NOW_MS, settings_version=0)


async def test_an_unknown_schema_stops_the_partition_after_what_came_before_it_is_committed(
    tenure: MemoryTenure,
) -> None:
    tenure.feed(EPOCH, NOW_MS)
    tenure.feed(b"\0\x00\x00\xff\xff" + b"from the future", NOW_MS)
    tenure.feed(EPOCH, NOW_MS)
    step = await tenure.step(decide, LIMITS)
    assert step.committed
    assert tenure.position.offset == 0
    assert quarantine_of(tenure) is None
    await tenure.step(decide, LIMITS)
    assert (quarantine_of(tenure) or "").startswith("command 1: UnknownSchema: schema id 65535")
    assert tenure.log.transactions == 1
    assert not tenure.live


async def test_a_record_that_is_no_command_stops_the_partition(tenure: MemoryTenure) -> None:
    tenure.feed(encode(PositionRow(offset=1, epoch=1, log_time_ms=1, settings_version=1)), NOW_MS)
    await tenure.step(decide, LIMITS)
    assert tenure.quarantined == "command 0: UnknownCommandError: a PositionRow is no command"


async def test_a_value_that_cannot_be_encoded_quarantines_the_partition_and_nothing_is_written(
    tenure: MemoryTenure,
) -> None:
    def decide_badly(*args: object) -> Decision:
        decision = decide(*args)  # type: ignore[arg-type]  # the arguments of decide
        decision.reported = ["not bytes"]  # type: ignore[list-item]  # on purpose
        return decision

    tenure.feed(EPOCH, NOW_MS)
    await tenure.step(decide_badly, LIMITS)
    assert tenure.quarantined is not None
    assert "Unencodable" in tenure.quarantined
    assert tenure.log.transactions == 0
    assert tenure.position.offset == -1


async def test_a_step_is_bounded_by_records_bytes_items_and_time(tenure: MemoryTenure) -> None:
    async def records(limits: StepLimits) -> int:
        before = tenure.position.offset
        await tenure.step(decide, limits)
        return tenure.position.offset - before

    for _ in range(12):
        tenure.feed(EPOCH, NOW_MS)
    assert await records(StepLimits(records=3)) == 3
    assert await records(StepLimits(bytes=len(EPOCH) + 1)) == 2
    assert await records(StepLimits(items=4)) == 4
    assert await records(StepLimits(seconds=0.0)) == 1
    assert await records(StepLimits()) == 2


async def test_log_time_never_goes_back(tenure: MemoryTenure) -> None:
    for timestamp_ms in (NOW_MS, NOW_MS - 500, NOW_MS + 1):
        tenure.feed(EPOCH, timestamp_ms)
    await tenure.step(decide, LIMITS)
    times = [decode(value).log_time_ms for value in tenure.log.values(EVENTS)]  # type: ignore[attr-defined]
    assert times == [NOW_MS, NOW_MS, NOW_MS + 1]
    assert tenure.position.log_time_ms == NOW_MS + 1


async def test_what_was_done_becomes_figures(tenure: MemoryTenure) -> None:
    tenure.feed(encode(CreateQueues(principal=CHIEF, queues=(QueueSpec(name="a"), QueueSpec(name="a")))), NOW_MS)
    tenure.feed(b"", NOW_MS)
    tenure.feed(encode(ReportRuns(reports=())), NOW_MS)
    await tenure.step(decide, LIMITS)
    registry: CollectorRegistry = tenure.metrics.registry

    def figure(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"partition": "0", **labels})

    assert figure("argosy_queue_steps_total") == 1
    assert figure("argosy_queue_commands_total") == 3
    assert figure("argosy_queue_items_total") == 4
    assert figure("argosy_queue_refused_total", code="CONFLICT") == 1
    assert figure("argosy_queue_refused_total", code="INVALID") == 1
    assert figure("argosy_queue_dead_letters_total", reason="UNDECODABLE") == 1
    assert figure("argosy_queue_position") == 2


async def test_open_operations_are_known_after_a_restart_and_move_on_with_any_command(tenure: MemoryTenure) -> None:
    load = Load(1, 1)
    for value in load.big_cancel(load.parts[0], 2_500):
        tenure.feed(value, NOW_MS)
    await tenure.all_steps(decide, random.Random(1))
    [(offset, row)] = tenure.view.operations()
    assert tenure.view.busy
    assert row.total == 1_000
    tenure.reopen()
    assert tenure.view.operations() == [(offset, row)]
    for want in (2_000, 2_500):
        tenure.feed(encode(Continue()), NOW_MS)
        await tenure.step(decide, LIMITS)
        last = decode(tenure.log.values(EVENTS)[-1])
        assert isinstance(last, EventsRecord)
        assert [(progress.operation, progress.total) for progress in last.operations] == [(offset, want)]
    assert not tenure.view.busy


ids = st.binary(min_size=16, max_size=16)
job_rows = st.builds(
    JobRow,
    head=st.binary(min_size=116, max_size=116),
    queue=st.text(max_size=80),
    incarnation=st.integers(0, 2**62),
    job_set=st.text(max_size=200),
    cluster=st.text(max_size=5),
)


@given(job_rows, ids)
def test_the_index_entry_is_cut_out_of_the_stored_row(row: JobRow, job_id: bytes) -> None:
    want = set_prefix(row.incarnation, row.job_set.encode()) + job_id
    assert entries_of(b"j" + job_id, encode(row)) == (want,)
    assert entries_of(b"r" + job_id, encode(row)) == ()


gangs = st.builds(
    JobGang,
    gang_id=st.text(max_size=100),
    cardinality=st.integers(2, 10_000),
    uniformity_label=st.none() | st.text(max_size=20),
    fail_fast=st.booleans(),
    priority_class=st.text(max_size=20),
    generation=st.integers(0, 2**31),
)


@given(job_rows, gangs, ids)
def test_a_member_of_a_gang_has_an_entry_for_its_gang_too(row: JobRow, gang: JobGang, job_id: bytes) -> None:
    head = JobHead._make(JOB_HEAD.unpack(row.head))
    head = head._replace(flags=head.flags | FLAG_GANG | FLAG_MORE)
    row = replace(row, head=JOB_HEAD.pack(*head), more=JobMore(gang=gang))
    of_set = set_prefix(row.incarnation, row.job_set.encode()) + job_id
    key = GangKey(row.incarnation, gang.gang_id)
    of_gang = gang_prefix(key) + gang.generation.to_bytes(4, "big") + job_id
    assert entries_of(b"j" + job_id, encode(row)) == (of_set, of_gang)
