"""Verbs on jobs and queues through the whole stack: from GraphQL to the stream of the job set, the views and the next
rounds, with a scheduler that is killed in between."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.api.auth import token_hash
from tests.stack.directory import stack_directory
from tests.stack.whole_stack import WholeStack, eventually, fake_cluster, running_stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

SETTINGS = {
    "kafka": {"partitions": 4, "replication": 1},
    "dev": {"schedulers": 1},
    "scheduler": {"submit_check": {"grace_s": 1}},
    "clusters": {"alpha": fake_cluster(1, cpu="4", memory="64Gi")},
    "api": {
        "tokens": [
            {"sha256": token_hash("eve"), "user": "eve"},
            {"sha256": token_hash("ann"), "user": "ann"},
        ]
    },
}
JOBS = "position affected affectedCount notAffected { id code message } errors { code path message }"
MATCHING = f"matched after more {JOBS}"
EVENTS = """subscription ($queue: String!, $jobSet: String!) {
  jobSetEvents(queue: $queue, jobSet: $jobSet, after: "BEGIN", live: false) {
    events { kind jobId terminal requestor reason reasonCode priority } } }"""
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def stack() -> Iterator[WholeStack]:
    """One of this file's own: its scheduler is killed, and its only node has 4 cores."""
    with stack_directory("verbs") as directory, running_stack(directory, SETTINGS) as running:
        yield running


class Api:
    """Asks as somebody; answers are the one field of a query."""

    def __init__(self, http: httpx.Client, token: str | None = None) -> None:
        self._http = http
        self._headers = {"authorization": f"Bearer {token}"} if token is not None else {}

    def __call__(self, query: str, **variables: Any) -> Any:
        body = {"query": query, "variables": variables}
        answer = self._http.post("/graphql", json=body, headers=self._headers).json()
        assert "errors" not in answer, answer["errors"]
        (value,) = answer["data"].values()
        return value

    def events(self, queue: str, job_set: str) -> list[dict[str, Any]]:
        """All events of the job set so far."""
        body = {"query": EVENTS, "variables": {"queue": queue, "jobSet": job_set}}
        text = self._http.post("/graphql", json=body, headers={"accept": "text/event-stream"}).text
        lines = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
        return [event for line in lines for event in json.loads(line)["data"]["jobSetEvents"]["events"]]

    def job(self, job_id: str) -> Any:
        return self("query ($id: ID!) { job(id: $id) { state priority requestor reason reasonCode } }", id=job_id)

    def in_state(self, job_id: str, state: str) -> None:
        def holds() -> bool:
            job = self.job(job_id)
            return job is not None and job["state"] == state

        eventually(holds, f"job {job_id} is {state}", within_s=WITHIN_S)


@pytest.fixture(scope="module")
def http(stack: WholeStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=60.0) as made:
        yield made


@pytest.fixture(scope="module")
def api(http: httpx.Client) -> Api:
    """Anonymous, who may do everything."""
    return Api(http)


@pytest.fixture(scope="module")
def queues(api: Api) -> list[str]:
    """Created by one call. `work` is ann's."""
    names = ["work", "other", "held", "spare"]
    made = api(
        "mutation ($queues: [QueueInput!]!) { createQueues(queues: $queues, waitFor: VISIBLE) { errors { code } } }",
        queues=[{"name": name, "owners": ["ann" if name == "work" else "chief"]} for name in names],
    )
    assert made["errors"] == []
    return names


def submit(api: Api, queue: str, count: int = 1, *, job_set: str, cpu: str = "1", **fields: Any) -> list[str]:
    """Ids of equal jobs that sleep for long; visible to queries."""
    amounts = {"cpu": cpu, "memory": "1Gi"}
    main = {"name": "main", "image": "busybox:1.37", "command": ["sleep", "3600"]}
    pod = {"containers": [{**main, "resources": {"requests": amounts, "limits": amounts}}]}
    made = api(
        "mutation ($input: SubmitJobsInput!) { submitJobs(input: $input, waitFor: VISIBLE) "
        "{ results { jobId } errors { code path message } } }",
        input={
            "queue": queue,
            "jobSet": job_set,
            "podSpecs": [pod],
            "jobs": [{"podSpecIndex": 0, **fields} for _ in range(count)],
        },
    )
    assert made["errors"] == []
    return [result["jobId"] for result in made["results"]]


