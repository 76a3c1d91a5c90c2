"""View processes of one batch or a few, for tests: what was given, what became of it, where it stands."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, MetaData, Table, Text

from app.domain.events import EventsRecord
from app.log.topics import EVENTS
from app.views.runner import ViewRunner
from app.views.source import RawRecord
from app.views.view import Batch, Insert, Operation, View
from app.views.writer import Stand


class Given:
    """A haul that remembers what became of it."""

    def __init__(self, records: Sequence[RawRecord]) -> None:
        self.records = records
        self.owned = True
        self.written: bool | None = None

    def live(self) -> bool:
        return self.owned

    def done(self, written: bool) -> None:
        self.written = written


async def hauls(given: Sequence[Given]) -> AsyncIterator[Given]:
    for haul in given:
        await asyncio.sleep(0)
        yield haul


async def run(
    url: str, views: Sequence[View], batches: Sequence[Sequence[RawRecord]]
) -> tuple[ViewRunner, list[Given]]:
    """A process over these batches, from where the database stands."""
    runner = ViewRunner(url, views)
    try:
        for partition in sorted({one.partition for batch in batches for one in batch}):
            await runner.begin(partition)
        given = [Given(batch) for batch in batches]
        await runner.run(hauls(given))
    finally:
        await runner.writer.close()
    return runner, given


def commands_view(*, refuses: str = "", breaks_at: int = -1) -> View:
    """A view with a row a command. Postgres refuses the command `refuses`; its code breaks at position `breaks_at`."""

    def rows(batch: Batch) -> Sequence[Operation]:
        found = []
        for record in batch.records:
            value = record.value
            assert isinstance(value, EventsRecord)
            if value.offset == breaks_at and record.partition == 1:
                raise KeyError("a bug in the view")
            if value.last:
                found.append((record.partition, value.offset, value.command))
        return [Insert(table="commands_v1", columns=("partition", "position", "command"), rows=found)]

    metadata = MetaData()
    Table(
        "commands_v1",
        metadata,
        Column("partition", Integer, primary_key=True),
        Column("position", BigInteger, primary_key=True),
        Column("command", Text, nullable=False),
        CheckConstraint(f"command <> '{refuses}'", name="refused"),
    )
    return View(name="commands", version=1, topic=EVENTS, metadata=metadata, rows=rows)


async def positions(view: View, url: str) -> dict[int, Stand]:
    runner = ViewRunner(url, [view])
    try:
        return {partition: stand for partition, (stand, _) in (await runner.writer.read(view)).items()}
    finally:
        await runner.writer.close()
