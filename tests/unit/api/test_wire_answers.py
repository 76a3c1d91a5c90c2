"""What an instance is told of a view that lags behind its own begin, or holds less than the whole log."""

import msgspec
from msgspec.structs import replace

from app.api.executor_api.wire_answers import full_answer, page_answer
from app.db.lease_job import LeaseJob, decode_job, encode_job
from app.db.queries.leases import FullPage, LeaseRecord, ReportedRecord, StopRecord, SyncPage
from app.db.queries.reached import WHOLE, Reached
from app.domain.commands import Gang, RunPosition
from app.domain.events import StopReason
from app.domain.ids import format_id
from app.executor.cursor import Cursor
from app.executor.protocol import LeaseGang, decode_answer, encode_answer
from app.pods.canonical import canonical_json, pack_spec

LOG = "log"
SPEC = {"containers": [{"name": "main", "image": "busybox"}]}
SPECS = {bytes(16): pack_spec(canonical_json(SPEC))}


def lease(partition: int, offset: int) -> LeaseRecord:
    job = LeaseJob(
        queue="q",
        job_set="s",
        owner="alice",
        groups=("g",),
        namespace="default",
        preemptible=True,
        deadline_s=60,
        labels={"a": "b"},
        annotations={},
        services='[{"type":"NodePort"}]',
        ingresses="",
    )
    return LeaseRecord(
        run_id=bytes([partition] * 16),
        job_id=bytes(16),
        attempt=1,
        partition=partition,
        offset=offset,
        ordinal=2,
        node="n0",
        pool="default",
        displaced=(RunPosition(run_id=bytes([9] * 16), partition=1, offset=3, ordinal=4),),
        job=job,
        spec_id=bytes(16),
    )


def stand(partition: int, position: int, first: int = 0) -> Reached:
    return Reached(
        partition=partition,
        position=position,
        next_ordinal=0,
        source_offset=position,
        first_offset=first,
        log_time_ms=0,
    )


REACHED = {0: stand(0, 10), 1: stand(1, 20, first=7), 2: stand(2, -1, first=-1)}
CURSOR = {partition: (each.position, WHOLE) for partition, each in REACHED.items()}
STOP = StopRecord(run_id=bytes(16), job_id=bytes(16), attempt=0, reason=StopReason.CANCELLED)


def page() -> SyncPage:
    return SyncPage(
        leases=(lease(0, 5), lease(1, 6)), stops=(STOP,), specs=SPECS, cursor=CURSOR, more=False, reached=REACHED
    )


def test_a_partition_that_has_not_passed_the_begin_offers_no_leases_and_keeps_the_cursor() -> None:
    answer = page_answer(3, page(), LOG, {0: (2, 0), 1: (4, 4)}, {0: 10, 1: 21, 2: 0}, ask_nodes=False)
    assert [each.position.partition for each in answer.leases] == [0]
    assert len(answer.stops) == 1
    assert answer.lease_cursor == Cursor(LOG, {0: (10, WHOLE), 1: (4, 4)})


def test_everything_is_offered_where_the_begin_was_passed() -> None:
    answer = page_answer(3, page(), LOG, {}, {0: 10, 1: 20}, ask_nodes=True)
    assert len(answer.leases) == 2
    assert answer.lease_cursor == Cursor(LOG, {0: (10, WHOLE), 1: (20, WHOLE)})
    assert (answer.sequence, answer.ask_nodes, answer.leases_known) == (3, True, True)
    assert answer.log_begins == {"0": 0, "1": 7}


def test_a_full_answer_judges_only_partitions_that_have_passed_the_begin() -> None:
    whole = FullPage(
        leases=(lease(0, 5), lease(1, 6)),
        reported=(ReportedRecord(run_id=bytes([7] * 16), job_id=bytes([8] * 16), attempt=2),),
        stops=(STOP,),
        specs=SPECS,
        cursor=CURSOR,
        reached=REACHED,
    )
    answer = full_answer(4, whole, LOG, {0: 10, 1: 21}, ask_nodes=False)
    assert [each.position.partition for each in answer.leases] == [0]
    assert answer.lease_cursor == Cursor(LOG, {0: (10, WHOLE)})
    assert answer.reported == (format_id(bytes([7] * 16)),)
    assert answer.reported_jobs[0].attempt == 2  # type: ignore[index]


def test_the_executor_understands_the_answer_whole() -> None:
    answer = page_answer(3, page(), LOG, {}, {}, ask_nodes=False)
    taken, unknown = decode_answer(encode_answer(answer))
    assert unknown == ()
    (first, _) = taken.leases
    assert bytes(first.pod_spec) == canonical_json(SPEC)
    assert (first.owner, first.groups, first.labels, first.preemptible) == ("alice", ("g",), {"a": "b"}, True)
    assert [bytes(each) for each in first.services] == [b'{"type":"NodePort"}']
    assert first.displaces[0].position.offset == 3


def test_a_lease_of_a_gang_says_so_and_rows_of_earlier_releases_have_none() -> None:
    record = lease(0, 5)
    gang = Gang(gang_id="g", cardinality=3, uniformity_label="zone")
    of_gang = replace(page(), leases=(replace(record, job=replace(record.job, gang=gang)),))
    told = page_answer(3, of_gang, LOG, {}, {}, ask_nodes=False)
    taken, _ = decode_answer(encode_answer(told))
    assert taken.leases[0].gang == LeaseGang(id="g", cardinality=3, uniformity_label="zone")
    earlier = msgspec.msgpack.encode(msgspec.msgpack.decode(encode_job(record.job))[:-1])
    assert decode_job(earlier) == record.job
    assert record.job.gang is None
