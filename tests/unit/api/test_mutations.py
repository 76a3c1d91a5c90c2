"""Mutations over HTTP against a log in memory and the real deciders: what a client sends and what it gets."""

import asyncio
import json
from typing import Any

import pytest

from app.api.auth import token_hash
from app.domain.commands import CancelJobs, CreateQueues, Principal, QueueSpec, SubmitJobs
from app.domain.ids import call_prefix, format_id, job_id, parse_id
from app.log import codec
from app.log.topics import COMMANDS, SHAPES
from tests.unit.api.memory_log import PARTITIONS
from tests.unit.api.running_api import RunningApi, running_api
from tests.unit.api.submissions import POD

SUBMIT = """mutation Submit($input: SubmitJobsInput!, $waitFor: WaitFor) {
  submitJobs(input: $input, waitFor: $waitFor) {
    position results { index jobId duplicate error { code path message } } errors { code path message index rule }
  }
}"""
CANCEL = """mutation Cancel($ids: [ID!]!, $queue: String, $waitFor: WaitFor) {
  cancelJobs(jobIds: $ids, queue: $queue, reason: "not needed", waitFor: $waitFor) {
    position affected affectedCount notAffected { id code message } errors { code path message index }
  }
}"""
CANCEL_SET = """mutation CancelSet($queue: String!, $jobSet: String!, $states: [JobState!]) {
  cancelJobSet(queue: $queue, jobSet: $jobSet, states: $states) {
    position affected affectedCount errors { code path message }
  }
}"""
CREATE = """mutation Create($queues: [QueueInput!]!) {
  createQueues(queues: $queues) { position queues { name weight owners labels } errors { code path message index } }
}"""


async def create(running: RunningApi, *names: str) -> dict[str, Any]:
    answer = await running.execute(CREATE, {"queues": [{"name": name} for name in names]})
    payload: dict[str, Any] = answer["data"]["createQueues"]
    return payload


async def submit(
    running: RunningApi, *jobs: dict[str, Any], wait_for: str = "APPLIED", **fields: Any
) -> dict[str, Any]:
    given = {"queue": "a", "jobSet": "s", "jobs": list(jobs), **fields}
    answer = await running.execute(SUBMIT, {"input": given, "waitFor": wait_for})
    payload: dict[str, Any] = answer["data"]["submitJobs"]
    return payload


def ids_of(payload: dict[str, Any]) -> list[str]:
    return [result["jobId"] for result in payload["results"]]


async def test_queues_are_created_over_several_partitions_and_an_existing_one_is_refused_alone() -> None:
    async with running_api() as running:
        first = await create(running, "a", "b", "c", "d", "e")
        assert sorted(queue["name"] for queue in first["queues"]) == ["a", "b", "c", "d", "e"]
        assert first["errors"] == []
        second = await create(running, "x", "b")
        assert [queue["name"] for queue in second["queues"]] == ["x"]
        (error,) = second["errors"]
        assert (error["code"], error["path"], error["index"]) == ("CONFLICT", "queues[1]", 1)


async def test_who_creates_a_queue_without_owners_owns_it() -> None:
    async with running_api() as running:
        limits = {"argosy-default": {"cpu": 0.5, "nvidia.com/gpu": 1}}
        queue = {
            "name": "a",
            "priorityFactor": 4,
            "labels": {"team": "x"},
            "resourceLimitsByPriorityClass": limits,
        }
        answer = await running.execute(CREATE, {"queues": [queue]})
        (made,) = answer["data"]["createQueues"]["queues"]
        assert made == {"name": "a", "weight": 0.25, "owners": ["anonymous"], "labels": {"team": "x"}}
        (command,) = running.log.values(COMMANDS)
        assert isinstance(command, CreateQueues)
        assert json.loads(command.queues[0].resource_limits) == limits


