"""Payloads of notifications, numbers of names, bodies of rows."""

import pytest

from app.db.codecs import packed_body, unpacked_body
from app.db.lease_job import decode_displaced, encode_displaced
from app.db.names import NODE, OWNER, QUEUE, job_set_id, name_id, node_id
from app.db.positions import decode_notice, encode_notice
from app.domain.commands import RunPosition


def test_a_notice_says_what_moved() -> None:
    assert decode_notice(encode_notice("history", 2, {3: 70, 0: -1})) == ("history", 2, {0: -1, 3: 70})


def test_a_notice_that_would_be_too_long_says_look_yourself() -> None:
    vector = {partition: 10**15 + partition for partition in range(256)}
    assert len(encode_notice("history", 1, vector)) < 8_000
    far = dict.fromkeys(range(1000), 10**18)
    assert decode_notice(encode_notice("history", 1, far)) == ("history", 1, {})


@pytest.mark.parametrize("payload", ["", "history", "history x", "history 1 0:x", "history 1 0"])
def test_a_notice_that_is_none_is_an_error(payload: str) -> None:
    with pytest.raises(ValueError):
        decode_notice(payload)


def test_names_of_different_kinds_have_different_numbers() -> None:
    numbers = {name_id(QUEUE, "a"), name_id(OWNER, "a"), node_id("c", "a"), node_id("d", "a"), name_id(NODE, "a")}
    assert len(numbers) == 5
    assert all(-(1 << 63) <= number < 1 << 63 for number in numbers)
    assert name_id(QUEUE, "a") == name_id(QUEUE, "a")


def test_a_queue_that_is_made_again_has_job_sets_of_its_own() -> None:
    assert job_set_id("q", 1, "s") != job_set_id("q", 2, "s")


def test_the_numbers_never_change() -> None:
    # They stand in tables: another hash would make all names unknown.
    assert name_id(QUEUE, "research") == -4237625961548182116
    assert job_set_id("research", 17, "nightly") == -5716734194914331761
    assert node_id("c0", "n0") == 100790727842777120


@pytest.mark.parametrize("size", [0, 1, 119, 120, 5_000])
def test_a_body_comes_out_as_it_went_in(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    assert unpacked_body(packed_body(body)) == body


def test_long_bodies_are_made_smaller_and_noise_is_left_alone() -> None:
    assert len(packed_body(b"event " * 500)) < 100
    assert len(packed_body(bytes(range(120)))) == 121


def test_an_unknown_form_of_a_body_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not know"):
        unpacked_body(b"\7abc")


def test_displaced_runs_come_out_as_they_went_in() -> None:
    runs = (RunPosition(run_id=b"r" * 16, partition=3, offset=9, ordinal=2),)
    assert decode_displaced(encode_displaced(runs)) == runs
    assert encode_displaced(()) is None
    assert decode_displaced(None) == ()
