"""The contract between the lean executor and graphql-core: the same answers, and frames made once."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
import strawberry
from msgspec import Raw
from strawberry.schema.config import StrawberryConfig

from app.api.graphql.lean_executor import Complete, LeanExecutor, Shared
from app.api.graphql.prepared import PreparedOperations
from app.api.graphql.scalars import SCALARS, DateTime
from app.api.graphql.typed_inputs import TypedInputs

projected: list[bool] = []


class Watched(LeanExecutor):
    def projection(self, type_: Any, field_details_list: Any) -> Complete | None:
        found = super().projection(type_, field_details_list)
        projected.append(found is not None)
        return found


@strawberry.type
class Inner:
    text: str | None
    when: DateTime


@strawberry.type
class Item:
    number: int
    inner: Inner | None
    many: list[Inner]

    @strawberry.field
    def computed(self) -> int:
        return self.number * 2


def items() -> list[Item]:
    inner = Inner(text="x", when=DateTime(1_700_000_000_123))
    none = Inner(text=None, when=DateTime(0))
    return [Item(number=1, inner=inner, many=[inner, none]), Item(number=2, inner=None, many=[])]


@strawberry.type
class Batch(Shared):
    items: list[Item]

    @strawberry.field
    def mine(self, info: strawberry.Info) -> str:
        user: str = info.context["user"]
        return user


@strawberry.type
class Query:
    @strawberry.field
    def items(self) -> list[Item]:
        return items()

    @strawberry.field
    def broken(self) -> list[Inner]:
        return [Inner(text="a", when=DateTime(0)), Inner(text="b", when=None)]  # type: ignore[arg-type]


BATCH = Batch(items=items())


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def batches(self, queue: str) -> AsyncGenerator[Batch, None]:
        yield BATCH


def schema(executor: Any = Watched) -> strawberry.Schema:
    operations = PreparedOperations(TypedInputs())
    return strawberry.Schema(
        Query,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[operations.extension],
        execution_context_class=executor,
    )


PLAIN = "{ items { n: number inner { text when } many { when } __typename } }"


@pytest.mark.parametrize(
    ("query", "is_lean"),
    [
        (PLAIN, True),
        ("{ items { ...F } } fragment F on Item { number inner { ... on Inner { text } } }", True),
        ("{ items { number computed } }", False),
        ("{ items { number @skip(if: false) } }", True),
        ("{ items @include(if: true) { number } }", False),
    ],
)
def test_a_projected_list_is_what_the_ordinary_way_gives(query: str, is_lean: bool) -> None:
    projected.clear()
    lean = asyncio.run(schema().execute(query))
    ordinary = asyncio.run(schema(None).execute(query))
    assert lean.errors is None
    assert lean.data == ordinary.data
    assert projected[-1] is is_lean


def test_a_null_where_none_may_be_is_placed_by_the_ordinary_way() -> None:
    result = asyncio.run(schema().execute("{ broken { text when } }"))
    assert result.errors is not None
    assert result.errors[0].path == ["broken", 1, "when"]


async def first(made: strawberry.Schema, selection: str, user: str, **variables: Any) -> Any:
    declared = "$q: String!, $x: Boolean!" if "$x" in selection else "$q: String!"
    query = f"subscription ({declared}) {{ batches(queue: $q) {{ {selection} }} }}"
    results = await made.subscribe(query, {"q": "a", **variables}, context_value={"user": user})
    async for result in results:
        assert not result.errors, result
        return result.data
    raise AssertionError("nothing came")


async def test_a_batch_is_executed_and_encoded_once_for_the_same_text() -> None:
    BATCH.frames.clear()
    made = schema()
    one, other = await first(made, "items { number }", "a"), await first(made, "items { number }", "b")
    assert type(one) is Raw
    assert one is other
    assert msgspec.json.decode(one) == {"batches": {"items": [{"number": 1}, {"number": 2}]}}
    assert len(BATCH.frames) == 1


async def test_what_depends_on_who_asks_is_not_shared() -> None:
    BATCH.frames.clear()
    made = schema()
    assert await first(made, "mine", "a") == {"batches": {"mine": "a"}}
    assert await first(made, "mine", "b") == {"batches": {"mine": "b"}}
    assert await first(made, "items @include(if: $x) { number } __typename", "a", x=False) == {
        "batches": {"__typename": "Batch"}
    }
    assert BATCH.frames == {}


async def test_the_frames_of_a_batch_are_bounded() -> None:
    BATCH.frames.clear()
    made = schema()
    for number in range(40):
        await first(made, f"a{number}: items {{ number }}", "a")
    assert len(BATCH.frames) == 32
