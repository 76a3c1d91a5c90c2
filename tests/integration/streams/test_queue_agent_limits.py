"""The queue agent on a real broker at its limits: the largest command passes, the unknown stops its partition only."""

import random
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from app.domain.commands import Spec, SubmitJobs
from app.domain.events import EventsRecord
from app.domain.limits import COMMAND_BYTES_MAX, EVENTS_RECORD_BYTES_MAX, POD_SPEC_BYTES_MAX
from app.log.codec import decode, encode
from app.log.topics import COMMANDS, EVENTS
from tests.faults.fold import PartitionReader
from tests.faults.installation import PARTITIONS, Installation, Worker, eventually
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def installation(
    kafka_factory: Callable[[], KafkaBroker], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    made = Installation(kafka_factory().bootstrap, tmp_path_factory.mktemp("limits"), 7)
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(installation: Installation) -> Worker:
    made = installation.worker("A")
    made.start()
    installation.feed(200)
    eventually(lambda: made.owns(PARTITIONS))
    return made


def a_largest_submit(installation: Installation, partition: int) -> SubmitJobs:
    """As many jobs with incompressible specs of their own as a command may hold."""
    chance = random.Random(1)
    call = installation.load.a_call(installation.load.parts[partition], 33)
    call = replace(
        call,
        queue=installation.load.parts[partition].queues[0],
        request_id=None,
        jobs=tuple(replace(job, spec=index, client_id=None) for index, job in enumerate(call.jobs)),
    )

    def with_last_spec_of(size: int) -> SubmitJobs:
        sizes = [POD_SPEC_BYTES_MAX - 8_000] * 32 + [size]
        return replace(
            call,
            specs=tuple(
                Spec(spec_id=chance.randbytes(16), body=chance.randbytes(each)) for index, each in enumerate(sizes)
            ),
        )

    room = COMMAND_BYTES_MAX - len(encode(with_last_spec_of(0))) - 100
    assert 0 < room < POD_SPEC_BYTES_MAX
    return with_last_spec_of(room)


def test_a_maximal_incompressible_command_goes_through_in_records_that_are_cut(
    installation: Installation, worker: Worker
) -> None:
    installation.verify()
    call = a_largest_submit(installation, 1)
    value = encode(call)
    assert COMMAND_BYTES_MAX - 500 < len(value) <= COMMAND_BYTES_MAX
    installation.feed_values(1, [value])
    installation.verify()
    reader = PartitionReader(installation.bootstrap, EVENTS, 1)
    records = [decode(record.value or b"") for record in reader.rest()]
    reader.close()
    last = records[-1]
    assert isinstance(last, EventsRecord)
    parts = [record for record in records if isinstance(record, EventsRecord) and record.offset == last.offset]
    assert len(parts) >= 2
    assert all(len(encode(part)) <= EVENTS_RECORD_BYTES_MAX for part in parts)
    assert [spec.spec_id for part in parts for spec in part.specs] == [spec.spec_id for spec in call.specs]


def test_a_schema_of_the_future_stops_its_partition_and_the_others_go_on(
    installation: Installation, worker: Worker
) -> None:
    installation.verify()
    installation.feed_values(2, [b"\0\0\0\xff\xff" + b"from the future"])
    eventually(lambda: not worker.ready())
    assert f"{COMMANDS} partition 2 is quarantined" in worker.reasons()
    assert "schema id 65535" in worker.reasons()
    before = worker.position(2)
    value = encode(a_largest_submit(installation, 3))
    installation.feed_values(3, [value])
    end = worker.position(3) + 1
    eventually(lambda: worker.position(3) >= end)
    assert worker.position(2) == before
    assert worker.exit_code() is None
    worker.stop()
