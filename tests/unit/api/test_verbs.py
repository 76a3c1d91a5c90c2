"""Mutations of jobs and queues that exist, over HTTP against a log in memory and the real deciders."""

import asyncio
from typing import Any

import pytest

from app.api.auth import token_hash
from app.domain.commands import DeleteQueues, PreemptJobs, QueueChange, ReprioritizeJobs, UpdateQueues
from app.domain.ids import call_prefix, format_id, job_id
from app.log.topics import COMMANDS
from tests.unit.api.memory_log import PARTITIONS
from tests.unit.api.running_api import RunningApi, running_api
from tests.unit.api.submissions import POD
from tests.unit.api.test_mutations import create, ids_of, submit

JOBS = "position affected affectedCount notAffected { id code message } errors { code path message index }"
REPRIORITIZE = f"""mutation ($jobSet: String!, $ids: [ID!], $priority: Float!, $reason: String) {{
  reprioritizeJobs(queue: "a", jobSet: $jobSet, jobIds: $ids, priority: $priority, reason: $reason) {{ {JOBS} }}
}}"""
PREEMPT = f"mutation ($ids: [ID!]!, $reason: String) {{ preemptJobs(jobIds: $ids, reason: $reason) {{ {JOBS} }} }}"
QUEUES = "position queues { name } errors { code path message index }"
UPDATE = f"mutation ($queues: [QueueInput!]!) {{ updateQueues(queues: $queues) {{ {QUEUES} }} }}"
CORDON = f"""mutation ($names: [String!]!, $cordoned: Boolean!) {{
  cordonQueues(names: $names, cordoned: $cordoned) {{ {QUEUES} }} }}"""
DELETE = f"mutation ($names: [String!]!) {{ deleteQueues(names: $names) {{ {QUEUES} }} }}"
TOKENS = (
    f'[{{"sha256": "{token_hash("eve")}", "user": "eve"}},'
    f' {{"sha256": "{token_hash("op")}", "user": "op", "verbs": ["cordon_queue"]}}]'
)


async def ask(running: RunningApi, query: str, **variables: Any) -> dict[str, Any]:
    answer = await running.execute(query, variables)
    assert "errors" not in answer, answer
    (payload,) = answer["data"].values()
    assert isinstance(payload, dict)
    return payload


async def test_jobs_get_another_priority_and_a_repeated_call_the_same_answer() -> None:
    async with running_api() as running:
        await create(running, "a")
        ids = ids_of(await submit(running, {"podSpec": POD}, {"podSpec": POD}))
        first = await ask(running, REPRIORITIZE, jobSet="s", ids=[*ids, ids[0]], priority=6.6, reason="soon")
        assert (first["affected"], first["notAffected"], first["errors"]) == (ids, [], [])
        again = await ask(running, REPRIORITIZE, jobSet="s", ids=ids, priority=6.6)
        assert again["affected"] == ids
        command = running.log.values(COMMANDS)[2]
        assert isinstance(command, ReprioritizeJobs)
        assert (command.priority, command.reason, command.queue, command.job_set) == (7, "soon", "a", "s")
        assert command.principal.user == "anonymous"


async def test_without_ids_the_whole_set_is_reprioritized_and_an_empty_list_is_no_set() -> None:
    async with running_api() as running:
        await create(running, "a")
        ids = ids_of(await submit(running, {"podSpec": POD}, {"podSpec": POD}))
        empty = await ask(running, REPRIORITIZE, jobSet="s", ids=[], priority=1)
        assert [(error["code"], error["path"]) for error in empty["errors"]] == [("INVALID", "jobIds")]
        whole = await ask(running, REPRIORITIZE, jobSet="s", ids=None, priority=1)
        assert (sorted(whole["affected"]), whole["affectedCount"]) == (sorted(ids), 2)


async def test_ten_thousand_ids_over_all_partitions_are_asked_for_in_one_command_each() -> None:
    async with running_api() as running:
        await create(running, "a")
        [known] = ids_of(await submit(running, {"podSpec": POD}))
        ids = [
            format_id(job_id(call_prefix(1_790_000_000_000, number % PARTITIONS, number), 0)) for number in range(9_999)
        ]
        payload = await ask(running, REPRIORITIZE, jobSet="s", ids=[*ids, known], priority=2)
        assert payload["affected"] == [known]
        assert {item["code"] for item in payload["notAffected"]} == {"NOT_FOUND"}
        assert sorted(item["id"] for item in payload["notAffected"]) == sorted(ids)
        commands = [each for each in running.log.values(COMMANDS) if isinstance(each, ReprioritizeJobs)]
        assert len(commands) == PARTITIONS
        many = await ask(running, REPRIORITIZE, jobSet="s", ids=[known] * 10_001, priority=2)
        assert [error["path"] for error in many["errors"]] == ["jobIds"]


