"""The filter and order of jobs as GraphQL has them, and as queries of app.db take them.

Input: what a client gave. Output: app.db.queries.job_filter. Raises InvalidArgument, naming the field.
"""

import math

import strawberry

from app.api.errors import InvalidArgument
from app.api.graphql.enums import JobOrderField, JobState, OrderDirection
from app.api.graphql.scalars import DateTime, Quantity
from app.db.queries import job_filter, job_order
from app.db.queries.job_filter import NumberRange, TextFilter, TimeRange
from app.domain.ids import InvalidId, parse_id
from app.pods.quantity import QuantityError, amount_of

FILTER_ENTRIES_MAX = 1_000
ANNOTATIONS_MAX = 20
COLUMN_MAX = (1 << 63) - 1


@strawberry.input(description="all that is given must hold")
class StringFilter:
    eq: str | None = strawberry.UNSET
    in_: list[str] | None = strawberry.field(name="in", default=strawberry.UNSET)
    starts_with: str | None = strawberry.UNSET
    contains: str | None = strawberry.UNSET


@strawberry.input(description="all that is given must hold")
class NumberFilter:
    eq: float | None = strawberry.UNSET
    in_: list[float] | None = strawberry.field(name="in", default=strawberry.UNSET)
    gt: float | None = strawberry.UNSET
    gte: float | None = strawberry.UNSET
    lt: float | None = strawberry.UNSET
    lte: float | None = strawberry.UNSET


@strawberry.input(description="all that is given must hold")
class QuantityFilter:
    eq: Quantity | None = strawberry.UNSET
    gt: Quantity | None = strawberry.UNSET
    gte: Quantity | None = strawberry.UNSET
    lt: Quantity | None = strawberry.UNSET
    lte: Quantity | None = strawberry.UNSET


@strawberry.input(description="from after on, before before")
class TimeFilter:
    after: DateTime | None = strawberry.UNSET
    before: DateTime | None = strawberry.UNSET


@strawberry.input(description="jobs that have the annotation, with this value if one is given (eq, in, startsWith)")
class AnnotationFilter:
    key: str
    exists: bool | None = strawberry.UNSET
    value: StringFilter | None = strawberry.UNSET


@strawberry.input(description="all that is given must hold")
class JobFilter:
    ids: list[strawberry.ID] | None = strawberry.UNSET
    queues: list[str] | None = strawberry.UNSET
    job_set: StringFilter | None = strawberry.UNSET
    states: list[JobState] | None = strawberry.UNSET
    owner: StringFilter | None = strawberry.UNSET
    namespace: StringFilter | None = strawberry.UNSET
    priority_class: StringFilter | None = strawberry.UNSET
    cluster: StringFilter | None = strawberry.UNSET
    node: StringFilter | None = strawberry.UNSET
    pool: StringFilter | None = strawberry.UNSET
    failure_category: StringFilter | None = strawberry.UNSET
    reason_code: StringFilter | None = strawberry.UNSET
    cpu: QuantityFilter | None = strawberry.UNSET
    memory: QuantityFilter | None = strawberry.UNSET
    ephemeral_storage: QuantityFilter | None = strawberry.UNSET
    gpu: QuantityFilter | None = strawberry.UNSET
    priority: NumberFilter | None = strawberry.UNSET
    exit_code: NumberFilter | None = strawberry.UNSET
    submitted: TimeFilter | None = strawberry.UNSET
    last_transition: TimeFilter | None = strawberry.UNSET
    annotations: list[AnnotationFilter] | None = strawberry.UNSET


@strawberry.input
class JobOrder:
    field: JobOrderField = JobOrderField.ID
    direction: OrderDirection = OrderDirection.DESC


def parsed_id(text: str, path: str) -> bytes:
    """The bytes of an id. Raises InvalidArgument."""
    try:
        return parse_id(text)
    except InvalidId as error:
        raise InvalidArgument(path, str(error)) from None


