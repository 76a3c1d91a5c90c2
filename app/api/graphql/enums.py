"""The enums of the API: those of the domain under their own names. Types and resolvers import them from here."""

from enum import StrEnum

import strawberry

from app.api.service.waiting import WaitFor
from app.db.queries.job_order import JobOrderField
from app.domain.errors import ErrorCode
from app.domain.lifecycle import EventKind, JobState

__all__ = ["ErrorCode", "EventKind", "JobOrderField", "JobState", "OrderDirection", "WaitFor"]


class OrderDirection(StrEnum):
    """Which way a list is ordered."""

    ASC = "ASC"
    DESC = "DESC"


strawberry.enum(WaitFor, description="how far a mutation waits for what it wrote")
strawberry.enum(JobState, description="where a job stands; the first four are live, the others are the end")
strawberry.enum(EventKind, description="what happened to a job")
strawberry.enum(ErrorCode, description="the closed set of error codes")
strawberry.enum(
    JobOrderField,
    description="what a list of jobs is ordered by, then by id; ID and SUBMITTED are one order; STATE: as a job lives; "
    "RUN_TIME: of the last run, until now while it runs, jobs that never ran come last",
)
strawberry.enum(OrderDirection, description="which way a list is ordered")
