"""Why no node takes a shape: nodes counted by the first thing that speaks against them, and what is missing.

Worked out after the round, for a bounded number of shapes, from the room that is left then.
"""

from collections.abc import Sequence

import numpy as np

from app.scheduling.decisions import Explanation
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.nodes import HOME_POOL
from app.scheduling.placement import ClusterLimits, Room
from app.scheduling.quarantine import Admission
from app.scheduling.resources import Bool, Int64
from app.scheduling.round import NOT_FLOATING, Round

INVALID = "invalid"
OTHER_POOL = "other pool"
UNSCHEDULABLE = "unschedulable"
CLUSTER_CORDONED = "cluster cordoned"
CLUSTER_FULL = "cluster has too many unacknowledged runs"
TAINT = "taint"
NODE_SELECTOR = "node selector"
NODE_AFFINITY = "node affinity"
AVOIDED = "avoided"
OVERCOMMITTED = "overcommitted"
INSUFFICIENT = "insufficient "
EXPLANATIONS_MAX = 100
"""Shapes explained in one round; of more, those with the most waiting jobs."""

Against = Sequence[tuple[str, Bool]]
"""Reasons in the order in which they are looked at, each with the nodes (bool by node) that it holds for."""


def closed_nodes(round_: Round, admission: Admission, limits: ClusterLimits) -> Against:
    """What speaks against nodes whatever the job is."""
    nodes, clusters = round_.nodes, round_.clusters
    cordoned = np.array([cluster.cordoned for cluster in clusters], np.bool_)
    full = np.array([limits.is_full(index) for index in range(len(clusters))], np.bool_)
    return [
        (INVALID, ~admission.node_valid),
        (OTHER_POOL, nodes.pool != HOME_POOL),
        (UNSCHEDULABLE, nodes.unschedulable),
        (CLUSTER_CORDONED, cordoned[nodes.cluster]),
        (CLUSTER_FULL, full[nodes.cluster]),
    ]


def explain_shape(
    round_: Round,
    requests: Int64,
    shape: int,
    avoid: tuple[int, ...],
    matcher: NodeMatcher,
    room: Room,
    closed: Against,
) -> Explanation:
    """Explains a shape, or one job of it that avoids nodes (indices).

    `requests`: int64 (S, R). Every node counts once, under the first reason that holds for it; of resources the
    indexed ones come first. A node is short of what no node that is allowed otherwise has enough of.
    """
    left = np.ones(len(round_.nodes), np.bool_)
    counts: dict[str, int] = {}

    def strike(name: str, against: Bool) -> None:
        number = int((left & against).sum())
        if number:
            counts[name] = counts.get(name, 0) + number
            left[against] = False

    for name, against in (*closed, *_static(round_, shape, avoid, matcher)):
        strike(name, against)
    overcommitted: Bool = np.any(room.free < 0, axis=0)
    strike(OVERCOMMITTED, overcommitted)
    allowed = left.copy()
    shortfall: dict[str, int] = {}
    others = (column for column in range(len(round_.resources.names)) if column not in room.indexed)
    for column in (*room.indexed, *others):
        amount = int(requests[shape, column])
        if not amount or round_.floating[column] != NOT_FLOATING:
            continue
        name, free = round_.resources.names[column], room.free[column]
        if allowed.any() and amount > (most := int(free[allowed].max())):
            shortfall[name] = amount - most
        strike(f"{INSUFFICIENT}{name}", free < amount)
    return Explanation(nodes=counts, shortfall=shortfall)


def _static(round_: Round, shape: int, avoid: tuple[int, ...], matcher: NodeMatcher) -> Against:
    """What does not depend on room. A taint counts when the job tolerates it neither at home nor away."""
    spec = round_.shapes.specs[shape]
    tolerated = np.zeros(len(round_.nodes), np.bool_)
    for tolerations, _ in matcher.ways(spec, round_.classes[int(round_.shapes.priority_class[shape])]):
        tolerated |= matcher.tolerated(tolerations)
    avoided = np.zeros(len(round_.nodes), np.bool_)
    avoided[list(avoid)] = True
    return [
        (TAINT, ~tolerated),
        (NODE_SELECTOR, ~matcher.selected(spec)),
        (NODE_AFFINITY, ~matcher.affine(spec)),
        (AVOIDED, avoided),
    ]
