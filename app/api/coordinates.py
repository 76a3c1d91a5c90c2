"""Positions and cursors as clients hold them: opaque texts that only this installation understands.

A position is a vector (partition -> command offset); a stream cursor is queue incarnation and position; a cursor of
changed jobs is a vector of places. All begin with a tag (of the installation; of installation, queue and job set), so
foreign ones are refused (INVALID) instead of waited for. Layout: base64url of msgpack; it is private.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from app.api.errors import InvalidArgument
from app.domain.ids import PARTITIONS_MAX
from app.domain.positions import Vector

WHOLE_COMMAND = (1 << 31) - 1
"""the ordinal of a `Reached` that includes everything of its command"""
_TEXT_CHARS_MAX = 8_192
_TAG_BYTES = 6
_OFFSET_MAX = 1 << 63


class Reached(NamedTuple):
    """How far somebody has come in one partition: everything up to and including this event."""

    offset: int
    ordinal: int

    @property
    def next(self) -> tuple[int, int]:
        """The first position that is not included."""
        return (self.offset + 1, 0) if self.ordinal == WHOLE_COMMAND else (self.offset, self.ordinal + 1)


NOTHING = Reached(-1, WHOLE_COMMAND)


class StreamCursor(NamedTuple):
    """Where a stream of a job set stands. incarnation: of the queue (app.domain.rows)."""

    incarnation: int
    reached: Reached


class Place(NamedTuple):
    """How far somebody has come in one partition, and the offset in argosy.events of the last record that he has (-1 =
    none): where to read on."""

    reached: Reached
    source_offset: int


NOWHERE = Place(NOTHING, -1)

_Position = tuple[bytes, tuple[int, ...]]
_Cursor = tuple[bytes, int, int, int]
_Places = tuple[bytes, tuple[tuple[int, int, int], ...]]
_positions = msgspec.msgpack.Decoder(_Position)
_cursors = msgspec.msgpack.Decoder(_Cursor)
_places = msgspec.msgpack.Decoder(_Places)


class Coordinates:
    """Writes and reads the texts of one installation."""

    def __init__(self, installation: str) -> None:
        self.installation = installation
        self._tag = hashlib.sha256(installation.encode()).digest()[:_TAG_BYTES]
        self._changes_tag = hashlib.sha256(b"changed jobs\0" + installation.encode()).digest()[:_TAG_BYTES]

    def position(self, vector: Vector) -> str:
        """The text of a vector; the empty one has a text too."""
        flat = [number for item in sorted(vector.items()) for number in item]
        return _text(msgspec.msgpack.encode((self._tag, flat)))

    def parse_position(self, text: str, *, path: str) -> dict[int, int]:
        """The vector. Raises InvalidArgument for what is no position, or one of another installation."""
        try:
            tag, flat = _positions.decode(_bytes(text))
        except (msgspec.MsgspecError, ValueError):
            raise InvalidArgument(path, "is not a position that this API gave out") from None
        if tag != self._tag:
            raise InvalidArgument(path, "is a position of another installation")
        vector = dict(zip(flat[::2], flat[1::2], strict=False))
        if len(flat) != 2 * len(vector) or not all(
            0 <= key < PARTITIONS_MAX and 0 <= value < _OFFSET_MAX for key, value in vector.items()
        ):
            raise InvalidArgument(path, "is not a position that this API gave out")
        return vector

    def cursor(self, queue: str, job_set: str, cursor: StreamCursor) -> str:
        """The text of a cursor of the stream of this job set."""
        reached = cursor.reached
        tag = self._stream_tag(queue, job_set)
        return _text(msgspec.msgpack.encode((tag, cursor.incarnation, reached.offset, reached.ordinal)))

    def parse_cursor(self, text: str, queue: str, job_set: str, *, path: str) -> StreamCursor:
        """The cursor. Raises InvalidArgument for what is no cursor, or one of another stream or installation."""
        try:
            tag, incarnation, offset, ordinal = _cursors.decode(_bytes(text))
        except (msgspec.MsgspecError, ValueError):
            raise InvalidArgument(path, 'is not a cursor that this API gave out (nor "BEGIN")') from None
        if tag != self._stream_tag(queue, job_set):
            raise InvalidArgument(path, "is a cursor of another job set, queue or installation")
        if incarnation < 0 or not -1 <= offset < _OFFSET_MAX or not 0 <= ordinal <= WHOLE_COMMAND:
            raise InvalidArgument(path, 'is not a cursor that this API gave out (nor "BEGIN")')
        return StreamCursor(incarnation, Reached(offset, ordinal))

    def changes_cursor(self, places: Sequence[Place]) -> str:
        """The text of a cursor of changed jobs. places: by partition, all of them."""
        # A whole command is the usual case and gets the shortest number.
        flat = [
            (reached.offset, -1 if reached.ordinal == WHOLE_COMMAND else reached.ordinal, source)
            for reached, source in places
        ]
        return _text(msgspec.msgpack.encode((self._changes_tag, flat)))

    def parse_changes_cursor(self, text: str, partitions: int, *, path: str) -> tuple[Place, ...]:
        """The places. Raises InvalidArgument for what is no such cursor, or one of another installation."""
        try:
            tag, flat = _places.decode(_bytes(text))
        except (msgspec.MsgspecError, ValueError):
            raise InvalidArgument(path, "is not a cursor of changed jobs that this API gave out") from None
        if tag != self._changes_tag:
            raise InvalidArgument(path, "is a cursor of something else or of another installation")
        if len(flat) != partitions or not all(
            -1 <= offset < _OFFSET_MAX and -1 <= ordinal < WHOLE_COMMAND and -1 <= source < _OFFSET_MAX
            for offset, ordinal, source in flat
        ):
            raise InvalidArgument(path, "is not a cursor of changed jobs that this API gave out")
        return tuple(
            Place(Reached(offset, WHOLE_COMMAND if ordinal < 0 else ordinal), source)
            for offset, ordinal, source in flat
        )

    def _stream_tag(self, queue: str, job_set: str) -> bytes:
        named = b"\0".join((self._tag, queue.encode(), job_set.encode()))
        return hashlib.sha256(named).digest()[:_TAG_BYTES]


def _text(encoded: bytes) -> str:
    return urlsafe_b64encode(encoded).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    if len(text) > _TEXT_CHARS_MAX or not text.isascii():
        raise ValueError("too long or not ASCII")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