def cancel_set(api: Api, queue: str, job_set: str) -> None:
    """What is left of a test goes, so that the next one finds room."""
    made = api(
        "mutation ($queue: String!, $jobSet: String!) { cancelJobSet(queue: $queue, jobSet: $jobSet, waitFor: VISIBLE)"
        " { errors { code } } }",
        queue=queue,
        jobSet=job_set,
    )
    assert made["errors"] == []


def restart_scheduler(stack: WholeStack) -> None:
    """Kills the leader; its successor has only what stands in the log."""
    (name,) = [name for name in stack.components() if name.startswith("scheduler")]
    killed = stack.kill(name)

    def is_another() -> bool:
        record = stack.process(name).record
        return stack.is_ready(name) and record is not None and record.pid != killed

    eventually(is_another, "another scheduler leads", within_s=120)


def kinds(events: list[dict[str, Any]], job_id: str) -> list[str]:
    return [event["kind"] for event in events if event["jobId"] == job_id]


REPRIORITIZE = f"""mutation ($queue: String!, $jobSet: String!, $ids: [ID!], $priority: Float!) {{ reprioritizeJobs(
  queue: $queue, jobSet: $jobSet, jobIds: $ids, priority: $priority, reason: "sooner", waitFor: VISIBLE
) {{ {JOBS} }} }}"""
PREEMPT = f"""mutation ($ids: [ID!]!) {{
  preemptJobs(jobIds: $ids, reason: "drain", waitFor: VISIBLE) {{ {JOBS} }} }}"""
CORDON = """mutation ($names: [String!]!, $cordoned: Boolean!) {
  cordonQueues(names: $names, cordoned: $cordoned, waitFor: VISIBLE) {
    queues { name cordoned } errors { code path } } }"""
QUEUE = """query ($name: String!) { queue(name: $name) { priorityFactor weight cordoned owners labels
  resourceLimitsByPriorityClass retryPolicies allowedVerbs refusedVerbs { verb reason } } }"""
PREVIEW = """query ($verb: JobVerb!, $filter: JobFilter!) { matchingJobs(verb: $verb, filter: $filter) {
  count complete touched stateCounts { state count } refused { code message count queue } } }"""


def test_a_job_with_a_better_priority_runs_first_also_after_the_scheduler_was_killed(
    stack: WholeStack, api: Api, queues: list[str]
) -> None:
    [blocker] = submit(api, "work", job_set="order", cpu="4")
    api.in_state(blocker, "RUNNING")
    first, second, last = submit(api, "work", 3, job_set="order", cpu="4", priority=5)
    changed = api(REPRIORITIZE, queue="work", jobSet="order", ids=[last, blocker], priority=1)
    assert (sorted(changed["affected"]), changed["notAffected"]) == (sorted([last, blocker]), [])
    assert api.job(last)["priority"] == api.job(blocker)["priority"] == 1
    again = api(REPRIORITIZE, queue="work", jobSet="order", ids=[last, blocker], priority=1)
    assert sorted(again["affected"]) == sorted([last, blocker])
    restart_scheduler(stack)
    api("mutation ($ids: [ID!]!) { cancelJobs(jobIds: $ids) { affectedCount } }", ids=[blocker])
    api.in_state(last, "RUNNING")
    assert api.job(first)["state"] == api.job(second)["state"] == "QUEUED"
    events = api.events("work", "order")
    said = [event for event in events if event["kind"].startswith("REPRIORITI")]
    assert [event["kind"] for event in said] == ["REPRIORITIZING", "REPRIORITIZED"] * 2
    assert {(event["requestor"], event["reason"], event["priority"]) for event in said} == {("anonymous", "sooner", 1)}
    cancel_set(api, "work", "order")


