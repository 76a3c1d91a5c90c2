"""The simple scheduling algorithm by brute force, on the JSON form of a round.

Written from the rules (round-file.md, features.md 2.4 to 2.6), not from app.scheduling, of which it uses nothing: plain
dictionaries, every node looked at for every job, everything worked out anew at each step. `reference_decisions`
returns what `argosy-decisions/1` must say.
"""

from fractions import Fraction
from typing import Any

from tests.property.scheduling_rules import affine, amounts, plus, selected, tolerated, water_filling

Json = dict[str, Any]


class Reference:
    def __init__(self, document: Json) -> None:
        self.d = document
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
        self.running, self.waiting, self.holding = [], [], []
        self.sort_out()
        self.totals = self.pool_totals()
        self.free = {n["name"]: self.room(n) for n in self.nodes}
        self.floating_free = {
            r: total - sum(self.needs[j["id"]].get(r, 0) for j in self.holding) for r, total in self.floating.items()
        }
        self.scheduled: list[Json] = []
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
                or (not run and j.get("gang"))
            ):
                self.quarantined.add(j["id"])
            elif run:
                self.running.append(j)
            else:
                self.waiting.append(j)

    def placeable(self, n: Json) -> bool:
        cordoned = self.clusters[n["cluster"]].get("cordoned", False)
        return not (n["name"] in self.bad_nodes or n.get("unschedulable") or n.get("pool") or cordoned)

    def pool_totals(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for n in self.nodes:
            used = any(j["run"]["node"] == n["name"] for j in self.holding)
            if n["name"] not in self.bad_nodes and not n.get("pool") and (used or self.placeable(n)):
                total = plus(total, amounts(n["capacity"]))
        return total | self.floating

    def room(self, n: Json) -> dict[str, int]:
        free = {r: a for r, a in amounts(n["capacity"]).items() if r not in self.floating}
        taken = [self.needs[j["id"]] for j in self.holding if j["run"]["node"] == n["name"]]
        for part in (amounts(n.get("held")), *taken):
            free = plus(free, {r: -max(a, 0) for r, a in part.items() if r not in self.floating})
        return free

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
        placed = {s["job"] for s in self.scheduled}
        mine = [j for j in self.running if j["queue"] == queue] + [
            j for j in self.waiting if j["queue"] == queue and j["id"] in placed
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

    # matching

    def ways(self, j: Json) -> list[tuple[int, list[Json]]]:
        of_class = self.classes[j.get("priorityClass", "default")]
        ways = [(self.class_priority(j), list(j.get("tolerations", [])))]
        for away in of_class.get("away", []):
            extra = [{**t, "operator": "Equal"} for t in self.types[away["nodeType"]]]
            ways.append((away["priority"], ways[0][1] + extra))
        return ways

    def full(self, cluster: str) -> bool:
        return self.unacknowledged[cluster] >= self.clusters[cluster].get("unacknowledgedLimit", 5000)

    def objection(
        self, j: Json, n: Json, tolerations: list[list[Json]], free: dict[str, int], *, empty: bool
    ) -> str | None:
        """The first thing that speaks against this node."""
        if n["name"] in self.bad_nodes:
            return "invalid"
        if n.get("pool"):
            return "other pool"
        if not empty:
            if n.get("unschedulable"):
                return "unschedulable"
            if self.clusters[n["cluster"]].get("cordoned"):
                return "cluster cordoned"
            if self.full(n["cluster"]):
                return "cluster has too many unacknowledged runs"
        if not any(all(tolerated(t, way) for t in n.get("taints", [])) for way in tolerations):
            return "taint"
        if not selected(j, n):
            return "node selector"
        if not affine(j, n):
            return "node affinity"
        if n["name"] in j.get("avoidNodes", []):
            return "avoided"
        if any(a < 0 for a in free.values()):
            return "overcommitted"
        for r in self.resource_order():
            if r not in self.floating and self.needs[j["id"]].get(r, 0) > free.get(r, 0):
                return f"insufficient {r}"
        return None

    def resource_order(self) -> list[str]:
        indexed = self.config.get("indexedResources", ["cpu", "memory"])
        names = {r for n in self.nodes for r in amounts(n["capacity"])} | {
            r for need in self.needs.values() for r in need
        }
        rest = [r for r in ("cpu", "memory") if r in names] + sorted(names - {"cpu", "memory"})
        return [*indexed, *(r for r in rest if r not in indexed)]

    def best_node(self, j: Json, *, empty: bool = False) -> tuple[str, int, str] | None:
        indexed = self.config.get("indexedResources", ["cpu", "memory"])
        for index, (priority, tolerations) in enumerate(self.ways(j)):
            fitting = []
            for position, n in enumerate(self.nodes):
                free = self.empty_room(n) if empty else self.free[n["name"]]
                if self.objection(j, n, [tolerations], free, empty=empty) is None:
                    fitting.append(([free.get(r, 0) for r in indexed], position, n["name"]))
            if fitting:
                return min(fitting)[2], priority, "away" if index else "free"
        return None

    def empty_room(self, n: Json) -> dict[str, int]:
        return {r: a for r, a in amounts(n["capacity"]).items() if r not in self.floating}

    def why(self, j: Json) -> dict[str, int]:
        """Jobs of a hopeless shape share its explanation, whatever they avoid."""
        counts: dict[str, int] = {}
        if self.shape(j) in self.hopeless:
            j = j | {"avoidNodes": []}
        for n in self.nodes:
            ways = [tolerations for _, tolerations in self.ways(j)]
            reason = self.objection(j, n, ways, self.free[n["name"]], empty=False)
            if reason is not None:
                counts[reason] = counts.get(reason, 0) + 1
        return counts

    # the round

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

    def run(self) -> None:
        share = self.shares()
        tokens = self.d["limiter"]["tokens"] if self.d.get("limiter") else float("inf")
        queue_tokens = {q: v["limiter"]["tokens"] if v.get("limiter") else float("inf") for q, v in self.queues.items()}
        lookback, considered = self.config.get("lookback", 100_000), 0
        waiting: dict[str, list[Json]] = {}
        for name, q in self.queues.items():
            jobs = self.order(name)
            if q.get("cordoned"):
                self.reasons.update({j["id"]: "queueCordoned" for j in jobs})
                continue
            self.reasons.update({j["id"]: "lookback" for j in jobs[lookback:]})
            waiting[name] = jobs[:lookback]
        hopeless = self.hopeless
        capped: dict[str, set[str]] = {q: set() for q in self.queues}

        def skip(name: str) -> None:
            """The head is chosen once, when the queue moves on."""
            while waiting[name]:
                key = self.shape(waiting[name][0])
                if key in hopeless:
                    self.reasons[waiting[name].pop(0)["id"]] = hopeless[key]
                elif key in capped[name]:
                    self.reasons[waiting[name].pop(0)["id"]] = "queueResourceLimit"
                else:
                    return

        def give_up(name: str, reason: str) -> None:
            for j in waiting[name]:
                self.reasons[j["id"]] = hopeless.get(self.shape(j), reason)
            waiting[name] = []

        while True:
            heads = [name for name in waiting if waiting[name]]
            if not heads:
                break
            over = self.round_over(considered, tokens)
            if over:
                for name in heads:
                    give_up(name, over)
                break
            name = min(heads, key=lambda q: self.queue_key(q, waiting[q][0], share[q][1]))
            if queue_tokens[name] < 1:
                give_up(name, "queueRateLimit")
                continue
            j = waiting[name].pop(0)
            key = self.shape(j)
            if key in hopeless:
                self.reasons[j["id"]] = hopeless[key]
                skip(name)
                continue
            considered += 1
            reason = self.try_job(j, name)
            if reason is None:
                tokens -= 1
                queue_tokens[name] -= 1
            else:
                self.reasons[j["id"]] = reason
                if reason == "queueResourceLimit":
                    capped[name].add(key)
                elif reason == "floatingResources" or not any(a in self.node_names for a in j.get("avoidNodes", [])):
                    hopeless[key] = reason
            skip(name)
        self.tokens = tokens

    def round_over(self, considered: int, tokens: float) -> str | None:
        budget = self.config.get("decisionBudget")
        if budget is not None and considered >= budget:
            return "decisionBudget"
        placed = plus(*[self.needs[s["job"]] for s in self.scheduled])
        for r, f in self.config.get("maxFractionPerRound", {}).items():
            if placed.get(r, 0) > Fraction(str(f)) * self.totals.get(r, 0):
                return "roundResourceLimit"
        return "rateLimit" if tokens < 1 else None

    def queue_key(self, name: str, j: Json, adjusted: float) -> tuple[Any, ...]:
        q = self.queues[name]
        weight = float(q.get("weight", 1.0))
        held = plus(self.held_by(name), amounts(q.get("penalty")))
        proposed = self.cost(plus(held, self.needs[j["id"]])) / weight
        priority = -self.class_priority(j)
        if not self.config.get("preferLargeJobs"):
            return (priority, proposed, name)
        if proposed > adjusted / weight:
            return (priority, 1, proposed, 0, name)
        return (priority, 0, self.cost(held) / weight, -self.cost(self.needs[j["id"]]) * weight, name)

    def try_job(self, j: Json, name: str) -> str | None:
        class_name = j.get("priorityClass", "default")
        need = self.needs[j["id"]]
        after = plus(self.held_by(name, class_name), need)
        if any(after.get(r, 0) > limit for r, limit in self.limits(self.queues[name], class_name).items()):
            return "queueResourceLimit"
        if any(need.get(r, 0) > 0 and need[r] > free for r, free in self.floating_free.items()):
            return "floatingResources"
        best = self.best_node(j)
        if best is None:
            return "noNodeFits"
        node, priority, method = best
        self.free[node] = plus(self.free[node], {r: -a for r, a in need.items() if r not in self.floating})
        self.floating_free = {r: free - need.get(r, 0) for r, free in self.floating_free.items()}
        cluster = self.nodes[self.node_names.index(node)]["cluster"]
        self.unacknowledged[cluster] += 1
        self.scheduled.append({"job": j["id"], "node": node, "scheduledAtPriority": priority, "method": method})
        return None

    def check(self) -> None:
        """The submit check: every waiting job alone, on the whole pool, empty and with nothing cordoned."""
        self.totals = {}
        for n in self.nodes:
            if n["name"] not in self.bad_nodes and not n.get("pool"):
                self.totals = plus(self.totals, amounts(n["capacity"]))
        self.totals |= self.floating
        for j in self.waiting:
            need = self.needs[j["id"]]
            limits = self.limits(self.queues[j["queue"]], j.get("priorityClass", "default"))
            best = self.best_node(j, empty=True)
            if any(need.get(r, 0) > limit for r, limit in limits.items()):
                self.reasons[j["id"]] = "queueResourceLimit"
            elif any(need.get(r, 0) > total for r, total in self.floating.items()):
                self.reasons[j["id"]] = "floatingResources"
            elif best is None:
                self.reasons[j["id"]] = "noNodeFits"
            else:
                node, priority, method = best
                self.scheduled.append({"job": j["id"], "node": node, "scheduledAtPriority": priority, "method": method})


def reference_decisions(document: Json) -> Json:
    """scheduled (in order), unschedulable (job -> reason), quarantined jobs and nodes, tokens, shares, explanations."""
    reference = Reference(document)
    shares = reference.shares()
    before = reference.actual_shares()
    if document.get("config", {}).get("submitCheck"):
        reference.check()
        return {
            "scheduled": reference.scheduled,
            "unschedulable": reference.reasons,
            "quarantined": reference.quarantined | reference.bad_nodes,
        }
    reference.run()
    after = reference.actual_shares()
    jobs = {j["id"]: j for j in reference.waiting}
    return {
        "scheduled": reference.scheduled,
        "unschedulable": reference.reasons,
        "quarantined": reference.quarantined | reference.bad_nodes,
        "tokens": reference.tokens,
        "shares": {q: (*shares[q], before[q], after[q]) for q in reference.queues},
        "why": {j: reference.why(jobs[j]) for j, reason in reference.reasons.items() if reason == "noNodeFits"},
    }
