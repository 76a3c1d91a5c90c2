"""Times and list cursors in and out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.errors import ApiError
from app.api.graphql.scalars import format_time, parse_time
from app.api.graphql.types.connections import page_arguments
from app.api.graphql.types.list_cursors import list_cursor, parse_list_cursor


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_comes_back_to_the_millisecond(time_ms: int) -> None:
    text = format_time(time_ms)
    assert text.endswith("Z")
    assert parse_time(text) == time_ms


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-24T07:00:00", 7, None])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 1 << 60))
def test_a_list_cursor_comes_back(job_id: bytes, time_ms: int) -> None:
    cursor = list_cursor("jobs", (job_id, time_ms))
    assert parse_list_cursor("jobs", cursor, tuple[bytes, int], path="after") == (job_id, time_ms)


@pytest.mark.parametrize("text", ["", "x", "!!!!", "é", list_cursor("queues", ("a",)), list_cursor("jobs", ("a",))])
def test_a_cursor_of_another_list_is_refused_by_its_argument(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_list_cursor("jobs", text, tuple[bytes, int], path="before")
    assert refused.value.path == "before"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((0, None, None, None), "first"),
        ((201, None, None, None), "first"),
        ((None, None, 0, None), "last"),
        ((50, "c", 5, None), "after"),
        ((50, None, None, "c"), "before"),
    ],
)
def test_a_wrong_page_is_refused_by_its_argument(
    arguments: tuple[int | None, str | None, int | None, str | None], path: str
) -> None:
    with pytest.raises(ApiError) as refused:
        page_arguments(*arguments)
    assert refused.value.path == path
