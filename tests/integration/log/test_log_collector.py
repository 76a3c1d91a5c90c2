"""The collector on a real broker: one record for what comes together, cuts, order, and callers that fail alone."""

import asyncio
import os

import pytest

from app.domain.commands import CancelJobs, Principal, Report, ReportRuns, ReportState
from app.log.codec import decode_as
from app.log.collector import Collector
from app.log.errors import LogUnavailable, RecordTooLarge, Unencodable
from app.log.producer import LogProducer, Sent
from app.log.reader import LogReader
from tests.integration.log.places import new_topic, read_to_end

pytestmark = pytest.mark.stack


def report(number: int, message: str | None = None) -> Report:
    return Report(
        cluster="east",
        instance=bytes(16),
        job_id=bytes(16),
        run_id=number.to_bytes(16, "big"),
        attempt=1,
        state=ReportState.RUNNING,
        time_ms=number,
        message=message,
    )


def record_of(reports: tuple[Report, ...]) -> ReportRuns:
    return ReportRuns(reports=reports)


async def records_of(bootstrap: str, topic: str, partitions: int) -> dict[int, list[list[int]]]:
    """partition -> records -> the numbers of their reports."""
    reader = LogReader(bootstrap, topic, range(partitions))
    await reader.start()
    found: dict[int, list[list[int]]] = {partition: [] for partition in range(partitions)}
    for record in await read_to_end(reader):
        reports = decode_as(ReportRuns, record.value or b"").reports
        found[record.partition].append([one.time_ms for one in reports])
    await reader.stop()
    return found


async def test_what_comes_together_is_one_record_a_partition_and_all_callers_hear_its_offset(kafka: str) -> None:
    topic = new_topic(kafka, 2)
    producer = LogProducer(kafka, "test")
    await producer.start()
    collector = Collector(producer, topic, record_of, linger_ms=200)
    calls = [collector.add(number % 2, [report(number), report(number + 100)]) for number in range(10)]
    sent = await asyncio.gather(*calls)
    await producer.stop()
    assert {place.offset for place in sent} == {0}
    found = await records_of(kafka, topic, 2)
    assert found[0] == [[0, 100, 2, 102, 4, 104, 6, 106, 8, 108]]
    assert found[1] == [[1, 101, 3, 103, 5, 105, 7, 107, 9, 109]]


async def test_a_full_record_goes_at_once_and_more_items_than_that_go_in_several_records_in_order(kafka: str) -> None:
    topic = new_topic(kafka)
    producer = LogProducer(kafka, "test")
    await producer.start()
    collector = Collector(producer, topic, record_of, linger_ms=60_000, items_max=10)
    async with asyncio.timeout(20):
        sent = await collector.add(0, [report(number) for number in range(25)])
    await producer.stop()
    found = await records_of(kafka, topic, 1)
    assert sent.offset == len(found[0]) - 1
    assert all(len(record) <= 10 for record in found[0])
    assert [number for record in found[0] for number in record] == list(range(25))


async def test_a_record_is_cut_where_it_would_be_too_large(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.log.collector.size_limit", lambda topic: 5_000)
    topic = new_topic(kafka)
    producer = LogProducer(kafka, "test")
    await producer.start()
    collector = Collector(producer, topic, record_of, linger_ms=20)
    await collector.add(0, [report(number, os.urandom(450).hex()) for number in range(20)])
    with pytest.raises(RecordTooLarge):
        await collector.add(0, [report(99, "x" * 6_000)])
    await producer.stop()
    found = await records_of(kafka, topic, 1)
    assert len(found[0]) > 1
    assert [number for record in found[0] for number in record] == list(range(20))


async def test_a_caller_whose_items_cannot_be_encoded_fails_alone(kafka: str) -> None:
    topic = new_topic(kafka)
    producer = LogProducer(kafka, "test")
    await producer.start()
    collector = Collector(producer, topic, record_of, linger_ms=200)
    bad = report(5, message=b"bytes")  # type: ignore[arg-type]
    outcomes = await asyncio.gather(
        *(collector.add(0, [one]) for one in (report(1), bad, report(2))), return_exceptions=True
    )
    await producer.stop()
    assert [type(outcome) for outcome in outcomes] == [Sent, Unencodable, Sent]
    assert [number for record in (await records_of(kafka, topic, 1))[0] for number in record] == [1, 2]


async def test_a_caller_that_gives_up_takes_nothing_from_the_others(kafka: str) -> None:
    topic = new_topic(kafka)
    producer = LogProducer(kafka, "test")
    await producer.start()
    collector = Collector(producer, topic, record_of, linger_ms=100)
    impatient = asyncio.create_task(collector.add(0, [report(1)]))
    patient = asyncio.create_task(collector.add(0, [report(2)]))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).offset == 0
    await producer.stop()
    assert (await records_of(kafka, topic, 1))[0] == [[1, 2]]


async def test_stop_sends_what_waits(kafka: str) -> None:
    topic = new_topic(kafka)
    producer = LogProducer(kafka, "test")
    await producer.start()
    collector = Collector(producer, topic, record_of, linger_ms=60_000)
    waiting = asyncio.create_task(collector.add(0, [report(1)]))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await collector.stop()
        assert (await waiting).offset == 0
    await producer.stop()


async def test_without_a_broker_every_caller_hears_of_it() -> None:
    producer = LogProducer("127.0.0.1:1", "test", deadline_s=0.3)
    collector: Collector[bytes] = Collector(
        producer, "t", lambda ids: CancelJobs(principal=Principal(user="u"), job_ids=ids), linger_ms=1
    )
    outcomes = await asyncio.gather(
        *(collector.add(partition, [bytes(16)]) for partition in (0, 0, 1)), return_exceptions=True
    )
    await producer.stop()
    assert [type(outcome) for outcome in outcomes] == [LogUnavailable] * 3
    with pytest.raises(ValueError, match="nothing"):
        await collector.add(0, [])
