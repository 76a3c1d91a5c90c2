"""job, jobs, jobSet."""

import time

import strawberry

from app.api.errors import InvalidArgument
from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import JobOrderField
from app.api.graphql.job_filters import COLUMN_MAX, JobFilter, JobOrder, parsed_filter, parsed_id, parsed_order
from app.api.graphql.scalars import Cursor, Long, Position
from app.api.graphql.types.connections import PAGE_ROWS_DEFAULT, AsOf, PageArguments, page_arguments, page_info
from app.api.graphql.types.job import Job, JobConnection, JobEdge, job_of_detail, job_of_record
from app.api.graphql.types.job_set import JobSet, job_set_of_record
from app.api.graphql.types.list_cursors import list_cursor, parse_list_cursor
from app.api.service.waiting import HISTORY_VIEW
from app.db.queries import job_order
from app.db.queries.job_order import KEY_TYPES, JobKey, KeyPart, PageRequest, key_of
from app.db.queries.job_records import JobRecord


async def job(info: RequestInfo, id: strawberry.ID, at_least: Position | None = None) -> Job | None:
    """A job by its id; null when the history knows none."""
    detail = await info.context.services.read.job(parsed_id(id, "id"), at_least)
    return job_of_detail(detail) if detail is not None else None


async def jobs(
    info: RequestInfo,
    filter: JobFilter | None = None,
    order: JobOrder | None = None,
    first: int | None = PAGE_ROWS_DEFAULT,
    after: Cursor | None = None,
    last: int | None = None,
    before: Cursor | None = None,
    at_least: Position | None = None,
) -> JobConnection:
    """Jobs by key, at most 200 a page, both ways."""
    page = page_arguments(first, after, last, before)
    wanted = parsed_filter(filter or JobFilter())
    ordered = parsed_order(order or JobOrder())
    services = info.context.services
    request = PageRequest(
        limit=page.limit, key=_key(page, ordered), backwards=page.backwards, now_ms=int(time.time() * 1_000)
    )
    found = await services.read.jobs(wanted, ordered, request, at_least)
    edges = [JobEdge(node=job_of_record(record), cursor=_cursor(ordered, request, record)) for record in found.jobs]
    wants_count = any(_selects(field, "countEstimate") for field in info.selected_fields)
    count = await services.read.count_estimate(wanted) if wants_count else None
    return JobConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=page_info(page, [edge.cursor for edge in edges], more=found.more),
        count_estimate=Long(count) if count is not None else None,
        as_of=AsOf(position=Position(services.read.as_of(HISTORY_VIEW)), lag=services.changes.lag_s),
        cursor=Cursor(services.coordinates.changes_cursor(services.changes.places(found.reached))),
        wanted=wanted,
    )


async def job_set(info: RequestInfo, queue: str, name: str, at_least: Position | None = None) -> JobSet | None:
    """A job set; null when the history knows no job of it."""
    services = info.context.services
    found = await services.read.job_set(queue, name, at_least)
    return job_set_of_record(found, services.coordinates) if found is not None else None


def _kind(order: job_order.JobOrder) -> str:
    """A cursor goes on in its own order, in either direction."""
    field = JobOrderField.ID if order.field is JobOrderField.SUBMITTED else order.field
    return f"jobs by {field.value}"


def _cursor(order: job_order.JobOrder, request: PageRequest, record: JobRecord) -> Cursor:
    key = key_of(order, request, record)
    return list_cursor(_kind(order), (key.job_id, key.sort))


def _key(page: PageArguments, order: job_order.JobOrder) -> JobKey | None:
    if page.cursor is None:
        return None
    path = "before" if page.backwards else "after"
    key_type: type[tuple[bytes, tuple[KeyPart, ...]]] = KEY_TYPES[order.field]
    job_id, sort = parse_list_cursor(_kind(order), page.cursor, key_type, path=path)
    if len(job_id) != 16 or any(isinstance(part, int) and abs(part) > COLUMN_MAX for part in sort):
        raise InvalidArgument(path, "is not a cursor of this list")
    return JobKey(job_id=job_id, sort=sort)


def _selects(field: object, name: str) -> bool:
    """Whether a selection asks for a field, itself or through fragments."""
    return any(
        getattr(each, "name", None) == name or (not hasattr(each, "alias") and _selects(each, name))
        for each in getattr(field, "selections", ())
    )
