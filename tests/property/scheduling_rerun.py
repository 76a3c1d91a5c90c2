"""What comes after a round: the same pool with its decisions carried out, for sequences of rounds."""

import json
from random import Random
from typing import Any

Json = dict[str, Any]


def after(document: Json, decided: Json, time: int) -> Json:
    """The next round: what was placed runs, what was preempted is gone."""
    following: Json = json.loads(json.dumps(document))
    placed = {each["job"]: each for each in decided["scheduled"]}
    lost = {each["job"] for each in decided["preempted"]}
    following["jobs"] = [job for job in following["jobs"] if job["id"] not in lost]
    for job in following["jobs"]:
        if job["id"] in placed:
            each = placed[job["id"]]
            job["run"] = {
                "node": each["node"],
                "started": time,
                "scheduledAtPriority": each["scheduledAtPriority"],
            }
    return following


def disturbed(document: Json, r: Random) -> Json:
    """A round in which something else happened too: jobs came or ended, a node or a queue changed, or nothing."""
    following: Json = json.loads(json.dumps(document))
    jobs, nodes = following["jobs"], following["nodes"]
    kind = r.choice(["nothing", "end", "come", "cordon", "label", "shrink", "queue", "config"])
    if kind == "end" and jobs:
        jobs.remove(r.choice(jobs))
    elif kind == "come" and jobs:
        like = {name: value for name, value in r.choice(jobs).items() if name not in ("run", "gang")}
        jobs.append(like | {"id": f"new{r.randint(0, 10**9)}"})
    elif kind == "cordon" and nodes:
        node = r.choice(nodes)
        node["unschedulable"] = not node.get("unschedulable", False)
    elif kind == "label" and nodes:
        r.choice(nodes)["labels"] = {"zone": r.choice(["east", "west"])}
    elif kind == "shrink" and nodes:
        r.choice(nodes)["held"] = {"cpu": r.randint(0, 4)}
    elif kind == "queue":
        r.choice(following["queues"])["weight"] = r.choice([1, 3])
    elif kind == "config":
        following["config"]["indexedResources"] = r.choice([["memory"], ["cpu", "memory"]])
    return following
