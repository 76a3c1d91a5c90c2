"""`schedule(round) -> Decisions`: one scheduling round, a pure and deterministic function of its input.

The course of a round (rules: reference features.md 2.4 to 2.6): fair shares; queues above the protected fraction of
theirs have their preemptible runs evicted; then the queue that is cheapest with its next job has its turn, evicted
runs first, until nobody has anything left to try; levels that urgent jobs overdrew are repaired by evicting what runs
there and letting it return, higher levels first. Whoever was evicted and has not returned is preempted.
"""

import numpy as np

from app.scheduling.builder import RoundBuilder
from app.scheduling.compiler import Kernels, compile_now, current_kernels
from app.scheduling.decisions import Decisions
from app.scheduling.jobs import Gang
from app.scheduling.kernels.state import ORDERED, State
from app.scheduling.ledger import open_ledger
from app.scheduling.node_matches import NodeMatcher
from app.scheduling.ordering import repair_order
from app.scheduling.outcome import conclude
from app.scheduling.quarantine import admit
from app.scheduling.resources import Int64
from app.scheduling.round import Limiter, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.round_state import Figures, Prepared, lists_of, prepare, representatives
from app.scheduling.submit_check import check_submissions
from app.scheduling.units import Units


def schedule(round_: Round, kernels: Kernels | None = None) -> Decisions:
    """Decides one round. Never raises for bad jobs or nodes: they are quarantined, and the rest is decided.

    `kernels`: how to run; the default is `current_kernels()`. It makes no difference to the decisions.
    """
    chosen = current_kernels() if kernels is None else kernels
    admission = admit(round_)
    ledger = open_ledger(round_, admission)
    figures = Figures(
        round=round_,
        admission=admission,
        ledger=ledger,
        shares=ledger.shares(round_),
        matcher=NodeMatcher(round_.nodes, round_.node_types),
        indexed=tuple(round_.resources.columns[name] for name in round_.config.indexed_resources),
    )
    if round_.config.submit_check:
        return check_submissions(figures, chosen)
    prepared = prepare(figures, chosen)
    state, large = prepared.state, round_.config.prefer_large_jobs
    chosen.balance_and_schedule(prepared.handle.argument, prepared.evicted, large)
    _repair(figures, prepared, chosen)
    return conclude(figures, prepared)


def _repair(figures: Figures, prepared: Prepared, kernels: Kernels) -> None:
    """Evicts what runs at overdrawn levels, with its gangs, and lets it return."""
    state, round_ = prepared.state, figures.round
    placed = state.ordered[: state.counters[ORDERED]]
    overdrawn = kernels.find_overdrawn(prepared.handle.argument, np.concatenate((np.flatnonzero(prepared.evictable), placed)))
    if not len(overdrawn):
        return
    jobs = _with_gangs(state, overdrawn)
    ordered = repair_order(round_, jobs, state.level, state.fresh)
    units = Units(unit=state.unit, start=state.unit_ptr, jobs=state.unit_job.astype(np.int64))
    nobody = np.zeros(0, np.int64)
    lists = lists_of(round_, representatives(ordered, units), nobody, state)
    handle = kernels.handle(state._replace(**lists))
    kernels.repair(handle.argument, ordered, round_.config.prefer_large_jobs)


def _with_gangs(state: State, jobs: Int64) -> Int64:
    """These jobs and the other members of their units that hold room."""
    units = np.unique(state.unit[jobs])
    units = units[units >= 0]
    if not len(units):
        return np.sort(jobs)
    mates = np.concatenate([state.unit_job[state.unit_ptr[u] : state.unit_ptr[u + 1]] for u in units.tolist()])
    return np.unique(np.concatenate((jobs, mates.astype(np.int64))))


def compile_kernels() -> None:
    """Compiles everything that rounds need, by small rounds of every kind. May run in a thread."""
    compile_now(_warm_up)


def _warm_up(kernels: Kernels) -> None:
    for check in (False, True):
        builder = RoundBuilder(config=RoundConfig(submit_check=check), limiter=Limiter(tokens=5, burst=9))
        builder.add_class(PriorityClass(name="default"))
        builder.add_queue(Queue(name="a"))
        builder.add_node("n", capacity={"cpu": 2})
        builder.add_job("r", queue="a", requests={"cpu": 1}, run_node="n")
        for name in ("j", "k"):
            builder.add_job(name, queue="a", requests={"cpu": 1}, gang=Gang(id="g", cardinality=2))
        schedule(builder.build(), kernels)
