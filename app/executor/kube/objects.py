"""Kubernetes JSON of pods and nodes -> `Pod` and `Node`. Pure.

Only the fields that are needed are decoded; what is missing or of no use becomes a default, never an error: one odd
object must not stop the watch.
"""

from datetime import datetime

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from app.executor.kubernetes import (
    ANNOTATION_LAST_WORD,
    FINALIZER,
    ContainerPhase,
    ContainerStatus,
    Node,
    Pod,
    PodPhase,
    Taint,
)
from app.executor.pod_object import run_of_pod
from app.pods.quantity import NO_RESOURCES, QuantityError, Resources, amount_of, pod_requests
from app.pods.tree import container_sites, text

LABELS_MAX = 1_000
ALLOCATABLE_MAX = 100
_GRACE_SECONDS = 30


class _Meta(Struct, rename="camel"):
    name: str
    uid: str
    namespace: str | None = None
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    finalizers: list[str] | None = None


class _Waiting(Struct):
    reason: str | None = None
    message: str | None = None


class _Running(Struct, rename="camel"):
    started_at: datetime | None = None


class _Terminated(Struct, rename="camel"):
    exit_code: int = 0
    reason: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class _State(Struct):
    waiting: _Waiting | None = None
    running: _Running | None = None
    terminated: _Terminated | None = None


class _ContainerStatus(Struct):
    name: str
    state: _State | None = None


class _PodStatus(Struct, rename="camel"):
    phase: str = ""
    reason: str | None = None
    message: str | None = None
    container_statuses: list[_ContainerStatus] | None = None
    init_container_statuses: list[_ContainerStatus] | None = None


class PodJson(Struct):
    """A pod as the API server writes it."""

    metadata: _Meta
    spec: Raw = Raw(b"{}")
    status: _PodStatus | None = None


class _Condition(Struct):
    type: str
    status: str = ""


class _TaintJson(Struct):
    key: str
    value: str | None = None
    effect: str = ""


class _NodeSpec(Struct):
    unschedulable: bool | None = None
    taints: list[_TaintJson] | None = None


class _NodeStatus(Struct):
    allocatable: dict[str, str] | None = None
    conditions: list[_Condition] | None = None


class NodeJson(Struct):
    """A node as the API server writes it."""

    metadata: _Meta
    spec: _NodeSpec | None = None
    status: _NodeStatus | None = None


_SPEC = Decoder(dict[str, object])


class _SpecFacts(Struct, frozen=True):
    """What of a pod's spec does not change as long as its generation is the same."""

    generation: int
    node: str | None
    priority: int
    grace_seconds: int
    requests: Resources
    sidecars: frozenset[str]


class PodReader:
    """Turns pods into values; remembers per pod what its spec says, for a status changes a dozen times."""

    def __init__(self) -> None:
        self._facts: dict[str, _SpecFacts] = {}

    def pod(self, raw: PodJson) -> Pod:
        """The pod of its JSON."""
        meta, status = raw.metadata, raw.status or _PodStatus()
        facts = self._facts_of(raw)
        labels, annotations = meta.labels or {}, meta.annotations or {}
        held = FINALIZER in (meta.finalizers or ())
        grace_s = meta.deletion_grace_period_seconds
        deletion_ms = None
        if meta.deletion_timestamp is not None:
            # Kubernetes stamps the moment at which the grace time is over.
            deletion_ms = _ms(meta.deletion_timestamp) - (grace_s or 0) * 1_000
        return Pod(
            namespace=meta.namespace or "default",
            name=meta.name,
            uid=meta.uid,
            run=run_of_pod(meta.name, labels, annotations),
            node=facts.node,
            phase=_PHASES.get(status.phase, PodPhase.UNKNOWN if status.phase else PodPhase.PENDING),
            reason=status.reason,
            message=status.message,
            created_ms=0 if meta.creation_timestamp is None else _ms(meta.creation_timestamp),
            deletion_ms=deletion_ms,
            grace_seconds=facts.grace_seconds,
            priority=facts.priority,
            requests=facts.requests,
            containers=(
                *_containers(status.init_container_statuses, True, facts.sidecars),
                *_containers(status.container_statuses, False, facts.sidecars),
            ),
            mark=annotations.get(ANNOTATION_LAST_WORD) if held else None,
            held=held,
            released=held and deletion_ms is not None and grace_s == 0,
        )

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._facts.pop(uid, None)

    def _facts_of(self, raw: PodJson) -> _SpecFacts:
        known = self._facts.get(raw.metadata.uid)
        if known is not None and known.node is not None and known.generation == raw.metadata.generation:
            return known
        facts = _read_spec(raw)
        self._facts[raw.metadata.uid] = facts
        return facts


