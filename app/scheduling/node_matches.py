"""Which nodes may a shape stand on, whatever room they have: taints, selector and required affinity over all nodes.

Every expression is evaluated once, on the label column it speaks of (as often as the label has values, never once per
node), and shapes share the results. This holds for hostname selectors too, for which node types would be as many as
nodes.
"""

from collections.abc import Sequence

import numpy as np

from app.domain.clusters import Taint
from app.pods.constraints import NodeRequirement, NodeTerm, Toleration
from app.pods.shape import Shape
from app.scheduling.matching import accepts, tolerates_all, toleration_of
from app.scheduling.nodes import Nodes
from app.scheduling.resources import Bool, Int32, Int64
from app.scheduling.round import NodeType, PriorityClass

_ABSENT = -1


class NodeMatcher:
    """Static matching against the nodes of one round, with everything computed kept for its lifetime."""

    def __init__(self, nodes: Nodes, node_types: Sequence[NodeType]) -> None:
        self.nodes = nodes
        self.node_types = node_types
        self._taints_of_type = {node_type.name: node_type.taints for node_type in node_types}
        self._string_index = {text: index for index, text in enumerate(nodes.strings)}
        self._node_of_entry: Int64 | None = None
        self._nodes_of_name: dict[str, list[int]] | None = None
        self._columns: dict[str, Int32] = {}
        self._expressions: dict[tuple[bool, NodeRequirement], Bool] = {}
        self._tolerated: dict[tuple[Toleration, ...], Bool] = {}
        self._placeable: dict[tuple[object, ...], Bool] = {}

    def placements(self, shape: Shape, priority_class: PriorityClass) -> list[tuple[Bool, int]]:
        """The ways to place a shape, best first: nodes (bool by node) and the priority that the job gets there.

        The masks are shared: do not write to them.
        """
        return [(self.allowed(shape, added), priority) for added, priority in self.ways(shape, priority_class)]

    def ways(self, shape: Shape, priority_class: PriorityClass) -> list[tuple[tuple[Toleration, ...], int]]:
        """The tolerations and the priority of a shape at home, then away at each node type of its class."""
        ways = [(shape.tolerations, priority_class.priority)]
        for away in priority_class.away:
            extra = tuple(toleration_of(taint) for taint in self._taints_of_type.get(away.node_type, ()))
            ways.append((shape.tolerations + extra, away.priority))
        return ways

    def allowed(self, shape: Shape, tolerations: tuple[Toleration, ...]) -> Bool:
        """bool by node: taints tolerated, selector and affinity satisfied."""
        key = (shape.node_selector, shape.affinity, tolerations)
        mask = self._placeable.get(key)
        if mask is None:
            mask = self.tolerated(tolerations) & self.selected(shape) & self.affine(shape)
            self._placeable[key] = mask
        return mask

    def tolerated(self, tolerations: tuple[Toleration, ...]) -> Bool:
        """bool by node: every repelling taint is tolerated."""
        mask = self._tolerated.get(tolerations)
        if mask is None:
            of_set: Sequence[tuple[Taint, ...]] = self.nodes.taint_sets
            by_set = np.array([tolerates_all(tolerations, taints) for taints in of_set], np.bool_)
            mask = by_set[self.nodes.taint_set] if len(by_set) else np.ones(len(self.nodes), np.bool_)
            self._tolerated[tolerations] = mask
        return mask

    def selected(self, shape: Shape) -> Bool:
        """bool by node: every label of the node selector is there."""
        mask = np.ones(len(self.nodes), np.bool_)
        for key, value in shape.node_selector:
            mask &= self._satisfied(NodeRequirement(key=key, operator="In", values=(value,)), of_field=False)
        return mask

    def affine(self, shape: Shape) -> Bool:
        """bool by node: some term of the required node affinity holds."""
        if not shape.affinity:
            return np.ones(len(self.nodes), np.bool_)
        mask = np.zeros(len(self.nodes), np.bool_)
        for term in shape.affinity:
            mask |= self._term(term)
        return mask

    def _term(self, term: NodeTerm) -> Bool:
        if not term.expressions and not term.fields:
            return np.zeros(len(self.nodes), np.bool_)
        mask = np.ones(len(self.nodes), np.bool_)
        for expression in term.expressions:
            mask &= self._satisfied(expression, of_field=False)
        for expression in term.fields:
            mask &= self._satisfied(expression, of_field=True)
        return mask

    def _satisfied(self, requirement: NodeRequirement, *, of_field: bool) -> Bool:
        key = (of_field, requirement)
        mask = self._expressions.get(key)
        if mask is None:
            mask = self._by_name(requirement) if of_field else self._by_label(requirement)
            self._expressions[key] = mask
        return mask

    def _by_label(self, requirement: NodeRequirement) -> Bool:
        column = self.column(requirement.key)
        if requirement.operator in ("Exists", "DoesNotExist"):
            present: Bool = column != _ABSENT
            return present if requirement.operator == "Exists" else ~present
        if requirement.operator in ("In", "NotIn"):
            wanted = [self._string_index[value] for value in requirement.values if value in self._string_index]
            found = _is_one_of(column, wanted)
            return found if requirement.operator == "In" else ~found
        values = np.unique(column[column != _ABSENT]).tolist()
        return _is_one_of(column, [value for value in values if accepts(requirement, self.nodes.strings[value])])

    def _by_name(self, requirement: NodeRequirement) -> Bool:
        """The only node field of Kubernetes is its name, which every node has."""
        if self._nodes_of_name is None:
            self._nodes_of_name = {}
            for index, name in enumerate(self.nodes.names):
                self._nodes_of_name.setdefault(name.rpartition("/")[2], []).append(index)
        mask = np.zeros(len(self.nodes), np.bool_)
        for value in requirement.values:
            mask[self._nodes_of_name.get(value, [])] = True
        return mask if requirement.operator == "In" else ~mask

    def column(self, key: str) -> Int32:
        """The label `key` of every node as an index of strings, or _ABSENT."""
        column = self._columns.get(key)
        if column is None:
            column = np.full(len(self.nodes), _ABSENT, np.int32)
            index = self._string_index.get(key)
            if index is not None:
                if self._node_of_entry is None:
                    counts = np.diff(self.nodes.label_start)
                    self._node_of_entry = np.repeat(np.arange(len(self.nodes), dtype=np.int64), counts)
                entries = np.flatnonzero(self.nodes.label_key == index)
                column[self._node_of_entry[entries]] = self.nodes.label_value[entries]
            self._columns[key] = column
        return column


def _is_one_of(column: Int32, values: Sequence[int]) -> Bool:
    if not values:
        return np.zeros(len(column), np.bool_)
    if len(values) == 1:
        single: Bool = column == values[0]
        return single
    # By a table: the last place stands for absent labels (-1).
    wanted = np.zeros(max(int(column.max(initial=0)), max(values)) + 2, np.bool_)
    wanted[list(values)] = True
    found: Bool = wanted[column]
    return found
