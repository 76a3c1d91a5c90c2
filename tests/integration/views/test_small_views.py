"""What queries of queues, clusters, nodes, pools and rounds answer."""

import pytest

from agents.views.nodes import VIEW as NODES
from agents.views.queues import VIEW as QUEUES
from agents.views.rounds import VIEW as ROUNDS
from app.db.database import Database
from app.db.queries.nodes import clusters, nodes_page, pools
from app.db.queries.queues import queue, queues_page
from app.db.queries.rounds import RoundKey, round_by_id, rounds_page, shares
from app.domain.clusters import ClusterUpdate, ClusterUpdates, NodeData
from app.domain.commands import CreateQueues, QueueSpec
from app.domain.rounds import QueueShare, RoundRecord
from app.domain.rows import incarnation_of
from app.log.codec import encode
from app.views.contract import prepared, write
from app.views.source import RawRecord
from tests.unit.views.event_log import ADMIN, START_MS, EventLog

pytestmark = pytest.mark.stack


async def test_queues_are_found_by_name_and_paged_both_ways(database: str) -> None:
    log = EventLog(seed=71, partitions=2)
    spec = QueueSpec(name="extra", priority_factor=2.5, owners=("alice",), labels={"team": "x"})
    log.decide(log.partitions[1], CreateQueues(principal=ADMIN, queues=(spec,)))
    url = await prepared(QUEUES, database)
    await write(QUEUES, url, [[one for part in log.partitions for one in part.rows]])
    opened = await Database.open(url, connections_max=1)
    found = await queue(opened, "extra")
    assert found is not None
    assert (found.spec, found.partition, found.incarnation) == (spec, 1, incarnation_of(log.partitions[1].offset, 0))
    assert found.created_ms == log.partitions[1].records[-1].log_time_ms
    assert await queue(opened, "nothing") is None
    names = ["extra", "queue-0-a", "queue-0-b", "queue-1-a", "queue-1-b"]
    first = await queues_page(opened, limit=2)
    assert ([each.name for each in first.queues], first.more, first.count) == (names[:2], True, 5)
    rest = await queues_page(opened, limit=3, name=names[1])
    assert ([each.name for each in rest.queues], rest.more) == (names[2:], False)
    back = await queues_page(opened, limit=2, name=names[4], backwards=True)
    assert ([each.name for each in back.queues], back.more) == (names[2:4], True)
    with pytest.raises(ValueError, match="1 to 200"):
        await queues_page(opened, limit=0)
    await opened.close()


def update(
    instance: int, sequence: int, generation: int, *names: str, removed: tuple[str, ...] = (), count: int | None = None
) -> ClusterUpdate:
    return ClusterUpdate(
        cluster="c0",
        instance=bytes([instance]) * 16,
        sequence=sequence,
        received_ms=START_MS + sequence,
        cluster_time_ms=START_MS + sequence - 1,
        generation=generation,
        changed=tuple(NodeData(name=name, pool="gpu" if name[0] == "g" else "cpu") for name in names),
        removed=removed,
        complete_count=count,
    )


async def test_nodes_follow_generations_and_the_newest_instance(database: str) -> None:
    url = await prepared(NODES, database)
    opened = await Database.open(url, connections_max=1)
    steps: list[tuple[ClusterUpdate, list[str]]] = [
        (update(1, 1, 1, "a", "b"), ["a", "b"]),
        (update(1, 2, 1, "g1", count=3), ["a", "b", "g1"]),
        (update(1, 3, 1, removed=("b",)), ["a", "g1"]),
        (update(1, 2, 1, "late"), ["a", "g1"]),
        (update(1, 4, 2, "a"), ["a", "g1"]),
        (update(1, 5, 2, "d", count=3), ["a", "d", "g1"]),
        (update(1, 6, 2, count=2), ["a", "d"]),
        (update(2, 1, 1, "e", count=1), ["e"]),
        (update(1, 99, 9, "old", count=1), ["e"]),
        (update(2, 2, 1), ["e"]),
    ]
    for offset, (one, want) in enumerate(steps):
        await write(NODES, url, [[RawRecord(0, offset, None, encode(ClusterUpdates(updates=(one,))), START_MS)]])
        page = await nodes_page(opened)
        assert [each.node.name for each in page.nodes] == want, f"after step {offset}"
    [cluster] = await clusters(opened)
    assert (cluster.instance, cluster.sequence, cluster.node_count) == (b"\2" * 16, 2, 1)
    assert cluster.received_ms == START_MS + 2
    await opened.close()