def parsed_filter(given: JobFilter) -> job_filter.JobFilter:
    """Raises InvalidArgument."""
    ids, queues, states = given.ids or [], given.queues or [], given.states or []
    for name, entries in (("ids", ids), ("queues", queues), ("states", states)):
        if len(entries) > FILTER_ENTRIES_MAX:
            raise InvalidArgument(f"filter.{name}", f"must have at most {FILTER_ENTRIES_MAX:,} entries")
    return job_filter.JobFilter(
        ids=tuple(parsed_id(text, f"filter.ids[{index}]") for index, text in enumerate(ids)),
        queues=tuple(queues),
        job_set=_text(given.job_set, "filter.jobSet"),
        states=tuple(states),
        owner=_text(given.owner, "filter.owner"),
        namespace=_text(given.namespace, "filter.namespace"),
        priority_class=_text(given.priority_class, "filter.priorityClass"),
        cluster=_text(given.cluster, "filter.cluster"),
        node=_text(given.node, "filter.node"),
        pool=_text(given.pool, "filter.pool"),
        failure_category=_text(given.failure_category, "filter.failureCategory"),
        reason_code=_text(given.reason_code, "filter.reasonCode"),
        cpu_milli=_amount("cpu", given.cpu, "filter.cpu"),
        memory_bytes=_amount("memory", given.memory, "filter.memory"),
        storage_bytes=_amount("ephemeral-storage", given.ephemeral_storage, "filter.ephemeralStorage"),
        gpus=_amount("gpu", given.gpu, "filter.gpu"),
        priority=_number(given.priority, "filter.priority"),
        exit_code=_number(given.exit_code, "filter.exitCode"),
        submitted=_times(given.submitted),
        last_transition=_times(given.last_transition),
        annotations=_annotations(given.annotations or []),
    )


def parsed_order(given: JobOrder) -> job_order.JobOrder:
    return job_order.JobOrder(field=given.field, descending=given.direction is OrderDirection.DESC)


def _text(given: StringFilter | None, path: str) -> TextFilter | None:
    if not given:
        return None
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


def _amount(resource: str, given: QuantityFilter | None, path: str) -> NumberRange | None:
    """In the unit that is counted with: milli-cores, bytes, pieces."""
    if not given:
        return None

    def amount(name: str, text: Quantity | None) -> int | None:
        if text is None or text is strawberry.UNSET:
            return None
        try:
            return min(amount_of(resource, text), COLUMN_MAX)
        except QuantityError as error:
            raise InvalidArgument(f"{path}.{name}", str(error)) from None

    exactly = amount("eq", given.eq)
    return NumberRange(
        any_of=(exactly,) if exactly is not None else None,
        above=amount("gt", given.gt),
        at_least=amount("gte", given.gte),
        below=amount("lt", given.lt),
        at_most=amount("lte", given.lte),
    )


def _number(given: NumberFilter | None, path: str) -> NumberRange | None:
    """The columns hold whole numbers: bounds between two of them are moved to where they mean the same."""
    if not given:
        return None

    def checked(name: str, value: float | None) -> float | None:
        if value is None or value is strawberry.UNSET:
            return None
        if not math.isfinite(value):
            raise InvalidArgument(f"{path}.{name}", "is not a number")
        return max(-float(1 << 62), min(value, float(1 << 62)))

    exactly = [value for value in given.in_ or [] if value is not None]
    if len(exactly) > FILTER_ENTRIES_MAX:
        raise InvalidArgument(f"{path}.in", f"must have at most {FILTER_ENTRIES_MAX:,} entries")
    equal = checked("eq", given.eq)
    wanted = [equal] if equal is not None else [value for each in exactly if (value := checked("in", each)) is not None]
    above, at_least = checked("gt", given.gt), checked("gte", given.gte)
    below, at_most = checked("lt", given.lt), checked("lte", given.lte)
    return NumberRange(
        any_of=tuple(int(value) for value in wanted if value == int(value)) if wanted else None,
        above=math.floor(above) if above is not None else None,
        at_least=math.ceil(at_least) if at_least is not None else None,
        below=math.ceil(below) if below is not None else None,
        at_most=math.floor(at_most) if at_most is not None else None,
    )


def _times(given: TimeFilter | None) -> TimeRange | None:
    return TimeRange(after_ms=given.after or None, before_ms=given.before or None) if given else None


def _annotations(given: list[AnnotationFilter]) -> tuple[job_filter.AnnotationFilter, ...]:
    if len(given) > ANNOTATIONS_MAX:
        raise InvalidArgument("filter.annotations", f"must have at most {ANNOTATIONS_MAX} entries")
    found = []
    for index, each in enumerate(given):
        path = f"filter.annotations[{index}]"
        if each.exists is False:
            raise InvalidArgument(f"{path}.exists", "false is not offered")
        value = _text(each.value or None, f"{path}.value")
        if value is not None and value.contains is not None:
            raise InvalidArgument(f"{path}.value.contains", "is not offered for annotations")
        found.append(
            job_filter.AnnotationFilter(
                key=each.key,
                any_of=value.any_of if value is not None else None,
                starts_with=value.starts_with if value is not None else None,
            )
        )
    return tuple(found)
