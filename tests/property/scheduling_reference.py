"""A round by brute force: why, the submit check, and `reference_decisions`, which says what a round must decide."""

from typing import Any

from tests.property.scheduling_rules import amounts, plus
from tests.property.scheduling_turns import Turns

Json = dict[str, Any]
NEW_METHODS = ("urgencyPreemption", "awayUrgencyPreemption")


class Reference(Turns):
    def preempted(self) -> dict[str, tuple[str, str | None]]:
        urgent = [j for j in self.sequence if self.state[j["id"]] == "placed" and self.method[j["id"]] in NEW_METHODS]

        def taker(j: Json) -> str | None:
            """The first of the most urgent jobs on its node, if that is more urgent than it was."""
            there = [u for u in urgent if self.where[u["id"]] == self.where[j["id"]]]
            most = max(there, key=lambda u: self.priority[u["id"]], default=None)
            return most["id"] if most and self.priority[most["id"]] > self.priority[j["id"]] else None

        result: dict[str, tuple[str, str | None]] = {}
        for j in self.running:
            if self.state[j["id"]] == "preempted" or (self.state[j["id"]] == "evicted" and j["id"] in self.cause):
                result[j["id"]] = self.cause[j["id"]]
            elif self.state[j["id"]] == "evicted":
                own = taker(j)
                mates = [taker(m) for m in self.gang_of(j) if taker(m)]
                result[j["id"]] = ("urgency", own) if own else ("gang", mates[0]) if mates else ("overcommitted", None)
        return result

    def unfit(self) -> list[Json]:
        return [j for j in self.waiting if self.reasons.get(j["id"]) == "noNodeFits"]

    def asked_about(self, j: Json) -> Json:
        """Members of gangs and jobs of a hopeless shape share its explanation, whatever they avoid."""
        return j | {"avoidNodes": []} if self.shape(j) in self.hopeless or len(self.gang_of(j)) > 1 else j

    def why(self, j: Json, *, empty: bool) -> tuple[dict[str, int], dict[str, int]]:
        """Nodes by the first thing that speaks against them, and what is missing on the node that has most of it."""
        counts: dict[str, int] = {}
        rooms = []
        for n in self.nodes:
            said = self.objection(j, n, self.room_at, empty=empty)
            counts[said] = counts.get(said, 0) + 1
            if said in ("overcommitted", "has room") or said.startswith("insufficient "):
                priority = next(p for p, tolerations, abroad in self.ways(j) if self.leads_to(n, tolerations, abroad))
                rooms.append(self.room_at(n, priority))
        missing = {}
        for r, need in self.needs[j["id"]].items():
            if rooms and need > 0 and r not in self.floating:
                missing[r] = need - max(max(room.get(r, 0) for room in rooms), 0)
        return counts, {r: a for r, a in missing.items() if a > 0}

    def place_of(self, job: str) -> tuple[str, int, str]:
        return self.where[job], self.priority[job], self.method[job]

    def check(self) -> dict[str, tuple[str, int, str]]:
        """The submit check: every unit alone, on the whole pool, empty and with nothing cordoned.

        Job -> node, priority and method.
        """
        self.totals = {}
        for n in self.nodes:
            n["unschedulable"] = False
            n["held"] = {}
            if n["name"] not in self.bad_nodes and not n.get("pool"):
                self.totals = plus(self.totals, amounts(n["capacity"]))
        self.totals |= self.floating
        self.floating_free = dict(self.floating)
        self.clusters = {name: {"unacknowledgedLimit": 1000} for name in self.clusters}
        self.unacknowledged = dict.fromkeys(self.clusters, 0)
        self.on_node, self.rooms, self.numbered = {}, {}, []
        self.state = dict.fromkeys(self.state, "waiting")
        self.tokens, self.queue_tokens = float("inf"), dict.fromkeys(self.queues, float("inf"))
        fits = {}
        for q in self.queues:
            self.queues[q]["cordoned"] = False
            for unit in self.units_in_order(self.order(q)):
                if self.in_gang(unit[0]) and len(unit) < unit[0]["gang"]["cardinality"]:
                    self.reasons.update({j["id"]: "gangIncomplete" for j in unit})
                    continue
                saved, reason = self.snapshot(), self.refusal(q, unit)
                if reason is None and self.place_unit(unit[-1]) is None:
                    reason = "noNodeFits"
                if reason:
                    self.reasons.update({j["id"]: reason for j in unit})
                else:
                    fits.update({j["id"]: self.place_of(j["id"]) for j in unit})
                self.restore(saved)
        return fits


def reference_decisions(document: Json) -> Json:
    """scheduled (in order), preempted, unschedulable (job -> reason), quarantined, tokens, shares, explanations."""
    reference = Reference(document)
    shares = reference.shares()
    before = reference.actual_shares()
    if document.get("config", {}).get("submitCheck"):
        return {
            "fits": reference.check(),
            "unschedulable": reference.reasons,
            "quarantined": reference.quarantined | reference.bad_nodes,
            "why": {j["id"]: reference.why(j, empty=True) for j in reference.unfit()},
        }
    reference.run()
    for j in reference.waiting:
        if reference.state[j["id"]] == "evicted":
            reference.reasons[j["id"]] = "outranked"
    after = reference.actual_shares()
    scheduled = [
        {
            "job": j["id"],
            "node": reference.where[j["id"]],
            "scheduledAtPriority": reference.priority[j["id"]],
            "method": reference.method[j["id"]],
        }
        for j in reference.sequence
        if reference.state[j["id"]] == "placed"
    ]
    start = document["limiter"]["tokens"] if document.get("limiter") else float("inf")
    return {
        "scheduled": scheduled,
        "preempted": reference.preempted(),
        "unschedulable": reference.reasons,
        "quarantined": reference.quarantined | reference.bad_nodes,
        "tokens": start - len(scheduled) if document.get("limiter") else None,
        "shares": {q: (*shares[q], before[q], after[q]) for q in reference.queues},
        "fairness": reference.fairness(shares, before, after),
        "why": {j["id"]: reference.why(reference.asked_about(j), empty=False) for j in reference.unfit()},
        "considered": reference.considered,
    }
