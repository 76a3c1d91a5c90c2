"""Dead letters on a real broker: the last ones, in order, whatever stands between them, and single ones."""

from collections.abc import Callable

import pytest

from app.domain.clusters import DeadLetter
from app.domain.commands import BeginEpoch
from app.log.codec import encode
from app.log.dead_letters import DeadLetterNotFound, describe_body, list_dead_letters, read_dead_letter
from app.log.topics import COMMANDS, DEAD_LETTERS, apply_topics, load_topics
from tests.integration.log.places import transaction
from tests.stack.server import KafkaBroker

pytestmark = pytest.mark.stack
BODIES = [b"rubbish", encode(BeginEpoch(epoch=3, leader="one")), b"\0\0\x0f\xff\xff?"]


def letter(number: int) -> DeadLetter:
    return DeadLetter(
        topic=COMMANDS,
        partition=1,
        offset=number,
        item=number - 1,
        component="queue-agent",
        reason="INTERNAL",
        message=f"boom\n{number} " + "x" * 200,
        log_time_ms=1_700_000_000_000,
        key=b"queue",
        body=BODIES[number % 3],
    )


@pytest.fixture(scope="module")
def bootstrap(kafka_factory: Callable[[], KafkaBroker]) -> str:
    """A broker with 20 letters, each in a transaction of its own, aborted ones between, and one that is no letter."""
    address = kafka_factory().bootstrap
    apply_topics(address, load_topics(), 1, 1)
    assert list_dead_letters(address, 10) == []
    for number in range(20):
        transaction(address, DEAD_LETTERS, 0, [encode(letter(number))], commit=True)
        if number % 5 == 0:
            transaction(address, DEAD_LETTERS, 0, [b"never"], commit=False)
    transaction(address, DEAD_LETTERS, 0, [b"not a letter"], commit=True)
    return address


def test_the_last_letters_come_in_order_though_markers_and_aborted_records_stand_between(bootstrap: str) -> None:
    *letters, last = list_dead_letters(bootstrap, 15)
    assert [one.letter for one in letters] == [letter(number) for number in range(6, 20)]
    assert [one.number for one in letters] == sorted(one.number for one in letters)
    assert (last.letter.topic, last.letter.reason, last.letter.body) == (DEAD_LETTERS, "UNDECODABLE", b"not a letter")
    assert len(list_dead_letters(bootstrap, 1_000)) == 21


def test_one_letter_is_found_by_its_number_and_a_marker_or_another_number_is_not(bootstrap: str) -> None:
    second = list_dead_letters(bootstrap, 1_000)[1]
    assert read_dead_letter(bootstrap, second.number) == second
    for number in (second.number + 1, 10_000):
        with pytest.raises(DeadLetterNotFound, match="numbers that are kept: 0 to"):
            read_dead_letter(bootstrap, number)


def test_a_body_is_shown_as_its_value_or_with_the_reason_why_it_is_none(bootstrap: str) -> None:
    letters = list_dead_letters(bootstrap, 1_000)
    shown = [describe_body(one.letter) for one in letters[3:6]]
    assert shown[0] == {
        "undecodable": "it does not begin with the frame of a value: byte 0 and a schema id",
        "bytes": len(BODIES[0]),
        "begins": BODIES[0].hex(),
    }
    assert shown[1] == {"type": "BeginEpoch", "epoch": 3, "leader": "one"}
    assert "is not in schemas/avro/registry.lock" in shown[2]["undecodable"]