@pytest.mark.parametrize(
    ("queue", "path"),
    [
        ({"name": ""}, "queues[0].name"),
        ({"name": "a", "priorityFactor": 0.5}, "queues[0].priorityFactor"),
        ({"name": "a", "labels": {"x": 1}}, "queues[0].labels"),
        ({"name": "a", "owners": [""]}, "queues[0].owners[0]"),
        ({"name": "a", "retryPolicies": ["p"]}, "queues[0].retryPolicies"),
        ({"name": "a", "resourceLimitsByPriorityClass": []}, "queues[0].resourceLimitsByPriorityClass"),
        ({"name": "a", "resourceLimitsByPriorityClass": {"x": {}}}, "queues[0].resourceLimitsByPriorityClass.x"),
        (
            {"name": "a", "resourceLimitsByPriorityClass": {"argosy-default": {"cpu": 1.5}}},
            "queues[0].resourceLimitsByPriorityClass.argosy-default.cpu",
        ),
        ({"name": "a", "permissions": [{"subjects": [], "verbs": ["watch"]}]}, "queues[0].permissions[0]"),
        (
            {"name": "a", "permissions": [{"subjects": [{"kind": "Robot", "name": "r"}], "verbs": ["watch"]}]},
            "queues[0].permissions[0].subjects[0].kind",
        ),
    ],
)
async def test_a_wrong_queue_refuses_the_call_by_its_field(queue: dict[str, Any], path: str) -> None:
    async with running_api() as running:
        answer = await running.execute(CREATE, {"queues": [queue]})
        payload = answer["data"]["createQueues"]
        assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID", path)]
        assert running.log.values(COMMANDS) == []


async def test_a_submitted_job_has_an_id_of_its_queues_partition_and_its_shape_was_logged_before() -> None:
    async with running_api() as running:
        await create(running, "a")
        payload = await submit(running, {"podSpec": POD}, {"podSpec": POD})
        assert payload["errors"] == []
        ids = [parse_id(text) for text in ids_of(payload)]
        assert ids[0][:14] == ids[1][:14]
        (command,) = [value for value in running.log.values(COMMANDS) if isinstance(value, SubmitJobs)]
        assert [job.job_id for job in command.jobs] == ids
        assert len(running.log.values(SHAPES)) == 1
        await submit(running, {"podSpec": POD})
        assert len(running.log.values(SHAPES)) == 1, "a known shape is not written again"


async def test_an_unknown_queue_is_not_found_and_only_the_log_says_so() -> None:
    async with running_api() as running:
        payload = await submit(running, {"podSpec": POD}, queue="nope")
        assert payload["results"] == []
        (error,) = payload["errors"]
        assert (error["code"], error["path"]) == ("NOT_FOUND", "queue")
        assert len(running.log.values(COMMANDS)) == 1


async def test_a_repeated_request_gets_the_first_ids() -> None:
    async with running_api() as running:
        await create(running, "a")
        first = await submit(running, {"podSpec": POD}, {"podSpec": POD}, requestId="r")
        again = await submit(running, {"podSpec": POD}, {"podSpec": POD}, requestId="r")
        assert again["results"] == first["results"]


async def test_a_known_client_id_gets_the_first_job_and_says_so() -> None:
    async with running_api() as running:
        await create(running, "a")
        first = await submit(running, {"podSpec": POD, "clientId": "c"})
        again = await submit(running, {"podSpec": POD}, {"podSpec": POD, "clientId": "c"})
        assert ids_of(again)[1] == ids_of(first)[0]
        assert [result["duplicate"] for result in again["results"]] == [False, True]


async def test_logged_returns_provisional_ids_without_waiting_for_a_decision() -> None:
    async with running_api(deciding=False) as running:
        payload = await submit(running, {"podSpec": POD}, wait_for="LOGGED")
        assert payload["errors"] == []
        assert payload["results"][0]["jobId"] is not None
        assert len(running.log.values(COMMANDS)) == 1


async def test_who_waits_in_vain_gets_timeout_with_ids_and_position() -> None:
    async with running_api(deciding=False, settings={"ARGOSY_API__WAIT_TIMEOUT_MS": "100"}) as running:
        payload = await submit(running, {"podSpec": POD})
        assert [error["code"] for error in payload["errors"]] == ["TIMEOUT"]
        assert payload["results"][0]["jobId"] is not None
        vector = running.api.services.coordinates.parse_position(payload["position"], path="position")
        assert list(vector.values()) == [0]


