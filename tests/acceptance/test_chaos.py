"""10,000 jobs through the real stack while every component is killed (-9) at least twice with work in flight: what
clients saw, what ran, what the tables hold and what the log says agree with each other and with the seed.

The seed is printed; ARGOSY_SEED=n repeats a run's plan. Each test below is one thing that must hold afterwards.
"""

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.ids import format_id
from app.domain.lifecycle import EventKind, JobState, after
from tests.acceptance.aftermath import Aftermath, JobStory, folded_content, gather, settle
from tests.acceptance.chaos import IN_FLIGHT_MIN, REASON_BY_ID, REASON_WITH_SET, Chaos
from tests.acceptance.fold import Cancelling
from tests.acceptance.workload import NO_IMAGE, PRIORITY_CLASSES, Cancel, End, PlannedJob, Workload
from tests.stack.directory import stack_directory
from tests.stack.whole_stack import fake_cluster, running_stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

SETTINGS = {
    "kafka": {"partitions": 4, "replication": 1},
    "scheduler": {"priority_classes": PRIORITY_CLASSES},
    # Room for a few hundred jobs at a time: after each outage there is more to run than fits.
    "clusters": {name: fake_cluster(20, cpu="16", memory="64Gi") for name in ("alpha", "bravo", "charlie")},
}
KILLS_EACH = 2
POD_LOST = End("FAILED", None, "PodLost")
LEFT = (EventKind.LEASE_RETURNED, EventKind.LEASE_EXPIRED)
KILL_TAKES_MS = 1_000
"""at most, on a busy machine"""


@pytest.fixture(scope="module")
def aftermath(request: pytest.FixtureRequest) -> Aftermath:
    seed = int(os.environ.get("ARGOSY_SEED") or secrets.randbits(32))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\nchaos: ARGOSY_SEED={seed}", flush=True)
    workload, begun_at = Workload(seed), time.monotonic()
    with stack_directory("chaos") as directory, running_stack(directory, SETTINGS) as stack:
        took = {"start": time.monotonic() - begun_at}
        chaos = Chaos(stack, workload, seed, stack.components())

        async def everything() -> Aftermath:
            await chaos.run()
            took["run"] = chaos.elapsed_s()
            await settle(stack)
            took["settle"] = chaos.elapsed_s() - took["run"]
            return await gather(stack, workload, chaos, took)

        found = asyncio.run(everything())
        with capture.global_and_fixture_disabled():
            print(f"chaos: {summary(found)}", flush=True)
    return found


def summary(found: Aftermath) -> str:
    """One line about what happened."""
    chaos, states = found.chaos, Counter(row["state"].value for row in found.fold.jobs.values())
    drops = Counter(why.split(" ")[0] for each in chaos.subscribers.values() for why in each.resumed_for)
    return (
        f"{len(chaos.kills)} kills in {chaos.kills[-1].at_s:.0f} s with {min(k.in_flight for k in chaos.kills)} to "
        f"{max(k.in_flight for k in chaos.kills)} jobs in flight; {dict(states)}; {chaos.told.retries} calls sent "
        f"again; streams taken up again for {dict(drops)}; {sum(found.fold.commands.values())} commands, "
        f"{sum(map(len, found.fold.events.values()))} events; "
        + ", ".join(f"{part} {seconds:.0f} s" for part, seconds in found.took.items())
    )