async def test_nodes_are_paged_and_filtered_and_make_pools(database: str) -> None:
    url = await prepared(NODES, database)
    opened = await Database.open(url, connections_max=1)
    one = update(1, 1, 1, "a", "b", "g1", "g2")
    await write(NODES, url, [[RawRecord(0, 0, None, encode(ClusterUpdates(updates=(one,))), START_MS)]])
    first = await nodes_page(opened, limit=3)
    assert ([each.node.name for each in first.nodes], first.more) == (["a", "b", "g1"], True)
    rest = await nodes_page(opened, limit=3, key=("c0", "g1"))
    assert ([each.node.name for each in rest.nodes], rest.more) == (["g2"], False)
    assert [each.node.name for each in (await nodes_page(opened, pool="gpu")).nodes] == ["g1", "g2"]
    assert (await nodes_page(opened, cluster="c1")).nodes == ()
    assert [(pool.name, pool.nodes, pool.clusters) for pool in await pools(opened)] == [("cpu", 2, 1), ("gpu", 2, 1)]
    await opened.close()


def a_round(number: int, pool: str, shares: tuple[QueueShare, ...] = ()) -> RoundRecord:
    return RoundRecord(
        round_id=number.to_bytes(16, "big"),
        pool=pool,
        epoch=4,
        kind="full",
        started_ms=START_MS + number,
        inputs=(),
        undecided=(),
        config_hash="x",
        limiter_tokens=None,
        nodes=3,
        queued=10,
        running=4,
        considered=2,
        placed=(),
        preempted=(),
        blocked=(),
        quarantined=(),
        shares=shares,
        timings_us={"total": number},
    )


def share(queue: str, weight: float) -> QueueShare:
    return QueueShare(
        queue=queue,
        weight=weight,
        fair_share=0.5,
        capped_share=0.5,
        uncapped_share=0.5,
        demand_share=1.0,
        actual_share_before=0.1,
        actual_share_after=0.2,
    )


async def test_rounds_are_paged_newest_first_and_the_last_shares_stand(database: str) -> None:
    url = await prepared(ROUNDS, database)
    opened = await Database.open(url, connections_max=1)
    rounds = [
        a_round(1, "a", (share("q1", 1.0), share("q2", 1.0))),
        a_round(2, "a"),
        a_round(3, "a", (share("q2", 3.0),)),
        a_round(4, "b", (share("q9", 1.0),)),
        a_round(5, "a"),
    ]
    await write(ROUNDS, url, [[RawRecord(0, at, None, encode(one), START_MS) for at, one in enumerate(rounds)]])
    page = await rounds_page(opened, "a", limit=3)
    assert ([each.started_ms - START_MS for each in page.rounds], page.more) == ([5, 3, 2], True)
    last = page.rounds[-1]
    rest = await rounds_page(opened, "a", limit=3, key=RoundKey(started_ms=last.started_ms, round_id=last.round_id))
    assert ([each.timings_us for each in rest.rounds], rest.more) == ([{"total": 1}], False)
    assert await round_by_id(opened, rounds[2].round_id) == rounds[2]
    assert await round_by_id(opened, bytes(16)) is None
    assert await shares(opened, "a") == (("a", share("q2", 3.0)),)
    assert [pool for pool, _ in await shares(opened)] == ["a", "b"]
    await opened.close()
