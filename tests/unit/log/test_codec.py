"""Values of every schema through the codec, against fastavro's own reading and writing; bytes that are no values."""

import io
import struct
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from app.domain.clusters import NodeData
from app.domain.commands import BeginEpoch, CancelJobs, Continue, Principal, ReportRuns, SubmitJobs
from app.domain.events import Event
from app.domain.lifecycle import EventKind, JobState
from app.domain.limits import RECORD_BYTES_MAX
from app.domain.rows import JOB_HEAD, JobRow
from app.log.codec import (
    SCHEMAS,
    Undecodable,
    Unencodable,
    UnknownSchema,
    decode,
    decode_as,
    decode_body,
    decode_events,
    encode,
    encode_body,
    encode_events,
)
from app.log.errors import SchemaError
from app.log.schemas import Schema, SchemaVersion, frame_of
from tests.unit.log.values import values_of

RECORDS = [schema for schema in SCHEMAS.all if not schema.array]
EVENT = Event(ordinal=0, kind=EventKind.SUBMITTED, job_id=bytes(16), before=None, after=JobState.QUEUED, attempt=0)
by_name = pytest.mark.parametrize("schema", RECORDS, ids=lambda schema: schema.name)
quick = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def reference_bytes(schema: Schema, value: Any) -> bytes:
    """What fastavro writes."""
    stream = io.BytesIO()
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    fastavro.schemaless_writer(stream, schema.parsed, lists_for_tuples(plain))
    return stream.getvalue()


def lists_for_tuples(value: Any) -> Any:
    """In a union, fastavro takes a tuple for the name of a branch with its value."""
    if isinstance(value, dict):
        return {key: lists_for_tuples(each) for key, each in value.items()}
    return [lists_for_tuples(each) for each in value] if isinstance(value, list | tuple) else value


@by_name
@quick
@given(data=st.data())
def test_every_value_comes_back_and_its_bytes_are_those_of_fastavro(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(values_of(schema.cls))
    encoded = encode(value)
    assert encoded == schema.frame + reference_bytes(schema, value)
    assert decode(encoded) == value
    assert type(decode(encoded)) is schema.cls


@quick
@given(events=st.lists(values_of(Event), max_size=4))
def test_the_body_of_a_block_comes_back_and_its_bytes_are_those_of_fastavro(events: list[Event]) -> None:
    body = encode_events(events)
    assert body == SCHEMAS.by_name["Events"].frame + reference_bytes(SCHEMAS.by_name["Events"], events)
    assert decode_events(body) == events


@by_name
@quick
@given(data=st.data())
def test_a_value_cut_short_or_with_something_behind_it_is_undecodable(schema: Schema, data: st.DataObject) -> None:
    encoded = encode(data.draw(values_of(schema.cls)))
    if len(encoded) > 5:
        with pytest.raises(Undecodable):
            decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(Undecodable):
        decode(encoded + data.draw(st.binary(min_size=1, max_size=4)))


@by_name
@quick
@given(data=st.data())
def test_any_bytes_are_undecodable_or_the_value_that_fastavro_reads(schema: Schema, data: st.DataObject) -> None:
    mutated = bytearray(encode(data.draw(values_of(schema.cls))))
    for _ in range(data.draw(st.integers(1, 3)) if len(mutated) > 5 else 0):
        mutated[data.draw(st.integers(5, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    for encoded in (bytes(mutated), schema.frame + data.draw(st.binary(max_size=40))):
        value = decoded_or_none(encoded)
        if value is not None:
            plain = fastavro.schemaless_reader(io.BytesIO(encoded[5:]), schema.parsed, None)
            assert repr(value) == repr(msgspec.convert(plain, schema.cls, builtin_types=(bytes,)))


EARLIER = [(schema, version) for schema in SCHEMAS.all for version in schema.versions[:-1]]


@pytest.mark.parametrize(
    ("schema", "version"), EARLIER, ids=[f"{schema.name} {version.version}" for schema, version in EARLIER]
)
@quick
@given(data=st.data())
def test_values_of_earlier_versions_are_read_and_get_the_defaults_of_fields_they_lack(
    schema: Schema, version: SchemaVersion, data: st.DataObject
) -> None:
    drawn = data.draw(values_of(schema.cls))
    value = [drawn] if schema.array else drawn
    writer, stream = SCHEMAS.writer(version), io.BytesIO()
    try:
        fastavro.schemaless_writer(stream, writer, msgspec.to_builtins(value, builtin_types=(bytes,)))
    except ValueError:
        reject()  # a symbol that this version did not have
    plain = fastavro.schemaless_reader(io.BytesIO(stream.getvalue()), writer, None)
    encoded = frame_of(version.id) + stream.getvalue()
    read = decode_events(encoded) if schema.array else decode(encoded)
    assert repr(read) == repr(
        msgspec.convert(plain, list[schema.cls] if schema.array else schema.cls, builtin_types=(bytes,))  # type: ignore[name-defined]  # of the case
    )


def decoded_or_none(encoded: bytes) -> msgspec.Struct | None:
    """None when it is undecodable; any other exception is a fault of the codec."""
    try:
        return decode(encoded)
    except Undecodable:
        return None


def test_blocks_with_a_byte_size_are_read_as_the_specification_says() -> None:
    ids = [bytes([n]) * 16 for n in range(3)]
    body = encode_body(CancelJobs(principal=Principal(user="u"), job_ids=()))
    start = len(b"\x02u\x00\x00")
    assert body[start] == 0
    items = b"".join(b"\x20" + job_id for job_id in ids)
    # Two blocks: -2 items, size in bytes, items; 1 item; end.
    blocks = b"\x03" + bytes([2 * 34]) + items[:34] + b"\x02" + items[34:] + b"\x00"
    value = decode_body(CancelJobs, body[:start] + blocks + body[start + 1 :])
    assert value.job_ids == tuple(ids)


def test_a_huge_count_or_length_is_refused_before_anything_is_made_of_it() -> None:
    huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    for body in (huge, b"\x02u\x00\x00" + huge, b"\x02u" + huge, b"\x01", b"\x02u\x00\x00\x01\x01"):
        with pytest.raises(Undecodable):
            decode_body(CancelJobs, body)


def test_a_number_beyond_64_bits_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="64 bits"):
        decode_body(BeginEpoch, b"\xff" * 9 + b"\x7f" + b"\x00")
    with pytest.raises(Undecodable):
        decode_body(BeginEpoch, b"\xff" * 60)


def test_a_record_larger_than_the_log_takes_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="no record has more"):
        decode(SCHEMAS.by_name["DeadLetter"].frame + bytes(RECORD_BYTES_MAX))


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\0", b"\1\0\0\0\1", b"{}    "])
def test_what_has_no_frame_is_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable, match="frame"):
        decode(data)


def test_an_id_that_the_lock_does_not_have_is_an_unknown_schema_and_not_undecodable() -> None:
    with pytest.raises(UnknownSchema) as caught:
        decode(frame_of(1_000_000) + b"abc")
    assert caught.value.schema_id == 1_000_000
    assert not isinstance(caught.value, Undecodable)


def test_a_value_of_another_class_than_expected_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="Continue"):
        decode_as(BeginEpoch, encode(Continue()))
    with pytest.raises(Undecodable, match="array of events"):
        decode(encode_events([EVENT]))
    with pytest.raises(Undecodable, match="array of events"):
        decode_events(encode(Continue()))


