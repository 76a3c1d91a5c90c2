"""The limits that specs of jobs are held to, and the values that complete them.

`PodLimits` carries what an installation configures (the API fills it from the settings); the constants are part of
the product, beside those of app.domain.limits (among them the size of a pod spec: as JSON without spaces, as given).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.domain.limits import GANG_CARDINALITY_MAX as GANG_CARDINALITY_MAX
from app.domain.limits import LABELS_BYTES_MAX, POD_SPEC_BYTES_MAX
from app.pods.constraints import Toleration

EXTERNAL_URI_CHARS_MAX = 1024
"""SUB6."""
STORED_SPEC_BYTES_MAX = 2 * POD_SPEC_BYTES_MAX
"""The same after defaults; also the bound of unpacking."""
VIOLATIONS_MAX = 100
"""Listed for one spec; the last says that there are more."""
ANNOTATIONS_BYTES_MAX = 256 * 1024
"""Keys and values of all annotations of one job, as Kubernetes has it."""

assert STORED_SPEC_BYTES_MAX > POD_SPEC_BYTES_MAX
assert LABELS_BYTES_MAX <= ANNOTATIONS_BYTES_MAX

_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLimits:
    """What an installation allows in pod specs and fills in (features VAL2–VAL9, DEF1–DEF5)."""

    pod_spec_bytes_max: int = POD_SPEC_BYTES_MAX
    oversubscription_max: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """VAL3: resource → how many times its request a limit may be; resources not named: 1.0 (limit = request)."""
    request_min: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"memory": "1Mi"}))
    """VAL3: resource → smallest request of a container, as a Kubernetes quantity."""
    floating_resources: frozenset[str] = frozenset()
    """Names of resources that belong to a pool and not to a node; they need no domain in their name."""
    init_containers_fractional_cpu: bool = False
    """VAL4."""
    priority_classes: frozenset[str] = frozenset({"argosy-default", "argosy-preemptible"})
    """VAL5."""
    priority_class_default: str = "argosy-default"
    """DEF5."""
    grace_period_min_s: int = 1
    grace_period_max_s: int = 300
    """VAL6; absent and 0 become the least."""
    restricted_toleration_keys: frozenset[str] = frozenset()
    """VAL9."""
    default_resources: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({"cpu": "1", "memory": "1Gi", "ephemeral-storage": "8Gi"})
    )
    """DEF1: for each container, where neither request nor limit names the resource."""
    deadline_default_s: int = 72 * _HOUR_S
    deadline_by_resource_s: Mapping[str, int] = field(
        default_factory=lambda: MappingProxyType({"nvidia.com/gpu": 336 * _HOUR_S})
    )
    """DEF2: the longest over the resources that some container requests, else `deadline_default_s`."""
    gang_uniformity_label_default: str = ""
    """DEF4: of gangs that name none; empty: none."""
    tolerations: tuple[Toleration, ...] = ()
    """DEF3: for every job."""
    tolerations_by_priority_class: Mapping[str, tuple[Toleration, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    tolerations_by_resource: Mapping[str, tuple[Toleration, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Raises ValueError for limits that contradict each other: that is the operator's error, found at start."""
        if not 0 < self.pod_spec_bytes_max <= POD_SPEC_BYTES_MAX:
            raise ValueError(f"pod_spec_bytes_max must be between 1 and {POD_SPEC_BYTES_MAX}")
        if not 1 <= self.grace_period_min_s <= self.grace_period_max_s:
            raise ValueError("grace_period_min_s must be at least 1 and at most grace_period_max_s")
        if self.priority_class_default not in self.priority_classes:
            raise ValueError(f"priority_class_default {self.priority_class_default!r} is not in priority_classes")
        if any(factor < 1.0 for factor in self.oversubscription_max.values()):
            raise ValueError("oversubscription_max must be at least 1.0 for every resource")
        if self.deadline_default_s < 1 or any(deadline < 1 for deadline in self.deadline_by_resource_s.values()):
            raise ValueError("deadlines must be at least 1 s")
