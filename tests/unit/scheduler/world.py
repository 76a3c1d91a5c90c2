"""A whole small world for rounds: partitions that really decide, nodes, shapes, a leader's assumptions."""

from collections.abc import Mapping, Sequence

from app.domain.clusters import ClusterUpdate, Foreign, NodeData, Taint
from app.domain.commands import Command, Gang
from app.log.codec import decode
from app.pods.shape import Shape, encode_shape, shape_hash
from app.scheduler.assumptions import Assumptions, assumed_of
from app.scheduler.clusters import Clusters
from app.scheduler.pool_rules import pool_rules
from app.scheduler.round_commands import RoundCommands, commands_of
from app.scheduler.round_input import Choose, Moment, PoolInput, PreparedRound, World
from app.scheduler.shape_columns import ShapeColumns
from app.scheduler.state import State
from app.scheduler.steps import Steps
from app.scheduling.decisions import Decisions
from app.scheduling.round import Limiter
from app.scheduling.schedule import schedule
from app.settings.scheduler import SchedulerSettings
from tests.unit.scheduler.partition import INSTANCE, SHAPE, Partition, run_id


class SmallWorld:
    """`partitions` partitions; call `step` with commands, then `round`."""

    def __init__(self, partitions: int = 1, settings: SchedulerSettings | None = None) -> None:
        self.settings = SchedulerSettings() if settings is None else settings
        self.partitions = [Partition(number) for number in range(partitions)]
        pools = self.settings.pools
        self.state = State(partitions, decode, {name: pool.short_job_cutoff_s for name, pool in pools.items()})
        self.clusters = Clusters(self.state.instances)
        self.shapes = ShapeColumns(self.state.jobs.shapes)
        self.world = World(self.state, self.clusters, self.shapes)
        self.assumptions = Assumptions()
        self.inputs = {pool: PoolInput(pool, rules, self.world) for pool, rules in pool_rules(self.settings).items()}
        self._steps = Steps()
        self._sequence = self._runs = 0
        self.add_shape(SHAPE)

    def step(self, partition: int, *commands: Command, log_time_ms: int | None = None, now_s: float = 0.0) -> None:
        for whole in self._steps.add(self.partitions[partition].step(*commands, log_time_ms=log_time_ms)):
            self.state.apply(whole, now_s)
            self.assumptions.advanced(partition, self.state.position(partition).offset, now_s)

    def submit(
        self,
        partition: int,
        queue: str,
        count: int,
        shape: Shape = SHAPE,
        priority: int = 1000,
        *,
        preemptible: bool = False,
        gang: tuple[str, int] | None = None,
    ) -> list[bytes]:
        """`gang`: id and cardinality."""
        of_gang = None if gang is None else Gang(gang_id=gang[0], cardinality=gang[1])
        ids, command = self.partitions[partition].submit(
            queue, count, shape=shape, priority=priority, preemptible=preemptible, gang=of_gang
        )
        self.step(partition, command)
        return ids

    def add_shape(self, shape: Shape) -> None:
        body = encode_shape(shape)
        self.shapes.add(shape_hash(body), body)

    def nodes(self, cluster: str, *nodes: NodeData, now_s: float = 0.0) -> None:
        self._sequence += 1
        update = ClusterUpdate(
            cluster=cluster,
            instance=INSTANCE,
            sequence=self._sequence,
            received_ms=0,
            cluster_time_ms=0,
            generation=self._sequence,
            changed=nodes,
            complete_count=len(nodes),
        )
        self.clusters.update(update, now_s)

    def prepare(
        self,
        pool: str = "default",
        *,
        idle: frozenset[str] = frozenset(),
        closed: frozenset[int] = frozenset(),
        limiter: Limiter | None = None,
        queue_limiters: Mapping[str, Limiter] | None = None,
    ) -> PreparedRound:
        moment = Moment(self.assumptions, idle, closed, limiter, queue_limiters or {})
        return self.inputs[pool].prepare(moment)

    def prepare_cheap(self, choose: Choose, pool: str = "default") -> PreparedRound | None:
        return self.inputs[pool].prepare_cheap(Moment(self.assumptions, frozenset(), frozenset(), None, {}), choose)

    def round(self, pool: str = "default", **moment: frozenset[str]) -> dict[bytes, str]:
        """Decides a round: job -> "cluster/node"."""
        prepared = self.prepare(pool, **moment)  # type: ignore[arg-type]
        return self.placed(prepared, schedule(prepared.round))

    def commands(self, prepared: PreparedRound, decisions: Decisions | None = None) -> RoundCommands:
        return commands_of(
            prepared, schedule(prepared.round) if decisions is None else decisions, self.state, self.new_run
        )

    def placed(self, prepared: PreparedRound, decisions: Decisions) -> dict[bytes, str]:
        leases = self.commands(prepared, decisions).leases
        return {
            each.lease.job_id: f"{each.lease.cluster}/{each.lease.node}" for some in leases.values() for each in some
        }

    def assume(self, pool: str = "default") -> int:
        """Decides a round and assumes it; returns the number of leases."""
        leases = self.commands(self.prepare(pool)).leases
        for partition, placed in leases.items():
            self.assumptions.lease(partition, assumed_of([each.lease for each in placed], self.state.jobs), 0.0)
        return sum(map(len, leases.values()))

    def new_run(self) -> bytes:
        self._runs += 1
        return run_id(10_000 + self._runs)


def node(
    name: str,
    *,
    cpu: str = "4",
    pool: str = "default",
    foreign: Mapping[str, str] | None = None,
    taints: Sequence[Taint] = (),
    unschedulable: bool = False,
) -> NodeData:
    return NodeData(
        name=name,
        pool=pool,
        allocatable={"cpu": cpu, "memory": "64Gi"},
        foreign=(Foreign(priority=0, usage=dict(foreign)),) if foreign else (),
        taints=tuple(taints),
        unschedulable=unschedulable,
    )


def shape(
    cpu: int = 1000, *, pools: tuple[str, ...] = (), priority_class: str = "argosy-default", **more: int
) -> Shape:
    requests = {"cpu": cpu, "memory": 1 << 20, **more}
    return Shape(priority_class=priority_class, requests=tuple(sorted(requests.items())), pools=pools)
