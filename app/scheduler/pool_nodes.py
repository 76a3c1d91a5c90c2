"""The nodes of one pool as columns of a round, kept while no node changes.

Input: what argosy.clusters says of nodes, the pools whose nodes this one may use. Output: `PoolNodes`: the columns
(room held by foreign pods in `held`), and where the nodes of the job columns stand in them. A node with a quantity
that cannot be read takes nothing and is counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from app.domain.clusters import NodeData
from app.pods.quantity import QuantityError, add, amount_of
from app.scheduler.clusters import Clusters
from app.scheduler.interning import NONE, Int32, NameNumbers
from app.scheduling.nodes import HOME_POOL, Nodes, NodesBuilder
from app.scheduling.resources import AMOUNT_MAX, Resources


class NodePlace(NamedTuple):
    """What a lease says of a node."""

    cluster: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolNodes:
    """Nodes of a pool in the order of their names ("cluster/node").

    Nodes that are at home in another pool, which this one may use, name it in `pools` (by `nodes.pool`). `places`: by
    node of the round. `clusters`: their clusters in the order of the round, with `cluster_numbers` in the
    job columns. `numbers`: by node of the round its number in the job columns. `unreadable`: nodes left out.
    `data`: by node, what they were made of.
    """

    nodes: Nodes
    pools: tuple[str, ...]
    places: tuple[NodePlace, ...]
    clusters: tuple[str, ...]
    cluster_numbers: Int32
    numbers: Int32
    resources: Resources
    unreadable: tuple[str, ...]
    data: tuple[NodeData, ...]

    def positions(self, length: int) -> Int32:
        """int32 by number of a node in the job columns (`length` of them): where it stands in the round, or NONE."""
        positions = np.full(length + 1, NONE, np.int32)
        positions[self.numbers] = np.arange(len(self.numbers), dtype=np.int32)
        # The last element answers for NONE itself.
        positions[length] = NONE
        return positions


def pool_nodes(
    clusters: Clusters,
    pool: str,
    names: Iterable[str],
    node_numbers: NameNumbers,
    cluster_numbers: NameNumbers,
    away_pools: Sequence[str] = (),
) -> PoolNodes:
    """The nodes whose pool this is, or one of `away_pools`. `names`: resources that the round needs a column for
    besides those of nodes."""
    at_home = {pool: HOME_POOL, **{name: index for index, name in enumerate(away_pools)}}
    of_clusters: dict[str, int] = {}
    builder, places, unreadable, data = NodesBuilder(), [], [], []
    for name, cluster, node in _found(clusters, at_home):
        try:
            capacity, held = _capacity(node), _foreign(node)
        except QuantityError:
            unreadable.append(name)
            continue
        builder.add(
            name,
            cluster=of_clusters.setdefault(cluster, len(of_clusters)),
            pool=at_home[node.pool],
            capacity=capacity,
            held=held,
            labels=node.labels,
            taints=node.taints,
            unschedulable=node.unschedulable,
        )
        places.append(NodePlace(cluster, node.name))
        data.append(node)
    resources = Resources.of(builder.resource_names().union(names))
    return PoolNodes(
        nodes=builder.build(resources),
        pools=tuple(away_pools),
        places=tuple(places),
        clusters=tuple(of_clusters),
        cluster_numbers=np.array([cluster_numbers.learn(name) for name in of_clusters], np.int32),
        numbers=np.array([node_numbers.learn(f"{place.cluster}/{place.node}") for place in places], np.int32),
        resources=resources,
        unreadable=tuple(unreadable),
        data=tuple(data),
    )


def with_usage(known: PoolNodes, clusters: Clusters) -> PoolNodes | None:
    """The same nodes with what foreign pods hold now, when nothing else changed; None when that cannot be told."""
    if known.unreadable:
        return None
    data = list(known.data)
    held = known.nodes.held.copy()
    for at, place in enumerate(known.places):
        node = clusters.by_name[place.cluster].nodes[place.node]
        if node is data[at]:
            continue
        try:
            amounts = _foreign(node)
        except QuantityError:
            return None
        if not amounts.keys() <= known.resources.columns.keys():
            return None
        data[at] = node
        held[at] = [amounts.get(name, 0) for name in known.resources.names]
    return replace(known, nodes=replace(known.nodes, held=held), data=tuple(data))


def _found(clusters: Clusters, pools: Mapping[str, int]) -> list[tuple[str, str, NodeData]]:
    found = [
        (f"{cluster.name}/{node.name}", cluster.name, node)
        for cluster in clusters.by_name.values()
        for node in cluster.nodes.values()
        if node.pool in pools
    ]
    return sorted(found, key=lambda each: each[0])


def _capacity(node: NodeData) -> dict[str, int]:
    return {name: min(amount_of(name, quantity), AMOUNT_MAX) for name, quantity in node.allocatable.items()}


def _foreign(node: NodeData) -> dict[str, int]:
    held: dict[str, int] = {}
    for foreign in node.foreign:
        held = dict(add(held, {name: amount_of(name, quantity) for name, quantity in foreign.usage.items()}))
    return held
