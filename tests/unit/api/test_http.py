"""GraphQL over HTTP: media types, statuses, limits, and what is refused before GraphQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.api import web
from app.api.auth import token_hash
from tests.unit.api.running_api import RunningApi, running_api
from tests.unit.api.submissions import POD

RESPONSE = "application/graphql-response+json"
ONE_TOKEN = {
    "ARGOSY_API__ANONYMOUS": "false",
    "ARGOSY_API__TOKENS": f'[{{"sha256": "{token_hash("t")}", "user": "bob"}}]',
}


@pytest.fixture
async def running() -> AsyncIterator[RunningApi]:
    async with running_api(deciding=False) as api:
        yield api


async def post(running: RunningApi, query: str, *, accept: str = "application/json", **more: Any) -> httpx.Response:
    return await running.client.post("/graphql", json={"query": query, **more}, headers={"accept": accept})


def code_of(answer: httpx.Response) -> str:
    """The code of all its errors."""
    (code,) = {error["extensions"]["code"] for error in answer.json()["errors"]}
    return str(code)


async def test_an_answer_has_the_media_type_that_is_accepted(running: RunningApi) -> None:
    plain = await post(running, "{ __typename }")
    modern = await post(running, "{ __typename }", accept=f"{RESPONSE}, application/json;q=0.9")
    assert plain.headers["content-type"] == "application/json"
    assert modern.headers["content-type"] == RESPONSE
    assert plain.json() == modern.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ nope }", None),
        ("{ jobs", None),
        ("query ($id: ID!) { job(id: $id) { id } }", {}),
        ("mutation ($i: SubmitJobsInput!) { submitJobs(input: $i) { position } }", {"i": {"queue": 1}}),
        ("{ job(id: 7.5) { id } }", None),
        ('{ jobs(filter: {owner: "x"}) { nodes { id } } }', None),
    ],
)
async def test_what_cannot_be_executed_is_invalid_and_400_only_for_the_modern_type(
    running: RunningApi, query: str, variables: dict[str, Any] | None
) -> None:
    plain = await post(running, query, variables=variables)
    modern = await post(running, query, accept=RESPONSE, variables=variables)
    assert (plain.status_code, modern.status_code) == (200, 400)
    assert "data" not in modern.json()
    assert code_of(plain) == code_of(modern) == "INVALID"


async def test_a_failing_field_is_answered_with_200_and_its_path(running: RunningApi) -> None:
    answer = await post(running, "{ clusters { name } }", accept=RESPONSE)
    assert answer.status_code == 200
    assert answer.json()["data"] is None
    assert answer.json()["errors"][0]["path"] == ["clusters"]
    assert code_of(answer) == "UNAVAILABLE"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'{"query": 7}', b'{"variables": []}', b"\xff", b'{"query":"{']
)
async def test_a_body_that_is_no_request_is_400(running: RunningApi, body: bytes) -> None:
    answer = await running.client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert code_of(answer) == "INVALID"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_only_json_bodies_are_read_so_no_foreign_page_can_post(running: RunningApi, media_type: str) -> None:
    body = json.dumps({"query": "{ __typename }"}).encode()
    answer = await running.client.post("/graphql", content=body, headers={"content-type": media_type})
    assert answer.status_code == 415


async def test_get_is_not_allowed(running: RunningApi) -> None:
    answer = await running.client.get("/graphql", params={"query": "{ __typename }"})
    assert answer.status_code == 405


async def test_a_body_above_the_limit_is_413_whether_its_length_is_declared_or_not() -> None:
    async with running_api(deciding=False, settings={"ARGOSY_API__BODY_BYTES_MAX": "65536"}) as running:
        body = json.dumps({"query": "{ __typename }", "variables": {"x": "y" * 70_000}}).encode()
        headers = {"content-type": "application/json"}
        declared = await running.client.post("/graphql", content=body, headers=headers)

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(body), 10_000):
                yield body[at : at + 10_000]

        chunked = await running.client.post("/graphql", content=chunks(), headers=headers)
        assert declared.status_code == chunked.status_code == 413
        assert "split the call" in declared.text
        assert "split the call" in chunked.text


async def test_a_host_that_is_not_this_machine_is_refused_while_anonymous_access_is_open(running: RunningApi) -> None:
    evil = await running.client.post("/graphql", json={"query": "{ __typename }"}, headers={"host": "evil.example:80"})
    assert evil.status_code == 421
    for host in ("localhost:8080", "127.0.0.1", "[::1]:8080"):
        fine = await running.client.post("/graphql", json={"query": "{ __typename }"}, headers={"host": host})
        assert fine.status_code == 200


async def test_without_token_nobody_is_answered_where_anonymous_access_is_closed() -> None:
    async with running_api(deciding=False, settings=ONE_TOKEN) as running:
        missing = await post(running, "{ __typename }")
        assert missing.status_code == 401
        assert missing.headers["www-authenticate"] == "Bearer"
        assert code_of(missing) == "UNAUTHENTICATED"
        headers = {"authorization": "Bearer t"}
        right = await running.client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
        assert right.json() == {"data": {"__typename": "Query"}}
        elsewhere = await running.client.post(
            "/graphql", json={"query": "{ __typename }"}, headers={"host": "argosy.example", **headers}
        )
        assert elsewhere.status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "{ " + " ".join(f"a{number}: __typename" for number in range(40)) + " }",
        "{ " + "__typename " * 3_000 + "}",
    ],
    ids=["aliases", "tokens"],
)
async def test_queries_beyond_the_limits_are_refused(running: RunningApi, query: str) -> None:
    answer = await post(running, query)
    assert code_of(answer) == "INVALID"


async def test_batches_of_requests_are_not_taken(running: RunningApi) -> None:
    answer = await running.client.post("/graphql", json=[{"query": "{ __typename }"}])
    assert answer.status_code == 400


async def test_an_unexpected_error_is_masked_and_numbered(
    running: RunningApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_arguments: Any) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(running.api.services.read, "clusters", broken)
    answer = await post(running, "{ clusters { name } }")
    assert code_of(answer) == "INTERNAL"
    assert "hunter2" not in answer.text
    number = answer.json()["errors"][0]["extensions"]["number"]
    assert number in caplog.text
    assert "hunter2" in caplog.text


async def test_wrong_types_are_named_with_their_place(running: RunningApi) -> None:
    query = "mutation ($i: SubmitJobsInput!) { submitJobs(input: $i) { position } }"
    job = {"podSpec": POD, "gang": {"id": "g", "cardinality": "two"}}
    answer = await post(running, query, variables={"i": {"queue": "a", "jobSet": "s", "jobs": [{}, job]}})
    (error,) = answer.json()["errors"]
    assert "jobs[1].gang.cardinality" in error["message"]


async def test_unknown_fields_of_inputs_are_named(running: RunningApi) -> None:
    query = "mutation ($i: SubmitJobsInput!) { submitJobs(input: $i) { position } }"
    answer = await post(running, query, variables={"i": {"queue": "a", "jobSet": "s", "jobs": [{"podSpecs": 1}]}})
    (error,) = answer.json()["errors"]
    assert "podSpecs" in error["message"]


async def test_a_client_that_takes_nothing_of_an_answer_is_given_up(
    running: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "SEND_TIMEOUT_S", 0.05)
    body = json.dumps({"query": "{ __typename }"}).encode()
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(parts)

    async def send(_message: Any) -> None:
        await asyncio.sleep(3_600)

    async with asyncio.timeout(5):
        await running.api.web(scope, receive, send)


async def test_unknown_paths_are_404(running: RunningApi) -> None:
    assert (await running.client.get("/nope")).status_code == 404
