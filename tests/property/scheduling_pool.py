"""A round by brute force, first part: who takes part, the pool, shares, matching, and the order of jobs and queues.

Written from the rules (round-file.md, features.md 2.4 to 2.6), not from app.scheduling, of which it uses nothing: plain
dictionaries, every node looked at for every job, everything worked out anew at each step.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from tests.property.scheduling_rules import affine, amounts, plus, selected, tolerated, water_filling

Json = dict[str, Any]


class Pool:
    def __init__(self, document: Json) -> None:
        self.d = document
        for n in document.get("nodes", []):
            n.setdefault("cluster", "c0")
        for j in document.get("jobs", []):
            for name, value in (("priorityClass", "default"), ("priority", 1000), ("submitted", 0)):
                j.setdefault(name, value)
        self.config = document.get("config", {})
        self.classes = {c["name"]: c for c in document.get("priorityClasses", [])} or {"default": {"name": "default"}}
        self.types = {t["name"]: t["taints"] for t in document.get("nodeTypes", [])}
        self.queues = {q["name"]: q for q in document.get("queues", [])}
        self.floating = amounts(document.get("floatingResources"))
        self.nodes = document.get("nodes", [])
        self.node_names = [n["name"] for n in self.nodes]
        listed = {c["name"]: c for c in document.get("clusters", [])}
        self.clusters = {n["cluster"]: {} for n in self.nodes} | listed
        self.unacknowledged = {name: c.get("unacknowledged", 0) for name, c in self.clusters.items()}
        self.quarantined: set[str] = set()
        self.bad_nodes: set[str] = set()
        self.needs = {
            j["id"]: {r: max(a, 0) for r, a in amounts(j["requests"]).items()} for j in document.get("jobs", [])
        }
        self.running: list[Json] = []
        self.waiting: list[Json] = []
        self.holding: list[Json] = []
        self.sort_out()
        self.totals = self.pool_totals()
        self.floating_free = {
            r: total - sum(self.needs[j["id"]].get(r, 0) for j in self.holding) for r, total in self.floating.items()
        }
        self.state = {j["id"]: "running" for j in self.running} | {j["id"]: "waiting" for j in self.waiting}
        self.reasons: dict[str, str] = {}
        self.hopeless: dict[str, str] = {}

    def sort_out(self) -> None:
        for n in self.nodes:
            if any(a < 0 for a in (*amounts(n["capacity"]).values(), *amounts(n.get("held")).values())):
                self.bad_nodes.add(n["name"])
        for j in self.d.get("jobs", []):
            run = j.get("run")
            if run and run["node"] in self.node_names:
                self.holding.append(j)
            if (
                any(a < 0 for a in amounts(j["requests"]).values())
                or j.get("priorityClass", "default") not in self.classes
                or (not run and j["queue"] not in self.queues)
                or (run and run["node"] not in self.node_names)
            ):
                self.quarantined.add(j["id"])
            elif run:
                self.running.append(j)
            else:
                self.waiting.append(j)
        for j in list(self.waiting):
            mates = self.mates(j, self.waiting)
            size = j["gang"]["cardinality"] if self.in_gang(j) else 1
            claims = {(m["gang"]["cardinality"], m["gang"].get("uniformityLabel")) for m in mates if self.in_gang(m)}
            if len(claims) > 1 or len({m.get("priorityClass", "default") for m in mates}) > 1 or len(mates) > size:
                self.quarantined.add(j["id"])
        self.waiting = [j for j in self.waiting if j["id"] not in self.quarantined]

    def in_gang(self, j: Json) -> bool:
        return bool(j.get("gang")) and j["gang"]["cardinality"] > 1

    def mates(self, j: Json, among: list[Json]) -> list[Json]:
        """The members of its gang among these, itself included."""
        if not self.in_gang(j):
            return [j]

        def key(m: Json) -> tuple[Any, ...]:
            return (m["queue"], m["gang"]["id"], m["gang"].get("generation", 0))

        return [m for m in among if self.in_gang(m) and key(m) == key(j)]

    def placeable(self, n: Json) -> bool:
        cordoned = self.clusters[n["cluster"]].get("cordoned", False)
        return not (n["name"] in self.bad_nodes or n.get("unschedulable") or cordoned)

    def pool_totals(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for n in self.nodes:
            used = any(j["run"]["node"] == n["name"] for j in self.holding)
            if n["name"] not in self.bad_nodes and not n.get("pool") and (used or self.placeable(n)):
                total = plus(total, amounts(n["capacity"]))
        return total | self.floating

    def cost(self, held: dict[str, int]) -> float:
        multipliers = self.config.get("fairShareResources", {"cpu": 1, "memory": 1})
        shares = [
            held.get(r, 0) / self.totals[r] * float(m) for r, m in multipliers.items() if self.totals.get(r, 0) > 0
        ]
        return max([0.0, *shares])

    def limits(self, queue: Json, class_name: str) -> dict[str, Fraction]:
        own = queue.get("maxFractionPerQueue", {}).get(class_name)
        fractions = self.classes[class_name].get("maxFractionPerQueue", {}) if own is None else own
        return {r: Fraction(str(f)) * self.totals.get(r, 0) for r, f in fractions.items()}

    def held_by(self, queue: str, class_name: str | None = None) -> dict[str, int]:
        mine = [
            j
            for j in (*self.running, *self.waiting)
            if j["queue"] == queue and self.state[j["id"]] in ("running", "placed")
        ]
        return plus(*[self.needs[j["id"]] for j in mine if class_name in (None, j.get("priorityClass", "default"))])

    def class_priority(self, j: Json) -> int:
        return int(self.classes[j.get("priorityClass", "default")].get("priority", 0))

    def order(self, queue: str) -> list[Json]:
        mine = [j for j in self.waiting if j["queue"] == queue]
        return sorted(mine, key=lambda j: (-self.class_priority(j), j["priority"], j["submitted"], j["id"].encode()))

    # shares

    def demand(self, q: Json) -> float:
        if q.get("demand") is not None:
            return self.cost(amounts(q["demand"]))
        total: dict[str, int] = {}
        for name in self.classes:
            wanted = self.held_by(q["name"], name)
            for j in self.waiting:
                if j["queue"] == q["name"] and j.get("priorityClass", "default") == name and not q.get("cordoned"):
                    wanted = plus(wanted, self.needs[j["id"]])
            for r, limit in self.limits(q, name).items():
                if wanted.get(r, 0) > limit:
                    wanted[r] = limit.numerator // limit.denominator
            total = plus(total, wanted)
        return self.cost(total)

    def shares(self) -> dict[str, tuple[float, float, float, float]]:
        active = []
        for name in sorted(self.queues):
            q = self.queues[name]
            has = any(j["queue"] == name for j in self.running)
            has = has or (not q.get("cordoned") and any(j["queue"] == name for j in self.waiting))
            if has or any(amounts(q.get("demand")).values()):
                active.append(name)
        w = {q: float(self.queues[q].get("weight", 1.0)) for q in active}
        demand = {q: self.demand(self.queues[q]) for q in self.queues}
        adjusted, uncapped = water_filling(w, demand)
        total = sum(w.values())
        return {
            q: (w[q] / total, adjusted[q], uncapped[q], demand[q]) if q in w else (0.0, 0.0, 0.0, demand[q])
            for q in self.queues
        }

    def actual_shares(self) -> dict[str, float]:
        return {q: self.cost(plus(self.held_by(q), amounts(v.get("penalty")))) for q, v in self.queues.items()}

    def fairness(
        self, all_shares: Mapping[str, tuple[float, ...]], before: dict[str, float], after: dict[str, float]
    ) -> dict[str, float]:
        """FairnessError (features.md 2.4 step 3) before and after, and the share of one more queue of weight 1."""
        shares = {q: share for q, share in sorted(all_shares.items()) if share[0] > 0}
        weights = {q: float(self.queues[q].get("weight", 1.0)) for q in shares} | {"": 1.0}
        adjusted, _ = water_filling(weights, {q: share[3] for q, share in shares.items()} | {"": 1.0})
        return {
            "errorBefore": sum(max(0.0, share[1] - before[q]) for q, share in shares.items()),
            "errorAfter": sum(max(0.0, share[1] - after[q]) for q, share in shares.items()),
            "newQueueShare": adjusted[""],
        }

    # matching

    def ways(self, j: Json) -> list[tuple[int, list[Json], bool]]:
        """Priority, tolerations, and whether it leads to nodes of other pools: home, away types, away pools."""
        of_class = self.classes[j.get("priorityClass", "default")]
        own = list(j.get("tolerations", []))
        ways = [(self.class_priority(j), own, False)]
        for away in of_class.get("away", []):
            extra = [{**t, "operator": "Equal"} for t in self.types[away["nodeType"]]]
            ways.append((away["priority"], own + extra, False))
        return [*ways, (-1, own, True)] if any(n.get("pool") for n in self.nodes) else ways

    def leads_to(self, n: Json, tolerations: list[Json], abroad: bool) -> bool:
        """Whether a way goes to the pool of the node and tolerates its taints."""
        return abroad == bool(n.get("pool")) and all(tolerated(t, tolerations) for t in n.get("taints", []))

    def full(self, cluster: str) -> bool:
        return bool(self.unacknowledged[cluster] >= self.clusters[cluster].get("unacknowledgedLimit", 5000))

    def objection(self, j: Json, n: Json, room: Callable[[Json, int], dict[str, int]], *, empty: bool) -> str:
        """The first thing that speaks against this node; `room` tells what is free at a priority."""
        if n["name"] in self.bad_nodes:
            return "invalid"
        if not empty:
            if n.get("unschedulable"):
                return "unschedulable"
            if self.clusters[n["cluster"]].get("cordoned"):
                return "cluster cordoned"
            if self.full(n["cluster"]):
                return "cluster has too many unacknowledged runs"
        priorities = [
            priority for priority, tolerations, abroad in self.ways(j) if self.leads_to(n, tolerations, abroad)
        ]
        if not priorities:
            return "taint"
        if not selected(j, n):
            return "node selector"
        if not affine(j, n):
            return "node affinity"
        if n["name"] in j.get("avoidNodes", []):
            return "avoided"
        free = room(n, priorities[0])
        if any(a < 0 for a in free.values()):
            return "overcommitted"
        for r in self.resource_order():
            if r not in self.floating and self.needs[j["id"]].get(r, 0) > free.get(r, 0):
                return f"insufficient {r}"
        return "has room"

    def resource_order(self) -> list[str]:
        indexed = self.config.get("indexedResources", ["cpu", "memory"])
        names = {r for n in self.nodes for r in amounts(n["capacity"])} | {
            r for need in self.needs.values() for r in need
        }
        rest = [r for r in ("cpu", "memory") if r in names] + sorted(names - {"cpu", "memory"})
        return [*indexed, *(r for r in rest if r not in indexed)]

    def shape(self, j: Json) -> str:
        needs = {r: a for r, a in self.needs[j["id"]].items() if a}
        tolerations = sorted(str(sorted({"operator": "Equal", **t}.items())) for t in j.get("tolerations", []))
        return str(
            (
                sorted(needs.items()),
                tolerations,
                sorted(j.get("nodeSelector", {}).items()),
                j.get("affinity"),
                j.get("priorityClass"),
            )
        )

    def queue_key(self, name: str, unit: list[Json], adjusted: float) -> tuple[Any, ...]:
        q = self.queues[name]
        weight = float(q.get("weight", 1.0))
        held = plus(self.held_by(name), amounts(q.get("penalty")))
        need = plus(*[self.needs[j["id"]] for j in unit])
        proposed = self.cost(plus(held, need)) / weight
        priority = -self.class_priority(unit[-1])
        if not self.config.get("preferLargeJobs"):
            return (priority, proposed, name)
        if proposed > adjusted / weight:
            return (priority, 1, proposed, 0, name)
        return (priority, 0, self.cost(held) / weight, -self.cost(need) * weight, name)
