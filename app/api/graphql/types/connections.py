"""Parts of every connection: pageInfo, asOf, and how pages are asked for."""

from dataclasses import dataclass

import strawberry

from app.api.errors import InvalidArgument
from app.api.graphql.scalars import Cursor, Position

PAGE_ROWS_MAX = 200
PAGE_ROWS_DEFAULT = 50


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: Cursor | None
    end_cursor: Cursor | None


@strawberry.type(
    description="how much of the log an answer includes; lag: seconds since the oldest event that it lacks was read "
    "from the log (0: it lacks none; null: not known)"
)
class AsOf:
    position: Position
    lag: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageArguments:
    """A page of up to `limit` rows after `cursor`, or, backwards, before it."""

    limit: int
    cursor: str | None
    backwards: bool


def page_arguments(first: int | None, after: str | None, last: int | None, before: str | None) -> PageArguments:
    """The arguments of a Relay connection. Raises InvalidArgument."""
    backwards = last is not None
    if backwards and after is not None:
        raise InvalidArgument("after", "cannot be combined with last; use before")
    if not backwards and before is not None:
        raise InvalidArgument("before", "needs last")
    limit = last if last is not None else PAGE_ROWS_DEFAULT if first is None else first
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise InvalidArgument("last" if backwards else "first", f"must be between 1 and {PAGE_ROWS_MAX}, not {limit}")
    return PageArguments(limit=limit, cursor=before if backwards else after, backwards=backwards)


def page_info(page: PageArguments, cursors: list[Cursor], *, more: bool) -> PageInfo:
    """more: there are rows behind the page in the direction of reading."""
    return PageInfo(
        has_next_page=page.cursor is not None if page.backwards else more,
        has_previous_page=more if page.backwards else page.cursor is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
