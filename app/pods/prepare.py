"""All that a submit call needs of one valid pod spec, in one step: stored bytes, id, shape, deadline.

Inputs: a spec without violations, its job's priority class and pools. Output: `PreparedPod`. Costs about 60 µs, so a
call prepares each distinct (spec, class, pools) once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.commands import ShapeRef, Spec
from app.domain.ids import ShapeHash, SpecId
from app.pods.canonical import canonical_json, pack_spec, spec_id
from app.pods.defaults import with_defaults
from app.pods.limits import PodLimits
from app.pods.shape import Shape, encode_shape, shape_hash, shape_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPod:
    """A completed spec in the forms that records carry."""

    spec_id: SpecId
    packed_spec: bytes
    """zstd of the canonical JSON."""
    shape: Shape
    shape_hash: ShapeHash
    encoded_shape: bytes
    deadline_s: int
    """activeDeadlineSeconds: given or by default."""

    @property
    def spec(self) -> Spec:
        return Spec(spec_id=self.spec_id, body=self.packed_spec)

    @property
    def shape_ref(self) -> ShapeRef:
        requests = self.shape.resources
        return ShapeRef(
            shape_hash=self.shape_hash,
            cpu_milli=requests.get("cpu", 0),
            memory_bytes=requests.get("memory", 0),
            storage_bytes=requests.get("ephemeral-storage", 0),
            gpus=sum(amount for name, amount in requests.items() if name.endswith("/gpu")),
        )


def prepare_pod(
    spec: Mapping[str, object], *, priority_class: str, pools: Iterable[str], limits: PodLimits
) -> PreparedPod:
    """Completes and encodes a spec that `validate_pod_spec` found nothing wrong with."""
    completed = with_defaults(spec, limits, priority_class=priority_class)
    canonical = canonical_json(completed)
    shape = shape_of(completed, priority_class, pools)
    encoded_shape = encode_shape(shape)
    deadline = completed["activeDeadlineSeconds"]
    assert isinstance(deadline, int), "a completed spec has a deadline"
    return PreparedPod(
        spec_id=spec_id(canonical),
        packed_spec=pack_spec(canonical),
        shape=shape,
        shape_hash=shape_hash(encoded_shape),
        encoded_shape=encoded_shape,
        deadline_s=deadline,
    )