def test_a_preempted_job_ends_with_the_words_of_who_asked_and_its_gang_with_it(
    stack: WholeStack, api: Api, queues: list[str]
) -> None:
    preemptible: dict[str, Any] = {"priorityClass": "argosy-preemptible"}
    [alone] = submit(api, "work", job_set="preempted", **preemptible)
    one, other = submit(api, "work", 2, job_set="preempted", gang={"id": "g", "cardinality": 2}, **preemptible)
    [fixed] = submit(api, "work", job_set="preempted")
    for job_id in (alone, one, other, fixed):
        api.in_state(job_id, "RUNNING")
    [waiting] = submit(api, "work", job_set="preempted", cpu="4", **preemptible)
    restart_scheduler(stack)
    answer = api(PREEMPT, ids=[alone, one, fixed, waiting])
    assert sorted(answer["affected"]) == sorted([alone, one, other])
    assert {item["id"]: item["code"] for item in answer["notAffected"]} == {fixed: "INVALID", waiting: "CONFLICT"}
    events = api.events("work", "preempted")
    for job_id, code in ((alone, "RequestedPreemption"), (one, "RequestedPreemption"), (other, "GangPreemption")):
        assert kinds(events, job_id)[-3:] == ["PREEMPTING", "PREEMPTED", "FAILED"]
        job = api.job(job_id)
        assert (job["state"], job["reasonCode"], job["requestor"]) == ("PREEMPTED", code, "anonymous")
        assert job["reason"].endswith("Preempted by anonymous - drain")
    assert {item["code"] for item in api(PREEMPT, ids=[alone])["notAffected"]} == {"NOT_FOUND"}
    assert api.job(fixed)["state"] == "RUNNING"
    cancel_set(api, "work", "preempted")


def test_a_cordoned_queue_starts_nothing_until_it_is_let_go(stack: WholeStack, api: Api, queues: list[str]) -> None:
    for _ in range(2):
        answer = api(CORDON, names=["held", "nope"], cordoned=True)
        assert answer["queues"] == [{"name": "held", "cordoned": True}]
        assert [(error["code"], error["path"]) for error in answer["errors"]] == [("NOT_FOUND", "names[1]")]
    [held] = submit(api, "held", job_set="cordon")
    restart_scheduler(stack)
    [later] = submit(api, "other", job_set="cordon")
    api.in_state(later, "RUNNING")
    # The check of new jobs has looked at every job by the time that it rejects one that came later.
    [impossible] = submit(api, "other", job_set="cordon", cpu="400")
    api.in_state(impossible, "REJECTED")
    assert api.job(held)["state"] == "QUEUED"
    assert api(QUEUE, name="held")["cordoned"] is True
    api(CORDON, names=["held"], cordoned=False)
    api.in_state(held, "RUNNING")
    cancel_set(api, "held", "cordon")
    cancel_set(api, "other", "cordon")


def test_an_updated_queue_is_shown_and_weighs_in_the_next_rounds(
    stack: WholeStack, api: Api, queues: list[str]
) -> None:
    [running] = submit(api, "spare", job_set="weight")
    api.in_state(running, "RUNNING")
    update = """mutation ($queues: [QueueInput!]!) { updateQueues(queues: $queues, waitFor: VISIBLE) {
      queues { name weight owners } errors { code path } } }"""
    limits = {"argosy-default": {"cpu": 0.5}}
    change = {
        "name": "spare",
        "priorityFactor": 4,
        "cordoned": None,
        "owners": None,
        "groupOwners": None,
        "permissions": None,
        "labels": {"team": "x"},
        "resourceLimitsByPriorityClass": limits,
    }
    answer = api(update, queues=[change, {"name": "nope"}])
    assert answer["queues"] == [{"name": "spare", "weight": 0.25, "owners": ["chief"]}]
    assert [(error["code"], error["path"]) for error in answer["errors"]] == [("NOT_FOUND", "queues[1]")]
    shown = api(QUEUE, name="spare")
    assert (shown["priorityFactor"], shown["labels"], shown["owners"]) == (4, {"team": "x"}, ["chief"])
    assert shown["resourceLimitsByPriorityClass"] == limits
    # Half of the pool's 4 cores: one more job fits the cap, a third does not.
    second, third = submit(api, "spare", 2, job_set="weight")
    [other] = submit(api, "other", job_set="weight")
    api.in_state(other, "RUNNING")

    def states() -> list[str]:
        return sorted(api.job(job_id)["state"] for job_id in (second, third))

    eventually(lambda: states() == ["QUEUED", "RUNNING"], "the cap holds one of them back", within_s=WITHIN_S)

    def weight() -> float | None:
        shares = api("{ queueShares { pool queue weight } }")
        return next((share["weight"] for share in shares if share["queue"] == "spare"), None)

    eventually(lambda: weight() == 0.25, "rounds know the new weight", within_s=WITHIN_S)
    restart_scheduler(stack)
    assert states() == ["QUEUED", "RUNNING"]
    cancel_set(api, "spare", "weight")
    cancel_set(api, "other", "weight")


