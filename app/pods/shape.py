"""A shape: all that placing a job depends on, and nothing else. Jobs of equal shape are placed alike (SC16).

Inputs: a spec after defaults, the job's priority class and pools. Outputs: `Shape`, its bytes and its hash.
Equal requirements written in another order give the same shape, bytes and hash, under any hash seed.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from app.domain.ids import ID_BYTES, ShapeHash
from app.pods.constraints import NodeRequirement, NodeTerm, Toleration
from app.pods.limits import STORED_SPEC_BYTES_MAX
from app.pods.quantity import Resources, pod_requests
from app.pods.tree import mapping, sequence, text

SHAPE_BYTES_MAX = STORED_SPEC_BYTES_MAX

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


class ShapeError(ValueError):
    """The bytes are not an encoded shape."""


class Shape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The scheduling requirements of a job, in canonical order.

    New fields must have a default: it is left out of the bytes, so the hashes of shapes without it stay.
    """

    priority_class: str
    requests: tuple[tuple[str, int], ...] = ()
    """(resource, amount > 0), by name; cpu in milli-cores, others in base units."""
    node_selector: tuple[tuple[str, str], ...] = ()
    """(label, value), by label: all must match."""
    affinity: tuple[NodeTerm, ...] = ()
    """Required node affinity: some term must match; empty = no such requirement."""
    tolerations: tuple[Toleration, ...] = ()
    pools: tuple[str, ...] = ()
    """Pools that the job may run in, by name; empty = any."""

    @property
    def resources(self) -> Resources:
        return Resources(dict(self.requests))


def shape_of(spec: Mapping[str, object], priority_class: str, pools: Iterable[str]) -> Shape:
    """The shape of a job with this spec (validated and completed). Raises QuantityError for a bad quantity."""
    node_affinity = mapping(mapping(spec.get("affinity")).get("nodeAffinity"))
    terms = sequence(mapping(node_affinity.get(_REQUIRED)).get("nodeSelectorTerms"))
    return Shape(
        priority_class=priority_class,
        requests=tuple(pod_requests(spec).items()),
        node_selector=tuple(sorted((key, text(value)) for key, value in mapping(spec.get("nodeSelector")).items())),
        affinity=tuple(sorted({_term(mapping(term)) for term in terms})),
        tolerations=tuple(sorted({_toleration(mapping(each)) for each in sequence(spec.get("tolerations"))})),
        pools=tuple(sorted(set(pools))),
    )


def encode_shape(shape: Shape) -> bytes:
    """Compact JSON, deterministic: fields in the order of declaration, defaults left out."""
    return msgspec.json.encode(shape)


def decode_shape(encoded: bytes) -> Shape:
    """The inverse of `encode_shape`. Raises ShapeError."""
    if len(encoded) > SHAPE_BYTES_MAX:
        raise ShapeError(f"a shape has at most {SHAPE_BYTES_MAX} bytes, not {len(encoded)}")
    try:
        return _DECODER.decode(encoded)
    except msgspec.MsgspecError as error:
        raise ShapeError(f"not a shape: {error}") from error


def shape_hash(encoded: bytes) -> ShapeHash:
    """The first 16 bytes of the SHA-256 of the encoded shape."""
    return ShapeHash(hashlib.sha256(encoded).digest()[:ID_BYTES])


_DECODER = msgspec.json.Decoder(Shape)


def _term(term: Mapping[str, object]) -> NodeTerm:
    return NodeTerm(
        expressions=_requirements(term.get("matchExpressions")), fields=_requirements(term.get("matchFields"))
    )


def _requirements(expressions: object) -> tuple[NodeRequirement, ...]:
    return tuple(sorted({_requirement(mapping(expression)) for expression in sequence(expressions)}))


def _requirement(expression: Mapping[str, object]) -> NodeRequirement:
    values = {text(value) for value in sequence(expression.get("values"))}
    return NodeRequirement(
        key=text(expression.get("key")), operator=text(expression.get("operator")), values=tuple(sorted(values))
    )


def _toleration(toleration: Mapping[str, object]) -> Toleration:
    """Without tolerationSeconds: it bounds how long a pod stays, not where it may be placed."""
    return Toleration(
        key=text(toleration.get("key")),
        operator=text(toleration.get("operator")) or "Equal",
        value=text(toleration.get("value")),
        effect=text(toleration.get("effect")),
    )
