"""jobGroups."""

from app.api.errors import InvalidArgument
from app.api.graphql.context import RequestInfo
from app.api.graphql.job_filters import JobFilter, parsed_filter
from app.api.graphql.scalars import Cursor
from app.api.graphql.types.connections import PAGE_ROWS_DEFAULT, page_arguments, page_info
from app.api.graphql.types.job_group import JobGroupConnection, JobGroupEdge, job_group_of
from app.api.graphql.types.list_cursors import list_cursor, parse_list_cursor
from app.db.queries.job_groups import ANNOTATION, GroupBy

_KIND = "job groups"
KEYS_MAX = 4
OFFSET_MAX = 10_000


async def job_groups(
    info: RequestInfo,
    by: list[str],
    filter: JobFilter | None = None,
    active: bool = False,
    first: int | None = PAGE_ROWS_DEFAULT,
    after: Cursor | None = None,
) -> JobGroupConnection:
    """Jobs counted by queue, jobSet, state, namespace, owner, priorityClass, cluster, node, pool, exitCode, reasonCode,
    failureCategory or annotation:KEY. active: only groups with live jobs."""
    page = page_arguments(first, after, None, None)
    keys = _checked(by)
    offset = parse_list_cursor(_KIND, after, tuple[int], path="after")[0] if after is not None else 0
    if not 0 <= offset <= OFFSET_MAX:
        raise InvalidArgument("after", "there is no page so far behind: narrow the filter")
    wanted = parsed_filter(filter or JobFilter())
    found = await info.context.services.insight.groups(wanted, keys, limit=page.limit, offset=offset, active=active)
    edges = [
        JobGroupEdge(node=job_group_of(keys, group), cursor=list_cursor(_KIND, (offset + index + 1,)))
        for index, group in enumerate(found.groups)
    ]
    return JobGroupConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=page_info(page, [edge.cursor for edge in edges], more=found.more),
        complete=found.complete,
    )


def _checked(by: list[str]) -> list[str]:
    keys = list(dict.fromkeys(by))
    if not 1 <= len(keys) <= KEYS_MAX:
        raise InvalidArgument("by", f"needs 1 to {KEYS_MAX} keys")
    for index, key in enumerate(keys):
        is_annotation = key.startswith(ANNOTATION) and len(key) > len(ANNOTATION)
        if not is_annotation and key not in tuple(GroupBy):
            raise InvalidArgument(f"by[{index}]", f"{key[:80]!r} is not one of {', '.join(GroupBy)}, annotation:KEY")
    return keys