def test_ten_thousand_ids_whole_sets_and_filters(stack: WholeStack, api: Api, queues: list[str]) -> None:
    api(CORDON, names=["held"], cordoned=True)
    ids = [job_id for _ in range(10) for job_id in submit(api, "held", 1_000, job_set="many")]
    took = timed(lambda: check_all(api(REPRIORITIZE, queue="held", jobSet="many", ids=ids, priority=3), ids))
    assert api.job(ids[0])["priority"] == api.job(ids[-1])["priority"] == 3
    whole = timed(lambda: check_all(api(REPRIORITIZE, queue="held", jobSet="many", ids=None, priority=4), ids))
    assert {api.job(job_id)["priority"] for job_id in (ids[0], ids[5_000], ids[-1])} == {4}
    wanted = {"queues": ["held"], "jobSet": {"eq": "many"}}
    preview = api(PREVIEW, verb="CANCEL", filter=wanted)
    assert (preview["count"], preview["touched"], preview["complete"]) == (10_000, 10_000, True)
    assert preview["refused"] == []
    not_running = api(PREVIEW, verb="PREEMPT", filter=wanted)
    assert not_running["touched"] == 0
    assert [(each["code"], each["count"]) for each in not_running["refused"]] == [("INVALID", 10_000)]
    query = f"""mutation ($filter: JobFilter!, $after: Cursor) {{
      reprioritizeMatchingJobs(filter: $filter, priority: 7, first: 3000, after: $after) {{ {MATCHING} }} }}"""
    began_s = time.monotonic()
    reached = pages(api, query, wanted)
    filtered_s = time.monotonic() - began_s
    assert sorted(reached) == sorted(ids)
    cancelled = f"""mutation ($filter: JobFilter!, $after: Cursor) {{
      cancelMatchingJobs(filter: $filter, first: 10000, after: $after, waitFor: VISIBLE, reason: "over") {{
        {MATCHING} }} }}"""
    assert sorted(pages(api, cancelled, wanted)) == sorted(ids)
    assert api(PREVIEW, verb="CANCEL", filter=wanted)["count"] == 0
    assert api.job(ids[1])["reason"] == "over"
    print(f"10,000 ids reprioritized in {took:.2f} s, a set in {whole:.2f} s, a filter in {filtered_s:.2f} s")


def timed(work: Callable[[], None]) -> float:
    began_s = time.monotonic()
    work()
    return time.monotonic() - began_s


def check_all(answer: dict[str, Any], ids: list[str]) -> None:
    assert answer["errors"] == answer["notAffected"] == []
    assert answer["affectedCount"] == len(ids)
    assert sorted(answer["affected"]) == sorted(ids)


def pages(api: Api, query: str, wanted: dict[str, Any]) -> list[str]:
    """Calls until there are no more jobs; every id that was affected."""
    found: list[str] = []
    after = None
    while True:
        answer = api(query, filter=wanted, after=after)
        assert answer["errors"] == answer["notAffected"] == []
        assert answer["matched"] == answer["affectedCount"]
        found += answer["affected"]
        after = answer["after"]
        if not answer["more"]:
            return found


