"""A Decision as events records: cut so that each stays below 4 MiB, in order, the last one with the outcome."""

from collections.abc import Callable

from msgspec.structs import replace

from app.domain.changes import JobSetKey
from app.domain.commands import Spec
from app.domain.decision import Decision
from app.domain.errors import ErrorCode, Refusal
from app.domain.events import Block, Event, EventsRecord, JobData, LeaseData, Outcome, StopData
from app.domain.lifecycle import EventKind
from app.domain.limits import EVENTS_PER_RECORD_MAX, EVENTS_RECORD_BYTES_MAX

EncodeEvents = Callable[[list[Event]], bytes]

_EVENT_BYTES = 120
_JOB_BYTES = 240
_STOP_BYTES = 80
_BYTES_MAX = EVENTS_RECORD_BYTES_MAX - (512 << 10)
"""sizes are estimated from below by at most the head room that is left here"""


class _Part:
    """One events record in the making."""

    __slots__ = ("bytes", "events", "first", "jobs", "leases", "sets", "specs", "stops")

    def __init__(self, first: int) -> None:
        self.first = first
        self.bytes = 0
        self.events: list[list[Event]] = []
        self.sets: dict[JobSetKey, int] = {}
        self.specs: list[Spec] = []
        self.jobs: list[JobData] = []
        self.leases: list[LeaseData] = []
        self.stops: list[StopData] = []

    def block(self, job_set: JobSetKey) -> int:
        """The index of the job set's block."""
        at = self.sets.get(job_set)
        if at is None:
            at = self.sets[job_set] = len(self.events)
            self.events.append([])
        return at


def records_of(
    decision: Decision, *, offset: int, log_time_ms: int, command: str, encode_events: EncodeEvents
) -> list[EventsRecord]:
    """The records of one decision, at least one. Ordinals of record n+1 follow those of record n."""
    parts = _parts(decision)
    records = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        end = decision.ordinals if last else parts[number + 1].first
        blocks = tuple(
            Block(
                queue=job_set.queue,
                incarnation=job_set.incarnation,
                job_set=job_set.job_set,
                count=len(part.events[at]),
                body=encode_events(part.events[at]),
            )
            for job_set, at in part.sets.items()
        )
        record = EventsRecord(
            offset=offset,
            first_ordinal=part.first,
            count=end - part.first,
            last=last,
            log_time_ms=log_time_ms,
            command=command,
            outcome=decision.outcome if last else None,
            operations=tuple(decision.operations) if last else (),
            specs=tuple(part.specs),
            jobs=tuple(part.jobs),
            leases=tuple(part.leases),
            reported=tuple(decision.reported) if last else (),
            stops=tuple(part.stops),
            blocks=blocks,
        )
        records.append(record)
    return records


def undecided(offset: int, log_time_ms: int, command: str, code: ErrorCode, message: str) -> EventsRecord:
    """The record of a command that could not be decoded or whose deciding raised: refused as a whole, nothing
    changed."""
    refusal = Refusal(index=-1, code=code, path="", message=message[:1000])
    return EventsRecord(
        offset=offset,
        first_ordinal=0,
        count=0,
        last=True,
        log_time_ms=log_time_ms,
        command=command,
        outcome=Outcome(refusals=(refusal,)),
    )


def _parts(decision: Decision) -> list[_Part]:
    """Events and stops in the order of their ordinals, with the data that belongs to them, dealt out to records."""
    specs = {spec.spec_id: spec for spec in decision.specs}
    jobs = iter(decision.jobs)
    leases = iter(decision.leases)
    stops = iter(decision.stops)
    stop = next(stops, None)
    part = _Part(0)
    parts = [part]
    events = 0
    for job_set, event in decision.events:
        size = _EVENT_BYTES + len(event.reason or "") + len(event.containers)
        data, lease, spec = None, None, None
        if event.kind is EventKind.SUBMITTED:
            data = next(jobs)
            size += _job_bytes(data)
            spec = specs.pop(data.spec_id, None)
            size += len(spec.body) if spec is not None else 0
        elif event.kind is EventKind.LEASED:
            lease = next(leases)
            size += _EVENT_BYTES + 60 * len(lease.displaced)
        while stop is not None and stop.ordinal < event.ordinal:
            part.stops.append(stop)
            part.bytes += _STOP_BYTES
            stop = next(stops, None)
        if part.bytes and (part.bytes + size > _BYTES_MAX or events >= EVENTS_PER_RECORD_MAX):
            part, events = _Part(event.ordinal), 0
            parts.append(part)
        at = part.block(job_set)
        part.events[at].append(event)
        part.bytes += size
        events += 1
        if data is not None:
            part.jobs.append(replace(data, block=at))
        if spec is not None:
            part.specs.append(spec)
        if lease is not None:
            part.leases.append(lease)
    while stop is not None:
        part.stops.append(stop)
        stop = next(stops, None)
    return parts


def _job_bytes(data: JobData) -> int:
    texts = sum(len(key) + len(value) for some in (data.labels, data.annotations) for key, value in some.items())
    return _JOB_BYTES + 4 * texts + len(data.services) + len(data.ingresses) + sum(map(len, data.groups))
