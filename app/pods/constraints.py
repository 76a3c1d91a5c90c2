"""Which nodes a pod may use: node requirements, terms of node affinity and tolerations, in canonical form.

Values only: equal constraints are equal values whatever the order they were written in. Matching them against nodes
is the work of scheduling.
"""

import msgspec

NODE_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"})


class NodeRequirement(msgspec.Struct, frozen=True, order=True, kw_only=True, omit_defaults=True):
    """One expression over a node's labels (or fields): key, operator and values.

    `values`: for In and NotIn sorted and unique; for Gt and Lt one integer as text; else empty.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeTerm(msgspec.Struct, frozen=True, order=True, kw_only=True, omit_defaults=True):
    """One term of required node affinity: all its expressions must hold. Terms of a list are alternatives.

    An empty term matches no node, as in Kubernetes.
    """

    expressions: tuple[NodeRequirement, ...] = ()
    fields: tuple[NodeRequirement, ...] = ()
    """Over fields of the node; Kubernetes knows only metadata.name."""


class Toleration(msgspec.Struct, frozen=True, order=True, kw_only=True, omit_defaults=True):
    """A taint that the pod tolerates. Empty key (with Exists): every taint; empty effect: every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