def test_who_may_not_is_told_so_by_pages_previews_and_calls(http: httpx.Client, api: Api, queues: list[str]) -> None:
    ann, eve = Api(http, "ann"), Api(http, "eve")
    api(CORDON, names=["work", "other"], cordoned=True)
    [hers], [others] = submit(api, "work", job_set="rights"), submit(api, "other", job_set="rights")
    assert ann(QUEUE, name="work")["allowedVerbs"] == ["submit", "cancel", "preempt", "reprioritize", "watch"]
    refused = {each["verb"]: each["reason"] for each in ann(QUEUE, name="work")["refusedVerbs"]}
    assert set(refused) == {"update", "cordon", "delete"}
    assert "cordon_queue" in refused["cordon"]
    assert eve(QUEUE, name="work")["allowedVerbs"] == []
    wanted = {"jobSet": {"eq": "rights"}}
    preview = ann(PREVIEW, verb="CANCEL", filter=wanted)
    assert (preview["count"], preview["touched"]) == (2, 1)
    assert [(each["code"], each["queue"], each["count"]) for each in preview["refused"]] == [("FORBIDDEN", "other", 1)]
    cancel = f"""mutation ($filter: JobFilter!) {{
      cancelMatchingJobs(filter: $filter, waitFor: VISIBLE) {{ {MATCHING} }} }}"""
    nothing = eve(cancel, filter=wanted)
    assert (nothing["affected"], nothing["matched"]) == ([], 2)
    written_nothing = eve(cancel, filter={**wanted, "states": ["FAILED"]})
    assert nothing["position"] == written_nothing["position"]
    assert {item["id"]: item["code"] for item in nothing["notAffected"]} == {hers: "FORBIDDEN", others: "FORBIDDEN"}
    some = ann(cancel, filter=wanted)
    assert some["affected"] == [hers]
    assert [(item["id"], item["code"]) for item in some["notAffected"]] == [(others, "FORBIDDEN")]
    assert api.job(hers)["requestor"] == "ann"
    ended = api(PREVIEW, verb="CANCEL", filter={"ids": [hers, others]})
    assert (ended["touched"], [(each["code"], each["count"]) for each in ended["refused"]]) == (1, [("NOT_FOUND", 1)])
    by_id = ann(REPRIORITIZE, queue="other", jobSet="rights", ids=[others], priority=1)
    assert [item["code"] for item in by_id["notAffected"]] == ["FORBIDDEN"]
    of_set = ann(REPRIORITIZE, queue="other", jobSet="rights", ids=None, priority=1)
    assert [(error["code"], error["path"]) for error in of_set["errors"]] == [("FORBIDDEN", "queue")]
    assert [error["code"] for error in ann(CORDON, names=["work"], cordoned=False)["errors"]] == ["FORBIDDEN"]
    api(CORDON, names=["work", "other"], cordoned=False)
    cancel_set(api, "other", "rights")


def test_a_queue_is_deleted_when_its_jobs_have_ended_and_comes_back_clean(api: Api, queues: list[str]) -> None:
    delete = """mutation { deleteQueues(names: ["held"], waitFor: VISIBLE) {
      queues { name } errors { code path message } } }"""
    api(CORDON, names=["held"], cordoned=True)
    [job_id] = submit(api, "held", job_set="last", clientId="c")
    assert [(error["code"], error["path"]) for error in api(delete)["errors"]] == [("CONFLICT", "names[0]")]
    cancel_set(api, "held", "last")
    assert api(delete) == {"queues": [{"name": "held"}], "errors": []}
    assert api("query ($name: String!) { queue(name: $name) { name } }", name="held") is None
    assert api.job(job_id)["state"] == "CANCELLED", "the history stays"
    create = 'mutation { createQueues(queues: [{name: "held"}], waitFor: VISIBLE) { errors { code } } }'
    assert api(create)["errors"] == []
    assert submit(api, "held", job_set="last", clientId="c") != [job_id]
    cancel_set(api, "held", "last")
