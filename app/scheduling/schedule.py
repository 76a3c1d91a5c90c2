"""`schedule(round) -> Decisions`: one scheduling round, a pure and deterministic function of its input.

The course of a round (rules: reference features.md 2.4 to 2.6): fair shares; queues above the protected fraction of
theirs have their preemptible runs evicted; then the queue that is cheapest with its next job has its turn, evicted
runs first, until nobody has anything left to try; levels that urgent jobs overdrew are repaired by evicting what runs
there and letting it return, higher levels first. Whoever was evicted and has not returned is preempted.
"""

import numpy as np

from app.scheduling.arrays import lists_of
from app.scheduling.builder import RoundBuilder
from app.scheduling.compiler import Kernels, compile_now, current_kernels
from app.scheduling.decisions import Decisions
from app.scheduling.jobs import Gang
from app.scheduling.kernels.code_cache import is_complete
from app.scheduling.kernels.state import State
from app.scheduling.memory import Memory, figures_of
from app.scheduling.ordering import repair_order
from app.scheduling.outcome import conclude
from app.scheduling.resources import Int64
from app.scheduling.round import Limiter, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.round_state import Figures, Prepared, prepare, representatives
from app.scheduling.submit_check import check_submissions
from app.scheduling.units import Units


def schedule(round_: Round, kernels: Kernels | None = None, memory: Memory | None = None) -> Decisions:
    """Decides one round. Never raises for bad jobs or nodes: they are quarantined, and the rest is decided.

    `kernels`: how to run; the default is `current_kernels()`. `memory`: that of the pool; what did not change since its
    last round is not worked out again. Neither makes a difference to the decisions.
    """
    chosen = current_kernels() if kernels is None else kernels
    if round_.config.submit_check:
        return check_submissions(figures_of(round_, chosen), chosen)
    if memory is None:
        figures = figures_of(round_, chosen)
        prepared = prepare(figures, chosen)
    else:
        figures, prepared = memory.prepare(round_, chosen)
    large = round_.config.prefer_large_jobs
    overdrawn = chosen.balance_and_schedule(prepared.handle.argument, prepared.evicted, prepared.runs, large)
    if len(overdrawn):
        _repair(figures, prepared, chosen, overdrawn)
    decisions = conclude(figures, prepared)
    if memory is not None:
        memory.note(decisions)
    return decisions


def _repair(figures: Figures, prepared: Prepared, kernels: Kernels, overdrawn: Int64) -> None:
    """Evicts what runs at overdrawn levels, with its gangs, and lets it return."""
    state, round_ = prepared.state, figures.round
    jobs = _with_gangs(state, overdrawn)
    ordered = repair_order(round_, jobs, state.level, state.fresh)
    units = Units(unit=state.unit, start=state.unit_ptr, jobs=state.unit_job.astype(np.int64))
    nobody = np.zeros(0, np.int64)
    lists = lists_of(round_, representatives(ordered, units), nobody, state.unit, capped=False)
    # Why queues closed stands in the lists of the first pass; here nobody new is looked at.
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
    """Compiles everything that rounds need, by small rounds of every kind. May run in a thread.

    Where `kernels_are_kept()` that only loads the code, in less than a second; else it takes most of a minute.
    """
    compile_now(_warm_up)


def kernels_are_kept() -> bool:
    """Whether the compiled code is on disk."""
    return is_complete()


def _warm_up(kernels: Kernels) -> None:
    for check in (False, True):
        builder = RoundBuilder(config=RoundConfig(submit_check=check), limiter=Limiter(tokens=5, burst=9))
        builder.add_class(PriorityClass(name="default"))
        builder.add_class(PriorityClass(name="urgent", priority=1))
        builder.add_queue(Queue(name="a"))
        builder.add_node("n", capacity={"cpu": 2})
        builder.add_job("r", queue="a", requests={"cpu": 1}, run_node="n")
        for name in ("j", "k"):
            builder.add_job(name, queue="a", requests={"cpu": 1}, gang=Gang(id="g", cardinality=2))
        # It takes the room of the run: what levels lack is repaired.
        builder.add_job("u", queue="a", requests={"cpu": 2}, priority_class="urgent")
        schedule(builder.build(), kernels)
