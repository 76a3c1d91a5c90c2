"""job, jobs, jobSet."""

import strawberry

from app.api.errors import InvalidArgument
from app.api.graphql.context import RequestInfo
from app.api.graphql.enums import JobOrderField, JobState, OrderDirection
from app.api.graphql.scalars import Cursor, Long, Position
from app.api.graphql.types.connections import PAGE_ROWS_DEFAULT, AsOf, PageArguments, page_arguments, page_info
from app.api.graphql.types.job import Job, JobConnection, JobEdge, job_of_detail, job_of_record
from app.api.graphql.types.job_set import JobSet, job_set_of_record
from app.api.graphql.types.list_cursors import list_cursor, parse_list_cursor
from app.api.service.waiting import HISTORY_VIEW
from app.db.queries import job_filter
from app.db.queries.job_filter import JobKey, PageRequest, TextFilter
from app.db.queries.job_records import JobRecord
from app.domain.ids import InvalidId, parse_id

FILTER_ENTRIES_MAX = 1_000


@strawberry.input(description="all that is given must hold")
class StringFilter:
    eq: str | None = strawberry.UNSET
    in_: list[str] | None = strawberry.field(name="in", default=strawberry.UNSET)
    starts_with: str | None = strawberry.UNSET
    contains: str | None = strawberry.UNSET


@strawberry.input(description="all that is given must hold")
class JobFilter:
    ids: list[strawberry.ID] | None = strawberry.UNSET
    queues: list[str] | None = strawberry.UNSET
    job_set: StringFilter | None = strawberry.UNSET
    states: list[JobState] | None = strawberry.UNSET


@strawberry.input
class JobOrder:
    field: JobOrderField = JobOrderField.ID
    direction: OrderDirection = OrderDirection.DESC


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
    wanted = _filter(filter or JobFilter())
    ordered = _order(order or JobOrder())
    kind = _cursor_kind(ordered)
    read = info.context.services.read
    key = _key(page, kind)
    request = PageRequest(limit=page.limit, key=key, backwards=page.backwards)
    found = await read.jobs(wanted, ordered, request, at_least)
    edges = [JobEdge(node=job_of_record(record), cursor=_cursor(kind, record)) for record in found.jobs]
    wants_count = any(_selects(field, "countEstimate") for field in info.selected_fields)
    count = await read.count_estimate(wanted) if wants_count else None
    return JobConnection(
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=page_info(page, [edge.cursor for edge in edges], more=found.more),
        count_estimate=Long(count) if count is not None else None,
        as_of=AsOf(position=Position(read.as_of(HISTORY_VIEW))),
    )


async def job_set(info: RequestInfo, queue: str, name: str, at_least: Position | None = None) -> JobSet | None:
    """A job set; null when the history knows no job of it."""
    services = info.context.services
    found = await services.read.job_set(queue, name, at_least)
    return job_set_of_record(found, services.coordinates) if found is not None else None


def parsed_id(text: str, path: str) -> bytes:
    """The bytes of an id. Raises InvalidArgument."""
    try:
        return parse_id(text)
    except InvalidId as error:
        raise InvalidArgument(path, str(error)) from None


def _filter(given: JobFilter) -> job_filter.JobFilter:
    ids, queues, states = given.ids or [], given.queues or [], given.states or []
    for name, entries in (("ids", ids), ("queues", queues), ("states", states)):
        if len(entries) > FILTER_ENTRIES_MAX:
            raise InvalidArgument(f"filter.{name}", f"must have at most {FILTER_ENTRIES_MAX:,} entries")
    return job_filter.JobFilter(
        ids=tuple(parsed_id(text, f"filter.ids[{index}]") for index, text in enumerate(ids)),
        queues=tuple(queues),
        job_set=_text_filter(given.job_set, "filter.jobSet") if given.job_set else None,
        states=tuple(states),
    )


def _text_filter(given: StringFilter, path: str) -> TextFilter:
    any_of: set[str] | None = None
    if given.in_ is not None and given.in_ is not strawberry.UNSET:
        if len(given.in_) > FILTER_ENTRIES_MAX:
            raise InvalidArgument(f"{path}.in", f"must have at most {FILTER_ENTRIES_MAX:,} entries")
        any_of = set(given.in_)
    if given.eq is not None and given.eq is not strawberry.UNSET:
        any_of = {given.eq} if any_of is None else any_of & {given.eq}
    if given.starts_with and given.contains:
        raise InvalidArgument(path, "startsWith and contains cannot be combined")
    return TextFilter(
        any_of=tuple(sorted(any_of)) if any_of is not None else None,
        starts_with=given.starts_with or None,
        contains=given.contains or None,
    )


def _order(given: JobOrder) -> job_filter.JobOrder:
    return job_filter.JobOrder(field=given.field, descending=given.direction is OrderDirection.DESC)


def _cursor_kind(order: job_filter.JobOrder) -> str:
    by_time = order.field is JobOrderField.LAST_TRANSITION
    return "jobs by last transition" if by_time else "jobs by id"


def _cursor(kind: str, record: JobRecord) -> Cursor:
    return list_cursor(kind, (record.job_id, record.last_transition_ms))


def _key(page: PageArguments, kind: str) -> JobKey | None:
    if page.cursor is None:
        return None
    path = "before" if page.backwards else "after"
    job_id, time_ms = parse_list_cursor(kind, page.cursor, tuple[bytes, int], path=path)
    if len(job_id) != 16:
        raise InvalidArgument(path, "is not a cursor of this list")
    return JobKey(job_id=job_id, last_transition_ms=time_ms)


def _selects(field: object, name: str) -> bool:
    """Whether a selection asks for a field, itself or through fragments."""
    return any(
        getattr(each, "name", None) == name or (not hasattr(each, "alias") and _selects(each, name))
        for each in getattr(field, "selections", ())
    )
