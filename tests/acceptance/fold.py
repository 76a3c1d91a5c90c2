"""The independent answer to what the tables must hold: argosy.commands decided again in memory, and rows as plain
dictionaries.

It shares deciding (app.domain) with the queue agent and nothing with the views: no batches, no conflation, no patches,
no SQL. Every row is written down event by event, in the words of the tables' columns.
"""

from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from app.domain.changes import JobSetKey
from app.domain.commands import CancelJobs, CancelJobSet, Command
from app.domain.decide import decide
from app.domain.decision import Decision
from app.domain.events import Event, JobData, StopData
from app.domain.lifecycle import ENDED, EventKind, JobState
from app.domain.memory import MemoryState
from app.domain.rows import QueueRow
from app.domain.state import Overlay
from app.log.codec import decode
from app.log.topics import COMMANDS

Row = dict[str, Any]

NO_RUN: Row = dict.fromkeys(
    ("run_id", "cluster", "node", "pool", "leased", "pending", "started", "category", "code", "exit_code")
)
UNREPORTED, REPORTED, STOPPING, RUN_ENDED = range(4)


@dataclass(frozen=True, slots=True)
class Cancelling:
    """A cancel command in the log. jobs: the ids it names; job_set: the set that it ends (then jobs is empty)."""

    partition: int
    offset: int
    jobs: frozenset[bytes]
    job_set: tuple[str, str] | None
    reason: str | None


@dataclass(slots=True)
class Fold:
    """All partitions. events: job set -> (partition, offset, log time, event) in order."""

    partitions: int
    ends: dict[int, int] = field(default_factory=dict)
    """partition -> offset of the last command taken"""
    jobs: dict[bytes, Row] = field(default_factory=dict)
    runs: list[Row] = field(default_factory=list)
    errors: list[Row] = field(default_factory=list)
    job_sets: dict[tuple[str, int, str], Row] = field(default_factory=dict)
    events: dict[tuple[str, int, str], list[tuple[int, int, int, Event]]] = field(default_factory=dict)
    leases: dict[bytes, Row] = field(default_factory=dict)
    live_jobs: set[bytes] = field(default_factory=set)
    specs: dict[bytes, bytes] = field(default_factory=dict)
    queues: dict[str, Row] = field(default_factory=dict)
    cancels: list[Cancelling] = field(default_factory=list)
    commands: dict[str, int] = field(default_factory=dict)
    """how many of each type"""
    unfinished_runs: int = 0
    """live jobs, and runs that we ended and whose last word is missing"""

    def take(self, partition: int, offset: int, log_time_ms: int, command: Command, state: MemoryState) -> None:
        """Decides one command on the partition's state, and writes down what follows."""
        name = type(command).__name__
        self.commands[name] = self.commands.get(name, 0) + 1
        if isinstance(command, CancelJobs):
            cancelling = Cancelling(partition, offset, frozenset(command.job_ids), None, command.reason)
            self.cancels.append(cancelling)
        elif isinstance(command, CancelJobSet):
            named = (command.queue, command.job_set)
            self.cancels.append(Cancelling(partition, offset, frozenset(), named, command.reason))
        overlay = Overlay(state)
        decision = decide(overlay, command, partition, offset, log_time_ms)
        assert not decision.failed_items, f"deciding command {offset} of {partition} raised"
        overlay.keep()
        state.commit(overlay, offset, log_time_ms)
        self.ends[partition] = offset
        self._write(_Command(partition, offset, log_time_ms), decision)

    def _write(self, at: "_Command", decision: Decision) -> None:
        for spec in decision.specs:
            self.specs[spec.spec_id] = spec.body
        data = {job.job_id: job for job in decision.jobs}
        for job_set, event in decision.events:
            self._event(at, job_set, event, data.get(event.job_id))
        for lease in decision.leases:
            self.leases[lease.run_id] = {
                "job_id": lease.job_id,
                "partition": at.partition,
                "lease_offset": at.offset,
                "lease_ordinal": lease.ordinal,
                "attempt": lease.attempt,
                "cluster": lease.cluster,
                "node": lease.node,
                "pool": lease.pool,
                "state": UNREPORTED,
                "stop_reason": None,
                "end_offset": None,
                "end_ordinal": None,
                "ended": None,
            }
        for run_id in decision.reported:
            self.leases[run_id]["state"] = max(REPORTED, self.leases[run_id]["state"])
        for stop in decision.stops:
            self._stop(at, stop)

    def _stop(self, at: "_Command", stop: StopData) -> None:
        self.leases[stop.run_id].update(
            state=RUN_ENDED if stop.gone else STOPPING,
            stop_reason=stop.reason.value,
            end_offset=at.offset,
            end_ordinal=stop.ordinal,
            ended=at.time_ms if stop.gone else None,
        )

    def _event(self, at: "_Command", key: JobSetKey, event: Event, data: JobData | None) -> None:
        name = (key.queue, key.incarnation, key.job_set)
        self.events.setdefault(name, []).append((at.partition, at.offset, at.time_ms, event))
        job_set = self.job_sets.setdefault(
            name, {"first_submitted": None, "last_transition": 0, "counts": dict.fromkeys(JobState, 0)}
        )
        job_set["last_transition"] = max(job_set["last_transition"], at.time_ms)
        if event.kind is EventKind.SUBMITTED:
            assert data is not None, "SUBMITTED comes with the job's data"
            if job_set["first_submitted"] is None:
                job_set["first_submitted"] = at.time_ms
            self.jobs[event.job_id] = _new_job(at, key, event, data)
            self.live_jobs.add(event.job_id)
        elif event.before not in ENDED:
            self._change(at, self.jobs[event.job_id], event)
        if event.terminal:
            self.live_jobs.discard(event.job_id)
        if event.before is not event.after:
            counts = job_set["counts"]
            counts[event.after] += 1
            if event.before is not None:
                counts[event.before] -= 1

    def _change(self, at: "_Command", job: Row, event: Event) -> None:
        """What an event of a live job changes in its row."""
        kind = event.kind
        if kind is EventKind.QUEUED and event.attempt == 0:
            return
        if kind is EventKind.LEASED:
            place = {"run_id": event.run_id, "cluster": event.cluster, "node": event.node, "pool": event.pool}
            job.update(**place, leased=at.time_ms)
        elif kind is EventKind.PENDING:
            job["pending"] = at.time_ms
        elif kind is EventKind.RUNNING:
            job["started"] = at.time_ms
        elif kind is EventKind.SUCCEEDED:
            job["exit_code"] = event.exit_code
        elif kind is EventKind.FAILED:
            self._failed(at, job, event)
        elif kind in (EventKind.CANCELLED, EventKind.PREEMPTED, EventKind.REJECTED):
            job.update(reason=event.reason, code=event.reason_code, requestor=event.requestor)
        elif kind in (EventKind.LEASE_RETURNED, EventKind.LEASE_EXPIRED):
            self._returned(at, job, event)
        elif kind is not EventKind.QUEUED:
            return
        job["position"] = at.position(event)
        job["attempt"] = event.attempt
        if event.before is not event.after:
            job.update(state=event.after, last_transition=at.time_ms)

    def _failed(self, at: "_Command", job: Row, event: Event) -> None:
        if event.before is JobState.QUEUED and event.run_id is not None:
            job.update(run_id=event.run_id, cluster=event.cluster, node=event.node, pool=event.pool)
        job.update(exit_code=event.exit_code, category=event.category, code=event.reason_code)
        job["requestor"] = event.requestor
        self._error(at, event)

    def _returned(self, at: "_Command", job: Row, event: Event) -> None:
        run = {name: job[name] for name in NO_RUN} | {"job_id": event.job_id, "attempt": event.attempt}
        run |= {"exit_code": event.exit_code, "category": event.category, "code": event.reason_code}
        run |= {"finished": at.time_ms, "outcome": event.kind.value, "reason": event.reason}
        self.runs.append(run)
        job.update(NO_RUN)
        self._error(at, event)

    def _error(self, at: "_Command", event: Event) -> None:
        if event.reason or event.containers or event.reason_code:
            self.errors.append(
                {
                    "job_id": event.job_id,
                    "position": at.position(event),
                    "at": at.time_ms,
                    "attempt": event.attempt,
                    "kind": event.kind.value,
                    "code": event.reason_code or None,
                    "message": event.reason or None,
                    "containers": event.containers or None,
                }
            )


