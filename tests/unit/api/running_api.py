"""An API process over a `MemoryLog`, spoken to over ASGI as any client would. Postgres is away unless a test brings
one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.api.assembly import Api, LogAccess, make_api
from app.db.database import Database
from app.db.positions import Positions
from app.settings import Settings, load_settings
from tests.unit.api.memory_log import CLUSTER_PARTITIONS, PARTITIONS, Decider, MemoryLog, Reports, Updates

NO_DATABASE = "postgresql://nobody:nothing@127.0.0.1:1/nothing"
INSTALLATION = "installation-of-tests"
EVENTS_TOPIC_ID = "events-of-tests"


@dataclass(frozen=True, slots=True)
class RunningApi:
    """client: without a token. log: what the API writes to and reads from."""

    api: Api
    log: MemoryLog
    client: httpx.AsyncClient
    decider: Decider

    async def execute(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The answer to a GraphQL request; it must be of status 200."""
        answer = await self.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result


@asynccontextmanager
async def running_api(
    *,
    settings: dict[str, Any] | None = None,
    deciding: bool = True,
    database_url: str = NO_DATABASE,
    log: MemoryLog | None = None,
) -> AsyncIterator[RunningApi]:
    """Ready when it is yielded. deciding: a decider works beside it. log: that of another process."""
    log = log or MemoryLog()
    database = await Database.open(database_url)
    positions = Positions(database_url)
    access = LogAccess(
        installation=INSTALLATION,
        events_topic_id=EVENTS_TOPIC_ID,
        partitions=PARTITIONS,
        cluster_partitions=CLUSTER_PARTITIONS,
        writer=log,
        topics=log,
        reports=Reports(log),
        updates=Updates(log),
    )
    loaded: Settings = load_settings(None, settings or {})
    api = make_api(loaded, access, database, positions)
    decider = Decider(log)
    tasks = [asyncio.create_task(api.tail.run()), asyncio.create_task(api.feed.run())]
    if deciding:
        tasks.append(asyncio.create_task(decider.run()))
    try:
        while not api.is_ready:
            await asyncio.sleep(0.005)
        transport = httpx.ASGITransport(app=api.web)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield RunningApi(api, log, client, decider)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()
