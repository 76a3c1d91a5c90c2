"""A round by brute force, third part: eviction, numbering, turns, limits and repair."""

from fractions import Fraction
from typing import Any

from tests.property.scheduling_placing import Placing
from tests.property.scheduling_rules import plus

Json = dict[str, Any]


class Turns(Placing):
    def __init__(self, document: Json) -> None:
        super().__init__(document)
        self.rooms: dict[tuple[str, int | None], dict[str, int]] = {}
        self.where: dict[str, str] = {}
        self.on_node: dict[str, list[Json]] = {}
        self.placed_now: set[str] = set()
        self.method: dict[str, str] = {}
        self.cause: dict[str, tuple[str, str | None]] = {}
        self.numbered: list[Json] = []
        self.evicted_of: dict[str, list[list[Json]]] = {q: [] for q in self.queues}
        self.reasons: dict[str, str] = {}
        self.hopeless: dict[str, str] = {}
        self.sequence: list[Json] = []
        for j in self.holding:
            self.where[j["id"]] = j["run"]["node"]
            self.on_node.setdefault(j["run"]["node"], []).append(j)
            self.state.setdefault(j["id"], "running")
        self.who_may_go()
        limit = self.config.get("fairSharePreemptionBudget")
        self.budget: float = float("inf") if limit is None else limit
        self.balancing = self.config.get("fairSharePreemption", True)
        # A budget is hard: with one, nobody loses a licence.
        self.licences_move = limit is None
        self.last_taker: dict[str, str] = {}
        self.always = {
            n["name"]
            for n in self.nodes
            if n.get("unschedulable") and any(a < 0 for a in self.room_at(n, None).values())
        }

    def who_may_go(self) -> None:
        """Which runs may be evicted, with whom, and at which priority they count."""
        may = {
            j["id"]
            for j in self.running
            if j["queue"] in self.queues
            and j["run"]["node"] not in self.bad_nodes
            and self.classes[j.get("priorityClass", "default")].get("preemptible", True)
        }
        self.evictable = {j["id"] for j in self.running if all(m["id"] in may for m in self.mates(j, self.running))}
        own = {j["id"]: j["run"].get("scheduledAtPriority", self.class_priority(j)) for j in self.running}
        self.gangs: dict[str, list[Json]] = {}
        self.priority: dict[str, int] = {}
        for j in self.running:
            mates = self.mates(j, self.running)
            if j["id"] in self.evictable:
                self.gangs[j["id"]] = sorted(mates, key=self.running_key)
                self.priority[j["id"]] = max(own[m["id"]] for m in mates)
        known = {self.class_priority({"priorityClass": name}) for name in self.classes} | set(self.priority.values())
        known |= {own[j] for j in self.evictable}
        known |= {a["priority"] for c in self.classes.values() for a in c.get("away", [])}
        if any(n.get("pool") for n in self.nodes):
            known.add(-1)
        self.priorities = sorted(known)
        for j in self.waiting:
            mates = self.mates(j, self.waiting)
            self.gangs[j["id"]] = sorted(mates, key=self.waiting_key)

    def waiting_key(self, j: Json) -> tuple[Any, ...]:
        return (-self.class_priority(j), j["priority"], j["submitted"], j["id"].encode())

    # eviction and return

    def evict(self, members: list[Json]) -> None:
        for j in members:
            self.set_state(j, "evicted")
            if self.licences_move:
                for r in self.floating_free:
                    self.floating_free[r] += self.needs[j["id"]].get(r, 0)

    def returns(self, members: list[Json], *, repair: bool) -> bool:
        """A unit returns to its own nodes if all of it can, and the licences that it held are there."""
        saved = self.snapshot()
        gone = [j for j in members if self.state[j["id"]] == "evicted"]
        wanted = plus(*[self.needs[j["id"]] for j in gone])
        for r, licences in self.floating_free.items():
            if self.licences_move and wanted.get(r, 0) > 0 and wanted[r] > licences:
                if r in self.last_taker:
                    self.cause.update({j["id"]: ("fairShare", self.last_taker[r]) for j in gone})
                return False
        for j in members:
            if self.state[j["id"]] != "evicted":
                continue
            n = self.nodes[self.node_names.index(self.where[j["id"]])]
            free = self.room_at(n, self.priorities[0] if repair else self.priority[j["id"]])
            need = {r: a for r, a in self.needs[j["id"]].items() if a and r not in self.floating}
            if n["name"] not in self.always and any(a > free.get(r, 0) for r, a in need.items()):
                self.restore(saved)
                return False
            self.set_state(j, "placed" if j["id"] in self.placed_now else "running")
        if self.licences_move:
            for r in self.floating_free:
                self.floating_free[r] -= wanted.get(r, 0)
        return True

    def running_key(self, j: Json) -> tuple[Any, ...]:
        started = j["run"].get("started", 0)
        return (-self.class_priority(j), j.get("priority", 1000), started, j.get("submitted", 0), j["id"].encode())

    def repair_key(self, j: Json) -> tuple[Any, ...]:
        fresh = j["id"] in self.placed_now
        started = 0 if fresh else j["run"].get("started", 0)
        rest = (-self.class_priority(j), j.get("priority", 1000), started, j.get("submitted", 0), j["id"].encode())
        return (-self.priority[j["id"]], fresh, *rest)

    def balance(self, share: dict[str, Any]) -> None:
        if not self.config.get("fairSharePreemption", True):
            return
        fraction = self.config.get("protectedFractionOfFairShare", 1.0)
        actual = self.actual_shares()
        for name in self.queues:
            due = max(share[name][1], share[name][0])
            if due and actual[name] / due > fraction:
                mine = [j for j in self.running if j["queue"] == name and j["id"] in self.evictable]
                self.evict(mine)
                self.evicted_of[name] = self.units_in_order(sorted(mine, key=self.running_key))
        self.numbered = self.number(share)

    def number(self, share: dict[str, Any]) -> list[Json]:
        """The order in which evicted jobs would return if all did."""
        lists = {q: list(units) for q, units in self.evicted_of.items()}
        saved, numbered = self.snapshot(), []
        heads: dict[str, tuple[Any, ...]] = {}

        def head(q: str) -> None:
            heads.pop(q, None)
            if lists[q]:
                heads[q] = self.queue_key(q, lists[q][0], share[q][1])

        for q in lists:
            head(q)
        while heads:
            q = min(heads, key=lambda each: heads[each])
            unit = lists[q].pop(0)
            numbered += unit
            for j in unit:
                self.set_state(j, "running")
            head(q)
        self.restore(saved)
        return numbered

    def repair(self, share: dict[str, Any]) -> None:
        chosen: dict[str, Json] = {}
        for j in [*self.running, *self.waiting]:
            if self.state[j["id"]] not in ("running", "placed") or self.stays(j) or j["id"] not in self.where:
                continue
            n = self.nodes[self.node_names.index(self.where[j["id"]])]
            if any(a < 0 for a in self.room_at(n, self.priority[j["id"]]).values()):
                for mate in self.gang_of(j):
                    chosen[mate["id"]] = mate
        self.evict(list(chosen.values()))
        lists = {
            q: self.units_in_order(sorted((j for j in chosen.values() if j["queue"] == q), key=self.repair_key))
            for q in self.queues
        }
        heads: dict[str, tuple[Any, ...]] = {}

        def head(q: str) -> None:
            heads.pop(q, None)
            if lists[q]:
                lowest = min(self.priority[j["id"]] for j in lists[q][0])
                heads[q] = (-lowest, *self.queue_key(q, lists[q][0], share[q][1])[1:])

        for q in lists:
            head(q)
        while heads:
            q = min(heads, key=lambda each: heads[each])
            self.returns(lists[q].pop(0), repair=True)
            head(q)

    # the round

    def offered(self, name: str) -> list[list[Json]]:
        """The units that wait in a queue, in order; the others get their reason."""
        jobs, lookback = self.order(name), self.config.get("lookback", 100_000)
        for at, j in enumerate(jobs):
            late = any(jobs.index(m) >= lookback for m in self.gang_of(j))
            if self.queues[name].get("cordoned"):
                self.reasons[j["id"]] = "queueCordoned"
            elif self.in_gang(j) and len(self.gang_of(j)) < j["gang"]["cardinality"]:
                self.reasons[j["id"]] = "gangIncomplete"
            elif at >= lookback or late:
                self.reasons[j["id"]] = "lookback"
        return self.units_in_order([j for j in jobs if j["id"] not in self.reasons])

    def run(self) -> None:
        share = self.shares()
        self.balance(share)
        self.tokens = self.d["limiter"]["tokens"] if self.d.get("limiter") else float("inf")
        self.queue_tokens = {
            q: v["limiter"]["tokens"] if v.get("limiter") else float("inf") for q, v in self.queues.items()
        }
        self.considered, self.over = 0, ""
        lists = {q: (self.evicted_of[q], self.offered(q)) for q in self.queues}
        closed: dict[str, str] = {}
        capped: dict[str, set[str]] = {q: set() for q in self.queues}
        heads: dict[str, tuple[Any, ...]] = {}

        def head(q: str) -> None:
            """Chosen once, when the queue moves on."""
            heads.pop(q, None)
            evicted, new = lists[q]
            while evicted and self.state[evicted[0][0]["id"]] != "evicted":
                evicted.pop(0)
            while not evicted and new and q not in closed and len(new[0]) == 1:
                j = new[0][0]
                if self.shape(j) in self.hopeless:
                    self.reasons[j["id"]] = self.hopeless[self.shape(j)]
                elif self.shape(j) in capped[q]:
                    self.reasons[j["id"]] = "queueResourceLimit"
                else:
                    break
                new.pop(0)
            if evicted or (new and q not in closed):
                heads[q] = self.queue_key(q, (evicted or new)[0], share[q][1])

        for q in lists:
            head(q)
        while heads:
            q = min(heads, key=lambda each: heads[each])
            evicted, new = lists[q]
            if evicted:
                unit = evicted.pop(0)
                if self.state[unit[0]["id"]] == "evicted":
                    self.returns(unit, repair=False)
            else:
                self.over = self.over or self.round_over()
                reason = self.over or ("queueRateLimit" if self.queue_tokens[q] < 1 else "")
                if reason:
                    closed[q] = reason
                else:
                    self.turn(q, new.pop(0), capped[q])
            head(q)
        for q, (_, new) in lists.items():
            for unit in new:
                for j in unit:
                    known = self.hopeless.get(self.shape(j)) if len(unit) == 1 else None
                    self.reasons[j["id"]] = known or closed[q]
        self.repair(share)

    def round_over(self) -> str:
        budget = self.config.get("decisionBudget")
        if budget is not None and self.considered >= budget:
            return "decisionBudget"
        placed = plus(*[self.needs[j["id"]] for j in self.sequence])
        for r, f in self.config.get("maxFractionPerRound", {}).items():
            if placed.get(r, 0) > Fraction(str(f)) * self.totals.get(r, 0):
                return "roundResourceLimit"
        return "rateLimit" if self.tokens < 1 else ""

    def turn(self, q: str, unit: list[Json], capped: set[str]) -> None:
        j, key = unit[0], self.shape(unit[0])
        if len(unit) == 1 and key in self.hopeless:
            self.reasons[j["id"]] = self.hopeless[key]
            return
        self.considered += 1
        reason = self.refusal(q, unit)
        if reason is None:
            hurt = self.place_unit(unit[-1])
            if hurt == "exhausted":
                self.balancing = False
                for victim in self.numbered:
                    if self.state[victim["id"]] == "evicted":
                        self.returns(self.gang_of(victim), repair=False)
                hurt = self.place_unit(unit[-1])
            if hurt is not None:
                self.sequence += unit
                self.tokens -= len(unit)
                self.queue_tokens[q] -= len(unit)
                for r in self.floating_free:
                    taken = sum(self.needs[m["id"]].get(r, 0) for m in unit)
                    self.floating_free[r] -= taken
                    if taken:
                        self.last_taker[r] = unit[-1]["id"]
                return
            reason = "noNodeFits"
        for member in unit:
            self.reasons[member["id"]] = reason
        if len(unit) == 1:
            if reason == "queueResourceLimit":
                capped.add(key)
            elif reason == "floatingResources" or (
                reason == "noNodeFits" and not any(a in self.node_names for a in j.get("avoidNodes", []))
            ):
                self.hopeless[key] = reason

    def refusal(self, q: str, unit: list[Json]) -> str | None:
        size, queue = len(unit), self.queues[q]
        if size > 1:
            bursts = [owner["limiter"]["burst"] for owner in (self.d, queue) if owner.get("limiter")]
            if any(size > burst for burst in bursts):
                return "burstTooSmall"
            if self.tokens < size:
                return "rateLimit"
            if self.queue_tokens[q] < size:
                return "queueRateLimit"
        need = plus(*[self.needs[m["id"]] for m in unit])
        after = plus(self.held_by(q, unit[0].get("priorityClass", "default")), need)
        limits = self.limits(queue, unit[0].get("priorityClass", "default"))
        if any(after.get(r, 0) > limit for r, limit in limits.items()):
            return "queueResourceLimit"
        if any(need.get(r, 0) > 0 and need[r] > free for r, free in self.floating_free.items()):
            return "floatingResources"
        return None
