"""What resolvers have at hand: the services, who asks, and loaders that live as long as the request."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import strawberry
from strawberry.dataloader import DataLoader

from app.api.auth import Authenticator
from app.api.coordinates import Coordinates
from app.api.errors import ApiError
from app.api.graphql.enums import JobState
from app.api.service.cancel import CancelService
from app.api.service.change_queues import ChangeQueuesService
from app.api.service.create_queues import CreateQueuesService
from app.api.service.insight import InsightService
from app.api.service.job_changes import JobChangesService
from app.api.service.matching import MatchingService
from app.api.service.preempt import PreemptService
from app.api.service.read import ReadService
from app.api.service.reprioritize import ReprioritizeService
from app.api.service.stream import StreamService
from app.api.service.submit import SubmitService
from app.db.queries.jobs import JobDetail
from app.domain.commands import Principal
from app.domain.errors import ErrorCode
from app.domain.ids import parse_id


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLServices:
    """Everything that GraphQL stands on."""

    authenticator: Authenticator
    coordinates: Coordinates
    submit: SubmitService
    cancel: CancelService
    reprioritize: ReprioritizeService
    preempt: PreemptService
    matching: MatchingService
    create_queues: CreateQueuesService
    change_queues: ChangeQueuesService
    read: ReadService
    insight: InsightService
    stream: StreamService
    changes: JobChangesService


@dataclass(kw_only=True)
class RequestContext:
    """Of one HTTP request or one WebSocket connection. A socket has no principal before its connection_init."""

    services: GraphQLServices
    authorization: str | None
    known_principal: Principal | None
    connection_params: dict[str, object] | None = None

    @property
    def principal(self) -> Principal:
        """Raises ApiError UNAUTHENTICATED."""
        if self.known_principal is None:
            raise ApiError(ErrorCode.UNAUTHENTICATED, "nobody has said who asks")
        return self.known_principal

    @cached_property
    def queue_counts(self) -> DataLoader[str, Mapping[JobState, int]]:
        """Jobs by state of a queue."""

        async def load(names: list[str]) -> list[Mapping[JobState, int]]:
            found = await self.services.read.queue_counts(names)
            return [found.get(name, {}) for name in names]

        return DataLoader(load_fn=load, cache=False)

    @cached_property
    def job_details(self) -> DataLoader[str, JobDetail]:
        """Runs, errors and spec of a job by its id."""

        async def load(ids: list[str]) -> list[JobDetail | ApiError]:
            return [await self._job_detail(text) for text in ids]

        return DataLoader(load_fn=load, cache=False)

    async def _job_detail(self, text: str) -> JobDetail | ApiError:
        detail = await self.services.read.job(parse_id(text))
        return detail if detail is not None else ApiError(ErrorCode.NOT_FOUND, f"job {text} is not there any more")


RequestInfo = strawberry.Info[RequestContext, None]
