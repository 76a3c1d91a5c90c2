"""Small random rounds where much runs, more waits, and nodes are full: preemption of every kind is common.

Runs stand where they fit, mostly; queues hold unequal parts; gangs run and wait. Few troubles otherwise.
"""

from random import Random
from typing import Any

from tests.property.scheduling_limits import add_limits

Json = dict[str, Any]
ZONES = ("east", "west")


def pressed_document(seed: int) -> Json:
    """The same seed gives the same round."""
    r = Random(seed)
    classes = _classes(r)
    nodes = [_node(r, index) for index in range(r.randint(2, 6))]
    queues: list[Json] = [{"name": name, "weight": r.choice([1, 1, 2])} for name in "abc"[: r.randint(2, 3)]]
    shapes = [_shape(r) for _ in range(r.randint(1, 4))]
    jobs: list[Json] = []
    free = {node["name"]: [int(node["capacity"]["cpu"]), int(node["capacity"]["memory"][:-2])] for node in nodes}
    greedy = r.choice(queues)["name"]
    for _ in range(r.randint(4, 14)):
        _add_running(r, jobs, free, shapes, classes, r.choice([greedy, greedy, r.choice(queues)["name"]]))
    for _ in range(r.randint(4, 12)):
        _add_waiting(r, jobs, shapes, classes, r.choice(queues)["name"])
    if r.random() < 0.1:
        r.choice(nodes)["unschedulable"] = True
    if r.random() < 0.15:
        r.choice(nodes)["held"] = {"cpu": r.randint(1, 6)}
    r.shuffle(jobs)
    config: Json = {
        "protectedFractionOfFairShare": r.choice([0, 0, 0.5, 1]),
        "preferLargeJobs": r.random() < 0.2,
        "indexedResources": r.choice([["cpu", "memory"], ["memory"], ["cpu"]]),
    }
    if r.random() < 0.2:
        config["fairSharePreemptionBudget"] = r.randint(0, 5)
    if r.random() < 0.1:
        config["fairSharePreemption"] = False
    if r.random() < 0.1:
        config["urgencyPreemption"] = False
    document: Json = {
        "format": "argosy-round/1",
        "config": config,
        "priorityClasses": classes,
        "nodeTypes": [{"name": "special", "taints": [{"key": "special", "effect": "NoSchedule"}]}],
        "nodes": nodes,
        "queues": queues,
        "jobs": jobs,
    }
    if r.random() < 0.2:
        limit = r.randint(1, 4)
        document["clusters"] = [{"name": "c0", "unacknowledgedLimit": limit}, {"name": "c1", "unacknowledgedLimit": 9}]
    if r.random() < 0.4:
        add_limits(r, document)
    return document


def _classes(r: Random) -> list[Json]:
    classes: list[Json] = [{"name": "low", "priority": 0}, {"name": "mid", "priority": r.choice([0, 5])}]
    classes.append({"name": "top", "priority": 10, "preemptible": r.random() < 0.6})
    for each in classes:
        if r.random() < 0.25:
            each["away"] = [{"nodeType": "special", "priority": r.choice([-5, 3])}]
    return classes


def _node(r: Random, index: int) -> Json:
    node: Json = {
        "name": f"n{index}",
        "cluster": f"c{r.randint(0, 1)}",
        "capacity": {"cpu": r.choice([4, 6, 8]), "memory": r.choice(["8Gi", "12Gi"])},
        "labels": {"zone": r.choice(ZONES)},
    }
    if r.random() < 0.15:
        node["taints"] = [{"key": "special", "effect": "NoSchedule"}]
    if r.random() < 0.08:
        node["pool"] = "other"
    return node


def _shape(r: Random) -> Json:
    shape: Json = {"requests": {"cpu": r.choice([1, 1, 2, 2, 3, 4]), "memory": r.choice(["1Gi", "2Gi", "3Gi"])}}
    if r.random() < 0.15:
        shape["nodeSelector"] = {"zone": r.choice(ZONES)}
    return shape


def _job(r: Random, jobs: list[Json], shape: Json, of_class: Json, queue: str) -> Json:
    job: Json = {
        "id": f"j{len(jobs):02}",
        "queue": queue,
        "priorityClass": of_class["name"],
        "priority": r.choice([1000, 1000, 5]),
        "submitted": r.randint(0, 3),
        **shape,
    }
    jobs.append(job)
    return job


def _gang(r: Random, jobs: list[Json], cardinality: int) -> Json:
    gang: Json = {"id": f"g{len(jobs)}", "cardinality": cardinality}
    if r.random() < 0.35:
        gang["uniformityLabel"] = "zone"
    return gang


def _add_running(r: Random, jobs: list[Json], free: Any, shapes: list[Json], classes: list[Json], queue: str) -> None:
    """A run or a running gang, where there is room; one in thirty where there is none."""
    of_class, size = r.choice(classes), r.choice([1, 1, 1, 2, 3])
    gang = _gang(r, jobs, size) if size > 1 else None
    for _ in range(size):
        shape = r.choice(shapes)
        need = [int(shape["requests"]["cpu"]), int(shape["requests"]["memory"][:-2])]
        fitting = [name for name, left in free.items() if left[0] >= need[0] and left[1] >= need[1]]
        if r.random() < 0.03:
            fitting = list(free)
        if not fitting:
            continue
        name = r.choice(fitting)
        free[name] = [free[name][0] - need[0], free[name][1] - need[1]]
        job = _job(r, jobs, shape, r.choice(classes) if r.random() < 0.1 else of_class, queue)
        job["run"] = {"node": name, "started": r.randint(0, 4)}
        if r.random() < 0.1:
            job["run"]["scheduledAtPriority"] = r.choice([-5, 0, 3])
        if gang:
            job["gang"] = gang


def _add_waiting(r: Random, jobs: list[Json], shapes: list[Json], classes: list[Json], queue: str) -> None:
    of_class, size = r.choice(classes), r.choice([1, 1, 1, 2, 3])
    gang = _gang(r, jobs, size) if size > 1 else None
    for _ in range(size):
        job = _job(r, jobs, r.choice(shapes), of_class, queue)
        if gang:
            job["gang"] = gang
        if r.random() < 0.06:
            job["avoidNodes"] = [f"n{r.randint(0, 5)}"]
