"""Reading a JSON tree whose types are not certain.

Purpose: rules run also on specs that break the schema, to name all errors at once, so no step may assume a type.
Inputs: any JSON value. Outputs: an empty map, list or text where the value is of another type.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

_NOTHING: Mapping[str, object] = MappingProxyType({})


def mapping(value: object) -> Mapping[str, object]:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def sequence(value: object) -> Sequence[object]:
    """`value` if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else ()


def text(value: object) -> str:
    """`value` if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


class ContainerSite(NamedTuple):
    """One container of a pod spec and where it stands."""

    list_name: str
    """`containers` or `initContainers`."""
    position: int
    node: Mapping[str, object]

    @property
    def sidecar(self) -> bool:
        """An init container that goes on beside the main ones (Kubernetes' native sidecar)."""
        return self.list_name == "initContainers" and self.node.get("restartPolicy") == "Always"

    @property
    def initial(self) -> bool:
        """An init container that ends before the next container begins."""
        return self.list_name == "initContainers" and self.node.get("restartPolicy") != "Always"

    def path(self, spec_path: str) -> str:
        return f"{spec_path}.{self.list_name}[{self.position}]"


def container_sites(spec: Mapping[str, object]) -> Iterator[ContainerSite]:
    """All init containers in order, then all containers."""
    for list_name in ("initContainers", "containers"):
        for position, node in enumerate(sequence(spec.get(list_name))):
            yield ContainerSite(list_name, position, mapping(node))


def without_nulls(value: object) -> object:
    """A deep copy in which `null` members of objects are absent, as Kubernetes reads them, and 80.0 is 80.

    Elements of arrays stay, also `null`: the schema refuses those.
    """
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member) for member in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