@pytest.mark.parametrize("query", [REPRIORITIZE, PREEMPT])
@pytest.mark.parametrize(
    ("variables", "path"),
    [({"ids": ["nonsense"]}, "jobIds[0]"), ({"reason": "x" * 513}, "reason"), ({"reason": "a\0b"}, "reason")],
)
async def test_bad_arguments_are_refused_by_their_field(query: str, variables: dict[str, Any], path: str) -> None:
    async with running_api() as running:
        given = {"ids": ["01jz3x7v5e0000000000000000"], **variables}
        if query == REPRIORITIZE:
            given |= {"jobSet": "s", "priority": 1}
        payload = await ask(running, query, **given)
        assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID", path)]
        assert running.log.values(COMMANDS) == []


async def test_what_cannot_be_preempted_is_named_with_its_reason() -> None:
    async with running_api() as running:
        await create(running, "a")
        preemptible = {"podSpec": POD, "priorityClass": "argosy-preemptible"}
        fixed, waiting = ids_of(await submit(running, {"podSpec": POD}, preemptible))
        payload = await ask(running, PREEMPT, ids=[fixed, waiting], reason="drain")
        assert [(item["id"], item["code"]) for item in payload["notAffected"]] == [
            (fixed, "INVALID"),
            (waiting, "CONFLICT"),
        ]
        assert payload["affected"] == []
        (command,) = [each for each in running.log.values(COMMANDS) if isinstance(each, PreemptJobs)]
        assert command.reason == "drain"


async def test_queues_are_updated_each_by_itself_and_null_leaves_a_field_alone() -> None:
    async with running_api() as running:
        await create(running, "a", "b")
        queues = [
            {"name": "a", "priorityFactor": 3, "cordoned": None, "permissions": None, "retryPolicies": None},
            {"name": "nope", "priorityFactor": 2},
            {"name": "b", "cordoned": True, "labels": {"team": "x"}, "resourceLimitsByPriorityClass": {}},
        ]
        payload = await ask(running, UPDATE, queues=queues)
        assert [(error["code"], error["path"], error["index"]) for error in payload["errors"]] == [
            ("NOT_FOUND", "queues[1]", 1)
        ]
        changes = {
            change.name: change
            for each in running.log.values(COMMANDS)
            if isinstance(each, UpdateQueues)
            for change in each.queues
        }
        assert changes["a"] == QueueChange(name="a", priority_factor=3.0, owners=(), group_owners=())
        assert changes["b"].priority_factor == 1.0
        assert (changes["b"].cordoned, changes["b"].labels, changes["b"].resource_limits) == (True, {"team": "x"}, "{}")


@pytest.mark.parametrize(
    ("query", "variables", "path"),
    [
        (UPDATE, {"queues": [{"name": "a", "priorityFactor": 0}]}, "queues[0].priorityFactor"),
        (UPDATE, {"queues": [{"name": "a"}, {"name": "a"}]}, "queues[1].name"),
        (UPDATE, {"queues": []}, "queues"),
        (CORDON, {"names": [], "cordoned": True}, "names"),
        (CORDON, {"names": ["a", "a"], "cordoned": True}, "names[1]"),
        (DELETE, {"names": ["a", ""]}, "names[1]"),
        (DELETE, {"names": [f"q{number}" for number in range(1_001)]}, "names"),
    ],
)
async def test_a_wrong_call_on_queues_is_refused_by_its_field(query: str, variables: dict[str, Any], path: str) -> None:
    async with running_api() as running:
        payload = await ask(running, query, **variables)
        assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID", path)]
        assert running.log.values(COMMANDS) == []


async def test_cordoning_may_be_repeated_and_names_what_is_not_there() -> None:
    async with running_api() as running:
        await create(running, "a", "b")
        for _ in range(2):
            payload = await ask(running, CORDON, names=["a", "nope", "b"], cordoned=True)
            assert [(error["code"], error["path"]) for error in payload["errors"]] == [("NOT_FOUND", "names[1]")]


