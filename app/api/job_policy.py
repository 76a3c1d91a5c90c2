"""What an installation allows in jobs, from the settings: limits of pod specs, priority classes, pools.

Input: Settings. Output: `JobPolicy`; nothing of the settings reaches the deciders except through jobs that were
resolved with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.pods.constraints import Toleration
from app.pods.limits import PodLimits
from app.settings import Settings
from app.settings.jobs import TolerationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPolicy:
    """preemptible: priority class -> whether its jobs may be preempted. pools: those that jobs may name."""

    limits: PodLimits
    preemptible: Mapping[str, bool]
    pools: frozenset[str]


def job_policy(settings: Settings) -> JobPolicy:
    """Raises ValueError for limits that contradict each other."""
    jobs, classes, pools = settings.jobs, settings.scheduler.priority_classes, settings.scheduler.pools
    limits = PodLimits(
        pod_spec_bytes_max=jobs.pod_spec_bytes_max,
        oversubscription_max=jobs.oversubscription_max,
        request_min=jobs.request_min,
        floating_resources=frozenset(name for pool in pools.values() for name in pool.floating_resources),
        init_containers_fractional_cpu=jobs.init_containers_fractional_cpu,
        priority_classes=frozenset(classes),
        priority_class_default=settings.scheduler.default_priority_class,
        grace_period_min_s=jobs.grace_period_min_s,
        grace_period_max_s=jobs.grace_period_max_s,
        restricted_toleration_keys=jobs.restricted_toleration_keys,
        default_resources=jobs.default_resources,
        deadline_default_s=jobs.deadline_default_s,
        deadline_by_resource_s=jobs.deadline_by_resource_s,
        gang_uniformity_label_default=jobs.gang_uniformity_label_default,
        tolerations=_tolerations(jobs.tolerations),
        tolerations_by_priority_class=_by_name(jobs.tolerations_by_priority_class),
        tolerations_by_resource=_by_name(jobs.tolerations_by_resource),
    )
    return JobPolicy(
        limits=limits,
        preemptible=MappingProxyType({name: each.preemptible for name, each in classes.items()}),
        pools=frozenset(pools),
    )


def _by_name(given: Mapping[str, tuple[TolerationSettings, ...]]) -> Mapping[str, tuple[Toleration, ...]]:
    return MappingProxyType({name: _tolerations(each) for name, each in given.items()})


def _tolerations(given: tuple[TolerationSettings, ...]) -> tuple[Toleration, ...]:
    return tuple(
        Toleration(key=each.key, operator=each.operator, value=each.value, effect=each.effect) for each in given
    )
