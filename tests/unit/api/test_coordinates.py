"""Positions and cursors: what comes back, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.coordinates import NOTHING, WHOLE_COMMAND, Coordinates, Reached, StreamCursor
from app.api.errors import ApiError
from app.domain.errors import ErrorCode

OURS = Coordinates("installation-1")
THEIRS = Coordinates("installation-2")
OFFSETS = st.integers(0, (1 << 63) - 1)


@given(st.dictionaries(st.integers(0, 255), OFFSETS, max_size=256))
def test_a_position_comes_back_as_the_same_vector(vector: dict[int, int]) -> None:
    assert OURS.parse_position(OURS.position(vector), path="atLeast") == vector


@given(OFFSETS, st.integers(-1, (1 << 63) - 1), st.integers(0, WHOLE_COMMAND))
def test_a_cursor_comes_back_as_the_same_place(incarnation: int, offset: int, ordinal: int) -> None:
    cursor = StreamCursor(incarnation, Reached(offset, ordinal))
    assert OURS.parse_cursor(OURS.cursor("q", "s", cursor), "q", "s", path="after") == cursor


@given(st.text(max_size=60))
def test_any_other_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(ApiError) as position:
        OURS.parse_position(text, path="atLeast")
    with pytest.raises(ApiError) as cursor:
        OURS.parse_cursor(text, "q", "s", path="after")
    assert (position.value.code, position.value.path) == (ErrorCode.INVALID, "atLeast")
    assert (cursor.value.code, cursor.value.path) == (ErrorCode.INVALID, "after")


def test_a_position_of_another_installation_is_refused() -> None:
    with pytest.raises(ApiError, match="another installation"):
        OURS.parse_position(THEIRS.position({0: 1}), path="atLeast")


@pytest.mark.parametrize(("queue", "job_set"), [("q", "other"), ("other", "s"), ("q\0s", "")])
def test_a_cursor_of_another_stream_is_refused(queue: str, job_set: str) -> None:
    text = OURS.cursor("q", "s", StreamCursor(3, NOTHING))
    with pytest.raises(ApiError, match="of another job set, queue or installation"):
        OURS.parse_cursor(text, queue, job_set, path="after")


def test_a_cursor_of_another_installation_is_refused() -> None:
    with pytest.raises(ApiError, match="installation"):
        OURS.parse_cursor(THEIRS.cursor("q", "s", StreamCursor(3, NOTHING)), "q", "s", path="after")


def test_what_follows_a_whole_command_is_the_next_command() -> None:
    assert Reached(4, WHOLE_COMMAND).next == (5, 0)
    assert Reached(4, 2).next == (4, 3)
    assert NOTHING.next == (0, 0)
