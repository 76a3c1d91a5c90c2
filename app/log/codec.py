"""Values of the log as bytes: 5-byte Confluent framing (byte 0, schema id) and Avro.

Inputs: Structs of app.domain. Outputs: bytes, and back. Encoders and decoders are generated per schema at first use;
what was written with an earlier version of a schema is read by fastavro with Avro's schema resolution, which fills in
the defaults of fields added since. Errors: Unencodable (a value of a wrong type), Undecodable (bytes that are no
value), UnknownSchema (written by a newer release).
"""

import io
import linecache
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import fastavro
import msgspec

from app.domain.events import Event
from app.domain.limits import RECORD_BYTES_MAX
from app.log.decoder_source import DecoderSource
from app.log.encoder_source import EncoderSource
from app.log.errors import Undecodable, Unencodable, UnknownSchema
from app.log.schemas import FRAME_BYTES, Schema, SchemaVersion, load_schemas
from app.log.struct_types import type_of

__all__ = [
    "SCHEMAS",
    "Undecodable",
    "Unencodable",
    "UnknownSchema",
    "decode",
    "decode_as",
    "decode_body",
    "decode_events",
    "encode",
    "encode_body",
    "encode_events",
]

T = TypeVar("T", bound=msgspec.Struct)
Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes, int], tuple[Any, int]]

SCHEMAS = load_schemas()
"""Those of this release, read once."""

_EVENTS = SCHEMAS.by_name["Events"]
_encoders: dict[type, Encoder] = {}
_decoders: dict[bytes, Decoder] = {}
_BROKEN = (IndexError, KeyError, UnicodeDecodeError)
_WRONG_TYPE = (TypeError, AttributeError, KeyError, IndexError, OverflowError, UnicodeEncodeError)


def encode(value: msgspec.Struct) -> bytes:
    """Frame and Avro of a value. Raises Unencodable; SchemaError when its class is not written to the log by itself."""
    encoder = _encoders.get(type(value)) or _encoder(SCHEMAS.of_class(type(value)))
    return _encoded(encoder, value)


def encode_body(value: msgspec.Struct) -> bytes:
    """Avro of a value without the frame."""
    return encode(value)[FRAME_BYTES:]


def encode_events(events: Sequence[Event]) -> bytes:
    """Frame and Avro of an array of events: the body of a Block. It is framed, since the version of Event is its
    own."""
    return _encoded(_encoders.get(Event) or _encoder(_EVENTS), events)


def decode(data: bytes) -> msgspec.Struct:
    """The value of a record. Raises Undecodable, UnknownSchema."""
    value = _decoded(data)
    if type(value) is list:
        raise Undecodable("an array of events where a record was expected")
    assert isinstance(value, msgspec.Struct)
    return value


def decode_as(cls: type[T], data: bytes) -> T:
    """The same for a record that can only be of this class. Raises Undecodable, UnknownSchema."""
    value = _decoded(data)
    if not isinstance(value, cls):
        raise Undecodable(f"a value of type {type(value).__name__} where {cls.__name__} was expected")
    return value


def decode_body(cls: type[T], data: bytes) -> T:
    """A value without frame, written with the schema of this release. Raises Undecodable."""
    value = _decoded(SCHEMAS.of_class(cls).frame + data)
    assert isinstance(value, cls)
    return value


def decode_events(data: bytes) -> list[Event]:
    """The events of a Block's body. Raises Undecodable, UnknownSchema."""
    value = _decoded(data)
    if type(value) is not list:
        raise Undecodable(f"a value of type {type(value).__name__} where an array of events was expected")
    return value


def _encoded(encoder: Encoder, value: Any) -> bytes:
    try:
        return encoder(value)
    except _WRONG_TYPE as error:
        raise Unencodable(f"{type(value).__name__} cannot be encoded: {type(error).__name__}: {error}") from error


def _decoded(data: bytes) -> Any:
    decoder = _decoders.get(data[:FRAME_BYTES]) or _decoder(data[:FRAME_BYTES])
    size = len(data)
    if size > RECORD_BYTES_MAX:
        raise Undecodable(f"{size:,} bytes: no record has more than {RECORD_BYTES_MAX:,}")
    try:
        value, end = decoder(data, FRAME_BYTES)
    except _BROKEN as error:
        raise Undecodable(_reason(error, size)) from error
    except Exception as error:
        if isinstance(error, Undecodable):
            raise
        raise Undecodable(f"{type(error).__name__}: {error}") from error
    if end != size:
        raise Undecodable(f"the value ends at byte {end} and the record at byte {size}")
    return value


def _reason(error: Exception, size: int) -> str:
    if isinstance(error, IndexError):
        return f"the record ends at byte {size}, inside a value"
    if isinstance(error, KeyError):
        return f"byte {error} is no symbol of an enum and no boolean"
    return str(error)


def _encoder(schema: Schema) -> Encoder:
    source = EncoderSource(type_of(schema.source, schema.cls, array=schema.array), schema.frame)
    encoder: Encoder = _compiled(f"encode {schema.name}", source.text, source.names)["encode"]
    _encoders[schema.cls] = encoder
    return encoder


def _decoder(frame: bytes) -> Decoder:
    """The decoder of what has this frame. Raises Undecodable, UnknownSchema."""
    if len(frame) < FRAME_BYTES or frame[0] != 0:
        raise Undecodable("it does not begin with the frame of a value: byte 0 and a schema id")
    schema, version = SCHEMAS.of_id(int.from_bytes(frame[1:], "big"))
    if version is schema.versions[-1]:
        source = DecoderSource(type_of(schema.source, schema.cls, array=schema.array))
        decoder: Decoder = _compiled(f"decode {schema.name}", source.text, source.names)["decode"]
    else:
        decoder = _resolving_decoder(schema, version)
    _decoders[frame] = decoder
    return decoder


def _resolving_decoder(schema: Schema, version: SchemaVersion) -> Decoder:
    """For values of an earlier version: fastavro resolves, msgspec makes Structs of dicts."""
    writer = SCHEMAS.writer(version)
    target: Any = list[schema.cls] if schema.array else schema.cls  # type: ignore[name-defined]

    def decoder(data: bytes, at: int) -> tuple[Any, int]:
        stream = io.BytesIO(data)
        stream.seek(at)
        plain = fastavro.schemaless_reader(stream, writer, schema.parsed)
        return msgspec.convert(plain, target, builtin_types=(bytes,)), stream.tell()

    return decoder


def _compiled(name: str, text: str, names: dict[str, Any]) -> dict[str, Any]:
    """Runs generated source; tracebacks and debuggers see its lines."""
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope = dict(names)
    exec(compile(text, file, "exec"), scope)
    return scope