def test_everything_was_killed_twice_with_work_in_flight_and_came_back(aftermath: Aftermath) -> None:
    killed = Counter(kill.name for kill in aftermath.chaos.kills)
    kinds = ("api", "queue-agent-0", "scheduler-0", "scheduler-1", "executor-alpha", "executor-bravo")
    assert set(kinds) < set(killed)
    assert sum(name.startswith("views-") for name in killed) >= 4
    assert all(count >= KILLS_EACH for count in killed.values())
    assert all(kill.in_flight >= IN_FLIGHT_MIN // 2 for kill in aftermath.chaos.kills)
    assert all(aftermath.restarts[name] >= count for name, count in killed.items())
    assert aftermath.restarts["kafka"] == aftermath.restarts["postgres"] == 0


def test_every_job_of_the_plan_was_accepted_once_under_the_id_that_its_client_knows(aftermath: Aftermath) -> None:
    planned = aftermath.planned
    assert len(planned) == sum(len(job_set.jobs) for job_set in aftermath.workload.job_sets)
    assert set(planned) == set(aftermath.stories)
    for job_set in aftermath.workload.job_sets:
        for job in job_set.jobs:
            story = aftermath.stories[job.job_id]
            assert (story.queue, story.job_set) == (job_set.queue, job_set.name)


def test_a_repeated_call_gets_the_first_answer(aftermath: Aftermath) -> None:
    assert aftermath.chaos.told.repeated > 0
    assert aftermath.chaos.told.retries > 0
    assert aftermath.chaos.told.changed_answers == []
    assert aftermath.chaos.told.refusals == []


def test_each_subscriber_saw_each_position_exactly_once_and_in_order(aftermath: Aftermath) -> None:
    for (_, _, name), events in aftermath.fold.events.items():
        faithful, late = aftermath.chaos.subscribers[name], aftermath.late[name]
        assert len(faithful.resumed_for) >= 2, f"the stream of {name} was never broken"
        assert late.caught_up
        wanted = [f"{partition}-{offset}-{event.ordinal}" for partition, offset, _, event in events]
        for subscriber in (faithful, late):
            seen = [event["id"] for event in subscriber.events]
            assert seen == wanted, difference(dict(enumerate(seen)), dict(enumerate(wanted)))
            for told, (_, _, _, event) in zip(subscriber.events, events, strict=True):
                assert (told["kind"], told["terminal"]) == (event.kind.value, event.terminal)


def test_every_jobs_sequence_is_legal_and_ends_with_exactly_one_terminal_event(aftermath: Aftermath) -> None:
    states: dict[str, JobState | None] = {}
    ended: set[str] = set()
    for subscriber in aftermath.chaos.subscribers.values():
        for event in subscriber.events:
            job_id = event["jobId"]
            assert job_id not in ended, f"{event['kind']} of {job_id} after its terminal event"
            states[job_id] = after(EventKind(event["kind"]), states.get(job_id))
            if event["terminal"]:
                ended.add(job_id)
    assert ended == set(aftermath.planned)
    assert not set(states.values()) & {JobState.QUEUED, JobState.LEASED, JobState.PENDING, JobState.RUNNING}


def test_each_job_ended_as_the_seed_prescribes(aftermath: Aftermath) -> None:
    wrong = {}
    for job_id, planned in aftermath.planned.items():
        wrong[job_id] = why_not_as_prescribed(planned, aftermath.stories[job_id], aftermath)
    assert {job_id: why for job_id, why in wrong.items() if why} == {}
    states = Counter(story.end.after for story in aftermath.stories.values())
    assert min(states[state] for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)) > 100


def why_not_as_prescribed(planned: PlannedJob, story: JobStory, aftermath: Aftermath) -> str:
    """Empty when it is. A job is cancelled exactly when a cancel of it, or of its older set, came before its end."""
    end = story.end
    naming = [cancel for cancel in aftermath.fold.cancels if names(cancel, story)]
    if planned.cancel is Cancel.NEVER and naming:
        return "cancelled by nobody's plan"
    if planned.cancel is Cancel.WITH_SET and not naming:
        return "the cancel of its set is not in the log"
    before_end = [cancel for cancel in naming if cancel.offset <= story.end_offset]
    if not before_end:
        found = End(end.after.value, end.exit_code, end.reason_code)
        as_planned = found == planned.end or (planned.end == NO_IMAGE and found == POD_LOST and lost(story, aftermath))
        excused = as_planned or was_preempted(planned, story) or lost_its_gang(planned, story)
        return "" if excused else f"{found}, not {planned.end}"
    first = before_end[0]
    if end.after is not JobState.CANCELLED or story.end_offset != first.offset:
        return f"{end.after} at {story.end_offset} although cancelled at {first.offset}"
    reason = REASON_BY_ID if planned.cancel is Cancel.BY_ID else REASON_WITH_SET
    return "" if (end.reason, end.requestor) == (reason, "anonymous") else f"reason {end.reason} of {end.requestor}"


def was_preempted(planned: PlannedJob, story: JobStory) -> bool:
    """More urgent jobs, or queues below their share, may take the room of preemptible ones."""
    kinds = [event.kind for _, _, event in story.events[-3:]]
    in_order = kinds == [EventKind.PREEMPTING, EventKind.PREEMPTED, EventKind.FAILED]
    return planned.is_preemptible and in_order and story.end.after is JobState.PREEMPTED


