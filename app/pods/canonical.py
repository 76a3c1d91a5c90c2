"""The canonical bytes of a pod spec, its id, and its packed form for records and rows.

Inputs: a spec after defaults. Outputs: bytes; equal specs give equal bytes whatever the order of their keys.
Errors: PackedSpecError for bytes that are not a packed spec or would unpack to more than the bound.
"""

import hashlib
from collections.abc import Mapping

import orjson
import zstandard

from app.domain.ids import ID_BYTES, SpecId
from app.pods.limits import STORED_SPEC_BYTES_MAX

_LEVEL = 3


class PackedSpecError(ValueError):
    """The bytes are not a packed pod spec."""


def canonical_json(spec: Mapping[str, object]) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8."""
    return orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)


def spec_id(canonical: bytes) -> SpecId:
    """The first 16 bytes of the SHA-256 of the canonical JSON."""
    return SpecId(hashlib.sha256(canonical).digest()[:ID_BYTES])


def pack_spec(canonical: bytes) -> bytes:
    """Compressed with zstd, with the size in the frame. At most STORED_SPEC_BYTES_MAX bytes go in."""
    assert len(canonical) <= STORED_SPEC_BYTES_MAX, "specs are bounded before they are packed"
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(canonical)


def unpack_spec(packed: bytes) -> dict[str, object]:
    """The spec. Raises PackedSpecError; never unpacks more than STORED_SPEC_BYTES_MAX bytes."""
    try:
        size = zstandard.frame_content_size(packed)
        if not 0 < size <= STORED_SPEC_BYTES_MAX:
            raise PackedSpecError(f"a packed spec of {size} bytes is not between 1 and {STORED_SPEC_BYTES_MAX}")
        spec = orjson.loads(zstandard.ZstdDecompressor().decompress(packed, max_output_size=size))
    except (zstandard.ZstdError, orjson.JSONDecodeError) as error:
        raise PackedSpecError(f"not a packed pod spec: {error}") from error
    if not isinstance(spec, dict):
        raise PackedSpecError("not a packed pod spec: the JSON is not an object")
    return spec
