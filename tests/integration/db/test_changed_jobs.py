"""Lists and jobsChanged over a real history: what the list lacks comes once, when the history shows it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, cast

import msgspec
import pytest

from agents.views.history import VIEW as HISTORY
from app.api.graphql.context import RequestContext
from app.api.graphql.schema import make_schema
from app.api.service.changes_history import DatabaseChanges
from app.api.service.job_changes import JobChangesService
from app.db.database import Database
from app.db.positions import Positions
from app.domain.commands import Principal
from app.log.topics import EVENTS
from app.views.contract import prepared, write
from app.views.source import RawRecord
from tests.integration.api.client import CANCEL, CREATE, POD, SUBMIT
from tests.unit.api.memory_log import PARTITIONS
from tests.unit.api.running_api import RunningApi, running_api

pytestmark = pytest.mark.stack

LIST = """query ($filter: JobFilter, $order: JobOrder, $last: Int, $before: Cursor) {
  jobs(filter: $filter, order: $order, last: $last, before: $before) {
    nodes { id state } cursor countEstimate countUpTo(limit: 2) asOf { lag } pageInfo { startCursor endCursor }
  } }"""
CHANGES = """subscription ($filter: JobFilter!, $after: Cursor) {
  jobsChanged(filter: $filter, after: $after) {
    changed { id state requests { cpu } lastRun { started } } left { id state } cursor caughtUp heartbeat lag } }"""


@dataclass
class Stage:
    """An API over a log in memory, and a history in Postgres that takes records when it is told to."""

    api: RunningApi
    url: str
    context: RequestContext
    shown: set[tuple[int, int]] = field(default_factory=set)

    async def show(self) -> None:
        """The history takes everything that was decided."""
        new = [
            RawRecord(each.partition, each.offset, None, each.value, each.timestamp_ms)
            for partition in range(PARTITIONS)
            for each in self.api.log.records[EVENTS, partition]
            if (each.partition, each.offset) not in self.shown
        ]
        await write(HISTORY, self.url, [new])
        self.shown |= {(each.partition, each.offset) for each in new}

    async def ask(self, query: str, **variables: Any) -> Any:
        answer = await self.api.execute(query, variables)
        assert not answer.get("errors"), answer
        return answer["data"]

    async def changes(self, wanted: dict[str, Any], after: str | None) -> AsyncIterator[dict[str, Any]]:
        found = await make_schema().subscribe(
            CHANGES, variable_values={"filter": wanted, "after": after}, context_value=self.context
        )
        async with aclosing(cast("Any", found)) as results:
            async for result in results:
                assert not result.errors, result.errors
                yield _plain(result.data)["jobsChanged"]


def _plain(data: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(data))


@pytest.fixture
async def stage(database: str) -> AsyncIterator[Stage]:
    await prepared(HISTORY, database)
    opened = await Database.open(database, connections_max=4)
    positions = Positions(database)
    await positions.start()
    async with running_api(database_url=database) as api:
        services = api.api.services
        changes = JobChangesService(
            DatabaseChanges(opened), positions, api.api.tail, services.coordinates, streams_max=10
        )
        principal = Principal(user="anybody", verbs=())
        context = RequestContext(
            services=replace(services, changes=changes), authorization=None, known_principal=principal
        )
        yield Stage(api, database, context)
    await positions.stop()
    await opened.close()


async def submitted(stage: Stage, queue: str, count: int) -> list[str]:
    given = {"queue": queue, "jobSet": "s", "requestId": f"r{count}", "podSpecs": [POD]}
    jobs = [{"podSpecIndex": 0}] * count
    payload = (await stage.ask(SUBMIT, input={**given, "jobs": jobs}, waitFor="APPLIED"))["submitJobs"]
    return [str(result["jobId"]) for result in payload["results"]]


async def test_a_list_and_its_changes_say_everything_once(stage: Stage) -> None:
    await stage.ask(CREATE, queues=[{"name": "q"}, {"name": "other"}])
    first = await submitted(stage, "q", 3)
    await stage.show()
    wanted = {"queues": ["q"], "states": ["QUEUED"]}
    found = (await stage.ask(LIST, filter=wanted))["jobs"]
    assert [row["id"] for row in found["nodes"]] == first[::-1]
    assert (found["countEstimate"], found["countUpTo"]) == (3, 2)
    # Decided before the subscription and not shown yet: neither the list nor the tail's end has it.
    await stage.ask(CANCEL, ids=first[:1])
    async with asyncio.timeout(30), aclosing(cast("Any", stage.changes(wanted, found["cursor"]))) as steps:
        beat = await anext(steps)
        assert (beat["changed"], beat["left"], beat["heartbeat"]) == ([], [], True)
        await submitted(stage, "other", 1)
        second = await submitted(stage, "q", 2)
        await stage.show()
        told = await anext(steps)
        while told["heartbeat"]:
            told = await anext(steps)
    assert sorted(row["id"] for row in told["changed"]) == sorted(second)
    assert told["changed"][0]["requests"] == {"cpu": "1"}
    assert told["left"] == [{"id": first[0], "state": "CANCELLED"}]
    assert (told["caughtUp"], told["lag"]) == (True, 0.0)
    async with asyncio.timeout(30), aclosing(cast("Any", stage.changes(wanted, told["cursor"]))) as steps:
        assert (await anext(steps))["heartbeat"], "what was told is not told again"


async def test_a_cursor_of_another_order_or_of_no_list_is_refused(stage: Stage) -> None:
    await stage.ask(CREATE, queues=[{"name": "q"}])
    await submitted(stage, "q", 3)
    await stage.show()
    by_queue = (await stage.ask(LIST, order={"field": "QUEUE"}))["jobs"]["pageInfo"]["endCursor"]
    before = (await stage.ask(LIST, order={"field": "QUEUE"}, last=2, before=by_queue))["jobs"]
    assert len(before["nodes"]) == 2
    for order, cursor in (({"field": "STATE"}, by_queue), ({"field": "QUEUE"}, "nonsense"), (None, by_queue)):
        answer = await stage.api.execute(LIST, {"order": order, "last": 1, "before": cursor})
        (error,) = answer["errors"]
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("INVALID", "before")