async def test_a_queue_with_jobs_is_not_deleted_and_one_without_is() -> None:
    async with running_api() as running:
        await create(running, "a", "b")
        await submit(running, {"podSpec": POD})
        payload = await ask(running, DELETE, names=["a", "b"])
        assert [(error["code"], error["path"]) for error in payload["errors"]] == [("CONFLICT", "names[0]")]
        assert [error["code"] for error in (await ask(running, DELETE, names=["b"]))["errors"]] == ["NOT_FOUND"]
        assert any(isinstance(each, DeleteQueues) for each in running.log.values(COMMANDS))


@pytest.mark.parametrize(
    ("query", "variables", "verb"),
    [
        (UPDATE, {"queues": [{"name": "a"}]}, "create_queue"),
        (CORDON, {"names": ["a"], "cordoned": True}, "cordon_queue"),
        (DELETE, {"names": ["a"]}, "delete_queue"),
    ],
)
async def test_who_has_not_the_global_verb_is_refused_before_anything_is_written(
    query: str, variables: dict[str, Any], verb: str
) -> None:
    async with running_api(settings={"ARGOSY_API__TOKENS": TOKENS}) as running:
        answer = await running.execute(query, variables, authorization="Bearer eve")
        (payload,) = answer["data"].values()
        assert [error["code"] for error in payload["errors"]] == ["FORBIDDEN"]
        assert verb in payload["errors"][0]["message"]
        assert running.log.values(COMMANDS) == []


async def test_who_has_not_the_verb_on_the_queue_is_refused_by_the_log() -> None:
    async with running_api(settings={"ARGOSY_API__TOKENS": TOKENS}) as running:
        await create(running, "a")
        [job] = ids_of(await submit(running, {"podSpec": POD}))
        for query, variables in (
            (REPRIORITIZE, {"jobSet": "s", "ids": [job], "priority": 1}),
            (PREEMPT, {"ids": [job]}),
        ):
            answer = await running.execute(query, variables, authorization="Bearer eve")
            (payload,) = answer["data"].values()
            assert [(item["id"], item["code"]) for item in payload["notAffected"]] == [(job, "FORBIDDEN")]
        answer = await running.execute(
            REPRIORITIZE, {"jobSet": "s", "ids": None, "priority": 1}, authorization="Bearer eve"
        )
        assert [(e["code"], e["path"]) for e in answer["data"]["reprioritizeJobs"]["errors"]] == [
            ("FORBIDDEN", "queue")
        ]


async def test_the_viewer_is_told_who_he_is() -> None:
    async with running_api(settings={"ARGOSY_API__TOKENS": TOKENS}) as running:
        answer = await running.execute("{ viewer { user groups verbs } }", authorization="Bearer op")
        assert answer["data"]["viewer"] == {"user": "op", "groups": [], "verbs": ["cordon_queue"]}


async def test_a_filter_cannot_be_expanded_without_the_views_and_says_so() -> None:
    async with running_api() as running:
        query = 'mutation { cancelMatchingJobs(filter: {queues: ["a"]}) { matched errors { path } } }'
        answer = await running.execute(query)
        assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        for arguments, path in (("first: 0", "first"), ("first: 10001", "first")):
            query = f"mutation {{ cancelMatchingJobs(filter: {{}}, {arguments}) {{ errors {{ code path }} }} }}"
            answer = await running.execute(query)
            assert answer["data"]["cancelMatchingJobs"]["errors"] == [{"code": "INVALID", "path": path}]
        answer = await running.execute('mutation { cancelMatchingJobs(filter: {}, after: "x") { matched } }')
        assert answer["errors"][0]["extensions"] == {"code": "INVALID", "retryable": False, "field": "after"}


async def test_kafka_away_is_unavailable_for_every_verb() -> None:
    async with running_api() as running:
        await create(running, "a")
        running.log.away = True
        calls = [
            running.execute(REPRIORITIZE, {"jobSet": "s", "ids": None, "priority": 1}),
            running.execute(CORDON, {"names": ["a"], "cordoned": True}),
            running.execute(PREEMPT, {"ids": [format_id(job_id(call_prefix(1, 0, 1), 0))]}),
        ]
        for answer in await asyncio.gather(*calls):
            assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
