"""Ids, positions and routing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import InvalidId, call_prefix, format_id, job_id, parse_id, partition_of_job, time_ms_of, ulid
from app.domain.positions import vector_covers, vector_union
from app.domain.routing import murmur2, partition_of_name


@given(st.binary(min_size=16, max_size=16))
def test_an_id_survives_its_text(value: bytes) -> None:
    text = format_id(value)
    assert len(text) == 26
    assert text == text.lower()
    assert parse_id(text) == value == parse_id(text.upper())


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_texts_are_ordered_as_the_ids(one: bytes, other: bytes) -> None:
    assert (format_id(one) < format_id(other)) == (one < other)


@pytest.mark.parametrize("text", ["", "0" * 25, "0" * 27, "0" * 25 + "u", "0" * 25 + "!", "8" + "0" * 25])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId):
        parse_id(text)


def test_a_job_id_tells_its_time_and_partition() -> None:
    prefix = call_prefix(1_790_000_000_123, 200, (1 << 56) - 1)
    job = job_id(prefix, 999)
    assert (time_ms_of(job), partition_of_job(job), job[14:]) == (1_790_000_000_123, 200, b"\x03\xe7")
    assert time_ms_of(ulid(77, 0)) == 77


@pytest.mark.parametrize(
    ("time_ms", "partition", "random56"), [(1 << 48, 0, 0), (0, 256, 0), (0, 0, 1 << 56), (-1, 0, 0)]
)
def test_a_prefix_out_of_range_is_refused(time_ms: int, partition: int, random56: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        call_prefix(time_ms, partition, random56)


@pytest.mark.parametrize(
    ("text", "hashed"),
    # The values of Kafka's own UtilsTest.
    [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536), ("abc", 479470107)],
)
def test_murmur2_is_kafkas(text: str, hashed: int) -> None:
    assert murmur2(text.encode()) == hashed & 0xFFFFFFFF


def test_a_name_has_one_partition_in_range() -> None:
    assert {partition_of_name(f"q{n}", 12) for n in range(500)} == set(range(12))


def test_vectors_compare_by_partition() -> None:
    assert vector_covers({0: 5, 1: 3}, {0: 5})
    assert vector_covers({}, {})
    assert not vector_covers({0: 5}, {0: 5, 1: 0})
    assert vector_union({0: 5}, {0: 3, 1: 1}) == {0: 5, 1: 1}
