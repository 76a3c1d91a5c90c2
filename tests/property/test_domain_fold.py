"""Properties of deciding over seeded logs: the same log gives the same events and rows, however it is cut, and rows
survive recovery."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from app.domain.apply import apply, head_of
from app.domain.changes import Change
from app.domain.commands import Command, LeaseJobs, PreemptJobs
from app.domain.decide import Decision, decide
from app.domain.events import Event, EventsRecord, StopReason
from app.domain.lifecycle import ENDED, STATES, TRANSITIONS, EventKind, JobState
from app.domain.memory import MemoryState
from app.domain.records import records_of
from app.domain.rows import FLAG_PREEMPTIBLE, POSITION_KEY, JobGang, JobRow
from app.domain.state import GangKey, Overlay
from app.log.codec import Undecodable, decode, decode_events, encode, encode_events
from tests.faults.load import POISON_JOB_SET, Load

COMMANDS = 600
PARTITIONS = 2


@dataclass
class Fold:
    """What came of one partition's log."""

    state: MemoryState = field(default_factory=MemoryState)
    records: list[EventsRecord] = field(default_factory=list)
    changes: list[tuple[int, int, list[Change]]] = field(default_factory=list)


def commands_of(seed: int) -> list[tuple[int, Command]]:
    """A log: (partition, command) in order; what is not a command or raises is left out, as it changes nothing."""
    load = Load(seed, PARTITIONS)
    found: list[tuple[int, Command]] = []
    for _ in range(COMMANDS):
        partition, value = load.next()
        try:
            command = decode(value)
        except Undecodable:
            continue
        if getattr(command, "job_set", None) != POISON_JOB_SET:
            assert isinstance(command, Command)
            found.append((partition, command))
    return found


def fold(commands: list[tuple[int, Command]], step: int) -> dict[int, Fold]:
    """Decides every partition's commands in steps of `step`."""
    folds = {partition: Fold() for partition in range(PARTITIONS)}
    for partition, result in folds.items():
        mine = [command for at, command in commands if at == partition]
        for start in range(0, len(mine), step):
            overlay = Overlay(result.state)
            some = list(enumerate(mine))[start : start + step]
            for offset, command in some:
                decision = decide(overlay, command, partition, offset, log_time_ms(offset))
                overlay.keep()
                result.changes.append((offset, log_time_ms(offset), decision.changes))
                result.records += records_of(
                    decision,
                    offset=offset,
                    log_time_ms=log_time_ms(offset),
                    command=type(command).__name__,
                    encode_events=encode_events,
                )
            result.state.commit(overlay, some[-1][0], log_time_ms(some[-1][0]))
    return folds


def log_time_ms(offset: int) -> int:
    return 1_790_000_000_000 + 50 * offset


def digest(folds: dict[int, Fold]) -> str:
    """Of all events and rows, in a canonical order."""
    whole = sha256()
    for partition in sorted(folds):
        for record in folds[partition].records:
            whole.update(encode(record))
        for key, row in sorted(folds[partition].state.rows.items()):
            whole.update(key + encode(row))
        for key, id_row in sorted(folds[partition].state.ids.items()):
            whole.update(key + encode(id_row))
    return whole.hexdigest()


@pytest.mark.parametrize("seed", range(6))
def test_cuts_of_the_log_into_steps_do_not_matter(seed: int) -> None:
    commands = commands_of(seed)
    one = digest(fold(commands, 1))
    assert one == digest(fold(commands, 7)) == digest(fold(commands, COMMANDS))


def test_the_hash_seed_of_the_process_does_not_matter() -> None:
    code = "from tests.property.test_domain_fold import *; print(digest(fold(commands_of(3), 5)))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(digests) == 1
    assert digests.pop().strip()


@pytest.mark.parametrize("seed", range(6))
def test_applying_the_decided_changes_again_gives_the_same_rows(seed: int) -> None:
    for result in fold(commands_of(seed), 5).values():
        again = MemoryState()
        for offset, time_ms, changes in result.changes:
            overlay = Overlay(again)
            for change in changes:
                apply(overlay, change, offset, time_ms)
            overlay.keep()
            again.commit(overlay, offset, time_ms)
        assert again.rows == result.state.rows
        assert again.ids == result.state.ids


@pytest.mark.parametrize("seed", range(6))
def test_rows_and_events_survive_the_log(seed: int) -> None:
    for result in fold(commands_of(seed), 5).values():
        for row in (*result.state.rows.values(), *result.state.ids.values()):
            assert decode(encode(row)) == row
        for record in result.records:
            assert decode(encode(record)) == record


