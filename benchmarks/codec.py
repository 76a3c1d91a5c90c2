"""What the codec costs per item, beside fastavro with msgspec's conversion: `make bench-codec`.

Input: made-up records of 1,000 items as they stand in the log. Output: microseconds of CPU an item, the best of many
repetitions in this thread, so that other load on the machine counts as little as it can.
"""

import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastavro
import msgspec

from app.domain.commands import JobItem, Principal, Report, ReportRuns, ReportState, ShapeRef, Spec, SubmitJobs
from app.domain.events import Event
from app.domain.lifecycle import EventKind, JobState
from app.domain.rows import JOB_HEAD, JobRow
from app.log.codec import SCHEMAS, decode, decode_events, encode, encode_events
from benchmarks.outcome import Budget, conditions_here, outcome_line

ITEMS = 1_000
SECONDS_PER_FIGURE = 1.0
SPEC_BYTES = 400

BUDGETS = {
    "submit_shared_decode_us": Budget(value=6.0),
    "events_encode_us": Budget(value=4.0),
    "job_row_encode_us": Budget(value=4.0),
    "job_row_decode_us": Budget(value=4.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A record and how many items it has. value: a Struct, or a list of events."""

    name: str
    value: Any
    items: int


def cases() -> list[Case]:
    """Records as the API, executors and the queue agent write them."""
    rows = JobRow(
        head=os.urandom(JOB_HEAD.size),
        queue="team-a",
        incarnation=12,
        job_set="nightly-2026-11-24",
        cluster="east",
        node="node-0123",
        pool="default",
        pools=("default",),
    )
    return [
        Case(name="submit_shared", value=submit(own_specs=False), items=ITEMS),
        Case(name="submit_own", value=submit(own_specs=True), items=ITEMS),
        Case(name="reports", value=ReportRuns(reports=tuple(report(n) for n in range(ITEMS))), items=ITEMS),
        Case(name="events", value=[event(n) for n in range(ITEMS)], items=ITEMS),
        Case(name="job_row", value=rows, items=1),
    ]


def submit(*, own_specs: bool) -> SubmitJobs:
    shape = ShapeRef(shape_hash=bytes(16), cpu_milli=1_000, memory_bytes=1 << 30, storage_bytes=0, gpus=0)
    count = ITEMS if own_specs else 1
    return SubmitJobs(
        principal=Principal(user="alice", groups=("team-a", "everybody")),
        queue="team-a",
        job_set="nightly-2026-11-24",
        specs=tuple(Spec(spec_id=os.urandom(16), body=os.urandom(SPEC_BYTES)) for _ in range(count)),
        shapes=(shape,),
        jobs=tuple(job(number, number % count) for number in range(ITEMS)),
    )


def job(number: int, spec: int) -> JobItem:
    return JobItem(
        job_id=os.urandom(16),
        spec=spec,
        shape=0,
        namespace="default",
        priority=1_000,
        priority_class="default",
        preemptible=True,
        deadline_s=259_200,
        client_id=f"client-id-{number}",
        labels={"app": "render"},
        annotations={"example.com/batch": "17"},
    )


def report(number: int) -> Report:
    return Report(
        cluster="east",
        instance=bytes(16),
        job_id=os.urandom(16),
        run_id=os.urandom(16),
        attempt=1,
        state=ReportState.RUNNING,
        time_ms=1_795_000_000_000 + number,
        node=f"node-{number:04}",
        pod=f"argosy-{number:026}",
        namespace="default",
    )


def event(number: int) -> Event:
    return Event(
        ordinal=number,
        kind=EventKind.LEASED,
        job_id=os.urandom(16),
        before=JobState.QUEUED,
        after=JobState.LEASED,
        attempt=1,
        run_id=os.urandom(16),
        cluster="east",
        node=f"node-{number:04}",
        pool="default",
        priority=1_000,
    )


def cost_us(function: Callable[[], object], items: int) -> float:
    """Microseconds of CPU an item: the best repetition within SECONDS_PER_FIGURE."""
    rounds = max(1, 1_000 // items)
    best = float("inf")
    until = time.monotonic() + SECONDS_PER_FIGURE
    while time.monotonic() < until:
        began = time.thread_time()
        for _ in range(rounds):
            function()
        best = min(best, time.thread_time() - began)
    return best / rounds / items * 1e6


def figures_of(case: Case) -> dict[str, float]:
    array = isinstance(case.value, list)
    schema = SCHEMAS.by_name["Events"] if array else SCHEMAS.of_class(type(case.value))
    data = encode_events(case.value) if array else encode(case.value)
    target: Any = list[Event] if array else schema.cls

    def generic_encode() -> bytes:
        stream = io.BytesIO()
        plain = msgspec.to_builtins(case.value, builtin_types=(bytes,))
        fastavro.schemaless_writer(stream, schema.parsed, plain)
        return stream.getvalue()

    def generic_decode() -> Any:
        plain = fastavro.schemaless_reader(io.BytesIO(data[5:]), schema.parsed, None)
        return msgspec.convert(plain, target, builtin_types=(bytes,))

    assert generic_encode() == data[5:]
    assert generic_decode() == case.value
    return {
        f"{case.name}_bytes": len(data) / case.items,
        f"{case.name}_encode_us": cost_us(
            lambda: encode_events(case.value) if array else encode(case.value), case.items
        ),
        f"{case.name}_decode_us": cost_us(lambda: decode_events(data) if array else decode(data), case.items),
        f"{case.name}_fastavro_encode_us": cost_us(generic_encode, case.items),
        f"{case.name}_fastavro_decode_us": cost_us(generic_decode, case.items),
    }


def main() -> None:
    figures: dict[str, float] = {}
    for case in cases():
        figures.update(figures_of(case))
    conditions = conditions_here(("fastavro", "msgspec"), items_per_record=ITEMS, spec_bytes=SPEC_BYTES)
    print(outcome_line("codec", conditions, figures, BUDGETS))


if __name__ == "__main__":
    main()
