"""Positions and cursors as clients hold them: opaque texts that only this installation understands.

A position is a vector (partition -> command offset); a stream cursor is queue incarnation and position. Both begin with
a tag (of the installation; of installation, queue and job set), so foreign ones are refused (INVALID) instead of waited
for. Layout: base64url of msgpack; it is private.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
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
    """Where a stream of a job set stands. incarnation: offset of the queue's creation."""

    incarnation: int
    reached: Reached


_Position = tuple[bytes, tuple[int, ...]]
_Cursor = tuple[bytes, int, int, int]
_positions = msgspec.msgpack.Decoder(_Position)
_cursors = msgspec.msgpack.Decoder(_Cursor)


class Coordinates:
    """Writes and reads the texts of one installation."""

    def __init__(self, installation: str) -> None:
        self.installation = installation
        self._tag = hashlib.sha256(installation.encode()).digest()[:_TAG_BYTES]

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

    def _stream_tag(self, queue: str, job_set: str) -> bytes:
        named = b"\0".join((self._tag, queue.encode(), job_set.encode()))
        return hashlib.sha256(named).digest()[:_TAG_BYTES]


def _text(encoded: bytes) -> str:
    return urlsafe_b64encode(encoded).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    if len(text) > _TEXT_CHARS_MAX or not text.isascii():
        raise ValueError("too long or not ASCII")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
