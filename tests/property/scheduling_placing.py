"""A round by brute force, second part: rooms at levels, the four steps of placing, gangs, eviction and return."""

from typing import Any

from tests.property.scheduling_pool import Pool
from tests.property.scheduling_rules import affine, amounts, plus, selected, tolerated

Json = dict[str, Any]


class Placing(Pool):
    # what `Turns` begins with and keeps
    rooms: dict[tuple[str, int | None], dict[str, int]]
    where: dict[str, str]
    on_node: dict[str, list[Json]]
    placed_now: set[str]
    method: dict[str, str]
    cause: dict[str, tuple[str, str | None]]
    numbered: list[Json]
    evictable: set[str]
    gangs: dict[str, list[Json]]
    priority: dict[str, int]
    priorities: list[int]
    budget: float
    balancing: bool

    # rooms: everything is added up anew from who stands where

    def stays(self, j: Json) -> bool:
        """Counts at every level: it may never be evicted."""
        if j["id"] in self.placed_now:
            return not self.classes[j.get("priorityClass", "default")].get("preemptible", True)
        return j["id"] not in self.evictable

    def room_at(self, n: Json, priority: int | None) -> dict[str, int]:
        """Room of a node for a job at this priority; None: without hurting anybody who ran."""
        key = (n["name"], priority)
        if key not in self.rooms:
            free = {r: a for r, a in amounts(n["capacity"]).items() if r not in self.floating}
            taken = [amounts(n.get("held"))]
            for j in self.on_node.get(n["name"], []):
                state = self.state[j["id"]]
                counted = state in ("running", "placed") and (
                    priority is None or self.stays(j) or self.priority[j["id"]] >= priority
                )
                if counted or (state == "evicted" and priority is None):
                    taken.append(self.needs[j["id"]])
            for part in taken:
                free = plus(free, {r: -max(a, 0) for r, a in part.items() if r not in self.floating})
            self.rooms[key] = free
        return self.rooms[key]

    def changed(self, node: str) -> None:
        for key in [key for key in self.rooms if key[0] == node]:
            del self.rooms[key]

    def set_state(self, j: Json, state: str) -> None:
        self.state[j["id"]] = state
        node = self.where.get(j["id"])
        if node:
            self.changed(node)

    def gang_of(self, j: Json) -> list[Json]:
        return self.gangs.get(j["id"], [j])

    def fits(self, j: Json, free: dict[str, int]) -> bool:
        need = {r: a for r, a in self.needs[j["id"]].items() if r not in self.floating}
        return all(need.get(r, 0) <= free.get(r, 0) for r in {*need, *free})

    # placing

    def allowed_nodes(self, j: Json, way: tuple[int, list[Json], bool], only: list[str] | None) -> list[Json]:
        _, tolerations, abroad = way
        return [
            n
            for n in self.nodes
            if (only is None or n["name"] in only)
            and bool(n.get("pool")) == abroad
            and self.placeable(n)
            and not self.full(n["cluster"])
            and all(tolerated(t, tolerations) for t in n.get("taints", []))
            and selected(j, n)
            and affine(j, n)
            and n["name"] not in j.get("avoidNodes", [])
        ]

    def best_at(self, j: Json, nodes: list[Json], priority: int | None) -> Json | None:
        indexed = self.config.get("indexedResources", ["cpu", "memory"])
        fitting = []
        for n in nodes:
            free = self.room_at(n, priority)
            if self.fits(j, free):
                fitting.append(([free.get(r, 0) for r in indexed if r not in self.floating], self.position(n), n))
        return min(fitting, key=lambda each: each[:2])[2] if fitting else None

    def position(self, n: Json) -> int:
        return self.node_names.index(n["name"])

    def walk(self, j: Json, nodes: list[Json], priority: int) -> tuple[Json, list[Json]] | None:
        """Evicted jobs from the last number backwards, until one node has room."""
        gathered: dict[str, tuple[dict[str, int], list[Json]]] = {n["name"]: (self.room_at(n, None), []) for n in nodes}
        for victim in reversed(self.numbered):
            name = self.where[victim["id"]]
            if self.state[victim["id"]] != "evicted" or self.priority[victim["id"]] > priority or name not in gathered:
                continue
            free, victims = gathered[name]
            free = plus(free, {r: a for r, a in self.needs[victim["id"]].items() if r not in self.floating})
            gathered[name] = (free, [*victims, victim])
            if self.fits(j, free):
                return next(n for n in nodes if n["name"] == name), [*victims, victim]
        return None

    def place(self, j: Json, only: list[str] | None) -> int | str | None:
        """The highest level preempted (0: none), None: no node, "exhausted": beyond the budget of balancing."""
        for index, way in enumerate(self.ways(j)):
            priority, nodes = way[0], self.allowed_nodes(j, way, only)
            method, hurt = "free", 0
            n = self.best_at(j, nodes, None)
            if n is None:
                if self.best_at(j, nodes, priority) is None:
                    continue
                found = self.walk(j, nodes, priority) if self.balancing else None
                if found:
                    n, victims = found
                    method = "fairSharePreemption"
                    hurt = max(self.level(self.priority[v["id"]]) for v in victims)
                    for victim in victims:
                        if self.state[victim["id"]] == "evicted":
                            for mate in self.gang_of(victim):
                                self.set_state(mate, "preempted")
                                self.cause[mate["id"]] = ("fairShare" if mate is victim else "gang", j["id"])
                                self.budget -= 1
                    if self.budget < 0:
                        return "exhausted"
                elif self.config.get("urgencyPreemption", True):
                    method = "urgencyPreemption"
                    for p in [p for p in self.priorities if p <= priority]:
                        n = self.best_at(j, nodes, p)
                        if n:
                            hurt = self.level(p)
                            break
            if n:
                self.put(j, n, priority, method if not index else "away" + method[0].upper() + method[1:])
                return hurt
        return None

    def put(self, j: Json, n: Json, priority: int, method: str) -> None:
        self.where[j["id"]] = n["name"]
        self.on_node.setdefault(n["name"], []).append(j)
        self.priority[j["id"]] = priority
        self.placed_now.add(j["id"])
        self.method[j["id"]] = "away" if method == "awayFree" else method
        self.set_state(j, "placed")
        self.unacknowledged[n["cluster"]] += 1

    def weight(self, hurt: int) -> int:
        """Members that hurt nobody stand at the priority of evicted jobs, -2, or below all others."""
        return 0 if hurt == 0 else self.priorities[hurt - 1] - min(-2, self.priorities[0] - 1)

    def level(self, priority: int) -> int:
        return self.priorities.index(priority) + 1

    def snapshot(self) -> Any:
        return (
            dict(self.where),
            {n: list(jobs) for n, jobs in self.on_node.items()},
            dict(self.priority),
            set(self.placed_now),
            dict(self.method),
            dict(self.state),
            dict(self.unacknowledged),
            dict(self.cause),
            self.budget,
        )

    def restore(self, saved: Any) -> None:
        where, on_node, priority, placed, method, state, unacknowledged, cause, self.budget = saved
        self.where, self.on_node = dict(where), {n: list(jobs) for n, jobs in on_node.items()}
        self.priority, self.placed_now, self.method = dict(priority), set(placed), dict(method)
        self.state, self.unacknowledged, self.cause = dict(state), dict(unacknowledged), dict(cause)
        self.rooms = {}

    def place_members(self, members: list[Json], only: list[str] | None) -> int | str | None:
        saved, total = self.snapshot(), 0
        for member in members:
            hurt = self.place(member, only)
            if not isinstance(hurt, int):
                self.restore(saved)
                return hurt
            total += self.weight(hurt)
        return total

    def place_unit(self, j: Json) -> int | str | None:
        members = self.gang_of(j)
        label = (j.get("gang") or {}).get("uniformityLabel")
        if len(members) == 1 or label is None:
            return self.place_members(members, None)
        best: tuple[int, list[str]] | None = None
        for value in sorted({n["labels"][label] for n in self.nodes if label in n.get("labels", {})}):
            only = [n["name"] for n in self.nodes if n.get("labels", {}).get(label) == value]
            if not self.has_capacity(members, only):
                continue
            saved = self.snapshot()
            hurt = self.place_members(members, only)
            if hurt == "exhausted" or hurt == 0:
                return hurt
            if isinstance(hurt, int) and (best is None or hurt < best[0]):
                best = (hurt, only)
            self.restore(saved)
        return None if best is None else self.place_members(members, best[1])

    def has_capacity(self, members: list[Json], only: list[str]) -> bool:
        """Members that are all alike are not tried where nodes could not hold them, whoever gave way."""
        if len({self.shape(m) for m in members}) > 1:
            return True
        need = {r: a for r, a in self.needs[members[0]["id"]].items() if a > 0 and r not in self.floating}
        total = 0
        for n in self.nodes:
            if n["name"] in only:
                free = self.room_at(n, self.priorities[-1])
                total += min([len(members), *(max(free.get(r, 0), 0) // a for r, a in need.items())])
        return total >= len(members)

    def units_in_order(self, jobs: list[Json]) -> list[list[Json]]:
        """A unit stands where its last member does."""
        units: list[list[Json]] = []
        for at, j in enumerate(jobs):
            members = [m for m in jobs if m["id"] in {each["id"] for each in self.gang_of(j)}]
            if jobs[at] is members[-1]:
                units.append(members)
        return units
