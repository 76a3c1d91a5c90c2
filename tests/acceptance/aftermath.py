"""What is left after a chaos run, gathered once: what was told, the fold of the log, the tables, the journals.

Inputs: a stack that still runs, the finished `Chaos`. Output: `Aftermath`, plain data for the checks.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from app.domain.events import Event
from app.domain.ids import format_id
from app.executor.fake_cluster.lives import check_journals, read_journal
from app.executor.fake_cluster.records import PodLife
from tests.acceptance.chaos import Chaos
from tests.acceptance.fold import Fold, Row, fold_commands
from tests.acceptance.tables import Tables
from tests.acceptance.workload import PlannedJob, Workload
from tests.stack.graphql_client import GraphqlClient, Subscriber
from tests.stack.whole_stack import WholeStack, eventually

SETTLE_S = 100.0
"""A run that was stopped before its executor had created a pod is gone for certain only after 30 s."""
SETTLE_POLL_S = 0.25
API_READY_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStory:
    """A job in the log. events: (offset, log time, event) in order."""

    partition: int
    queue: str
    job_set: str
    events: list[tuple[int, int, Event]]

    @property
    def submitted_offset(self) -> int:
        return self.events[0][0]

    @property
    def end_offset(self) -> int:
        return self.events[-1][0]

    @property
    def end_ms(self) -> int:
        """Log time of the terminal event."""
        return self.events[-1][1]

    @property
    def end(self) -> Event:
        """The terminal event."""
        return self.events[-1][2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """Everything that the checks compare. tables: the content of each table, in the form in which the fold has it;
    late: those who followed a job set from its beginning when all was over; pods: run id -> what the fake clusters'
    journals say of its pod; took: part -> seconds."""

    chaos: Chaos
    workload: Workload
    late: dict[str, Subscriber]
    fold: Fold
    stories: dict[str, JobStory]
    tables: dict[str, Any]
    positions: dict[str, dict[int, int]]
    pods: dict[str, PodLife]
    journal_faults: list[str]
    restarts: dict[str, int]
    took: dict[str, float]

    @property
    def planned(self) -> dict[str, PlannedJob]:
        """Job id -> what the seed prescribes."""
        return {job.job_id: job for job_set in self.workload.job_sets for job in job_set.jobs}


async def settle(stack: WholeStack) -> None:
    """Returns when no run holds room any more and the views have everything."""
    tables = await Tables.open(stack.database_url)
    deadline = time.monotonic() + SETTLE_S
    try:
        while (left := await tables.unfinished_runs()) > 0:
            assert time.monotonic() < deadline, f"{left} runs are not gone after {SETTLE_S:.0f} s"
            await asyncio.sleep(SETTLE_POLL_S)
    finally:
        await tables.close()


async def late_subscribers(stack: WholeStack, workload: Workload) -> dict[str, Subscriber]:
    """Reads each job set from its beginning. A new API process has only the end of the log in its memory, so nearly
    everything comes from the history, page by page."""
    stack.kill("api")
    await asyncio.to_thread(eventually, lambda: stack.is_ready("api"), "api ready again", within_s=API_READY_S)
    async with GraphqlClient(stack.graphql_url) as client:
        made = {
            job_set.name: Subscriber(client, job_set.queue, job_set.name, over="ws" if number % 2 else "sse")
            for number, job_set in enumerate(workload.job_sets)
        }
        await asyncio.gather(*(each.follow(live=False) for each in made.values()))
    return made


async def gather(stack: WholeStack, workload: Workload, chaos: Chaos, took: dict[str, float]) -> Aftermath:
    """Reads everything; the views must be done with the log within SETTLE_S."""
    fold = await asyncio.to_thread(fold_commands, stack.bootstrap, stack.settings.kafka.partitions)
    tables = await Tables.open(stack.database_url)
    deadline = time.monotonic() + SETTLE_S
    try:
        while True:
            positions = {view: await tables.positions(view) for view in ("history", "leases", "queues")}
            behind = [
                view
                for view in ("history", "leases")
                if any(positions[view].get(partition, -1) < end for partition, end in fold.ends.items())
            ]
            if not behind:
                break
            assert time.monotonic() < deadline, f"{behind} have not passed {fold.ends}: {positions}"
            await asyncio.sleep(SETTLE_POLL_S)
        content = await _content(tables)
    finally:
        await tables.close()
    clusters = sorted(path for path in stack.executor_directory().iterdir() if path.is_dir())
    return Aftermath(
        chaos=chaos,
        workload=workload,
        late=await late_subscribers(stack, workload),
        fold=fold,
        stories=_stories(fold),
        tables=content,
        positions=positions,
        pods={life.run_id: life for cluster in clusters for life in read_journal(cluster)},
        journal_faults=check_journals(clusters),
        restarts={process.name: process.restarts for process in stack.state().processes},
        took=took,
    )


async def _content(tables: Tables) -> dict[str, Any]:
    return {
        "jobs": await tables.jobs(),
        "runs": _sorted(await tables.runs()),
        "errors": _sorted(await tables.errors()),
        "job_sets": await tables.job_sets(),
        "events": await tables.events(),
        "leases": await tables.leases(),
        "live_jobs": await tables.live_jobs(),
        "specs": await tables.specs(),
        "queues": await tables.queues(),
    }


def folded_content(fold: Fold) -> dict[str, Any]:
    """The same of the fold."""
    return {
        "jobs": fold.jobs,
        "runs": _sorted(fold.runs),
        "errors": _sorted(fold.errors),
        "job_sets": fold.job_sets,
        "events": fold.events,
        "leases": fold.leases,
        "live_jobs": fold.live_jobs,
        "specs": fold.specs,
        "queues": fold.queues,
    }


def _sorted(rows: list[Row]) -> list[Row]:
    """Rows without an order of their own."""
    return sorted(rows, key=lambda row: (row["job_id"], row["attempt"], row.get("position", 0)))


def _stories(fold: Fold) -> dict[str, JobStory]:
    found: dict[str, JobStory] = {}
    for (queue, _, job_set), events in fold.events.items():
        for partition, offset, time_ms, event in events:
            job_id = format_id(event.job_id)
            if job_id not in found:
                found[job_id] = JobStory(partition=partition, queue=queue, job_set=job_set, events=[])
            found[job_id].events.append((offset, time_ms, event))
    return found
