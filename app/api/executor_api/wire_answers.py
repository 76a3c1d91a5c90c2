"""Pages of view `leases` as answers on the executor's wire (rules 1 to 3). Pure.

Inputs: a page, the cursor that was sent, where the instance began. Outputs: `SyncAnswer`. A partition whose view has
not passed the instance's begin offers it no leases: there the view may still show what an earlier instance was told.
"""

from collections.abc import Mapping

import msgspec
import zstandard
from msgspec import Raw

from app.api.executor_api.instances import passed
from app.db.queries.leases import FullPage, LeaseRecord, StopRecord, SyncPage
from app.db.queries.reached import Reached
from app.domain.commands import Gang
from app.domain.ids import format_id
from app.domain.positions import Vector
from app.executor import protocol
from app.executor.cursor import Cursor, Position
from app.pods.limits import STORED_SPEC_BYTES_MAX

Taken = Mapping[int, tuple[int, int]]
"""partition -> (offset, ordinal) up to which leases and stops were taken"""

_decompressor = zstandard.ZstdDecompressor()
_raws = msgspec.json.Decoder(list[Raw])


def page_answer(
    sequence: int, page: SyncPage, log: str, taken: Taken, begins: Vector, *, ask_nodes: bool
) -> protocol.SyncAnswer:
    """What is newer than `taken`. Where the begin was not passed there are stops only, and the cursor stays."""
    offered = _offered(page.reached, begins)
    cursor = {
        partition: end if partition in offered else taken[partition]
        for partition, end in page.cursor.items()
        if (partition in offered and end[0] >= 0) or partition in taken
    }
    return protocol.SyncAnswer(
        sequence=sequence,
        leases=tuple(_lease(each, page.specs) for each in page.leases if each.partition in offered),
        stops=tuple(_stop(each) for each in page.stops),
        lease_cursor=Cursor(log, cursor),
        leases_known=True,
        ask_nodes=ask_nodes,
        log_begins=_log_begins(page.reached),
    )


def full_answer(sequence: int, page: FullPage, log: str, begins: Vector, *, ask_nodes: bool) -> protocol.SyncAnswer:
    """Every run that is not gone. Where the begin was not passed the cursor has no entry: it judges nothing."""
    offered = _offered(page.reached, begins)
    cursor = {partition: end for partition, end in page.cursor.items() if partition in offered and end[0] >= 0}
    return protocol.SyncAnswer(
        sequence=sequence,
        leases=tuple(_lease(each, page.specs) for each in page.leases if each.partition in offered),
        reported=tuple(format_id(each.run_id) for each in page.reported),
        reported_jobs=tuple(
            protocol.ReportedJob(job_id=format_id(each.job_id), attempt=each.attempt) for each in page.reported
        ),
        stops=tuple(_stop(each) for each in page.stops),
        lease_cursor=Cursor(log, cursor),
        leases_known=True,
        ask_nodes=ask_nodes,
        log_begins=_log_begins(page.reached),
    )


def _offered(reached: Mapping[int, Reached], begins: Vector) -> set[int]:
    """Partitions whose leases the instance is offered."""
    return passed({partition: stand.position for partition, stand in reached.items()}, begins)


def _log_begins(reached: Mapping[int, Reached]) -> dict[str, int]:
    return {str(partition): stand.first_offset for partition, stand in reached.items() if stand.first_offset >= 0}


def _lease(record: LeaseRecord, specs: Mapping[bytes, bytes]) -> protocol.Lease:
    job = record.job
    spec = _decompressor.decompress(specs[record.spec_id], max_output_size=STORED_SPEC_BYTES_MAX)
    return protocol.Lease(
        job_id=format_id(record.job_id),
        run_id=format_id(record.run_id),
        attempt=record.attempt,
        queue=job.queue,
        job_set=job.job_set,
        owner=job.owner,
        groups=job.groups,
        node=record.node,
        pool=record.pool,
        position=Position(record.partition, record.offset, record.ordinal),
        displaces=tuple(
            protocol.Displaced(run_id=format_id(run.run_id), position=Position(run.partition, run.offset, run.ordinal))
            for run in record.displaced
        ),
        namespace=job.namespace,
        pod_spec=Raw(spec),
        labels=job.labels,
        annotations=job.annotations,
        services=_list(job.services),
        ingresses=_list(job.ingresses),
        preemptible=job.preemptible,
        deadline_seconds=job.deadline_s,
        gang=_gang(job.gang) if job.gang is not None else None,
    )


def _gang(gang: Gang) -> protocol.LeaseGang:
    return protocol.LeaseGang(id=gang.gang_id, cardinality=gang.cardinality, uniformity_label=gang.uniformity_label)


def _list(text: str) -> tuple[Raw, ...]:
    return tuple(_raws.decode(text)) if text else ()


def _stop(record: StopRecord) -> protocol.Stop:
    return protocol.Stop(
        job_id=format_id(record.job_id),
        run_id=format_id(record.run_id),
        attempt=record.attempt,
        reason=record.reason.value,
    )
