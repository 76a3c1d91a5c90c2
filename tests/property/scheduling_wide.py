"""Random rounds with more nodes than are looked at one by one: the index has blocks to split and values to tell apart.

Amounts have more than 64 distinct values; disks, which are not indexed, are what most nodes lack; jobs name hosts,
racks and clusters, avoid nodes, and stand on nodes of foreign types and pools.
"""

from random import Random
from typing import Any

from tests.property.scheduling_limits import add_limits

Json = dict[str, Any]
HOST = "kubernetes.io/hostname"
RACKS = ("r0", "r1", "r2")
DISK = "ephemeral-storage"


def wide_document(seed: int) -> Json:
    """The same seed gives the same round."""
    r = Random(seed)
    classes = _classes(r)
    count = r.choice([3, 34, 36, 40, 70])
    nodes = [_node(r, index, odd=r.random() < 0.5) for index in range(count)]
    names = [node["name"] for node in nodes]
    queues: list[Json] = [{"name": name, "weight": r.choice([1, 2, 0.5])} for name in "abcd"[: r.randint(2, 4)]]
    shapes = [_shape(r, names) for _ in range(r.randint(3, 12))]
    jobs: list[Json] = []
    free = {node["name"]: _amounts(node["capacity"]) for node in nodes}
    greedy = r.choice(queues)["name"]
    for _ in range(r.choice([0, 3 * count, 5 * count])):
        _add_running(r, jobs, free, shapes, classes, r.choice([greedy, r.choice(queues)["name"]]))
    for _ in range(r.randint(10, 40)):
        _add_waiting(r, jobs, shapes, classes, r.choice(queues)["name"], names)
    r.shuffle(jobs)
    document: Json = {
        "format": "argosy-round/1",
        "config": {
            "protectedFractionOfFairShare": r.choice([0, 0, 0.5, 1]),
            "preferLargeJobs": r.random() < 0.2,
            "indexedResources": r.choice([["cpu", "memory"], ["memory", "cpu"], ["memory"], [], [DISK, "cpu"]]),
        },
        "priorityClasses": classes,
        "nodeTypes": [
            {"name": kind, "taints": [{"key": kind, "value": "yes", "effect": "NoSchedule"}]} for kind in ("gpu", "arm")
        ],
        "nodes": nodes,
        "queues": queues,
        "jobs": jobs,
    }
    if r.random() < 0.15:
        document["config"]["fairSharePreemptionBudget"] = r.randint(0, 20)
    if r.random() < 0.5:
        add_limits(r, document)
    return document


def _amounts(quantities: Json) -> list[int]:
    return [int(quantities["cpu"][:-1]), int(quantities["memory"]), int(quantities.get(DISK, 0))]


def _classes(r: Random) -> list[Json]:
    classes: list[Json] = [{"name": f"p{p}", "priority": p} for p in r.sample([-1, 0, 3, 5, 8, 20], r.randint(2, 5))]
    classes.append({"name": "fixed", "priority": r.choice([5, 30]), "preemptible": False})
    for each in classes:
        if r.random() < 0.4:
            kinds = r.sample(["gpu", "arm"], r.randint(1, 2))
            each["away"] = [{"nodeType": kind, "priority": r.choice([-10, -3, 2])} for kind in kinds]
    return classes


def _node(r: Random, index: int, *, odd: bool) -> Json:
    cpu = r.randint(1000, 5000) if odd else 1000 * r.choice([2, 4])
    memory = r.randint(4 * 2**30, 2**33) if odd else r.choice([4, 8]) * 2**30
    node: Json = {
        "name": f"n{index}",
        "cluster": f"c{index % 3}",
        "capacity": {"cpu": f"{cpu}m", "memory": str(memory), DISK: str(r.choice([0, 0, 5, r.randint(1, 99)]))},
        "labels": {HOST: f"n{index}", "rack": r.choice(RACKS)},
        "taints": [],
    }
    for kind in ("gpu", "arm"):
        if r.random() < 0.1:
            node["taints"].append({"key": kind, "value": "yes", "effect": "NoSchedule"})
    if r.random() < 0.05:
        node["pool"] = "other"
    return node


