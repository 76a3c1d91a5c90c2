"""What a job may be and what it gets when it does not say: features VAL2-VAL9, DEF1-DEF4.

Names follow app.pods.limits.PodLimits, which the API fills from here and from the priority classes.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from app.settings.section import EFFECT_PATTERN, HOUR_S, KIB, MIB, Quantity, Section

DeadlineS = Annotated[int, Field(ge=1, le=365 * 24 * HOUR_S)]


class TolerationSettings(Section):
    """A toleration, as Kubernetes has it."""

    key: str = Field(default="", max_length=317)
    """Empty (with Exists): every taint."""
    operator: str = Field(default="Equal", pattern=r"^(Equal|Exists)$")
    """Equal or Exists."""
    value: str = Field(default="", max_length=63)
    """With Equal."""
    effect: str = Field(default="", pattern=EFFECT_PATTERN)
    """Empty: every effect."""


class JobsSettings(Section):
    """Limits and defaults of jobs."""

    command_bytes_max: int = Field(default=8 * MIB, ge=64 * KIB, le=8 * MIB)
    """A command record of uncompressed Avro; a larger call is INVALID ("split the call")."""
    pod_spec_bytes_max: int = Field(default=256 * KIB, ge=KIB, le=256 * KIB)
    """A pod spec as JSON without spaces."""
    oversubscription_max: Mapping[str, Annotated[float, Field(ge=1.0, le=1e6)]] = {}
    """Resource → how many times its request a limit may be; others: limit = request."""
    request_min: Mapping[str, Quantity] = {"memory": "1Mi"}
    """Resource → smallest request of a container."""
    init_containers_fractional_cpu: bool = False
    """Whether init containers must request a fraction of a CPU."""
    grace_period_min_s: int = Field(default=1, ge=1, le=86_400)
    """Absent and 0 become this."""
    grace_period_max_s: int = Field(default=300, ge=1, le=86_400)
    """A longer terminationGracePeriodSeconds is refused."""
    restricted_toleration_keys: frozenset[str] = frozenset()
    """Users may not tolerate taints of these keys."""
    default_resources: Mapping[str, Quantity] = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "8Gi"}
    """For each container that names the resource neither in requests nor in limits."""
    deadline_default_s: DeadlineS = 72 * HOUR_S
    """activeDeadlineSeconds of a pod that names none."""
    deadline_by_resource_s: Mapping[str, DeadlineS] = {"nvidia.com/gpu": 336 * HOUR_S}
    """The same for pods that request the resource; the longest counts."""
    tolerations: tuple[TolerationSettings, ...] = ()
    """Added to every job."""
    tolerations_by_priority_class: Mapping[str, tuple[TolerationSettings, ...]] = {}
    """Added to jobs of a class."""
    tolerations_by_resource: Mapping[str, tuple[TolerationSettings, ...]] = {}
    """Added to jobs that request the resource."""
    gang_uniformity_label_default: str = Field(default="", max_length=317)
    """Node label whose value all members of a gang share, where a gang names none; empty = none."""

    @model_validator(mode="after")
    def _ordered(self) -> "JobsSettings":
        if self.grace_period_min_s > self.grace_period_max_s:
            raise ValueError("grace_period_min_s must not be above grace_period_max_s")
        return self
