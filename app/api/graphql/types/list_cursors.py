"""Cursors of lists: the key of a row, with the name of the list and its order, as an opaque text."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from app.api.errors import InvalidArgument
from app.api.graphql.scalars import Cursor

_CURSOR_CHARS_MAX = 2_048

Key = TypeVar("Key")


def list_cursor(kind: str, key: tuple[object, ...]) -> Cursor:
    """The cursor of the row with this key in lists of this kind."""
    encoded = msgspec.msgpack.encode((kind, key))
    return Cursor(urlsafe_b64encode(encoded).rstrip(b"=").decode())


def parse_list_cursor(kind: str, text: str, key_type: type[Key], *, path: str) -> Key:
    """The key in a cursor. Raises InvalidArgument for what is no cursor of this kind of list."""
    try:
        if len(text) > _CURSOR_CHARS_MAX:
            raise ValueError("too long")
        found_kind, key = msgspec.msgpack.decode(
            urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=tuple[str, msgspec.Raw]
        )
        if found_kind == kind:
            return msgspec.msgpack.decode(key, type=key_type)
    except (msgspec.MsgspecError, ValueError):
        pass
    raise InvalidArgument(path, "is not a cursor of this list in this order")
