"""argosy.dead-letters: records, or items of records, that an agent could not take, with where they came from and why.

Input: a bootstrap address. Output: `Letter`s. The functions block.
"""

import time
from typing import Any, NamedTuple

import msgspec

from app.domain.clusters import DeadLetter
from app.log.admin import Bounds, topic_bounds
from app.log.codec import decode, decode_as
from app.log.errors import LogError, LogUnavailable, Undecodable, UnknownSchema
from app.log.partition_feed import PartitionFeed, Record
from app.log.topics import DEAD_LETTERS

LIST_MAX = 10_000
_PARTITION = 0
_CLIENT_ID = "argosy-dead-letters"
_POLL_RECORDS = 100
_POLL_S = 0.5
_DEADLINE_S = 30.0
_TEXT_BYTES_MAX = 64


class DeadLetterNotFound(LogError):
    """There is no dead letter with this number."""


class Letter(NamedTuple):
    """A dead letter. number: its offset in argosy.dead-letters; written_ms: when it was written."""

    number: int
    written_ms: int
    letter: DeadLetter


def list_dead_letters(bootstrap: str, limit: int) -> list[Letter]:
    """The last `limit` dead letters, oldest first. Raises LogUnavailable, TopicMismatch."""
    limit = min(limit, LIST_MAX)
    bounds = _bounds(bootstrap)
    # Transaction markers take offsets too, so a window may hold fewer letters than offsets: look back farther then.
    window = 2 * limit
    while True:
        first = max(bounds.earliest, bounds.end - window)
        letters = _read(bootstrap, first, bounds.end)
        if len(letters) >= limit or first == bounds.earliest:
            return letters[-limit:]
        window *= 4


def read_dead_letter(bootstrap: str, number: int) -> Letter:
    """One dead letter. Raises DeadLetterNotFound, LogUnavailable, TopicMismatch."""
    bounds = _bounds(bootstrap)
    if bounds.earliest <= number < bounds.end:
        for letter in _read(bootstrap, number, number + 1):
            if letter.number == number:
                return letter
    held = f"{bounds.earliest} to {bounds.end - 1}" if bounds.end > bounds.earliest else "none"
    raise DeadLetterNotFound(f"there is no dead letter {number} (numbers that are kept: {held})")


def describe_body(letter: DeadLetter) -> Any:
    """The body as plain values for people, or the reason why it cannot be read."""
    try:
        value = decode(letter.body)
    except (Undecodable, UnknownSchema) as error:
        return {"undecodable": str(error), "bytes": len(letter.body), "begins": letter.body[:_TEXT_BYTES_MAX].hex()}
    return {"type": type(value).__name__, **_plain(msgspec.to_builtins(value, builtin_types=(bytes,)))}


def _plain(value: Any) -> Any:
    """Bytes as hexadecimal digits, long ones by their length."""
    if isinstance(value, bytes):
        return value.hex() if len(value) <= _TEXT_BYTES_MAX else f"{len(value)} bytes"
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _bounds(bootstrap: str) -> Bounds:
    return topic_bounds(bootstrap, DEAD_LETTERS)[_PARTITION]


def _read(bootstrap: str, first: int, end: int) -> list[Letter]:
    """Letters from `first` to `end` - 1."""
    letters: list[Letter] = []
    if first >= end:
        return letters
    feed = PartitionFeed(bootstrap, DEAD_LETTERS, {_PARTITION: first}, client_id=_CLIENT_ID, end_wait_ms=10)
    feed.open()
    try:
        deadline = time.monotonic() + _DEADLINE_S
        while feed.positions[_PARTITION] < end and not feed.ended:
            if time.monotonic() > deadline:
                raise LogUnavailable(f"{DEAD_LETTERS} could not be read within {_DEADLINE_S:.0f} s")
            letters += [_letter(record) for record in feed.take(_POLL_RECORDS, _POLL_S) if record.offset < end]
    finally:
        feed.close()
    return letters


def _letter(record: Record) -> Letter:
    """A letter that is itself unreadable is shown as one, so that it can be found."""
    try:
        letter = decode_as(DeadLetter, record.value or b"")
    except (Undecodable, UnknownSchema) as error:
        letter = DeadLetter(
            topic=DEAD_LETTERS,
            partition=record.partition,
            offset=record.offset,
            item=-1,
            component="",
            reason="UNDECODABLE",
            message=str(error),
            log_time_ms=record.timestamp_ms,
            key=record.key or b"",
            body=record.value or b"",
        )
    return Letter(record.offset, record.timestamp_ms, letter)
