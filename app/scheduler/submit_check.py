"""Jobs and gangs that fit nowhere, not even on empty pools: found once, rejected when that is certain.

Input: jobs that came (a watch on the job columns), the pools' nodes, gangs that rounds found inconsistent. Output:
rejections. A question is one per queue and shape (queues have limits of their own), one per gang and one per job that
avoids nodes. What fitted once is never asked for again: nodes come and go. What did not is asked again when nodes or
queues change, and is rejected when it has not fitted for a time during which every known cluster was heard and had
told all of its nodes, or had been away for too long (absence.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.domain.commands import Rejection
from app.domain.ids import partition_of_job
from app.scheduler.absence import Absence
from app.scheduler.interning import NONE
from app.scheduler.job_columns import QUEUED, JobColumns
from app.scheduler.misfit_text import code_of, sentence_of
from app.scheduler.room import Slots
from app.scheduler.round_input import PoolInput, World
from app.scheduling.decisions import NO_JOB, Decisions
from app.scheduling.round import Round
from app.scheduling.schedule import schedule
from app.settings.scheduler import SubmitCheckSettings

QUESTIONS_MAX = 5_000
REJECTIONS_MAX = 10_000
INCONSISTENT = "InconsistentGang"
NO_POOL = "NoPool"
INCONSISTENT_TOLD_S = 60.0
"""an inconsistent gang that rounds have not named for longer is forgotten"""

Key = tuple[str, int, int] | bytes
"""("pair", queue, shape), ("gang", its number, slot of its first member), or the id of a job that avoids nodes"""
Version = tuple[int, int]


class Question(NamedTuple):
    """Would this fit? slots: of the jobs that stand for it, all members of a gang."""

    key: Key
    slots: tuple[int, ...]


class Misfit(NamedTuple):
    """The answer no, since when, and for which nodes and queues."""

    since_s: float
    version: Version
    code: str
    reason: str


class Inconsistent(NamedTuple):
    """A member of a gang that rounds refuse."""

    attempt: int
    reason: str
    since_s: float
    told_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Questions, with the round of each pool that answers them; first: question -> index of its first job in a round,
    by pool; unclear: questions that some pool cannot answer. May be answered in a thread."""

    version: Version
    questions: tuple[Question, ...]
    rounds: Mapping[str, Round]
    first: Mapping[str, Mapping[int, int]]
    unclear: frozenset[int]


class Answer(NamedTuple):
    """code and reason are empty where it fits."""

    fits: bool
    code: str
    reason: str


