"""What a stream of changed jobs yields. A step is one object for all who stand and want alike, encoded once."""

import strawberry

from app.api.coordinates import Coordinates
from app.api.graphql.lean_executor import Shared
from app.api.graphql.scalars import Cursor
from app.api.graphql.types.job import Job, job_of_record
from app.api.service.job_changes import ChangesStep


@strawberry.type(
    description="changed: jobs of the filter that are new or changed, each as it is now; left: jobs that changed and "
    "are not of the filter, whether they were before or not; cursor: where to go on; caughtUp: nothing more is known "
    "yet; a heartbeat has no jobs; lag: see AsOf"
)
class JobsChange(Shared):
    changed: list[Job]
    left: list[Job]
    cursor: Cursor
    caught_up: bool
    heartbeat: bool
    lag: float | None


def jobs_change(step: ChangesStep, coordinates: Coordinates) -> JobsChange:
    """The change of a step, made once."""
    made: JobsChange | None = step.renderings.get(JobsChange)
    if made is None:
        made = step.renderings[JobsChange] = JobsChange(
            changed=[job_of_record(job) for job in step.changed],
            left=[job_of_record(job) for job in step.left],
            cursor=Cursor(coordinates.changes_cursor(step.places)),
            caught_up=step.caught_up,
            heartbeat=step.is_empty,
            lag=step.lag_s,
        )
    return made