@pytest.mark.parametrize(
    "value",
    [
        BeginEpoch(epoch="one", leader="x"),  # type: ignore[arg-type]
        BeginEpoch(epoch=1.5, leader="x"),  # type: ignore[arg-type]
        BeginEpoch(epoch=1 << 63, leader="x"),
        BeginEpoch(epoch=None, leader="x"),  # type: ignore[arg-type]
        BeginEpoch(epoch=1, leader=b"x"),  # type: ignore[arg-type]
        BeginEpoch(epoch=1, leader="\ud800"),
        JobRow(head=b"short", queue="q", incarnation=0, job_set="s"),
        JobRow(head="x" * JOB_HEAD.size, queue="q", incarnation=0, job_set="s"),  # type: ignore[arg-type]
        CancelJobs(principal=None, job_ids=()),  # type: ignore[arg-type]
        CancelJobs(principal=Principal(user="u"), job_ids=("text",)),  # type: ignore[arg-type]
        CancelJobs(principal=Principal(user="u"), job_ids=(1,)),  # type: ignore[arg-type]
        ReportRuns(reports=(EVENT,)),  # type: ignore[arg-type]
    ],
)
def test_a_value_with_a_field_of_a_wrong_type_is_unencodable(value: msgspec.Struct) -> None:
    with pytest.raises(Unencodable):
        encode(value)


def test_a_part_of_a_record_has_no_schema_of_its_own() -> None:
    with pytest.raises(SchemaError, match="NodeData"):
        encode(NodeData(name="n", pool="p"))


def test_the_body_is_the_record_without_its_frame() -> None:
    value = BeginEpoch(epoch=7, leader="x")
    assert encode(value) == SCHEMAS.of_class(BeginEpoch).frame + encode_body(value)
    assert decode_body(BeginEpoch, encode_body(value)) == value
    assert encode(value)[:5] == struct.pack(">bI", 0, SCHEMAS.of_class(BeginEpoch).id)


def test_a_job_row_begins_with_its_head_and_a_plain_one_is_small() -> None:
    head = bytes(range(JOB_HEAD.size))
    row = JobRow(head=head, queue="team-a", incarnation=12_345, job_set="nightly-2026-11-24", pools=("default",))
    encoded = encode(row)
    assert encoded[5 : 5 + JOB_HEAD.size] == head
    assert len(encoded) <= 250


def test_decoded_collections_are_tuples_and_own_dicts() -> None:
    first = SubmitJobs(principal=Principal(user="u"), queue="q", job_set="s", specs=(), shapes=(), jobs=())
    again = decode_as(SubmitJobs, encode(first))
    assert type(again.jobs) is tuple
    assert type(again.principal.groups) is tuple
