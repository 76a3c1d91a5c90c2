"""jobsChanged on the real stack: what a list lacks and nothing else, over restarts of the API and of the view."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from tests.integration.api.by_hand import Leader
from tests.integration.api.client import CANCEL, Client, GraphQLFailed
from tests.integration.api.installation import Installation

pytestmark = pytest.mark.stack

CALLS = 40
LIST = """query List($filter: JobFilter, $atLeast: Position) {
  jobs(filter: $filter, first: 200, atLeast: $atLeast) { nodes { id state priority } cursor asOf { lag } } }"""
CHANGES = """subscription Changes($filter: JobFilter!, $after: Cursor) {
  jobsChanged(filter: $filter, after: $after) {
    changed { id state priority lastTransition cluster } left { id state } cursor caughtUp heartbeat lag } }"""
REPRIORITIZE = """mutation Reprioritize($queue: String!, $ids: [ID!], $priority: Float!) {
  reprioritizeJobs(queue: $queue, jobSet: "s", jobIds: $ids, priority: $priority, waitFor: LOGGED) {
    errors { message } } }"""


@pytest.fixture
async def client(installation: Installation) -> AsyncIterator[Client]:
    async with Client(installation.url) as made:
        yield made


async def changes(
    client: Client, wanted: dict[str, Any], after: str | None = None
) -> AsyncGenerator[dict[str, Any], None]:
    """What jobsChanged yields over server-sent events. Raises GraphQLFailed."""
    async with aclosing(client.subscription(CHANGES, {"filter": wanted, "after": after})) as yielded:
        async for data in yielded:
            yield data["jobsChanged"]


class Follower:
    """A client that keeps a list: it goes on at its cursor when the connection is lost."""

    def __init__(self, client: Client, wanted: dict[str, Any]) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.told: list[tuple[str, str, float]] = []
        self.cursor: str | None = None
        self._client = client
        self._wanted = wanted

    async def begin(self, at_least: str | None = None) -> None:
        found = (await self._client.execute(LIST, {"filter": self._wanted, "atLeast": at_least}))["jobs"]
        self.rows = {row["id"]: row for row in found["nodes"]}
        self.cursor = found["cursor"]

    async def until(self, rows: dict[str, tuple[str, float]], *, timeout_s: float = 90.0) -> None:
        """Follows until it sees exactly these rows (id -> state, priority), which may be filled in meanwhile."""
        async with asyncio.timeout(timeout_s):
            while not self.sees(rows):
                try:
                    async with aclosing(changes(self._client, self._wanted, self.cursor)) as steps:
                        async for step in steps:
                            self.take(step)
                            if self.sees(rows):
                                return
                except (httpx.TransportError, GraphQLFailed) as error:
                    if isinstance(error, GraphQLFailed) and error.code != "UNAVAILABLE":
                        raise
                    await asyncio.sleep(0.05)

    def take(self, step: dict[str, Any]) -> None:
        for row in step["changed"]:
            self.rows[row["id"]] = row
            self.told.append((row["id"], row["state"], row["priority"]))
        for row in step["left"]:
            self.rows.pop(row["id"], None)
        self.cursor = step["cursor"]

    def sees(self, rows: dict[str, tuple[str, float]]) -> bool:
        return {job_id: (row["state"], row["priority"]) for job_id, row in self.rows.items()} == rows


def ids_of(payload: dict[str, Any]) -> list[str]:
    return [str(result["jobId"]) for result in payload["results"]]


async def test_the_cursor_of_a_list_gives_exactly_what_the_list_lacks(client: Client, leader: Leader) -> None:
    queue = await client.create_queue()
    first = await client.submit(queue, 3)
    follower = Follower(client, {"queues": [queue]})
    await follower.begin(first["position"])
    assert len(follower.rows) == 3
    second = ids_of(await client.submit(queue, 2))
    await client.execute(CANCEL, {"ids": ids_of(first)[:1]})
    leader.cluster = "nobody-s"  # no executor of another test finds it
    await leader.lease(ids_of(first)[1])
    expected = {
        ids_of(first)[0]: ("CANCELLED", 0.0),
        ids_of(first)[1]: ("LEASED", 0.0),
        ids_of(first)[2]: ("QUEUED", 0.0),
        **dict.fromkeys(second, ("QUEUED", 0.0)),
    }
    await follower.until(expected)
    assert sorted(follower.told) == sorted(
        (job_id, *row) for job_id, row in expected.items() if job_id != ids_of(first)[2]
    )


async def test_a_job_that_leaves_the_filter_is_named_with_its_row(client: Client) -> None:
    queue = await client.create_queue()
    payload = await client.submit(queue, 2)
    wanted = {"queues": [queue], "states": ["QUEUED"]}
    follower = Follower(client, wanted)
    await follower.begin(payload["position"])
    gone, stays = ids_of(payload)
    async with aclosing(changes(client, wanted, follower.cursor)) as steps:
        await client.execute(CANCEL, {"ids": [gone]})
        async with asyncio.timeout(60):
            async for step in steps:
                if step["left"]:
                    assert step["left"] == [{"id": gone, "state": "CANCELLED"}]
                    assert step["changed"] == []
                    break
    await follower.until({stays: ("QUEUED", 0.0)})


async def test_a_quiet_stream_beats_and_says_that_nothing_is_missing(client: Client) -> None:
    queue = await client.create_queue()
    async with aclosing(changes(client, {"queues": [queue]})) as steps, asyncio.timeout(60):
        beats = [await anext(steps) for _ in range(2)]
    assert [beat["heartbeat"] for beat in beats] == [True, True]
    assert [beat["caughtUp"] for beat in beats] == [True, True]
    assert all(beat["lag"] is not None for beat in beats)


async def test_wrong_cursors_and_filters_are_named(client: Client) -> None:
    queue = await client.create_queue()
    position = (await client.submit(queue, 1))["position"]
    for wanted, after, field in (
        ({"queues": [queue]}, "nonsense", "after"),
        ({"queues": [queue]}, position, "after"),
        ({"ids": ["no id"]}, None, "filter.ids[0]"),
        ({"cpu": {"gt": "many"}}, None, "filter.cpu.gt"),
    ):
        with pytest.raises(GraphQLFailed) as failed:
            await anext(changes(client, wanted, after))
        assert (failed.value.code, failed.value.errors[0]["extensions"]["field"]) == ("INVALID", field)


@pytest.mark.parametrize("restarted", ["api", "history"])
async def test_no_change_is_lost_or_told_twice_over_a_restart(
    installation: Installation, client: Client, restarted: str
) -> None:
    queue = await client.create_queue()
    jobs = ids_of(await client.submit(queue, 200, wait_for="VISIBLE"))
    follower = Follower(client, {"queues": [queue]})
    await follower.begin()
    component = installation.api if restarted == "api" else installation.views["history"]
    goal: dict[str, tuple[str, float]] = {}
    following = asyncio.create_task(follower.until(goal))
    priority, logged = 0, 0
    while logged < CALLS:
        # Asked again with another priority: the first may have been logged all the same.
        priority += 1
        try:
            await client.execute(REPRIORITIZE, {"queue": queue, "ids": jobs, "priority": float(priority)})
        except httpx.TransportError:
            await asyncio.sleep(0.05)
            continue
        except GraphQLFailed as error:
            if error.code != "UNAVAILABLE":
                raise
            await asyncio.sleep(0.05)
            continue
        logged += 1
        if logged == CALLS // 2:
            component.kill()
            component.start()
    goal.update({job_id: ("QUEUED", float(priority)) for job_id in jobs})
    await following
    await asyncio.to_thread(component.wait_until_ready)
    assert len(set(follower.told)) == len(follower.told), "a change was told twice"
    of_job: dict[str, list[float]] = {}
    for job_id, _, told in follower.told:
        of_job.setdefault(job_id, []).append(told)
    assert all(values == sorted(values) for values in of_job.values()), "a job went back"
