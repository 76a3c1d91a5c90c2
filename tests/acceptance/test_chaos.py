"""10,000 jobs through the real stack while every component is killed (-9) at least twice with work in flight: what
clients saw, what ran, what the tables hold and what the log says agree with each other and with the seed.

The seed is printed; ARGOSY_SEED=n repeats a run's plan. Each test below is one thing that must hold afterwards.
"""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.lifecycle import EventKind, JobState, after
from tests.acceptance.aftermath import Aftermath, JobStory, folded_content, gather, settle
from tests.acceptance.chaos import IN_FLIGHT_MIN, REASON_BY_ID, REASON_WITH_SET, Chaos
from tests.acceptance.fold import Cancelling
from tests.acceptance.workload import Cancel, End, PlannedJob, Workload
from tests.stack.directory import stack_directory
from tests.stack.whole_stack import fake_cluster, running_stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

SETTINGS = {
    "kafka": {"partitions": 4, "replication": 1},
    # Room for a few hundred jobs at a time: after each outage there is more to run than fits.
    "clusters": {name: fake_cluster(20, cpu="16", memory="64Gi") for name in ("alpha", "bravo", "charlie")},
}
KILLS_EACH = 2


@pytest.fixture(scope="module")
def aftermath(request: pytest.FixtureRequest) -> Aftermath:
    seed = int(os.environ.get("ARGOSY_SEED") or secrets.randbits(32))
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\nchaos: ARGOSY_SEED={seed}", flush=True)
    workload = Workload(seed)
    with stack_directory("chaos") as directory, running_stack(directory, SETTINGS) as stack:
        chaos = Chaos(stack, workload, seed, stack.components())

        async def everything() -> Aftermath:
            await chaos.run()
            await settle(stack)
            return await gather(stack, workload, chaos)

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
        f"{sum(map(len, found.fold.events.values()))} events"
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
        subscriber = aftermath.chaos.subscribers[name]
        assert len(subscriber.resumed_for) >= 2, f"the stream of {name} was never broken"
        seen = [event["id"] for event in subscriber.events]
        wanted = [f"{partition}-{offset}-{event.ordinal}" for partition, offset, _, event in events]
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
        wrong[job_id] = why_not_as_prescribed(planned, aftermath.stories[job_id], aftermath.fold.cancels)
    assert {job_id: why for job_id, why in wrong.items() if why} == {}
    states = Counter(story.end[1].after for story in aftermath.stories.values())
    assert min(states[state] for state in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)) > 100


def why_not_as_prescribed(planned: PlannedJob, story: JobStory, cancels: list[Cancelling]) -> str:
    """ "" when it is. A job is cancelled exactly when a cancel that names it, or its older set, came before its end."""
    offset, end = story.end
    naming = [cancel for cancel in cancels if names(cancel, story) and cancel.offset > story.submitted_offset]
    if planned.cancel is Cancel.NEVER and naming:
        return "cancelled by nobody's plan"
    if planned.cancel is Cancel.WITH_SET and not naming:
        return "the cancel of its set is not in the log"
    before_end = [cancel for cancel in naming if cancel.offset <= offset]
    if not before_end:
        found = End(end.after.value, end.exit_code, end.reason_code)
        return "" if found == planned.end else f"{found}, not {planned.end}"
    first = before_end[0]
    if end.after is not JobState.CANCELLED or offset != first.offset:
        return f"{end.after} at {offset} although cancelled at {first.offset}"
    reason = REASON_BY_ID if planned.cancel is Cancel.BY_ID else REASON_WITH_SET
    return "" if (end.reason, end.requestor) == (reason, "anonymous") else f"reason {end.reason} of {end.requestor}"


def names(cancel: Cancelling, story: JobStory) -> bool:
    if cancel.partition != story.partition:
        return False
    return cancel.job_set == (story.queue, story.job_set) or story.events[0][1].job_id in cancel.jobs


def test_what_clients_were_told_of_cancellations_is_true(aftermath: Aftermath) -> None:
    told = aftermath.chaos.told
    states = {job_id: story.end[1].after for job_id, story in aftermath.stories.items()}
    assert told.cancelled
    assert {states[job_id] for job_id in told.cancelled} == {JobState.CANCELLED}
    by_id = {job_id for job_id, job in aftermath.planned.items() if job.cancel is Cancel.BY_ID}
    assert told.cancelled | told.not_cancelled == by_id
    # One whose answer was lost was cancelled all the same.
    survivors = {job_id for job_id in by_id if states[job_id] is not JobState.CANCELLED}
    assert survivors <= told.not_cancelled


def test_no_job_ran_in_two_pods_at_once_and_no_node_held_more_than_it_has(aftermath: Aftermath) -> None:
    assert aftermath.journal_faults == []


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
