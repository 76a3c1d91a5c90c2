"""The room on the nodes of a fake cluster, and the kubelet's admission: a node never holds more than it has."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.executor.kubernetes import Node
from app.pods.quantity import NO_RESOURCES, Resources, resources_of
from app.pods.tree import mapping

_PODS = "pods"


@dataclass(frozen=True, slots=True)
class Admission:
    """reason "" = admitted; else the kubelet's reason (OutOfcpu, NodeAffinity) and message."""

    reason: str = ""
    message: str = ""


class Rooms:
    """Free room by node."""

    def __init__(self, nodes: list[Node]) -> None:
        self._labels = {node.name: node.labels for node in nodes}
        self._free = {node.name: dict(resources_of(node.allocatable)) for node in nodes}

    def has(self, node: str) -> bool:
        return node in self._free

    def admit(self, node: str, requests: Resources, pod_spec: Mapping[str, object]) -> Admission:
        """What the kubelet of an existing node says to a pod."""
        selector = mapping(pod_spec.get("nodeSelector"))
        labels = self._labels[node]
        if any(labels.get(key) != value for key, value in selector.items()):
            return Admission(
                "NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
            )
        free = self._free[node]
        for resource, amount in (*requests.items(), (_PODS, 1)):
            if amount > free.get(resource, 0):
                asked, left = amount, free.get(resource, 0)
                message = f"Node didn't have enough resource: {resource}, requested: {asked}, free: {left}"
                return Admission(f"OutOf{resource}", message)
        return Admission()

    def take(self, node: str, requests: Resources = NO_RESOURCES) -> None:
        """Books room; what pods that are not Argosy's take may exceed it."""
        self._book(node, requests, -1)

    def give_back(self, node: str, requests: Resources) -> None:
        self._book(node, requests, 1)

    def _book(self, node: str, requests: Resources, sign: int) -> None:
        free = self._free.get(node)
        if free is not None:
            for resource, amount in (*requests.items(), (_PODS, 1)):
                free[resource] = free.get(resource, 0) + sign * amount
