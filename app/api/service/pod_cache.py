"""Pod specs that were validated and completed before: most jobs of a call, and of a day, have one of a few specs.

Inputs: the JSON bytes of a spec, the job's priority class and pools. Outputs: `KnownPod`, or what is wrong. Bounded by
bytes.
"""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from app.api.job_policy import JobPolicy
from app.domain.commands import ShapeRef, Spec
from app.pods.prepare import PreparedPod, prepare_pod
from app.pods.validation import resolve_priority_class, validate_pod_spec
from app.pods.violation import Rule, Violation

CACHE_BYTES_MAX = 64 << 20
_ENTRY_OVERHEAD_BYTES = 2_000
_GPU_SUFFIX = "/gpu"

_Key = tuple[bytes, str | None, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPod:
    """A valid, completed spec as commands carry it."""

    spec: Spec
    shape: ShapeRef
    encoded_shape: bytes
    priority_class: str
    preemptible: bool
    deadline_s: int


class PodCache:
    """One per process."""

    def __init__(self, policy: JobPolicy, *, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._policy = policy
        self._bytes_max = bytes_max
        self._bytes = 0
        self._known: OrderedDict[_Key, KnownPod] = OrderedDict()

    @property
    def entries(self) -> int:
        """Specs that are kept."""
        return len(self._known)

    def find(
        self, given: bytes, *, priority_class: str | None, pools: tuple[str, ...], path: str, class_path: str
    ) -> tuple[KnownPod | None, list[Violation]]:
        """The pod of a spec given as JSON, or what is wrong with it. path, class_path: the fields to name."""
        key = (blake2b(given, digest_size=16).digest(), priority_class, pools)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known, []
        made, violations = self._make(given, priority_class, pools, path, class_path)
        if made is not None:
            self._remember(key, made)
        return made, violations

    def _make(
        self, given: bytes, priority_class: str | None, pools: tuple[str, ...], path: str, class_path: str
    ) -> tuple[KnownPod | None, list[Violation]]:
        limits = self._policy.limits
        try:
            spec = orjson.loads(given)
        except orjson.JSONDecodeError as error:
            return None, [Violation(rule=Rule.SCHEMA_TYPE, path=path, message=f"is not JSON: {error}")]
        resolved, violations = resolve_priority_class(spec, priority_class, path=class_path, limits=limits)
        violations = [*violations, *validate_pod_spec(spec, path=path, limits=limits)]
        if violations:
            return None, violations
        pod = prepare_pod(spec, priority_class=resolved, pools=pools, limits=limits)
        return (
            KnownPod(
                spec=Spec(spec_id=pod.spec_id, body=pod.packed_spec),
                shape=_shape_ref(pod),
                encoded_shape=pod.encoded_shape,
                priority_class=resolved,
                preemptible=self._policy.preemptible[resolved],
                deadline_s=pod.deadline_s,
            ),
            [],
        )

    def _remember(self, key: _Key, pod: KnownPod) -> None:
        self._known[key] = pod
        self._bytes += _size(pod)
        while self._bytes > self._bytes_max and len(self._known) > 1:
            _, gone = self._known.popitem(last=False)
            self._bytes -= _size(gone)


def _size(pod: KnownPod) -> int:
    return _ENTRY_OVERHEAD_BYTES + len(pod.spec.body) + len(pod.encoded_shape)


def _shape_ref(pod: PreparedPod) -> ShapeRef:
    requests = dict(pod.shape.requests)
    return ShapeRef(
        shape_hash=pod.shape_hash,
        cpu_milli=requests.get("cpu", 0),
        memory_bytes=requests.get("memory", 0),
        storage_bytes=requests.get("ephemeral-storage", 0),
        gpus=sum(amount for name, amount in requests.items() if name.endswith(_GPU_SUFFIX)),
    )
