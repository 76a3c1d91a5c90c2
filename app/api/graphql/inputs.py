"""Strawberry's input types of the inputs in app.api.service.inputs, and how arguments of mutations are annotated with
them."""

from typing import Annotated

import strawberry

from app.api.graphql.typed_inputs import TypedInputs
from app.api.service.inputs import (
    GangInput,
    JobInput,
    QueueInput,
    QueuePermissionInput,
    SubjectInput,
    SubmitJobsInput,
)

INPUTS = TypedInputs()
SubjectType = INPUTS.add(SubjectInput, "SubjectInput")
QueuePermissionType = INPUTS.add(QueuePermissionInput, "QueuePermissionInput")
QueueType = INPUTS.add(QueueInput, "QueueInput")
GangType = INPUTS.add(GangInput, "GangInput")
JobType = INPUTS.add(JobInput, "JobInput")
SubmitJobsType = INPUTS.add(SubmitJobsInput, "SubmitJobsInput")

SubmitJobsArgument = Annotated[SubmitJobsInput, strawberry.argument(graphql_type=SubmitJobsType)]