@pytest.mark.parametrize("seed", range(6))
def test_every_job_goes_a_legal_way_and_ends_at_most_once(seed: int) -> None:
    for result in fold(commands_of(seed), 5).values():
        state: dict[bytes, JobState] = {}
        ended: set[bytes] = set()
        attempts: dict[bytes, int] = {}
        for event in events_of(result.records):
            assert event.job_id not in ended, "nothing follows a terminal event"
            assert event.before == state.get(event.job_id)
            assert TRANSITIONS[event.kind][event.before] == event.after
            assert event.attempt >= attempts.get(event.job_id, 0)
            state[event.job_id], attempts[event.job_id] = event.after, event.attempt
            if event.terminal:
                assert event.after in ENDED
                ended.add(event.job_id)
        live = {key[1:] for key in result.state.rows if key[:1] == b"j"}
        assert live == state.keys() - ended
        assert ended, "the load ends jobs"


@pytest.mark.parametrize("seed", range(6))
def test_positions_are_unique_ordered_and_without_holes(seed: int) -> None:
    for result in fold(commands_of(seed), 5).values():
        expected_offset, expected_ordinal = 0, 0
        for record in result.records:
            assert (record.offset, record.first_ordinal) == (expected_offset, expected_ordinal)
            ordinals = [event.ordinal for block in record.blocks for event in decode_events(block.body)]
            ordinals += [stop.ordinal for stop in record.stops]
            assert sorted(ordinals) == list(range(record.first_ordinal, record.first_ordinal + record.count))
            assert (record.outcome is not None) == record.last
            if record.last:
                expected_offset, expected_ordinal = record.offset + 1, 0
            else:
                expected_ordinal += record.count


@pytest.mark.parametrize("seed", range(6))
def test_a_refused_command_changes_nothing_but_what_time_changes(seed: int) -> None:
    commands = commands_of(seed)
    refused = 0
    for partition in range(PARTITIONS):
        state = MemoryState()
        for offset, command in enumerate(command for at, command in commands if at == partition):
            overlay = Overlay(state)
            decision = decide(overlay, command, partition, offset, log_time_ms(offset))
            overlay.keep()
            if any(refusal.index == -1 for refusal in decision.outcome.refusals):
                refused += 1
                kinds = {type(change).__name__ for change in decision.changes}
                if not decision.operations:
                    assert kinds <= {"IdForgotten"}
                    assert not decision.events
                    assert overlay.changed == {}
            state.commit(overlay, offset, log_time_ms(offset))
    assert refused > 10


@pytest.mark.parametrize("seed", range(3))
def test_a_stopping_run_holds_its_row_until_its_last_word(seed: int) -> None:
    for result in fold(commands_of(seed), 5).values():
        stopping: set[bytes] = set()
        for record in result.records:
            for stop in record.stops:
                if stop.gone:
                    stopping.discard(stop.run_id)
                else:
                    assert stop.run_id not in stopping
                    stopping.add(stop.run_id)
        assert {key[1:] for key in result.state.rows if key[:1] == b"r"} == stopping


@pytest.mark.parametrize("seed", range(6))
def test_a_live_job_has_the_priority_that_was_said_of_it_last(seed: int) -> None:
    changed = 0
    for result in fold(commands_of(seed), 5).values():
        said: dict[bytes, int | None] = {}
        asked: Event | None = None
        for event in events_of(result.records):
            if event.kind is EventKind.SUBMITTED:
                said[event.job_id] = event.priority
            elif event.kind is EventKind.REPRIORITIZING:
                asked = event
            elif event.kind is EventKind.REPRIORITIZED:
                assert asked is not None
                assert (event.job_id, event.priority, event.requestor) == (asked.job_id, asked.priority, "chief")
                said[event.job_id] = event.priority
                changed += 1
        rows = {key[1:]: row for key, row in result.state.rows.items() if isinstance(row, JobRow)}
        assert {job_id: head_of(row).priority for job_id, row in rows.items()} == {job: said[job] for job in rows}
    assert changed > 10


def test_who_preempts_on_request_ends_whole_gangs_that_may_be_preempted() -> None:
    requested = of_gangs = 0
    for partition, commands in (each for seed in range(10) for each in by_partition(commands_of(seed)).items()):
        state = MemoryState()
        for command, decision, before in decided(state, partition, commands):
            if isinstance(command, PreemptJobs):
                ended = [event for _, event in decision.events if event.kind is EventKind.PREEMPTED]
                requested += sum(event.reason_code == "RequestedPreemption" for event in ended)
                gangs = {before[event.job_id] for event in ended if event.job_id in before}
                of_gangs += len(gangs)
                left = [row for _, row in member_rows(state) if (row.incarnation, gang_of(row)) in gangs]
                assert not any(head_of(row).flags & FLAG_PREEMPTIBLE for row in left)
    assert requested > 30
    assert of_gangs > 3


