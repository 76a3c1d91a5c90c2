"""The contract between typed variables and Strawberry and graphql-core: one test for each thing that an upgrade could
break."""

import asyncio
from typing import Annotated, Any

import msgspec
import pytest
import strawberry
from msgspec import Raw

from app.api.graphql.prepared import PreparedOperations
from app.api.graphql.typed_inputs import TypedInputs
from app.api.service.inputs import NULL, Int32, TypedInput


class Part(TypedInput, frozen=True, kw_only=True):
    number: Int32
    name: str | None = "none"


class Whole(TypedInput, frozen=True, kw_only=True):
    parts: tuple[Part, ...]
    anything: Raw = NULL
    texts: tuple[str, ...] | None = ()
    factor: float | None = 0.0


INPUTS = TypedInputs()
INPUTS.add(Part, "PartInput")
WholeType = INPUTS.add(Whole, "WholeInput")
seen: list[Any] = []


@strawberry.type
class Query:
    @strawberry.field
    def take(self, whole: Annotated[Whole, strawberry.argument(graphql_type=WholeType)]) -> int:
        seen.append(whole)
        return len(whole.parts)


@pytest.fixture
def operations() -> PreparedOperations:
    seen.clear()
    return PreparedOperations(INPUTS)


def execute(operations: PreparedOperations, query: str, variables: dict[str, Any] | None = None) -> Any:
    schema = strawberry.Schema(Query, extensions=[operations.extension])
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in (variables or {}).items()}
    return asyncio.run(schema.execute(query, raw))


QUERY = "query ($whole: WholeInput!) { take(whole: $whole) }"


def test_the_sdl_comes_from_the_structs(operations: PreparedOperations) -> None:
    sdl = str(strawberry.Schema(Query))
    assert 'input PartInput {\n  number: Int!\n  name: String = "none"\n}' in sdl
    assert "  parts: [PartInput!]!\n  anything: JSON\n  texts: [String!] = []\n  factor: Float = 0\n" in sdl


def test_a_variable_goes_from_its_bytes_to_the_struct(operations: PreparedOperations) -> None:
    result = execute(operations, QUERY, {"whole": {"parts": [{"number": 1}], "anything": {"a": [1, None]}}})
    assert result.errors is None
    assert seen == [Whole(parts=(Part(number=1),), anything=Raw(b'{"a":[1,null]}'))]
    assert operations.get(QUERY).is_valid


def test_the_same_text_is_parsed_and_rewritten_once(operations: PreparedOperations) -> None:
    execute(operations, QUERY, {"whole": {"parts": []}})
    first = operations.get(QUERY)
    execute(operations, QUERY, {"whole": {"parts": []}})
    assert operations.get(QUERY) is first
    assert first.executable is not first.document


def test_what_the_struct_refuses_is_worded_by_graphql_with_its_path(operations: PreparedOperations) -> None:
    result = execute(operations, QUERY, {"whole": {"parts": [{"number": 1}, {"number": "two"}]}})
    (error,) = result.errors
    assert "'$whole'" in error.message
    assert ".parts[1].number" in error.message


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ('{ take(whole: {parts: [{number: 1, name: "x"}], anything: {a: [1]}}) }', {}),
        ("query ($parts: [PartInput!]!) { take(whole: {parts: $parts}) }", {"parts": [{"number": 1, "name": "x"}]}),
        (
            "query ($whole: WholeInput!) { a: take(whole: $whole) b: take(whole: $whole) }",
            {"whole": {"parts": [{"number": 1, "name": "x"}]}},
        ),
    ],
    ids=["literal", "variable inside", "used twice"],
)
def test_other_ways_of_writing_it_give_the_same_values(
    operations: PreparedOperations, query: str, variables: dict[str, Any]
) -> None:
    result = execute(operations, query, variables)
    assert result.errors is None
    assert {whole.parts for whole in seen} == {(Part(number=1, name="x"),)}


def test_a_struct_that_is_also_used_elsewhere_takes_the_ordinary_way(operations: PreparedOperations) -> None:
    query = "query ($whole: WholeInput!) { take(whole: $whole) __typename @include(if: true) }"
    assert execute(operations, query, {"whole": {"parts": []}}).data == {"take": 0, "__typename": "Query"}


def test_an_invalid_document_is_not_remembered_as_valid(operations: PreparedOperations) -> None:
    for _ in range(2):
        assert execute(operations, "{ nope }").errors is not None
    assert not operations.get("{ nope }").is_valid


def test_plain_variables_are_decoded_too(operations: PreparedOperations) -> None:
    query = "query ($n: Int!) { take(whole: {parts: [{number: $n}]}) }"
    assert execute(operations, query, {"n": 3}).data == {"take": 1}
    assert seen[0].parts[0].number == 3


def test_variables_that_are_no_json_are_the_clients_error(operations: PreparedOperations) -> None:
    schema = strawberry.Schema(Query, extensions=[operations.extension])
    result = asyncio.run(schema.execute(QUERY, {"whole": Raw(b'{"parts": [\xff]}')}))
    assert result.errors is not None
    assert "not valid JSON" in result.errors[0].message
