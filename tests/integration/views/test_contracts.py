"""Every view of ours keeps the contract of views, on real Postgres, over logs that the domain made."""

import random
from collections.abc import Callable

import pytest
from msgspec import Struct

from agents.views.history import VIEW as HISTORY
from agents.views.leases import VIEW as LEASES
from agents.views.nodes import VIEW as NODES
from agents.views.queues import VIEW as QUEUES
from agents.views.rounds import VIEW as ROUNDS
from agents.views.share_history import VIEW as SHARE_HISTORY
from agents.views.throughput import VIEW as THROUGHPUT
from app.domain.clusters import ApiAlive, ClusterUpdate, ClusterUpdates, NodeData
from app.domain.commands import CreateQueues, QueueSpec
from app.domain.rounds import Blocked, Offset, Placed, QueueShare, RoundRecord
from app.log.codec import encode
from app.views.contract import check_contract
from app.views.source import RawRecord
from tests.unit.views.event_log import ADMIN, START_MS, EventLog

pytestmark = pytest.mark.stack


async def test_history_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    log = EventLog(seed=11)
    log.run(400)
    tables = await check_contract(HISTORY, log.events, database_factory)
    assert all(len(rows) > 10 for table, rows in tables.items()), "every table is put to use"


async def test_leases_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    log = EventLog(seed=12, step_ms=30_000)
    log.run(400)
    tables = await check_contract(LEASES, log.events, database_factory)
    assert all(len(rows) >= 5 for table, rows in tables.items()), "every table is put to use"


async def test_queues_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    log = EventLog(seed=13)
    for number in range(40):
        log.run(2)
        part = log.random.choice(log.partitions)
        spec = QueueSpec(name=f"queue-{part.partition}-{number}", labels={"n": str(number)}, owners=("alice",))
        log.decide(part, CreateQueues(principal=ADMIN, queues=(spec,)))
    raw = [one for part in log.partitions for one in part.rows]
    tables = await check_contract(QUEUES, raw, database_factory)
    assert len(tables["queues_v1"]) == 46


async def test_nodes_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    tables = await check_contract(NODES, cluster_updates(random.Random(14), 300), database_factory)
    assert len(tables["nodes_v1_clusters"]) == 3
    assert len(tables["nodes_v1"]) > 10


async def test_rounds_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    tables = await check_contract(ROUNDS, rounds(random.Random(15), 120), database_factory)
    assert len(tables["rounds_v1"]) == 120
    assert len(tables["rounds_v1_shares"]) > 2


async def test_share_history_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    tables = await check_contract(SHARE_HISTORY, rounds(random.Random(16), 120), database_factory)
    assert len(tables["share_history_v1"]) > 2


async def test_throughput_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    log = EventLog(seed=17, step_ms=3_000)
    log.run(300)
    tables = await check_contract(THROUGHPUT, log.events, database_factory)
    assert all(len(rows) > 3 for table, rows in tables.items()), "every table is put to use"


def cluster_updates(rnd: random.Random, count: int) -> list[RawRecord]:
    """Heartbeats, changes, generations (some with a wrong count), late updates of old instances; two partitions."""
    values: list[tuple[int, Struct]] = []
    state = {f"c{number}": [1, 0, 0] for number in range(3)}  # instance, sequence, generation
    for at in range(count):
        name = rnd.choice(list(state))
        partition = int(name[1:]) % 2
        if rnd.random() < 0.1:
            values.append((partition, ApiAlive(process="api", leases_known=True, time_ms=START_MS + at)))
            continue
        instance, sequence, generation = state[name]
        changed: tuple[NodeData, ...] = ()
        removed: tuple[str, ...] = ()
        complete: int | None = None
        dice = rnd.random()
        if dice < 0.05:
            instance, sequence, generation = instance + 1, 0, 0
        if dice < 0.25:
            generation += 1
            changed = tuple(node(rnd, number) for number in range(rnd.randrange(1, 12)))
            complete = len(changed) if rnd.random() < 0.8 else len(changed) + 1
        elif dice < 0.5:
            changed = tuple(node(rnd, rnd.randrange(12)) for _ in range(2))
        elif dice < 0.55:
            removed = (f"n{rnd.randrange(12)}",)
        state[name] = [instance, sequence + 1, generation]
        late = rnd.random() < 0.1 and instance > 1
        update = ClusterUpdate(
            cluster=name,
            instance=bytes([instance - 1 if late else instance]) * 16,
            sequence=sequence + 1,
            received_ms=START_MS + at,
            cluster_time_ms=START_MS + at - 3,
            generation=generation,
            changed=changed,
            removed=removed,
            complete_count=complete,
        )
        values.append((partition, ClusterUpdates(updates=(update,))))
    return as_raw(values)


def node(rnd: random.Random, number: int) -> NodeData:
    return NodeData(name=f"n{number}", pool=rnd.choice(("a", "b")), allocatable={"cpu": str(rnd.randrange(64))})


def rounds(rnd: random.Random, count: int) -> list[RawRecord]:
    """Rounds of two pools, shares in some of them."""
    values: list[tuple[int, Struct]] = []
    for at in range(count):
        pool = rnd.choice(("a", "b"))
        queues = rnd.sample(("q1", "q2", "q3", "q4"), rnd.randrange(0, 4))
        values.append((0 if pool == "a" else 1, a_round(at, pool, queues)))
    return as_raw(values)


def a_round(number: int, pool: str, queues: list[str]) -> RoundRecord:
    share = {"fair_share": 0.5, "capped_share": 0.5, "uncapped_share": 0.5, "demand_share": 1.0}
    return RoundRecord(
        round_id=number.to_bytes(16, "big"),
        pool=pool,
        epoch=1,
        kind="full",
        started_ms=START_MS + number,
        inputs=(Offset(partition=0, offset=number),),
        undecided=(),
        config_hash="x",
        limiter_tokens=None,
        nodes=3,
        queued=10,
        running=4,
        considered=2,
        placed=(
            Placed(
                job_id=b"j" * 16,
                run_id=b"r" * 16,
                queue="q1",
                cluster="c0",
                node="n0",
                scheduled_at_priority=0,
                method="fit",
            ),
        ),
        preempted=(),
        blocked=(Blocked(queue="q1", shape_hash=b"h" * 16, jobs=7, example=b"e" * 16, reason="no room"),),
        quarantined=(),
        shares=tuple(
            QueueShare(
                queue=queue,
                weight=1.0,
                actual_share_before=0.1 * number,
                actual_share_after=0.2,
                **share,
            )
            for queue in queues
        ),
        timings_us={"total": 1200 + number},
    )


def as_raw(values: list[tuple[int, Struct]]) -> list[RawRecord]:
    """Records of a topic that is not compacted and has no transactions."""
    ends: dict[int, int] = {}
    out = []
    for at, (partition, value) in enumerate(values):
        offset = ends[partition] = ends.get(partition, -1) + 1
        out.append(RawRecord(partition, offset, b"", encode(value), START_MS + at * 10))
    return out
