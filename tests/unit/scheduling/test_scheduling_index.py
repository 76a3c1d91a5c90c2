"""The index of nodes finds what looking at every node finds, while rooms change and blocks split, empty and refill."""

from random import Random

import numpy as np
import pytest

from app.domain.clusters import Taint
from app.scheduling import ways
from app.scheduling.builder import RoundBuilder
from app.scheduling.compiler import PLAIN
from app.scheduling.kernels import best_fit, rooms
from app.scheduling.kernels.jit import uncompiled
from app.scheduling.kernels.state import BLOCK, State
from app.scheduling.ledger import open_ledger
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.quarantine import admit
from app.scheduling.round import Cluster, PriorityClass, Queue, RoundConfig
from app.scheduling.round_state import Figures, prepare
from app.scheduling.schedule import schedule

BEST, SCAN, ADD = uncompiled(best_fit.best_node), uncompiled(best_fit.scan), uncompiled(rooms.add_room)
SET_CLUSTER = uncompiled(rooms.set_cluster)
NODES = 5 * BLOCK


def crowded_state(random: Random, *, odd: bool) -> State:
    """Many nodes in two groups. odd: amounts of bytes, which need several words to sort by."""
    indexed = ("cpu", "memory", "disk") if odd else ("cpu", "memory")
    builder = RoundBuilder(config=RoundConfig(indexed_resources=indexed))
    builder.add_class(PriorityClass(name="default"))
    builder.add_queue(Queue(name="a"))
    for name in ("c0", "c1"):
        builder.add_cluster(Cluster(name=name))
    for index in range(NODES):
        memory = random.randint(1, 2**40) if odd else f"{random.choice([16, 32, 64])}Gi"
        builder.add_node(
            f"n{index}",
            cluster=f"c{index % 2}",
            capacity={"cpu": random.choice([8, 16]), "memory": memory, "disk": random.randint(1, 2**45 if odd else 9)},
            taints=(Taint(key="x", value="", effect="NoSchedule"),) if index % 9 == 0 else (),
        )
    for index in range(8):
        requests: dict[str, str | int] = {
            "cpu": random.randint(1, 4),
            "memory": f"{random.choice([1, 2, 7])}Gi",
            "disk": random.choice([0, 1, 5]),
        }
        builder.add_job(f"j{index}", queue="a", requests=requests)
    round_ = builder.build()
    admission = admit(round_)
    ledger = open_ledger(round_, admission, PLAIN)
    figures = Figures(
        round=round_,
        admission=admission,
        ledger=ledger,
        shares=ledger.shares(round_),
        matcher=NodeMatcher(round_.nodes, round_.node_types),
        indexed=tuple(round_.resources.columns[name] for name in indexed),
    )
    return prepare(figures, PLAIN).state


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_best_fit_by_the_index_is_best_fit_by_looking_at_all(seed: int, odd: bool) -> None:
    random = Random(seed)
    state = crowded_state(random, odd=odd)
    assert (state.key.shape[2] > 1) == odd
    everybody, nobody = np.arange(NODES), np.zeros(0, np.int64)
    taken: list[tuple[int, int]] = []
    for step in range(500):
        shape = random.randrange(len(state.need))
        way = int(state.way_ptr[shape])
        found = BEST(state, 0, way, shape)
        assert found == SCAN(state, 0, shape, everybody, way, nobody)
        if found >= 0 and step % 3:
            ADD(state, found, shape, 0, 0, -1)
            taken.append((found, shape))
        elif taken:
            for _ in range(random.choice([1, 1, 40])):
                if taken:
                    ADD(state, *taken.pop(random.randrange(len(taken))), 0, 0, 1)
        if step % 97 == 50:
            SET_CLUSTER(state, 1, random.randint(0, 1))


def test_the_keys_of_nodes_in_deficit_do_not_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "PINNED_MAX", 0)
    builder = RoundBuilder(config=RoundConfig(indexed_resources=("memory", "disk")))
    builder.add_class(PriorityClass(name="default"))
    builder.add_queue(Queue(name="a"))
    for name in ("full", "n"):
        builder.add_node(name, capacity={"memory": 2**20, "disk": 8})
    # A key has 21 bits of memory above 4 of disk, and 37 that are left.
    builder.add_job("r", queue="a", requests={"memory": 2**20 + 2**22 - 1, "disk": 28}, run_node="full")
    builder.add_job("j", queue="a", requests={"memory": 1, "disk": 1})
    with np.errstate(all="raise"):
        decisions = schedule(builder.build(), PLAIN)
    assert decisions.scheduled.node.tolist() == [1]