def _shape(r: Random, names: list[str]) -> Json:
    cpu = r.choice(["1", "2", "500m", "3", f"{r.randint(300, 4000)}m"])
    memory = r.choice([str(2**30), str(2**30), str(2 * 2**30), str(r.randint(2**28, 2**31))])
    shape: Json = {"requests": {"cpu": cpu, "memory": memory}}
    if r.random() < 0.3:
        shape["requests"][DISK] = str(r.choice([1, 5, r.randint(1, 60)]))
    if r.random() < 0.15:
        shape["nodeSelector"] = r.choice([{HOST: r.choice(names)}, {"rack": r.choice(RACKS)}])
    if r.random() < 0.15:
        shape["tolerations"] = [{"key": r.choice(["gpu", "arm"]), "operator": "Exists"}]
    if r.random() < 0.15:
        several = r.sample(names, min(len(names), r.choice([1, 2, 33])))
        shape["affinity"] = _required(r, r.choice([r.sample(RACKS, 2), several]))
    return shape


def _required(r: Random, values: list[str]) -> Json:
    if values[0] in RACKS:
        terms = [{"matchExpressions": [{"key": "rack", "operator": r.choice(["In", "NotIn"]), "values": values}]}]
    else:
        terms = [{"matchFields": [{"key": "metadata.name", "operator": r.choice(["In", "NotIn"]), "values": values}]}]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


def _job(r: Random, jobs: list[Json], shape: Json, of_class: Json, queue: str) -> Json:
    job: Json = {
        "id": f"j{len(jobs)}",
        "queue": queue,
        "priorityClass": of_class["name"],
        "priority": r.choice([1000, 1000, 5]),
        "submitted": r.randint(0, 9),
        **shape,
    }
    jobs.append(job)
    return job


def _gang(r: Random, jobs: list[Json], cardinality: int) -> Json:
    gang: Json = {"id": f"g{len(jobs)}", "cardinality": cardinality, "generation": r.randint(0, 1)}
    if r.random() < 0.4:
        gang["uniformityLabel"] = r.choice(["rack", "rack", HOST])
    return gang


def _add_running(r: Random, jobs: list[Json], free: Any, shapes: list[Json], classes: list[Json], queue: str) -> None:
    of_class, size = r.choice(classes), r.choice([1, 1, 1, 1, 2, 4])
    gang = _gang(r, jobs, size) if size > 1 else None
    for _ in range(size):
        shape = r.choice(shapes)
        requests = shape["requests"]
        cpu = int(requests["cpu"][:-1]) if requests["cpu"].endswith("m") else 1000 * int(requests["cpu"])
        need = [cpu, int(requests["memory"]), int(requests.get(DISK, 0))]
        tried = r.sample(list(free), 3)
        fitting = [name for name in tried if all(a <= b for a, b in zip(need, free[name], strict=True))]
        if not fitting and r.random() > 0.02:
            continue
        name = fitting[0] if fitting else tried[0]
        free[name] = [b - a for a, b in zip(need, free[name], strict=True)]
        job = _job(r, jobs, shape, of_class, queue)
        job["run"] = {"node": name, "started": r.randint(0, 20)}
        if r.random() < 0.1:
            job["run"]["scheduledAtPriority"] = r.choice([-10, -3, -1, 0, 5])
        if gang:
            job["gang"] = gang


def _add_waiting(
    r: Random, jobs: list[Json], shapes: list[Json], classes: list[Json], queue: str, names: list[str]
) -> None:
    of_class, size = r.choice(classes), r.choice([1, 1, 1, 1, 2, 3, 6])
    gang = _gang(r, jobs, size) if size > 1 else None
    shape = r.choice(shapes)
    for _ in range(size - (r.random() < 0.03)):
        job = _job(r, jobs, r.choice([shape, shape, r.choice(shapes)]), of_class, queue)
        if gang:
            job["gang"] = gang
        if r.random() < 0.05:
            job["avoidNodes"] = r.sample(names, 1)