async def test_visible_gives_up_when_the_views_do_not_come() -> None:
    async with running_api(settings={"ARGOSY_API__WAIT_TIMEOUT_MS": "300"}) as running:
        await create(running, "a")
        payload = await submit(running, {"podSpec": POD}, wait_for="VISIBLE")
        assert [error["code"] for error in payload["errors"]] == ["UNAVAILABLE"]
        assert payload["results"][0]["jobId"] is not None


async def test_a_decision_that_was_read_before_the_brokers_answer_is_not_missed() -> None:
    async with running_api() as running:
        principal = Principal(user="u", verbs=("create_queue",))
        command = CreateQueues(principal=principal, queues=(QueueSpec(name="q"),))
        offset = running.log.append(COMMANDS, 0, codec.encode(command))
        async with asyncio.timeout(5):
            while running.api.tail.records_read < 1:
                await asyncio.sleep(0.001)
        applied = await running.api.tail.outcomes.wait(0, offset, timeout_s=1.0)
        assert applied.outcome.refusals == ()


async def test_kafka_away_is_unavailable_and_nothing_is_acknowledged() -> None:
    async with running_api() as running:
        running.log.away = True
        answer = await running.execute(SUBMIT, {"input": {"queue": "a", "jobSet": "s", "jobs": [{"podSpec": POD}]}})
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "UNAVAILABLE"
        assert error["extensions"]["retryable"] is True
        running.log.away = False
        await create(running, "a")
        assert ids_of(await submit(running, {"podSpec": POD}))


async def test_a_dry_run_validates_and_writes_nothing() -> None:
    async with running_api() as running:
        good = await submit(running, {"podSpec": POD}, dryRun=True)
        assert good["errors"] == []
        assert [result["jobId"] for result in good["results"]] == [None]
        bad = await submit(running, {"podSpec": POD}, {"podSpec": {}}, dryRun=True)
        assert [error["path"] for error in bad["errors"]] == ["jobs[1].podSpec.containers"]
        assert running.log.values(COMMANDS) == running.log.values(SHAPES) == []


async def test_without_all_or_nothing_good_jobs_are_submitted_and_bad_ones_named() -> None:
    async with running_api() as running:
        await create(running, "a")
        payload = await submit(running, {"podSpec": {}}, {"podSpec": POD}, allOrNothing=False)
        bad, good = payload["results"]
        assert (bad["index"], bad["jobId"], bad["error"]["path"]) == (0, None, "jobs[0].podSpec.containers")
        assert good["index"] == 1
        cancelled = await running.execute(CANCEL, {"ids": [good["jobId"]]})
        assert cancelled["data"]["cancelJobs"]["affected"] == [good["jobId"]]


async def test_1001_jobs_are_refused_and_nothing_is_written() -> None:
    async with running_api() as running:
        payload = await submit(running, *[{"podSpecIndex": 0}] * 1_001, podSpecs=[POD])
        (error,) = payload["errors"]
        assert (error["code"], error["path"]) == ("INVALID", "jobs")
        assert "split the call" in error["message"]
        assert running.log.values(COMMANDS) == []


async def test_ids_of_several_partitions_are_cancelled_in_one_call() -> None:
    async with running_api() as running:
        names = ["a", "b", "c", "d", "e", "f"]
        await create(running, *names)
        ids = [ids_of(await submit(running, {"podSpec": POD}, queue=name))[0] for name in names]
        unknown = format_id(job_id(call_prefix(1, 0, 1), 0))
        nowhere = format_id(job_id(call_prefix(1, PARTITIONS, 1), 0))
        answer = await running.execute(CANCEL, {"ids": [*ids, unknown, nowhere, ids[0].upper()]})
        payload = answer["data"]["cancelJobs"]
        assert sorted(payload["affected"]) == sorted(ids)
        assert payload["affectedCount"] == len(ids)
        assert {item["id"]: item["code"] for item in payload["notAffected"]} == {
            unknown: "NOT_FOUND",
            nowhere: "NOT_FOUND",
        }
        commands = [value for value in running.log.values(COMMANDS) if isinstance(value, CancelJobs)]
        assert len(commands) == len({parse_id(text)[6] for text in [*ids, unknown]})
        assert {command.reason for command in commands} == {"not needed"}


