"""A cursor older than what is kept, on the real stack: retention takes the beginning of argosy.events, views are filled
anew."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from app.domain.ids import parse_id, partition_of_job
from app.log.topics import EVENTS
from tests.integration.api.client import CANCEL, Client, GraphQLFailed
from tests.integration.api.installation import Installation
from tests.stack.directory import stack_directory
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack


@pytest.fixture
def directory() -> Iterator[Path]:
    with stack_directory("pruned") as made:
        for name in ("first", "second"):
            (made / name).mkdir()
        yield made


async def events_of(client: Client, queue: str, after: str) -> tuple[list[str], str]:
    """Kinds of the events behind a cursor, and the cursor at their end."""
    kinds: list[str] = []
    variables = {"queue": queue, "jobSet": "s", "after": after, "live": False}
    async with aclosing(client.sse(variables)) as batches:  # type: ignore[type-var]  # a generator
        async for batch in batches:
            kinds += [event["kind"] for event in batch["events"]]
            after = batch["cursor"]
    return kinds, after


async def test_a_cursor_older_than_what_is_kept_has_expired(
    fresh_kafka: KafkaBroker, database_factory: Callable[[], str], directory: Path
) -> None:
    first = await asyncio.to_thread(Installation, fresh_kafka.bootstrap, database_factory(), directory / "first")
    await asyncio.to_thread(first.start)
    async with Client(first.url) as client:
        queue = await client.create_queue()
        [early] = (await client.submit(queue, wait_for="VISIBLE"))["results"]
        kinds, old = await events_of(client, queue, "BEGIN")
        assert kinds == ["SUBMITTED", "QUEUED"]
        await client.execute(CANCEL, {"ids": [early["jobId"]], "waitFor": "VISIBLE"})
        _, newer = await events_of(client, queue, "BEGIN")
        partition = partition_of_job(parse_id(early["jobId"]))
        await asyncio.to_thread(_delete_events, fresh_kafka.bootstrap, partition)
        await client.submit(queue, wait_for="VISIBLE")
        kinds, _ = await events_of(client, queue, old)
        assert kinds != [], "Postgres still has what the log has lost"
    for component in (first.api, *first.views.values()):
        component.kill()

    second = await asyncio.to_thread(Installation, fresh_kafka.bootstrap, database_factory(), directory / "second")
    try:
        for component in (*second.views.values(), second.api):
            component.start()
        for component in (*second.views.values(), second.api):
            await asyncio.to_thread(component.wait_until_ready)
        async with Client(second.url) as client:
            [late] = (await client.submit(queue, wait_for="VISIBLE"))["results"]
            with pytest.raises(GraphQLFailed) as expired:
                await events_of(client, queue, old)
            assert expired.value.code == "CURSOR_EXPIRED"
            assert expired.value.errors[0]["extensions"]["field"] == "after"
            assert (await events_of(client, queue, newer))[0] == ["SUBMITTED", "QUEUED"] * 2
            assert (await events_of(client, queue, "BEGIN"))[0] == ["SUBMITTED", "QUEUED"] * 2
            assert late["jobId"]
    finally:
        second.close()
        first.close()


def _delete_events(bootstrap: str, partition: int) -> None:
    """As retention does: everything that stands in this partition of argosy.events now."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records([TopicPartition(EVENTS, partition, -1)]).values():
        future.result(30)