@dataclass(frozen=True, slots=True)
class _Command:
    """Where events stand."""

    partition: int
    offset: int
    time_ms: int

    def position(self, event: Event) -> int:
        """As the tables hold it: 20 bits for the ordinal."""
        return self.offset << 20 | event.ordinal


def _new_job(at: _Command, key: JobSetKey, event: Event, data: JobData) -> Row:
    return {
        "spec_id": data.spec_id,
        "last_transition": at.time_ms,
        "position": at.position(event),
        "memory": data.memory_bytes,
        "storage": data.storage_bytes,
        "queue": key.queue,
        "incarnation": key.incarnation,
        "job_set": key.job_set,
        "owner": data.owner,
        "namespace": data.namespace,
        "class": data.priority_class,
        "priority": data.priority,
        "cpu": data.cpu_milli,
        "gpus": data.gpus,
        "deadline_s": data.deadline_s,
        "state": event.after,
        "attempt": event.attempt,
        "preemptible": data.preemptible,
        **NO_RUN,
        "client_id": data.client_id,
        "gang": data.gang.gang_id if data.gang is not None else None,
        "labels": data.labels,
        "annotations": sorted(f"{name}={value}" for name, value in data.annotations.items()),
        "reason": None,
        "requestor": None,
    }


def fold_commands(bootstrap: str, partitions: int) -> Fold:
    """Reads argosy.commands from its beginning to its end and decides everything again."""
    fold = Fold(partitions)
    for partition in range(partitions):
        state = MemoryState()
        log_time_ms, expected = 0, 0
        for offset, time_ms, value in _records(bootstrap, partition):
            assert offset == expected, f"argosy.commands has a hole at {expected} of partition {partition}"
            expected, log_time_ms = offset + 1, max(log_time_ms, time_ms)
            command: Any = decode(value)
            fold.take(partition, offset, log_time_ms, command, state)
        fold.unfinished_runs += sum(key[:1] in b"jr" for key in state.rows)
        for key, row in state.rows.items():
            if isinstance(row, QueueRow):
                fold.queues[key[1:].decode()] = {
                    "partition": partition,
                    "incarnation": row.incarnation,
                    "created": row.created_ms,
                    "spec": row.spec,
                }
    return fold


def _records(bootstrap: str, partition: int) -> list[tuple[int, int, bytes]]:
    """Offset, append time and value of every record of a partition of argosy.commands."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "acceptance-fold",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    found: list[tuple[int, int, bytes]] = []
    try:
        consumer.assign([TopicPartition(COMMANDS, partition, 0)])
        while True:
            for message in consumer.consume(10_000, timeout=1.0):
                error = message.error()
                if error is None:
                    found.append((message.offset() or 0, message.timestamp()[1], message.value() or b""))
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, str(error)
                    return found
    finally:
        consumer.close()
