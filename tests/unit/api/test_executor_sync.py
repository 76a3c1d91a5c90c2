"""The executors' sync over HTTP: what is refused and how, what goes into the log, and what is answered without
Postgres."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.api.auth import token_hash
from app.domain.clusters import ClusterUpdates
from app.domain.commands import BeginInstance, ReportRuns
from app.domain.ids import call_prefix, format_id, job_id, parse_id, ulid
from app.domain.routing import partition_of_name
from app.log import codec
from app.log.topics import CLUSTERS, COMMANDS
from tests.unit.api.memory_log import CLUSTER_PARTITIONS, PARTITIONS
from tests.unit.api.running_api import EVENTS_TOPIC_ID, INSTALLATION, RunningApi, running_api

URL = "/executor/v1/sync"
LOG = f"{INSTALLATION}.{EVENTS_TOPIC_ID}"
TOKENS = {f"ARGOSY_CLUSTERS__{name.upper()}__TOKEN_SHA256": token_hash(f"{name}-token") for name in ("c0", "c1")}
FIRST, SECOND, THIRD = (format_id(ulid(1_700_000_000_000 + number, number)) for number in range(3))
TIME = "2026-11-24T07:00:00.000Z"
RUN = format_id(ulid(1_700_000_000_000, 99))


def job_of(partition: int) -> str:
    return format_id(job_id(call_prefix(1_700_000_000_000, partition, 7), 0))


def node(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "pool": "default",
        "allocatable": {"cpu": "32"},
        "taints": [{"key": "t", "effect": "NoSchedule"}],
    }


def report(partition: int = 0, **fields: Any) -> dict[str, Any]:
    return {"jobId": job_of(partition), "runId": RUN, "attempt": 0, "state": "RUNNING", "time": TIME, **fields}


def body(sequence: int = 1, instance: str = FIRST, **fields: Any) -> dict[str, Any]:
    return {"cluster": "c0", "instance": instance, "sequence": sequence, "time": TIME, **fields}


async def sync(running: RunningApi, content: Any, *, token: str | None = "c0-token", **headers: str) -> httpx.Response:
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    if isinstance(content, bytes):
        return await running.client.post(URL, content=content, headers=headers)
    return await running.client.post(URL, json=content, headers=headers)


def paths_of(answer: httpx.Response) -> list[str]:
    return [error["path"] for error in answer.json()["errors"]]


def commands(running: RunningApi, kind: type) -> list[Any]:
    return [value for value in running.log.values(COMMANDS) if isinstance(value, kind)]


def updates(running: RunningApi) -> list[Any]:
    found = [value for value in running.log.values(CLUSTERS) if isinstance(value, ClusterUpdates)]
    return [update for value in found for update in value.updates]


@pytest.fixture
async def running() -> AsyncIterator[RunningApi]:
    async with running_api(deciding=False, settings=TOKENS) as api:
        yield api


@pytest.mark.parametrize("token", [None, "nope", "c0-token "[:-2]])
async def test_without_its_token_nobody_speaks_for_a_cluster(running: RunningApi, token: str | None) -> None:
    answer = await sync(running, body(), token=token)
    assert answer.status_code == 401
    assert running.log.values(COMMANDS) == running.log.values(CLUSTERS) == []


async def test_another_clusters_token_is_forbidden_and_nothing_is_logged(running: RunningApi) -> None:
    answer = await sync(running, body(reports=[report()]), token="c1-token")
    assert answer.status_code == 403
    assert paths_of(answer) == ["cluster"]
    assert running.log.values(COMMANDS) == running.log.values(CLUSTERS) == []


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b"{", ""),
        (b"", ""),
        (b"[]", ""),
        (body(surprise=1), "surprise"),
        (body(sequence=0), "sequence"),
        (body(instance="x"), "instance"),
        (body(time="now"), "time"),
        (body(time="2026-13-45T07:00:00Z"), "time"),
        (body(reports=[report(), report(state="ASLEEP")]), "reports[1].state"),
        (body(reports=[report(jobId=None)]), "reports[0].jobId"),
        (body(runs=[report(attempt=None)]), "runs[0].attempt"),
        (body(reports=[report(PARTITIONS)]), "reports[0].jobId"),
        (body(waitMs=100, reports=[report()]), "reports"),
        (body(waitMs=20_000), "waitMs"),
        (body(leaseCursor={"0": [1, 2]}), "leaseCursor"),
        (body(nodes={"generation": 1, "changed": [{"name": "a\u0000b"}]}), "nodes.changed[0].name"),
    ],
)
async def test_a_malformed_body_is_refused_with_its_path_and_nothing_is_logged(
    running: RunningApi, content: Any, path: str
) -> None:
    answer = await sync(running, content)
    assert answer.status_code == 400
    assert paths_of(answer) == [path]
    assert running.log.values(COMMANDS) == running.log.values(CLUSTERS) == []


async def test_the_first_request_of_an_instance_begins_it_once_in_every_partition_before_its_reports(
    running: RunningApi,
) -> None:
    both = await asyncio.gather(sync(running, body(1, reports=[report(2)])), sync(running, body(1, waitMs=50)))
    assert [answer.status_code for answer in both] == [200, 200]
    await sync(running, body(2, reports=[report(2)]))
    begun = commands(running, BeginInstance)
    assert [(each.cluster, each.instance) for each in begun] == [("c0", parse_id(FIRST))] * PARTITIONS
    kinds = [type(value).__name__ for value in running.log.values(COMMANDS)]
    assert sorted(kinds) == ["BeginInstance"] * PARTITIONS + ["ReportRuns"] * 2
    in_partition_2 = [codec.decode(record.value) for record in running.log.records[COMMANDS, 2] if record.value]
    assert [type(value).__name__ for value in in_partition_2] == ["BeginInstance", "ReportRuns", "ReportRuns"]


async def test_an_instance_that_was_replaced_is_told_so(running: RunningApi) -> None:
    await sync(running, body(1, FIRST))
    await sync(running, body(1, SECOND))
    answer = await sync(running, body(2, FIRST, reports=[report()]))
    assert answer.status_code == 409
    assert answer.json()["code"] == "REPLACED"
    assert commands(running, ReportRuns) == []
    assert (await sync(running, body(2, SECOND))).status_code == 200


async def test_an_instance_that_began_at_another_process_is_known_from_the_log() -> None:
    async with running_api(deciding=False, settings=TOKENS) as first:
        await sync(first, body(1, FIRST))
        await sync(first, body(1, SECOND))
        before = len(first.log.values(COMMANDS))
        async with running_api(deciding=False, settings=TOKENS, log=first.log) as second:
            assert (await sync(second, body(2, SECOND))).status_code == 200
            assert (await sync(second, body(3, FIRST))).status_code == 409
            assert len(first.log.values(COMMANDS)) == before, "nothing is begun again"
            assert (await sync(second, body(1, THIRD))).status_code == 200
        await asyncio.wait_for(until_spoken(first, THIRD), 5)
        assert (await sync(first, body(3, SECOND))).status_code == 409


async def until_spoken(running: RunningApi, instance: str) -> None:
    while running.api.feed.clusters["c0"].instance != parse_id(instance):
        await asyncio.sleep(0.005)


async def test_reports_go_to_the_partitions_of_their_jobs_and_runs_count_as_reports(running: RunningApi) -> None:
    containers = [{"name": "main", "state": "TERMINATED", "exitCode": 3, "message": "bad\u0000byte"}]
    answer = await sync(
        running,
        body(
            1,
            reports=[report(1), report(3, state="FAILED", exitCode=3, message="no\u0000", containers=containers)],
            runs=[report(1, state="PENDING")],
        ),
    )
    assert answer.status_code == 200
    found = {record.reports[0].job_id[6]: record.reports for record in commands(running, ReportRuns)}
    assert sorted(found) == [1, 3]
    assert [each.state.value for each in found[1]] == ["RUNNING", "PENDING"]
    failed = found[3][0]
    assert (failed.cluster, failed.instance, failed.exit_code) == ("c0", parse_id(FIRST), 3)
    assert failed.message == "no\N{REPLACEMENT CHARACTER}"
    assert json.loads(failed.containers)[0]["message"] == "bad\N{REPLACEMENT CHARACTER}byte"


async def test_node_data_go_to_the_clusters_partition_with_instance_and_sequence(running: RunningApi) -> None:
    nodes: dict[str, Any] = {"generation": 2, "changed": [node("n0")], "removed": ["n7"], "complete": {"nodeCount": 1}}
    nodes["changed"][0]["foreign"] = {"0": {"cpu": "1"}, "-5": {"cpu": "2"}}
    answer = await sync(running, body(17, nodes=nodes))
    assert answer.json()["askNodes"] is False
    (update,) = updates(running)
    assert (update.cluster, update.instance, update.sequence) == ("c0", parse_id(FIRST), 17)
    assert (update.generation, update.complete_count, update.removed) == (2, 1, ("n7",))
    assert {each.priority: each.usage for each in update.changed[0].foreign} == {0: {"cpu": "1"}, -5: {"cpu": "2"}}
    assert update.cluster_time_ms == 1_795_503_600_000
    assert running.log.records[CLUSTERS, partition_of_name("c0", CLUSTER_PARTITIONS)]


async def test_whole_generations_are_asked_for_until_one_adds_up(running: RunningApi) -> None:
    async def asked(sequence: int, **fields: Any) -> bool:
        return bool((await sync(running, body(sequence, **fields))).json()["askNodes"])

    assert await asked(1), "nothing is known of the nodes"
    assert not await asked(2, nodes={"generation": 1, "changed": [node("n0")]}), "a generation has begun"
    assert not await asked(3)
    assert await asked(4, nodes={"generation": 1, "changed": [node("n1")], "complete": {"nodeCount": 3}})
    assert await asked(5)
    assert not await asked(6, nodes={"generation": 2, "changed": [node("n0")], "complete": {"nodeCount": 1}})
    assert not await asked(7, nodes={"generation": 2, "changed": [node("n9")]})


async def test_without_postgres_leases_are_unknown_and_reports_are_taken(running: RunningApi) -> None:
    cursor = {"log": LOG, "0": [5, 3]}
    answer = await sync(running, body(1, reports=[report()], leaseCursor=cursor))
    assert answer.status_code == 200
    assert answer.json()["leasesKnown"] is False
    assert answer.json()["leaseCursor"] == cursor
    full = await sync(running, body(2, runs=[]))
    assert full.json()["leasesKnown"] is False
    assert len(commands(running, ReportRuns)) == 1


async def test_kafka_away_is_503_with_retry_after_and_the_same_request_succeeds_later(running: RunningApi) -> None:
    running.log.away = True
    answer = await sync(running, body(1, reports=[report()]))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    running.log.away = False
    assert (await sync(running, body(1, reports=[report()]))).status_code == 200
    assert len(commands(running, BeginInstance)) == PARTITIONS


async def test_bodies_may_be_gzip_and_are_bounded_after_decompression(running: RunningApi) -> None:
    packed = gzip.compress(json.dumps(body(1)).encode())
    assert (await sync(running, packed, **{"content-encoding": "gzip"})).status_code == 200
    broken = await sync(running, b"no gzip", **{"content-encoding": "gzip"})
    assert (broken.status_code, paths_of(broken)) == (400, [""])
    bomb = gzip.compress(b" " * (25 << 20))
    answer = await sync(running, bomb, **{"content-encoding": "gzip"})
    assert (answer.status_code, paths_of(answer)) == (400, [""])


async def test_the_openapi_document_describes_request_and_answer(running: RunningApi) -> None:
    answer = await running.client.get("/executor/v1/openapi.json")
    document = answer.json()
    operation = document["paths"][URL]["post"]
    assert set(operation["responses"]) >= {"200", "400", "401", "403", "409", "413", "429", "503"}
    schemas = document["components"]["schemas"]
    assert {"leaseCursor", "waitMs", "runs"} <= set(schemas["SyncRequest"]["properties"])
    assert {"leases", "stops", "askNodes"} <= set(schemas["SyncAnswer"]["properties"])