async def test_a_job_of_another_queue_than_named_is_not_cancelled() -> None:
    async with running_api() as running:
        await create(running, "a", "b")
        ids = ids_of(await submit(running, {"podSpec": POD}))
        answer = await running.execute(CANCEL, {"ids": ids, "queue": "b"})
        payload = answer["data"]["cancelJobs"]
        assert payload["affected"] == []
        assert [item["code"] for item in payload["notAffected"]] == ["INVALID"]


async def test_wrong_ids_refuse_the_call_by_their_index() -> None:
    async with running_api() as running:
        answer = await running.execute(CANCEL, {"ids": ["01m86gh3h703vp5gqg2ae6m000", "x", "8" * 26]})
        errors = answer["data"]["cancelJobs"]["errors"]
        assert [(error["path"], error["index"]) for error in errors] == [("jobIds[1]", 1), ("jobIds[2]", 2)]
        assert running.log.values(COMMANDS) == []


@pytest.mark.parametrize("count", [0, 10_001])
async def test_no_ids_or_too_many_are_refused(count: int) -> None:
    async with running_api() as running:
        ids = [format_id(job_id(call_prefix(1, 0, number), 0)) for number in range(count)]
        answer = await running.execute(CANCEL, {"ids": ids})
        (error,) = answer["data"]["cancelJobs"]["errors"]
        assert (error["code"], error["path"]) == ("INVALID", "jobIds")


async def test_a_job_set_of_2500_jobs_is_cancelled_and_the_answer_waits_for_the_last() -> None:
    async with running_api() as running:
        await create(running, "a")
        jobs = [{"podSpecIndex": 0}] * 900
        for _ in range(3):
            await submit(running, *jobs, podSpecs=[POD])

        async def others() -> None:
            """Every command moves an open operation on; the agent's own Continue is not part of this decider."""
            while True:
                await create(running, "a")
                await asyncio.sleep(0)

        pushing = asyncio.create_task(others())
        answer = await running.execute(CANCEL_SET, {"queue": "a", "jobSet": "s"})
        pushing.cancel()
        payload = answer["data"]["cancelJobSet"]
        assert payload["errors"] == []
        assert payload["affectedCount"] == len(set(payload["affected"])) == 2_700


@pytest.mark.parametrize(
    ("variables", "code", "path"),
    [
        ({"queue": "nope", "jobSet": "s"}, "NOT_FOUND", "queue"),
        ({"queue": "", "jobSet": "s"}, "INVALID", "queue"),
        ({"queue": "a", "jobSet": ""}, "INVALID", "jobSet"),
        ({"queue": "a", "jobSet": "s", "states": ["FAILED"]}, "INVALID", "states"),
        ({"queue": "a", "jobSet": "s", "states": []}, "INVALID", "states"),
    ],
)
async def test_a_wrong_job_set_is_refused_by_its_field(variables: dict[str, Any], code: str, path: str) -> None:
    async with running_api() as running:
        answer = await running.execute(CANCEL_SET, variables)
        (error,) = answer["data"]["cancelJobSet"]["errors"]
        assert (error["code"], error["path"]) == (code, path)


async def test_a_user_without_the_verb_is_forbidden_by_the_log() -> None:
    tokens = f'[{{"sha256": "{token_hash("bob")}", "user": "bob"}}, {{"sha256": "{token_hash("eve")}", "user": "eve"}}]'
    async with running_api(settings={"ARGOSY_API__TOKENS": tokens}) as running:
        await create(running, "a")
        for user in ("bob", "eve"):
            value = {"input": {"queue": "a", "jobSet": "s", "jobs": [{"podSpec": POD}]}}
            answer = await running.execute(SUBMIT, value, authorization=f"Bearer {user}")
            (error,) = answer["data"]["submitJobs"]["errors"]
            assert (error["code"], error["path"]) == ("FORBIDDEN", "queue")
            answer = await running.execute(CREATE, {"queues": [{"name": user}]}, authorization=f"Bearer {user}")
            assert [each["code"] for each in answer["data"]["createQueues"]["errors"]] == ["FORBIDDEN"]
