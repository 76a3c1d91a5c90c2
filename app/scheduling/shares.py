"""Fair shares between queues: dominant-resource cost and water filling (Armada's rules, reference features.md 2.4).

Input: weights and demand costs of the active queues, in name order (the order fixes the last bit of the sums).
Output: fair, demand-capped and uncapped share of each, as fractions of the pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.scheduling.resources import Resources

ITERATIONS_MAX = 10
UNSHARED_ENOUGH = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """Turns amounts into cost: the largest share that they take of any resource of the pool.

    `terms`: (column, total in base units, multiplier) of each resource that counts and that the pool has.
    """

    terms: tuple[tuple[int, int, float], ...]

    @classmethod
    def of(cls, resources: Resources, totals: Sequence[int], multipliers: Mapping[str, float]) -> "CostModel":
        """The cost model of a pool that has `totals` by column, base units."""
        terms = (
            (column, totals[column], float(multipliers.get(name, 0.0))) for name, column in resources.columns.items()
        )
        return cls(terms=tuple(term for term in terms if term[1] > 0 and term[2] > 0))

    def cost(self, amounts: Sequence[int]) -> float:
        """max over resources of multiplier x amount / total, not below 0; amounts by column, base units."""
        largest = 0.0
        for column, total, multiplier in self.terms:
            share = amounts[column] / total * multiplier
            if share > largest:
                largest = share
        return largest

    def cost_with(self, amounts: Sequence[int], more: Sequence[int]) -> float:
        """The cost of both together."""
        largest = 0.0
        for column, total, multiplier in self.terms:
            share = (amounts[column] + more[column]) / total * multiplier
            if share > largest:
                largest = share
        return largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shares by queue, in the order of the input."""

    fair: tuple[float, ...]
    capped: tuple[float, ...]
    uncapped: tuple[float, ...]


def fair_shares(weights: Sequence[float], demands: Sequence[float]) -> Shares:
    """Divides the pool between queues: features.md 2.4 steps 1 to 3.

    Whoever wants less than its share gives the rest to the others by weight, at most ITERATIONS_MAX times or until no
    more than UNSHARED_ENOUGH of the pool is left over.
    """
    count = len(weights)
    total_weight = sum(weights)
    fair = tuple(weight / total_weight for weight in weights)
    capped, uncapped, spare = [0.0] * count, [0.0] * count, [0.0] * count
    satisfied = [False] * count
    unshared = 1.0
    for _ in range(ITERATIONS_MAX):
        if unshared <= UNSHARED_ENOUGH:
            break
        hungry = sum(weight for weight, full in zip(weights, satisfied, strict=True) if not full)
        for queue, weight in enumerate(weights):
            divisor = hungry + (weight if satisfied[queue] else 0.0)
            uncapped[queue] += weight / divisor * (unshared - spare[queue])
        if hungry == 0:
            break
        for queue, weight in enumerate(weights):
            if not satisfied[queue]:
                capped[queue] += weight / hungry * unshared
        unshared = 0.0
        for queue, demand in enumerate(demands):
            surplus = capped[queue] - demand
            spare[queue] = max(surplus, 0.0)
            if surplus > 0:
                capped[queue] = demand
                satisfied[queue] = True
                unshared += surplus
    return Shares(fair=fair, capped=tuple(capped), uncapped=tuple(uncapped))


def fairness_error(capped: Sequence[float], actual: Sequence[float]) -> float:
    """How much of the pool is held by others than those it is due to: the sum of what queues lack of their share."""
    return sum(max(0.0, due - held) for due, held in zip(capped, actual, strict=True))


def indicative_share(weights: Sequence[float], demands: Sequence[float], weight: float) -> float:
    """What a new queue of this weight and endless demand would get beside the active ones."""
    return fair_shares([*weights, weight], [*demands, 1.0]).capped[-1]
