"""The schema: everything that is built so far of api.graphql, with its limits and extensions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxAliasesLimiter, QueryDepthLimiter
from strawberry.schema.config import StrawberryConfig

from app.api.graphql.coded_errors import coded
from app.api.graphql.inputs import INPUTS
from app.api.graphql.lean_executor import LeanExecutor
from app.api.graphql.mutations.cancel_job_set import cancel_job_set
from app.api.graphql.mutations.cancel_jobs import cancel_jobs
from app.api.graphql.mutations.cancel_matching_jobs import cancel_matching_jobs
from app.api.graphql.mutations.cordon_queues import cordon_queues
from app.api.graphql.mutations.create_queues import create_queues
from app.api.graphql.mutations.delete_queues import delete_queues
from app.api.graphql.mutations.preempt_jobs import preempt_jobs
from app.api.graphql.mutations.preempt_matching_jobs import preempt_matching_jobs
from app.api.graphql.mutations.reprioritize_jobs import reprioritize_jobs
from app.api.graphql.mutations.reprioritize_matching_jobs import reprioritize_matching_jobs
from app.api.graphql.mutations.submit_jobs import submit_jobs
from app.api.graphql.mutations.update_queues import update_queues
from app.api.graphql.prepared import PreparedOperations
from app.api.graphql.queries.clusters import clusters, nodes, rounds
from app.api.graphql.queries.explain import explain
from app.api.graphql.queries.health import health
from app.api.graphql.queries.job_groups import job_groups
from app.api.graphql.queries.jobs import job, job_set, jobs
from app.api.graphql.queries.matching_jobs import matching_jobs
from app.api.graphql.queries.pools import node, node_cells, pools, round_
from app.api.graphql.queries.queues import queue, queues
from app.api.graphql.queries.series import queue_shares, share_history, throughput, wait_times
from app.api.graphql.queries.viewer import viewer
from app.api.graphql.scalars import SCALARS
from app.api.graphql.subscriptions.job_set_events import job_set_events
from app.api.graphql.subscriptions.jobs_changed import jobs_changed

DEPTH_MAX = 12
ALIASES_MAX = 30
LIMITS = (
    *QueryDepthLimiter(max_depth=DEPTH_MAX).validation_rules,
    *MaxAliasesLimiter(max_alias_count=ALIASES_MAX).validation_rules,
)
SDL_FILE = Path(__file__).parent.parent / "schema.graphql"


def _described(resolver: Callable[..., Any]) -> str:
    return " ".join((resolver.__doc__ or "").split())


@strawberry.type
class Query:
    job = strawberry.field(resolver=job, description=_described(job))
    jobs = strawberry.field(resolver=jobs, description=_described(jobs))
    job_set = strawberry.field(resolver=job_set, description=_described(job_set))
    queue = strawberry.field(resolver=queue, description=_described(queue))
    queues = strawberry.field(resolver=queues, description=_described(queues))
    clusters = strawberry.field(resolver=clusters, description=_described(clusters))
    nodes = strawberry.field(resolver=nodes, description=_described(nodes))
    rounds = strawberry.field(resolver=rounds, description=_described(rounds))
    round = strawberry.field(resolver=round_, description=_described(round_))
    job_groups = strawberry.field(resolver=job_groups, description=_described(job_groups))
    explain = strawberry.field(resolver=explain, description=_described(explain))
    pools = strawberry.field(resolver=pools, description=_described(pools))
    node = strawberry.field(resolver=node, description=_described(node))
    node_cells = strawberry.field(resolver=node_cells, description=_described(node_cells))
    throughput = strawberry.field(resolver=throughput, description=_described(throughput))
    wait_times = strawberry.field(resolver=wait_times, description=_described(wait_times))
    share_history = strawberry.field(resolver=share_history, description=_described(share_history))
    queue_shares = strawberry.field(resolver=queue_shares, description=_described(queue_shares))
    health = strawberry.field(resolver=health, description=_described(health))
    matching_jobs = strawberry.field(resolver=matching_jobs, description=_described(matching_jobs))
    viewer = strawberry.field(resolver=viewer, description=_described(viewer))


@strawberry.type
class Mutation:
    create_queues = strawberry.mutation(resolver=create_queues, description=_described(create_queues))
    update_queues = strawberry.mutation(resolver=update_queues, description=_described(update_queues))
    cordon_queues = strawberry.mutation(resolver=cordon_queues, description=_described(cordon_queues))
    delete_queues = strawberry.mutation(resolver=delete_queues, description=_described(delete_queues))
    submit_jobs = strawberry.mutation(resolver=submit_jobs, description=_described(submit_jobs))
    cancel_jobs = strawberry.mutation(resolver=cancel_jobs, description=_described(cancel_jobs))
    cancel_job_set = strawberry.mutation(resolver=cancel_job_set, description=_described(cancel_job_set))
    reprioritize_jobs = strawberry.mutation(resolver=reprioritize_jobs, description=_described(reprioritize_jobs))
    preempt_jobs = strawberry.mutation(resolver=preempt_jobs, description=_described(preempt_jobs))
    cancel_matching_jobs = strawberry.mutation(
        resolver=cancel_matching_jobs, description=_described(cancel_matching_jobs)
    )
    reprioritize_matching_jobs = strawberry.mutation(
        resolver=reprioritize_matching_jobs, description=_described(reprioritize_matching_jobs)
    )
    preempt_matching_jobs = strawberry.mutation(
        resolver=preempt_matching_jobs, description=_described(preempt_matching_jobs)
    )


@strawberry.type
class Subscription:
    job_set_events = strawberry.subscription(resolver=job_set_events, description=_described(job_set_events))
    jobs_changed = strawberry.subscription(resolver=jobs_changed, description=_described(jobs_changed))


class ArgosySchema(strawberry.Schema):
    """Errors get their codes where Strawberry would log a stack trace for each of them, also those of clients."""

    def process_errors(self, errors: list[GraphQLError], execution_context: Any = None) -> None:
        """Replaces errors by what a client may see, in the list that will be answered."""
        errors[:] = [coded(error) for error in errors]


def make_schema() -> ArgosySchema:
    """A schema with caches of its own."""
    operations = PreparedOperations(INPUTS, LIMITS)
    return ArgosySchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=LeanExecutor,
        extensions=[operations.extension],
    )


def sdl() -> str:
    """The schema as text, as it stands in `schema.graphql`."""
    return make_schema().as_str().rstrip() + "\n"