def lost_its_gang(planned: PlannedJob, story: JobStory) -> bool:
    """A member whose run was returned fails: at once, or because another one has ended."""
    left = any(event.kind in LEFT for _, _, event in story.events)
    return planned.gang is not None and left and story.end.reason_code in ("GangMemberLost", "GangIncomplete")


def lost(story: JobStory, aftermath: Aftermath) -> bool:
    """A pod in trouble is deleted first and reported after: whether its executor was killed in between, so that nobody
    knows any more why it is gone."""
    end = story.end
    assert end.run_id is not None
    deleted_ms = aftermath.pods[format_id(end.run_id)].deleted
    kills = [kill.time_ms for kill in aftermath.chaos.kills if kill.name == f"executor-{end.cluster}"]
    return any(deleted_ms - KILL_TAKES_MS <= time_ms <= story.end_ms for time_ms in kills)


def names(cancel: Cancelling, story: JobStory) -> bool:
    """Whether it is of this job: by id, or of its set and younger than it."""
    if cancel.partition != story.partition or cancel.offset < story.submitted_offset:
        return False
    return cancel.job_set == (story.queue, story.job_set) or story.end.job_id in cancel.jobs


def test_gangs_start_as_a_whole_or_not_at_all(aftermath: Aftermath) -> None:
    members: dict[str, list[str]] = {}
    for job_id, planned in aftermath.planned.items():
        if planned.gang is not None:
            members.setdefault(planned.gang, []).append(job_id)
    starts = 0
    for jobs in members.values():
        leased: dict[int, set[str]] = {}
        for job_id in jobs:
            for offset, _, event in aftermath.stories[job_id].events:
                if event.kind is EventKind.LEASED:
                    leased.setdefault(offset, set()).add(job_id)
        assert all(together == set(jobs) for together in leased.values())
        starts += len(leased)
    assert starts > 20


def test_what_clients_were_told_of_cancellations_is_true(aftermath: Aftermath) -> None:
    told = aftermath.chaos.told
    states = {job_id: story.end.after for job_id, story in aftermath.stories.items()}
    assert told.cancelled
    assert {states[job_id] for job_id in told.cancelled} == {JobState.CANCELLED}
    by_id = {job_id for job_id, job in aftermath.planned.items() if job.cancel is Cancel.BY_ID}
    assert told.cancelled | told.not_cancelled == by_id
    # One whose answer was lost was cancelled all the same.
    survivors = {job_id for job_id in by_id if states[job_id] is not JobState.CANCELLED}
    assert survivors <= told.not_cancelled


def test_no_job_ran_in_two_pods_at_once_and_no_node_held_more_than_it_has(aftermath: Aftermath) -> None:
    assert aftermath.journal_faults == []
    # Nor did anybody try to: a node that is full refuses a pod at admission.
    assert {life.run_id: life.refused for life in aftermath.pods.values() if life.refused} == {}
    assert len(aftermath.pods) > len(aftermath.planned) // 2


def test_nothing_is_left_over(aftermath: Aftermath) -> None:
    assert aftermath.fold.unfinished_runs == 0
    assert aftermath.tables["live_jobs"] == set()


@pytest.mark.parametrize(
    "table", ["jobs", "runs", "errors", "job_sets", "events", "leases", "live_jobs", "specs", "queues"]
)
def test_the_tables_equal_an_independent_fold_of_the_commands(aftermath: Aftermath, table: str) -> None:
    found, wanted = aftermath.tables[table], folded_content(aftermath.fold)[table]
    if isinstance(found, list):
        found, wanted = dict(enumerate(found)), dict(enumerate(wanted))
    elif isinstance(found, set):
        found, wanted = dict.fromkeys(found), dict.fromkeys(wanted)
    assert found == wanted, difference(found, wanted)


def difference(found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> str:
    """The first thing that differs, in one line."""
    for key in [*wanted, *found]:
        one, other = found.get(key, "nothing"), wanted.get(key, "nothing")
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            names = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
            one, other = {name: one.get(name) for name in names}, {name: other.get(name) for name in names}
        return f"{len(found)} and {len(wanted)} entries; {key!r}: found {one!r}, wanted {other!r}"[:2_000]
    return "nothing differs"