class SubmitChecks:
    """Of one leader. Call `ask`, answer (`answers_of`), `take`, then `due`."""

    def __init__(self, world: World, pools: Mapping[str, PoolInput], settings: SubmitCheckSettings) -> None:
        self._world, self._pools, self._settings = world, pools, settings
        self._watch = world.state.jobs.watch() if settings.enabled else None
        self._absence = Absence(world.clusters, world.state.instances, settings.absent_cluster_max_s)
        self._fits: set[Key] = set()
        self._misfits: dict[Key, Misfit] = {}
        self._open: dict[Key, Question] = {}
        self._inconsistent: dict[bytes, Inconsistent] = {}

    def close(self) -> None:
        """No more questions."""
        if self._watch is not None:
            self._world.state.jobs.unwatch(self._watch)

    @property
    def version(self) -> Version:
        """Grows with what answers depend on."""
        return self._world.clusters.structure_version, self._world.state.queues_version

    def ask(self, now_s: float) -> Asked | None:
        """What to find out now; None = nothing, or nothing would be certain."""
        if self._watch is None:
            return None
        jobs = self._world.state.jobs
        if self._watch.everything:
            self._watch.forget()
            count = jobs.count
            slots = np.flatnonzero(jobs.live[:count])
        else:
            slots = self._watch.take()
        for each in _questions(slots, jobs):
            if each.key not in self._fits and each.key not in self._misfits:
                self._open.setdefault(each.key, each)
        if not self._absence.is_clear(now_s):
            for key in self._misfits:
                self._reopen(key)
            self._misfits.clear()
            return None
        for key, misfit in self._misfits.items():
            if misfit.version != self.version:
                self._reopen(key)
        asked = [question for key in list(self._open) if (question := self._valid(key)) is not None][:QUESTIONS_MAX]
        return self._lay_out(asked) if asked else None

    def take(self, asked: Asked, answers: Sequence[Answer], now_s: float) -> None:
        """Learns the answers."""
        for question, answer in zip(asked.questions, answers, strict=True):
            self._open.pop(question.key, None)
            if answer.fits:
                self._misfits.pop(question.key, None)
                if question.key[0] == "pair":
                    self._fits.add(question.key)
                continue
            known = self._misfits.get(question.key)
            since_s = known.since_s if known is not None else now_s
            self._misfits[question.key] = Misfit(since_s, asked.version, answer.code, answer.reason)

    def inconsistent(self, members: Iterable[tuple[bytes, int, str]], now_s: float) -> None:
        """A round refused these jobs (id, attempt, reason) as members of a gang."""
        for job_id, attempt, reason in members:
            known = self._inconsistent.get(job_id)
            since_s = known.since_s if known is not None and known.attempt == attempt else now_s
            self._inconsistent[job_id] = Inconsistent(attempt, reason, since_s, now_s)

    def due(self, now_s: float, ending: set[bytes]) -> dict[int, list[Rejection]]:
        """Rejections by partition. ending: ids of jobs that are being rejected already."""
        found: dict[int, list[Rejection]] = {}
        if not self._settings.enabled:
            return found
        jobs, number = self._world.state.jobs, 0
        for key, misfit in list(self._misfits.items()):
            if now_s - misfit.since_s < self._settings.grace_s or misfit.version != self.version:
                continue
            slots = self._slots_of(key)
            if not slots:
                del self._misfits[key]
            for slot in slots:
                job_id = jobs.job_id(slot)
                if job_id not in ending and number < REJECTIONS_MAX:
                    number += 1
                    rejection = Rejection(
                        job_id=job_id,
                        attempt=int(jobs.attempt[slot]),
                        reason_code=misfit.code,
                        reason=misfit.reason,
                    )
                    found.setdefault(partition_of_job(job_id), []).append(rejection)
        for job_id, told in list(self._inconsistent.items()):
            if now_s - told.told_s > INCONSISTENT_TOLD_S:
                del self._inconsistent[job_id]
            elif told.told_s - told.since_s >= self._settings.grace_s and job_id not in ending:
                rejection = Rejection(job_id=job_id, attempt=told.attempt, reason_code=INCONSISTENT, reason=told.reason)
                found.setdefault(partition_of_job(job_id), []).append(rejection)
        return found

    def _reopen(self, key: Key) -> None:
        slots = self._slots_of(key)
        if slots:
            self._open.setdefault(key, _question(key, slots))

    def _valid(self, key: Key) -> Question | None:
        """The question as it stands now; None when nobody asks it any more or a shape is not known yet."""
        jobs, question = self._world.state.jobs, self._open[key]
        if not _stands_for(question, jobs):
            slots = self._slots_of(key)
            if not slots:
                del self._open[key]
                return None
            question = self._open[key] = _question(key, slots)
        known, queues = self._world.shapes.known(), self._world.state.queues
        clear = all(
            known[jobs.shape[slot]] and jobs.queues.name_of(int(jobs.queue[slot])) in queues for slot in question.slots
        )
        return question if clear else None

    def _slots_of(self, key: Key) -> tuple[int, ...]:
        """Slots of the jobs that wait and that the answer is for."""
        jobs = self._world.state.jobs
        if isinstance(key, bytes):
            slot = jobs.slot(key)
            return (slot,) if slot is not None and jobs.state[slot] == QUEUED and slot in jobs.avoid else ()
        kind, one, other = key
        if kind == "gang":
            members = _complete_gang(one, jobs)
            return members if members and members[0] == other else ()
        count = jobs.count
        mask = jobs.live[:count] & (jobs.state[:count] == QUEUED) & (jobs.gang[:count] == NONE)
        mask &= (jobs.queue[:count] == one) & (jobs.shape[:count] == other)
        return tuple(slot for slot in np.flatnonzero(mask).tolist() if slot not in jobs.avoid)

    def _lay_out(self, questions: list[Question]) -> Asked:
        """The rounds that answer. A pool answers for the jobs that may use it."""
        jobs, shapes = self._world.state.jobs, self._world.shapes
        rounds: dict[str, Round] = {}
        first: dict[str, dict[int, int]] = {}
        unclear: set[int] = set()
        for pool, pool_input in self._pools.items():
            allowed, offers = shapes.allowed(pool), pool_input.offers()
            mine = []
            for at, each in enumerate(questions):
                numbers = jobs.shape[list(each.slots)]
                if allowed[numbers].all():
                    if offers[numbers].all():
                        mine.append(at)
                    else:
                        unclear.add(at)
            if mine:
                chosen = np.unique(np.array([slot for at in mine for slot in questions[at].slots], np.intp))
                rounds[pool] = pool_input.check_round(chosen)
                position = {slot: index for index, slot in enumerate(chosen.tolist())}
                first[pool] = {at: position[questions[at].slots[0]] for at in mine}
        return Asked(
            version=self.version,
            questions=tuple(questions),
            rounds=rounds,
            first=first,
            unclear=frozenset(unclear),
        )


