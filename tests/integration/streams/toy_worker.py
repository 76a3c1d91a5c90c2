"""A worker on app.streams whose deciding is as simple as can be: each command is some numbers; a row per key says which
number came last and how many came. Its arguments: a JSON object (see `main`).

A command that begins with b"!" is treated as asked: b"!raise", b"!forget" (take it and do not commit), b"!leave"."""

import asyncio
import json
import logging
import struct
import sys
from pathlib import Path
from typing import Any

from faust.worker import Worker
from prometheus_client import CollectorRegistry, generate_latest

from app.domain.rows import PositionRow
from app.streams.app import App
from app.streams.metrics import StreamMetrics
from app.streams.producer import KeyValue
from app.streams.step import Changes, Step
from app.streams.store import Changelog, Store

ROW = struct.Struct(">QQ")
KEYS = 50
POSITION_KEY = b"\0position"


def attach(app: App, name: str) -> None:
    changelog = Changelog(topic=f"{name}-state", prefix=b"s")
    source = f"{name}-commands"

    def opens(store: Store) -> Store:
        return store

    table = app.TransactionalTable("toy", source=source, changelog=changelog, position_key=POSITION_KEY, opens=opens)

    @app.agent(app.bytes_topic(source), name="toy", concurrency=app.partitions + 1)  # type: ignore[untyped-decorator]  # Faust has no types
    async def toy(stream: Any) -> None:
        async for step in table.steps(stream):
            async with step:
                await decide(step, changelog, f"{name}-events")


async def decide(step: Step, changelog: Changelog, events: str) -> None:
    rows: dict[bytes, bytes | None] = {}
    sends: list[KeyValue] = []
    while (record := step.take()) is not None:
        if record.value == b"!raise":
            raise KeyError("asked to raise")
        if record.value == b"!forget":
            return
        for number in struct.unpack(f">{len(record.value) // 8}Q", record.value):
            key = b"k%d" % (number % KEYS)
            if key not in rows:
                rows[key] = step.store.get([changelog.prefix + key])[0]
            old = rows[key]
            rows[key] = ROW.pack(number, ROW.unpack(old)[1] + 1 if old else 1)
        sends.append((None, record.value))
        step.spend(1)
    position = PositionRow(offset=step.last_offset, epoch=-1, log_time_ms=step.log_time_ms, settings_version=0)
    await step.commit(
        {(events, step.partition): sends}, [Changes(table=changelog, rows=list(rows.items()))], POSITION_KEY, position
    )


def main(options: dict[str, Any]) -> None:
    logging.basicConfig(level="INFO", stream=sys.stdout, format="%(asctime)s %(name)s %(message)s")
    name = options["name"]
    metrics = StreamMetrics(CollectorRegistry())
    app = App(
        name,
        bootstrap=options["bootstrap"],
        directory=Path(options["directory"]),
        instance=options["instance"],
        partitions=options["partitions"],
        topic_ids={f"{name}-commands": name, f"{name}-state": "state"},
        metrics=metrics,
        session_timeout_s=6.0,
        restore_pause_s=options.get("restore_pause_s", 0.0),
    )
    attach(app, name)

    @app.task  # type: ignore[untyped-decorator]  # Faust has no types
    async def publish() -> None:
        while True:
            troubles = Path(options["directory"]) / "troubles"
            troubles.with_suffix(".new").write_text(json.dumps(app.troubles()))
            troubles.with_suffix(".new").rename(troubles)
            (Path(options["directory"]) / "metrics").write_bytes(generate_latest(metrics.registry))
            await asyncio.sleep(0.1)

    Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
