"""The API process: logs what an executor says, answers from views that lag and may be restored to an earlier state."""

import random
from collections.abc import Mapping

from msgspec import Raw

from app.executor.cursor import ORDINAL_MAX, Cursor, Position
from app.executor.protocol import (
    FINISHED,
    Displaced,
    Lease,
    ReportedJob,
    Stop,
    SyncAnswer,
    SyncRequest,
)
from tests.property.protocol_model.log import BeginInstance, ReportRun, RunRow, RunState, Snapshot
from tests.property.protocol_model.names import LOG, NODES, PARTITIONS, job_id
from tests.property.protocol_model.queue_agent import QueueAgent


class Api:
    """views: per partition, how many commands view `leases` has applied."""

    def __init__(
        self,
        rng: random.Random,
        agents: list[QueueAgent],
        positions: Mapping[str, Position],
        off: frozenset[str],
    ) -> None:
        self._rng = rng
        self._agents = agents
        self._positions = positions
        self._off = off
        self._begun: dict[str, list[int]] = {}
        self.views = [0 for _ in PARTITIONS]

    def restore_views(self) -> None:
        """Somebody puts an older database in place."""
        self.views = [max(0, at - self._rng.choice((3, 15, 40))) for at in self.views]

    def restart(self) -> None:
        """A new API process: it does not remember which instances it has begun."""
        self._begun.clear()

    def receive(self, request: SyncRequest) -> SyncAnswer | None:
        """Rule 1: the first request of an instance is logged as BeginInstance, before its reports; then the reports,
        then the answer. None is 409 REPLACED: what was decided after this instance began names another one."""
        instance = int(request.instance)
        begun = self._begun.get(request.instance)
        if begun is None:
            begun = [len(agent.log) for agent in self._agents]
            self._begun[request.instance] = begun
            for agent in self._agents:
                agent.log.append(BeginInstance(request.cluster, instance))
        for report in (*request.reports, *(request.runs or ())):
            partition = self._positions[report.run_id].partition
            self._agents[partition].log.append(ReportRun(request.cluster, instance, report.run_id, report.state.value))
        if self._is_replaced(request, begun):
            return None
        return self._answer(request, begun)

    def _is_replaced(self, request: SyncRequest, begun: list[int]) -> bool:
        return any(
            agent.decided > begun[partition] and agent.instances.get(request.cluster) != int(request.instance)
            for partition, agent in enumerate(self._agents)
        )

    def _answer(self, request: SyncRequest, begun: list[int]) -> SyncAnswer:
        """Rules 2 and 3. A partition whose view has not passed the instance's begin offers no leases, and its cursor
        stays (in a full answer: is left out)."""
        full = request.runs is not None
        taken = dict(request.lease_cursor.positions) if request.lease_cursor else {}
        cursor = Cursor(LOG, {})
        leases: list[Lease] = []
        reported: list[str] = []
        reported_jobs: list[ReportedJob] = []
        stops: list[Stop] = []
        for partition in PARTITIONS:
            view = self.views[partition]
            is_open = view > begun[partition] or "offer only after BeginInstance" in self._off
            if is_open and view:
                cursor.positions[partition] = (view - 1, ORDINAL_MAX)
            elif not is_open and partition in taken and not full:
                cursor.positions[partition] = taken[partition]
            since = -1 if full else taken.get(partition, (-1, -1))[0]
            snapshot = self._agents[partition].snapshots[view]
            for run, row in snapshot.runs.items():
                if NODES[row.node] != request.cluster:
                    continue
                if row.state is RunState.LEASED and row.leased > since and is_open:
                    leases.append(self._lease(run, row))
                elif row.state is RunState.STOPPING and row.stopped > since:
                    stops.append(Stop(job_id=job_id(row.job), run_id=run, attempt=0, reason="cancelled"))
                elif row.state is RunState.REPORTED and full:
                    reported.append(run)
                    reported_jobs.append(ReportedJob(job_id=job_id(row.job), attempt=0))
            if not full:
                stops += _stops_of_gone(snapshot, request.cluster, since)
        return SyncAnswer(
            sequence=request.sequence,
            leases=tuple(leases),
            reported=tuple(reported),
            reported_jobs=tuple(reported_jobs),
            stops=tuple(stops),
            lease_cursor=cursor,
        )

    def _lease(self, run: str, row: RunRow) -> Lease:
        return Lease(
            job_id=job_id(row.job),
            run_id=run,
            attempt=0,
            queue="q",
            job_set="s",
            node=row.node,
            position=self._positions[run],
            displaces=tuple(Displaced(run_id=other, position=self._positions[other]) for other in row.displaced),
            pod_spec=Raw(b"{}"),
        )


def _stops_of_gone(snapshot: Snapshot, cluster: str, since: int) -> list[Stop]:
    """Rows of gone runs stay for a while: their end is told to those whose cursor stands before it."""
    return [
        Stop(job_id=job_id(row.job), run_id=run, attempt=0, reason=FINISHED if row.finished else "cancelled")
        for run, row in snapshot.gone.items()
        if NODES[row.node] == cluster and row.at > since
    ]