@pytest.mark.parametrize("seed", range(6))
def test_live_members_of_a_generation_wait_together_or_run_together(seed: int) -> None:
    """And the index of gangs says what the rows say, and no generation has more members than its gang."""
    started = restarted = 0
    for partition, commands in by_partition(commands_of(seed)).items():
        state = MemoryState()
        for offset, command in enumerate(commands):
            overlay = Overlay(state)
            decision = decide(overlay, command, partition, offset, log_time_ms(offset))
            overlay.keep()
            touched = set(overlay.moved_gangs)
            state.commit(overlay, offset, log_time_ms(offset))
            members = members_of(state)
            for gang in touched | {key for key, _ in members}:
                sizes = {generation: len(rows) for (key, generation), rows in members.items() if key == gang}
                assert state.gang_sizes(gang) == sizes
            for rows in members.values():
                assert len({STATES[head_of(row).state] is JobState.QUEUED for row in rows}) == 1
                assert len({gang_of(row) for row in rows}) == 1
                assert len(rows) <= gang_of(rows[0]).cardinality
            leased = [gang_of(row).gang_id for row in leased_members(state, decision)]
            started += len(set(leased))
            restarted += any(stop.reason is StopReason.RESTARTED for stop in decision.stops)
    assert started > 10
    assert restarted > 0


@pytest.mark.parametrize("seed", range(6))
def test_leases_of_a_gang_are_accepted_for_all_members_or_for_none(seed: int) -> None:
    whole = refused = 0
    for partition, commands in by_partition(commands_of(seed)).items():
        state = MemoryState()
        for command, decision, before in decided(state, partition, commands):
            if not isinstance(command, LeaseJobs):
                continue
            asked = Counter(before[lease.job_id] for lease in command.leases if lease.job_id in before)
            given = Counter(before[lease.job_id] for lease in decision.leases if lease.job_id in before)
            for gang in asked:
                assert given[gang] in (0, gang[1].cardinality)
                whole += given[gang] > 0
                refused += given[gang] == 0
    assert whole > 10
    assert refused > 0


def decided(
    state: MemoryState, partition: int, commands: list[Command]
) -> Iterator[tuple[Command, Decision, dict[bytes, tuple[int, JobGang]]]]:
    """Each command, its decision, which is in the state now, and of which gang (with the incarnation of its queue) each
    member was before."""
    for offset, command in enumerate(commands):
        before = {job_id: (row.incarnation, gang_of(row)) for job_id, row in member_rows(state)}
        overlay = Overlay(state)
        decision = decide(overlay, command, partition, offset, log_time_ms(offset))
        overlay.keep()
        state.commit(overlay, offset, log_time_ms(offset))
        yield command, decision, before


def by_partition(commands: list[tuple[int, Command]]) -> dict[int, list[Command]]:
    return {partition: [command for at, command in commands if at == partition] for partition in range(PARTITIONS)}


def member_rows(state: MemoryState) -> list[tuple[bytes, JobRow]]:
    """Live members of gangs: job id, row."""
    return [
        (key[1:], row)
        for key, row in state.rows.items()
        if isinstance(row, JobRow) and row.more is not None and row.more.gang is not None
    ]


def members_of(state: MemoryState) -> dict[tuple[GangKey, int], list[JobRow]]:
    """Gang and generation -> rows of its live members."""
    found: dict[tuple[GangKey, int], list[JobRow]] = {}
    for _, row in member_rows(state):
        gang = gang_of(row)
        found.setdefault((GangKey(row.incarnation, gang.gang_id), gang.generation), []).append(row)
    return found


def gang_of(row: JobRow) -> JobGang:
    assert row.more is not None
    assert row.more.gang is not None
    return row.more.gang


def leased_members(state: MemoryState, decision: Decision) -> list[JobRow]:
    leased = {lease.job_id for lease in decision.leases}
    return [row for job_id, row in member_rows(state) if job_id in leased]


def events_of(records: list[EventsRecord]) -> list[Event]:
    events = []
    for record in records:
        some = [event for block in record.blocks for event in decode_events(block.body)]
        events += sorted(some, key=lambda event: event.ordinal)
    return events


def test_the_position_row_is_written_by_every_step() -> None:
    for result in fold(commands_of(1), 5).values():
        assert POSITION_KEY in result.state.rows