def answers_of(asked: Asked) -> list[Answer]:
    """Answers all questions. Pure."""
    fits = np.zeros(len(asked.questions), np.bool_)
    unclear = fits.copy()
    unclear[list(asked.unclear)] = True
    codes: dict[int, str] = {}
    reasons: dict[int, list[str]] = {}
    for pool, round_ in asked.rounds.items():
        decisions = schedule(round_)
        placed = set(decisions.scheduled.job.tolist())
        refused = {each.job: each.reason for each in decisions.quarantined if each.job != NO_JOB}
        rows = {job: row for row, job in enumerate(decisions.unschedulable.job.tolist())}
        for at, job in asked.first[pool].items():
            if job in placed:
                fits[at] = True
            elif job in refused or job not in rows:
                unclear[at] = True
            else:
                codes.setdefault(at, code_of(decisions, rows[job]))
                reasons.setdefault(at, []).append(_sentence(decisions, rows[job], pool, round_, job))
    return [
        Answer(bool(fits[at] or unclear[at]), "", "")
        if fits[at] or unclear[at]
        else Answer(
            False,
            codes.get(at, NO_POOL),
            "; ".join(reasons[at]) if at in reasons else "none of the pools that it may use is known",
        )
        for at in range(len(asked.questions))
    ]


def _sentence(decisions: Decisions, row: int, pool: str, round_: Round, job: int) -> str:
    gang = int(round_.jobs.gang[job])
    return sentence_of(decisions, row, pool, round_.gangs[gang].cardinality if gang >= 0 else 1)


def _question(key: Key, slots: tuple[int, ...]) -> Question:
    """One job stands for all of its queue and shape, a gang for itself."""
    return Question(key, slots[:1] if key[0] == "pair" else slots)


def _questions(slots: Slots, jobs: JobColumns) -> Iterable[Question]:
    """What the jobs in these slots ask."""
    waits = slots[jobs.live[slots] & (jobs.state[slots] == QUEUED)]
    alone = waits[jobs.gang[waits] == NONE]
    pairs = jobs.queue[alone].astype(np.int64) << 32 | jobs.shape[alone]
    for index in np.unique(pairs, return_index=True)[1].tolist():
        slot = int(alone[index])
        if slot not in jobs.avoid:
            yield Question(("pair", int(jobs.queue[slot]), int(jobs.shape[slot])), (slot,))
    if jobs.avoid:
        for slot in alone.tolist():
            if slot in jobs.avoid:
                yield Question(jobs.job_id(slot), (slot,))
    for number in np.unique(jobs.gang[waits]).tolist():
        members = _complete_gang(number, jobs)
        if members:
            yield Question(("gang", number, members[0]), members)


def _complete_gang(number: int, jobs: JobColumns) -> tuple[int, ...]:
    """Slots of the members of a gang, when all of them wait."""
    members = jobs.gangs.members(number)
    if not members or len(members) != jobs.gangs.gang(number).cardinality:
        return ()
    return tuple(sorted(members)) if all(jobs.state[slot] == QUEUED for slot in members) else ()


def _stands_for(question: Question, jobs: JobColumns) -> bool:
    """Whether the jobs in its slots still ask this question."""
    key, slot = question.key, question.slots[0]
    if isinstance(key, bytes):
        return jobs.slot(key) == slot and jobs.state[slot] == QUEUED and slot in jobs.avoid
    if key[0] == "gang":
        return _complete_gang(key[1], jobs) == question.slots
    waits = bool(jobs.live[slot]) and jobs.state[slot] == QUEUED and jobs.gang[slot] == NONE
    return waits and slot not in jobs.avoid and (jobs.queue[slot], jobs.shape[slot]) == (key[1], key[2])
