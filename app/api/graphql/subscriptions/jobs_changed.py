"""jobsChanged: the jobs of a filter as they change."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.api.graphql.context import RequestInfo
from app.api.graphql.job_filters import JobFilter, parsed_filter
from app.api.graphql.scalars import Cursor
from app.api.graphql.types.jobs_change import JobsChange, jobs_change


async def jobs_changed(
    info: RequestInfo, filter: JobFilter, after: Cursor | None = None
) -> AsyncGenerator[JobsChange, None]:
    """Jobs of a filter that are new or changed, and those that left it, at most four times a second, each change once
    and never before queries show it. after: the cursor of a list (then exactly what the list lacks) or of the last
    change; none: from now."""
    services = info.context.services
    _ = info.context.principal  # whoever may read lists
    wanted = parsed_filter(filter)
    async with aclosing(services.changes.changes(wanted, after)) as steps:
        async for step in steps:
            yield jobs_change(step, services.coordinates)