def node_of(raw: NodeJson) -> Node:
    """The node of its JSON. One without capacity has no room; what is not a quantity is left out."""
    spec, status = raw.spec or _NodeSpec(), raw.status or _NodeStatus()
    conditions = status.conditions or []
    return Node(
        name=raw.metadata.name,
        allocatable=_allocatable(status.allocatable or {}),
        labels=dict(list((raw.metadata.labels or {}).items())[:LABELS_MAX]),
        taints=tuple(
            Taint(key=taint.key, value=taint.value or "", effect=taint.effect)
            for taint in spec.taints or []
            if taint.effect
        ),
        unschedulable=bool(spec.unschedulable),
        ready=any(condition.type == "Ready" and condition.status == "True" for condition in conditions),
    )


def _read_spec(raw: PodJson) -> _SpecFacts:
    try:
        spec = _SPEC.decode(raw.spec)
    except MsgspecError:
        spec = {}
    try:
        requests = pod_requests(spec)
    except QuantityError:
        requests = NO_RESOURCES
    priority, grace_s = spec.get("priority"), spec.get("terminationGracePeriodSeconds")
    return _SpecFacts(
        generation=raw.metadata.generation,
        node=text(spec.get("nodeName")) or None,
        priority=priority if isinstance(priority, int) else 0,
        grace_seconds=grace_s if isinstance(grace_s, int) and grace_s >= 0 else _GRACE_SECONDS,
        requests=requests,
        sidecars=frozenset(text(site.node.get("name")) for site in container_sites(spec) if site.sidecar),
    )


def _containers(statuses: list[_ContainerStatus] | None, init: bool, sidecars: frozenset[str]) -> list[ContainerStatus]:
    """Sidecars are left out: they are killed when the others have ended, and their exit code says nothing."""
    found = []
    for status in statuses or []:
        if init and status.name in sidecars:
            continue
        state = status.state or _State()
        if state.terminated is not None:
            ended = state.terminated
            found.append(
                ContainerStatus(
                    name=status.name,
                    init=init,
                    phase=ContainerPhase.TERMINATED,
                    reason=ended.reason,
                    message=ended.message or None,
                    exit_code=ended.exit_code,
                    started_ms=_started_ms(ended),
                    finished_ms=None if ended.finished_at is None else _ms(ended.finished_at),
                )
            )
        elif state.running is not None:
            started = state.running.started_at
            found.append(
                ContainerStatus(
                    name=status.name,
                    init=init,
                    phase=ContainerPhase.RUNNING,
                    started_ms=None if started is None else _ms(started),
                )
            )
        else:
            waiting = state.waiting or _Waiting()
            found.append(
                ContainerStatus(name=status.name, init=init, reason=waiting.reason, message=waiting.message or None)
            )
    return found


def _started_ms(ended: _Terminated) -> int | None:
    # A container that never began carries the zero time.
    return None if ended.started_at is None or ended.started_at.year < 1980 else _ms(ended.started_at)


def _allocatable(given: dict[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in sorted(given.items())[:ALLOCATABLE_MAX]:
        try:
            amount_of(name, value)
        except QuantityError:
            continue
        kept[name] = value
    return kept


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1_000)


_PHASES = {phase.value: phase for phase in PodPhase}
