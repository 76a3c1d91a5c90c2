"""An API process alone: what it says while Kafka or Postgres is away, and how it starts and stops."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.domain.ids import format_id, ulid
from tests.integration.api.client import POD, SUBMIT, Client, GraphQLFailed
from tests.integration.api.installation import Installation, eventually, executor_token
from tests.stack.directory import stack_directory
from tests.stack.server import KafkaBroker, PostgresServer

pytestmark = pytest.mark.stack

CALL = {"input": {"queue": "q", "jobSet": "s", "jobs": [{"podSpec": POD}]}, "waitFor": "LOGGED"}
SYNC = {"cluster": "c0", "instance": format_id(ulid(1, 1)), "sequence": 1, "time": "2026-11-24T07:00:00Z", "runs": []}


@pytest.fixture
async def alone(fresh_kafka: KafkaBroker, fresh_postgres: PostgresServer) -> AsyncIterator[Installation]:
    with stack_directory("api-alone") as directory:
        made = await asyncio.to_thread(
            Installation,
            fresh_kafka.bootstrap,
            fresh_postgres.url,
            directory,
            ARGOSY_KAFKA__DELIVERY_TIMEOUT_MS="1500",
        )
        made.api.start()
        await asyncio.to_thread(made.api.wait_until_ready)
        yield made
        made.close()


async def logged(client: Client) -> bool:
    """Whether a job could be submitted; if not, the log was unavailable and trying again was worth it."""
    answer = (await client.http.post("/graphql", json={"query": SUBMIT, "variables": CALL})).json()
    for error in answer.get("errors", []):
        assert error["extensions"]["code"] == "UNAVAILABLE"
        assert error["extensions"]["retryable"] is True
        return False
    return bool(answer["data"]["submitJobs"]["results"][0]["jobId"])


async def test_each_half_is_unavailable_alone_and_comes_back(
    alone: Installation, fresh_kafka: KafkaBroker, fresh_postgres: PostgresServer
) -> None:
    async with Client(alone.url) as client:
        assert await logged(client)
        await asyncio.to_thread(fresh_postgres.stop)
        with pytest.raises(GraphQLFailed) as failed:
            await client.execute("{ jobs { nodes { id } } }")
        assert failed.value.code == "UNAVAILABLE"
        headers = {"authorization": f"Bearer {executor_token('c0')}"}
        answer = await client.http.post("/executor/v1/sync", json=SYNC, headers=headers)
        assert (answer.status_code, answer.json()["leasesKnown"]) == (200, False)
        assert await logged(client), "commands need no database"

        await asyncio.to_thread(fresh_kafka.kill)
        assert not await logged(client)
        answer = await client.http.post("/executor/v1/sync", json={**SYNC, "sequence": 2}, headers=headers)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]

        await asyncio.to_thread(fresh_kafka.start)
        async with asyncio.timeout(60):
            while not await logged(client):
                pass
        await eventually(alone.api.is_ready, "the tails are at their ends again")
        answer = await client.http.post("/executor/v1/sync", json={**SYNC, "sequence": 2}, headers=headers)
        assert answer.status_code == 200
    assert await asyncio.to_thread(alone.api.stop) == 0


async def test_an_installation_of_another_partition_count_is_refused_with_one_line(installation: Installation) -> None:
    other = installation.another_api("api-refused", ARGOSY_KAFKA__PARTITIONS="7", ARGOSY_API__PORT="0")
    other.start()
    assert await asyncio.to_thread(other.wait_until_ended) == 2
    log = other.log.read_text()
    assert "the count is fixed at installation" in log
    assert "Traceback" not in log
