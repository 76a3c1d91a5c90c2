"""Small random rounds as JSON documents, crowded on purpose: few values make ties and conflicts common."""

from random import Random
from typing import Any

Json = dict[str, Any]
GPU = "nvidia.com/gpu"


class Dice(Random):
    """Half of the rounds are calm: troubles are rare, so that many jobs find nodes and compete for them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.trouble = 0.15 if self.random() < 0.5 else 1.0


def random_document(seed: int) -> Json:
    """A round with all features of the file mixed in, offenders included. The same seed gives the same round."""
    r = Dice(seed)
    classes, node_types = _classes(r)
    floating, running = _chance(r, 0.3), r.choice([0, 0.1, 0.3, 0.5, 0.7])
    nodes = [_node(r, index) for index in range(r.choice([1, 3, 5, 8, 10] if r.trouble < 1 else [0, 1, 3, 5, 8]))]
    names = [node["name"] for node in nodes]
    queues = [_queue(r, name, classes) for name in r.sample(["a", "b", "c", "d"], r.randint(1, 4))]
    shapes = [_shape(r, names, floating) for _ in range(r.randint(1, 6))]
    owners = [q["name"] for q in queues]
    jobs = [
        _job(r, index, shapes, owners, classes, names, running)
        for index in range(r.randint(0, 60 if r.trouble < 1 else 25))
    ]
    _form_gangs(r, jobs)
    document: Json = {
        "format": "argosy-round/1",
        "pool": "cpu",
        "config": _config(r),
        "priorityClasses": classes,
        "nodeTypes": node_types,
        "nodes": nodes,
        "queues": queues,
        "jobs": jobs,
    }
    if _chance(r, 0.3):
        document["clusters"] = [_cluster(r, index) for index in range(r.randint(1, 2))]
    if _chance(r, 0.15):
        document["limiter"] = {"tokens": r.choice([0, 0.5, 1, 3, 7.5]), "burst": 10}
    if floating:
        document["floatingResources"] = {"licence": r.randint(0, 6)}
    return document


def _chance(r: Dice, share: float) -> bool:
    return r.random() < share * r.trouble


def _config(r: Dice) -> Json:
    config: Json = {}
    if _chance(r, 0.5):
        config["indexedResources"] = r.choice([["cpu"], ["memory", "cpu"], [GPU, "cpu", "memory"], []])
    if _chance(r, 0.4):
        config["fairShareResources"] = r.choice([{"cpu": 1}, {"cpu": 1, "memory": 0.5, GPU: 2}, {GPU: 1}, {}])
    config["protectedFractionOfFairShare"] = r.choice([0, 0.5, 1, 1.0, 1.5])
    if _chance(r, 0.1):
        config["fairSharePreemption"] = False
    if _chance(r, 0.1):
        config["urgencyPreemption"] = False
    if r.random() < 0.1:
        config["fairSharePreemptionBudget"] = r.randint(0, 4)
    config["preferLargeJobs"] = _chance(r, 0.3)
    if _chance(r, 0.15):
        config["maxFractionPerRound"] = {r.choice(["cpu", "memory"]): r.choice([0, 0.1, 0.29, 0.5])}
    if _chance(r, 0.1):
        config["lookback"] = r.randint(0, 5)
    if _chance(r, 0.1):
        config["decisionBudget"] = r.randint(0, 8)
    return config


def _classes(r: Dice) -> tuple[list[Json], list[Json]]:
    node_types = [{"name": "special", "taints": [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]}]
    classes: list[Json] = [{"name": "default", "priority": 0}]
    if r.random() < 0.5:
        classes.append({"name": "high", "priority": 10, "preemptible": False})
    if r.random() < 0.6:
        classes.append({"name": "also", "priority": r.choice([0, 5, 10])})
    if r.random() < 0.3:
        classes.append({"name": "top", "priority": 20})
    for each in classes:
        if _chance(r, 0.25):
            each["maxFractionPerQueue"] = _fractions(r)
        if _chance(r, 0.25):
            each["away"] = [{"nodeType": "special", "priority": -10}]
    return classes, node_types


def _fractions(r: Dice) -> Json:
    return {r.choice(["cpu", "memory", GPU, "licence"]): r.choice([0.1, 0.25, 0.5, 0.57])}


def _cluster(r: Dice, index: int) -> Json:
    cluster = {"name": f"c{index}", "cordoned": _chance(r, 0.2)}
    if _chance(r, 0.5):
        cluster |= {"unacknowledged": r.randint(0, 2), "unacknowledgedLimit": r.randint(0, 5)}
    return cluster


def _node(r: Dice, index: int) -> Json:
    capacity = {"cpu": r.choice([4, 8, 16, "4500m", 16]), "memory": r.choice(["8Gi", "16Gi", "32Gi"])}
    if _chance(r, 0.3):
        capacity[GPU] = r.randint(1, 3)
    node: Json = {
        "name": f"n{index}",
        "cluster": f"c{r.randint(0, 2)}",
        "capacity": capacity,
        "labels": {},
        "taints": [],
        "unschedulable": _chance(r, 0.08),
    }
    if _chance(r, 0.6):
        node["labels"]["zone"] = r.choice(["east", "west"])
    if _chance(r, 0.5):
        node["labels"]["size"] = r.choice(["1", "2", "3", "large"])
    if _chance(r, 0.15):
        node["taints"].append({"key": "dedicated", "value": r.choice(["x", "y"]), "effect": "NoSchedule"})
    if _chance(r, 0.15):
        node["taints"].append({"key": "flaky", "effect": r.choice(["NoExecute", "PreferNoSchedule"])})
    if _chance(r, 0.2):
        node["held"] = {"cpu": r.choice([1, "500m", 9]), "memory": "1Gi"}
    if _chance(r, 0.06):
        node["pool"] = "other"
    if _chance(r, 0.04):
        node["capacity"]["cpu"] = -1
    return node


def _queue(r: Dice, name: str, classes: list[Json]) -> Json:
    queue: Json = {"name": name, "weight": r.choice([1, 1, 2, 0.5]), "cordoned": _chance(r, 0.05)}
    if _chance(r, 0.2):
        queue["maxFractionPerQueue"] = {r.choice(classes)["name"]: _fractions(r)}
    if _chance(r, 0.1):
        queue["limiter"] = {"tokens": r.choice([0, 1, 2.5, 4]), "burst": 5}
    if _chance(r, 0.15):
        queue["penalty"] = {"cpu": r.choice([1, "500m"])}
    if _chance(r, 0.15):
        queue["demand"] = r.choice([{}, {"cpu": 3}, {"cpu": 30, "memory": "1Gi"}])
    return queue


def _shape(r: Dice, names: list[str], floating: bool) -> Json:
    requests = {"cpu": r.choice([1, 1, 2, "500m", 3, 4]), "memory": r.choice(["1Gi", "2Gi", "512Mi", "4Gi"])}
    if _chance(r, 0.2):
        requests[GPU] = r.choice([0, 1, 2])
    if _chance(r, 0.3 if floating else 0.03):
        requests["licence"] = r.randint(1, 2)
    shape: Json = {"requests": requests}
    if _chance(r, 0.25):
        shape["nodeSelector"] = {"zone": r.choice(["east", "west", "north"])}
    if _chance(r, 0.4):
        key = {"key": "dedicated"}
        shape["tolerations"] = [
            r.choice(
                [
                    {**key, "operator": "Exists"},
                    {**key, "value": "x", "effect": "NoSchedule"},
                    {"operator": "Exists", "effect": r.choice(["", "NoExecute"])},
                    {"key": "flaky", "operator": "Equal"},
                ]
            )
        ]
    if _chance(r, 0.25):
        terms = [_term(r, names) for _ in range(r.randint(1, 2))]
        shape["affinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return shape


def _term(r: Dice, names: list[str]) -> Json:
    if names and _chance(r, 0.2):
        values = r.sample(names, 1)
        return {"matchFields": [{"key": "metadata.name", "operator": r.choice(["In", "NotIn"]), "values": values}]}
    choices: list[Json] = [
        {"key": "zone", "operator": "In", "values": r.choice([["east"], ["east", "west"], ["north"]])},
        {"key": "zone", "operator": "NotIn", "values": ["west"]},
        {"key": "size", "operator": r.choice(["Gt", "Lt"]), "values": [r.choice(["1", "2"])]},
        {"key": r.choice(["zone", "size"]), "operator": r.choice(["Exists", "DoesNotExist"])},
    ]
    return {"matchExpressions": r.sample(choices, r.randint(0, 2))}


def _job(
    r: Dice, index: int, shapes: list[Json], queues: list[str], classes: list[Json], names: list[str], running: float
) -> Json:
    job: Json = {
        "id": f"j{r.choice(['', '0'])}{index}",
        "queue": r.choice(queues),
        "priorityClass": r.choice(classes)["name"],
        "priority": r.choice([1000, 1000, 5]),
        "submitted": r.randint(0, 3),
        **r.choice(shapes),
    }
    if _chance(r, running) and (names or _chance(r, 0.2)):
        job["run"] = {"node": "gone" if not names or _chance(r, 0.05) else r.choice(names), "started": r.randint(0, 5)}
        if _chance(r, 0.2):
            job["run"]["scheduledAtPriority"] = r.choice([-10, -1, 0, 5, 10])
    if _chance(r, 0.1):
        job["avoidNodes"] = r.sample([*names, "gone"], 1)
    if _chance(r, 0.02):
        job["queue"] = "unlisted"
    if _chance(r, 0.02):
        job["priorityClass"] = "unknown"
    if _chance(r, 0.02):
        job["requests"] = {"cpu": -1}
    return job


def _form_gangs(r: Dice, jobs: list[Json]) -> None:
    """Takes some jobs together; sometimes members are too few, too many, or contradict each other."""
    for index in range(r.choice([0, 0, 1, 2, 4])):
        cardinality = r.choice([2, 2, 3, 4])
        label = r.choice([None, None, "zone", "zone", "size", "nowhere"])
        members = r.sample(jobs, min(len(jobs), cardinality))
        like = members[0] if members else {}
        generation = r.randint(0, 1)
        for member in members:
            member["gang"] = {"id": f"g{index % 3}", "cardinality": cardinality, "generation": generation}
            if label:
                member["gang"]["uniformityLabel"] = label
            if not _chance(r, 0.1):
                member["queue"], member["priorityClass"] = like["queue"], like["priorityClass"]
            if not _chance(r, 0.2):
                if "run" in like:
                    member.setdefault("run", {**like["run"], "started": r.randint(0, 9)})
                else:
                    member.pop("run", None)
            if _chance(r, 0.05):
                member["gang"]["cardinality"] += 1
