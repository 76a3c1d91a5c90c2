"""An installation with many queued jobs, made without deciding any: rows of argosy.state are written directly.

Output: topics with `jobs` queued jobs of 200 shapes in 20 queues over 12 partitions, and three clusters of 1,000 nodes.
"""

import time
from collections.abc import Sequence

from confluent_kafka import Producer

from app.domain.clusters import ClusterUpdate, ClusterUpdates, NodeData, ShapeRecord
from app.domain.commands import QueueSpec
from app.domain.ids import call_prefix, job_id
from app.domain.lifecycle import STATE_CODES, JobState
from app.domain.routing import partition_of_name
from app.domain.rows import (
    JOB_HEAD,
    NO_RUN,
    POSITION_KEY,
    JobHead,
    JobRow,
    PositionRow,
    QueueRow,
    job_key,
    name_hash,
    queue_key,
)
from app.log.codec import encode
from app.log.topics import CLUSTERS, SHAPES, STATE
from app.pods.shape import Shape, encode_shape, shape_hash

QUEUES = 20
SHAPE_COUNT = 200
CLUSTER_NAMES = ("alpha", "bravo", "charlie")
CLUSTER_PARTITIONS = 12
NODES_PER_CLUSTER = 1_000
CALL_JOBS = 1_000
TRANSACTION_ROWS = 50_000
HEAD_END = 5 + JOB_HEAD.size


def shapes(times: int = 1) -> list[Shape]:
    """Distinct requests of 1 to 16 cpu, `times` so much."""
    return [
        Shape(
            priority_class="argosy-default",
            requests=(("cpu", times * 1000 << index % 5), ("memory", (1 + index) << 28)),
        )
        for index in range(SHAPE_COUNT)
    ]


def write_shapes_and_nodes(bootstrap: str, wanted: Sequence[Shape] | None = None) -> None:
    """argosy.shapes (`wanted`, by default those of the jobs) and one generation of each cluster."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "message.max.bytes": 16 << 20})
    for shape in shapes() if wanted is None else wanted:
        body = encode_shape(shape)
        producer.produce(SHAPES, encode(ShapeRecord(body=body)), shape_hash(body), 0)
    for cluster in CLUSTER_NAMES:
        nodes = tuple(
            NodeData(name=f"n{index:04}", pool="default", allocatable={"cpu": "32", "memory": "256Gi"})
            for index in range(NODES_PER_CLUSTER)
        )
        update = ClusterUpdate(
            cluster=cluster,
            instance=bytes(16),
            sequence=1,
            received_ms=0,
            cluster_time_ms=0,
            generation=1,
            changed=nodes,
            complete_count=len(nodes),
        )
        value = encode(ClusterUpdates(updates=(update,)))
        producer.produce(CLUSTERS, value, cluster.encode(), partition_of_name(cluster, CLUSTER_PARTITIONS))
    assert producer.flush(30) == 0


def write_jobs(bootstrap: str, jobs: int, partitions: int, *, queues_count: int = QUEUES, times: int = 1) -> None:
    """Queued jobs, in transactions that end with position rows. `times`: see `shapes`."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": "bench-million",
            "linger.ms": 20,
            "compression.type": "zstd",
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    producer.init_transactions(30)
    now_ms = int(time.time() * 1000)
    queues = [f"queue-{index}" for index in range(queues_count)]
    hashes = [shape_hash(encode_shape(shape)) for shape in shapes(times)]
    position = encode(PositionRow(offset=-1, epoch=-1, log_time_ms=now_ms, settings_version=0))
    producer.begin_transaction()
    for queue in queues:
        created = QueueRow(incarnation=0, created_ms=now_ms, spec=QueueSpec(name=queue))
        producer.produce(STATE, encode(created), queue_key(queue), partition_of_name(queue, partitions))
    written = 0
    for call in range(jobs // CALL_JOBS):
        queue = queues[call % queues_count]
        partition = partition_of_name(queue, partitions)
        prefix = call_prefix(now_ms - jobs + call, partition, call)
        row = encode(JobRow(head=bytes(JOB_HEAD.size), queue=queue, incarnation=0, job_set=f"set-{call // 10}"))
        frame, rest, of_queue = row[:5], row[HEAD_END:], name_hash(queue)
        for index in range(CALL_JOBS):
            head = JobHead(
                state=STATE_CODES[JobState.QUEUED],
                attempt=0,
                attempted=0,
                flags=0,
                priority=1000,
                scheduled_at_priority=0,
                submit_ordinal=index,
                leased_ordinal=-1,
                submit_offset=call,
                leased_offset=-1,
                submitted_ms=now_ms + call,
                since_ms=now_ms + call,
                queue_hash=of_queue,
                pool_hash=0,
                cluster_hash=0,
                node_hash=0,
                run_id=NO_RUN,
                shape_hash=hashes[(call * CALL_JOBS + index) // 20 % SHAPE_COUNT],
            )
            producer.produce(STATE, frame + JOB_HEAD.pack(*head) + rest, job_key(job_id(prefix, index)), partition)
        producer.poll(0)
        written += CALL_JOBS
        if written >= TRANSACTION_ROWS:
            _commit(producer, position, partitions)
            producer.begin_transaction()
            written = 0
    _commit(producer, position, partitions)


def _commit(producer: Producer, position: bytes, partitions: int) -> None:
    for partition in range(partitions):
        producer.produce(STATE, position, POSITION_KEY, partition)
    producer.commit_transaction(60)
