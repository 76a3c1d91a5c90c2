"""`reconcile(desired, actual, now) -> Actions`: what follows for each run from what the log wants and what the
cluster has. Pure.

A run is looked at when something about it changed, or when time alone may change it (`Actions.wake_ms`): cost grows
with changes. Every question that a rule of executor-api.md answers is asked of `rules`. `commit` notes in `Desired`
that the actions were begun."""

from collections.abc import Iterable

from app.executor import rules, words
from app.executor.actions import Actions, Create, Delete, DeleteKind, Mark, Read, Release
from app.executor.actual import Actual
from app.executor.desired import Desired, Ending, EndKind, Run, Word
from app.executor.kubernetes import Pod, pod_name
from app.executor.marks import mark_text
from app.executor.protocol import ReportState
from app.executor.timings import Timings
from app.executor.trouble import (
    DELETED_EXTERNALLY,
    POD_LOST,
    Trouble,
    finished_ms,
    trouble_of,
    trouble_of_lost_node,
    word_of_refusal,
    word_of_terminal,
)

LOCK_RETRY_MS = 1_000


def reconcile(
    desired: Desired, actual: Actual, now_ms: int, timings: Timings, *, lock_valid: bool, touched: Iterable[str]
) -> Actions:
    """The actions that follow for the touched runs and for those that wait for displaced ones. Changes nothing."""
    actions = Actions()
    if desired.log is None:
        return actions
    look = _Look(desired, actual, now_ms, timings, lock_valid, actions)
    for run_id in sorted({*touched, *desired.waiting}):
        run = desired.runs.get(run_id)
        if run is None:
            actions.settled.add(run_id)
            continue
        pod = actual.pods.get(run_id)
        if pod is not None and pod.is_terminal:
            look.at_finished_pod(run, pod)
        elif pod is not None:
            look.at_living_pod(run, pod)
        else:
            look.at_no_pod(run)
    return actions


def commit(desired: Desired, actions: Actions, now_ms: int) -> None:
    """Notes that these actions are being carried out."""
    runs = desired.runs
    for run_id, ending in actions.endings.items():
        runs[run_id].ending = ending
    for create in actions.creates:
        run = runs[create.run_id]
        run.creates_in_flight += 1
        run.first_create_ms = now_ms if run.first_create_ms is None else run.first_create_ms
    for delete in actions.deletes:
        run = runs[delete.run_id]
        run.delete_first_ms = now_ms if run.delete_first_ms is None else run.delete_first_ms
        run.delete_last_ms = now_ms
        run.deleting = True
        run.forced = run.forced or delete.kind is DeleteKind.FORCE
    for read in actions.reads:
        runs[read.run_id].reading = True
    for run_id in (*(mark.run_id for mark in actions.marks), *(release.run_id for release in actions.releases)):
        runs[run_id].marking = True
    for report in actions.reports:
        runs[report.run_id].said = report
        runs[report.run_id].say_gone_again = False
    desired.waiting |= actions.waiting
    desired.waiting -= actions.settled
    desired.needs_full = desired.needs_full or actions.needs_full


def create_still_stands(desired: Desired, create: Create, lock_valid: bool) -> bool:
    """Whether a create that was decided some time ago may be sent now: nothing ended the run and no pod of it was
    seen since."""
    run = desired.runs.get(create.run_id)
    if run is None or run.ending is not None:
        return False
    return rules.lock_allows_acting(lock_valid) and rules.may_be_created(run)


def delete_still_stands(lock_valid: bool) -> bool:
    """Whether a delete that was decided some time ago may be sent now. What it rests on never becomes untrue, but for
    the lock."""
    return rules.lock_allows_acting(lock_valid)


class _Look:
    """One look at some runs; collects actions."""

    def __init__(
        self, desired: Desired, actual: Actual, now_ms: int, timings: Timings, lock_valid: bool, actions: Actions
    ) -> None:
        self.desired = desired
        self.actual = actual
        self.now_ms = now_ms
        self.timings = timings
        self.lock_valid = lock_valid
        self.actions = actions

    def at_finished_pod(self, run: Run, pod: Pod) -> None:
        """The phase is terminal: a last word is certain (rule 4), the pod is kept until its end was accepted (rule
        5)."""
        self.actions.settled.add(run.run_id)
        if not run.is_final:
            start_ms = self.desired.instance_start_ms
            if not rules.terminal_phase_is_certain(run, pod, self.now_ms, start_ms, self.timings):
                self.actions.wake(run.run_id, rules.certain_from_ms(run, start_ms, self.timings))
                return
            self._say_last(run, pod, self._word_of_finished(run, pod))
        elif run.say_gone_again:
            self._say_last(run, pod, words.GONE)
        ended_ms = finished_ms(pod)
        if pod.deletion_ms is not None and pod.held:
            self._release(run, pod)
            return
        if pod.deletion_ms is not None or not run.is_final:
            return
        start_ms = self.desired.instance_start_ms
        if rules.finished_pod_may_go(run, ended_ms, self.now_ms, start_ms, self.timings):
            self._delete(run, pod, DeleteKind.TRIM, pod.grace_seconds)
            return
        keep_ms = max(ended_ms + self.timings.finished_keep_ms, rules.certain_from_ms(run, start_ms, self.timings))
        if keep_ms > self.now_ms:
            self.actions.wake(run.run_id, keep_ms)

    def at_living_pod(self, run: Run, pod: Pod) -> None:
        """Ended runs and troubled pods are deleted first and reported after (rule 4); others are reported as levels
        (rule 5)."""
        self.actions.settled.add(run.run_id)
        ends = rules.must_end(run, pod)
        trouble = None if ends else self._trouble(pod)
        if trouble is not None and self.now_ms >= trouble.at_ms:
            self.actions.endings[run.run_id] = Ending(kind=EndKind.TROUBLE, word=trouble.word)
            ends = True
            if rules.trouble_is_said_while_pod_lives():
                self._say_last(run, pod, trouble.word)
        elif trouble is not None:
            self.actions.wake(run.run_id, trouble.at_ms)
        if ends:
            self._end(run, pod)
        elif words.is_news(run, words.level_of(pod)):
            self.actions.reports.append(words.level_report(run, pod, self.now_ms))

    def at_no_pod(self, run: Run) -> None:
        """There is no pod in the cache: create it, wait, or, once that is certain (rule 4), say the last word."""
        if run.is_final:
            self.actions.settled.add(run.run_id)
            if run.say_gone_again:
                self._say_last(run, None, words.GONE)
            return
        if run.creates_in_flight:
            return
        if run.ending is None and run.refused is None and rules.may_be_created(run):
            self._create(run)
            return
        word = self._word_without_pod(run)
        self.actions.settled.add(run.run_id)
        if word is None:
            return
        if run.created_ms is not None and not run.seen and run.ending is None:
            unseen_ms = run.created_ms + self.timings.unseen_ms
            if self.now_ms < unseen_ms:
                self.actions.wake(run.run_id, unseen_ms)
                return
        if rules.absence_is_certain(run, self.desired.instance_start_ms, self.timings):
            self._say_last(run, None, word)
        else:
            self._read(run)

    def _create(self, run: Run) -> None:
        assert run.lease is not None, "told as a lease"
        if not rules.lock_allows_acting(self.lock_valid):
            self.actions.wake(run.run_id, self.now_ms + LOCK_RETRY_MS)
        elif self.now_ms < run.next_create_ms:
            self.actions.wake(run.run_id, run.next_create_ms)
        elif not rules.displaced_are_gone(self.desired, run.lease):
            self.actions.waiting.add(run.run_id)
            if any(displaced.run_id not in self.desired.runs for displaced in run.lease.displaces):
                self.actions.needs_full = True
        else:
            self.actions.settled.add(run.run_id)
            self.actions.creates.append(Create(run_id=run.run_id, lease=run.lease))

    def _trouble(self, pod: Pod) -> Trouble | None:
        lost_ms = self.actual.node_lost_ms(pod.node, self.desired.instance_start_ms)
        return trouble_of(pod, self.timings) if lost_ms is None else trouble_of_lost_node(pod, lost_ms, self.timings)

    def _end(self, run: Run, pod: Pod) -> None:
        """Deletes with grace; asks again when the call was lost; by force when its time is over and the node is to be
        trusted."""
        if run.deleting or run.marking:
            return
        ending = self.actions.endings.get(run.run_id) or run.ending
        if ending is not None and rules.must_be_marked(run, pod, ending):
            self._mark(run, pod, ending)
            return
        asked_ms = min((ms for ms in (run.delete_first_ms, pod.deletion_ms) if ms is not None), default=None)
        if asked_ms is None:
            self._delete(run, pod, DeleteKind.END, pod.grace_seconds)
            return
        force_ms = asked_ms + pod.grace_seconds * 1000 + self.timings.force_delete_ms
        retry_ms = (run.delete_last_ms or asked_ms) + self.timings.delete_retry_ms
        may_force = rules.may_force_delete(self.actual.nodes.get(pod.node or ""))
        if self.now_ms >= force_ms and may_force and (not run.forced or self.now_ms >= retry_ms):
            self._delete(run, pod, DeleteKind.FORCE, 0)
        elif pod.deletion_ms is None and self.now_ms >= retry_ms:
            self._delete(run, pod, DeleteKind.END, pod.grace_seconds)
        else:
            next_ms = retry_ms if pod.deletion_ms is None or run.forced else force_ms
            self.actions.wake(
                run.run_id, next_ms if next_ms > self.now_ms else self.now_ms + self.timings.delete_retry_ms
            )

    def _delete(self, run: Run, pod: Pod, kind: DeleteKind, grace_seconds: int) -> None:
        if run.deleting:
            return
        if not rules.lock_allows_acting(self.lock_valid):
            self.actions.wake(run.run_id, self.now_ms + LOCK_RETRY_MS)
            return
        self.actions.deletes.append(
            Delete(
                run_id=run.run_id,
                namespace=pod.namespace,
                name=pod.name,
                uid=pod.uid,
                grace_seconds=grace_seconds,
                kind=kind,
            )
        )
        self.actions.wake(run.run_id, self.now_ms + self.timings.delete_retry_ms)

    def _mark(self, run: Run, pod: Pod, ending: Ending) -> None:
        """Writes the last word on a troubled pod."""
        if not rules.lock_allows_acting(self.lock_valid):
            self.actions.wake(run.run_id, self.now_ms + LOCK_RETRY_MS)
            return
        self.actions.marks.append(
            Mark(
                run_id=run.run_id,
                namespace=pod.namespace,
                name=pod.name,
                uid=pod.uid,
                text=mark_text(ending.word),
            )
        )

    def _release(self, run: Run, pod: Pod) -> None:
        """Lets a pod go that was marked and whose end was accepted."""
        if run.marking or not run.is_final:
            return
        start_ms = self.desired.instance_start_ms
        if not rules.held_pod_may_go(run, self.now_ms, start_ms, self.timings):
            certain_ms = rules.certain_from_ms(run, start_ms, self.timings)
            if certain_ms > self.now_ms:
                self.actions.wake(run.run_id, certain_ms)
        elif not rules.lock_allows_acting(self.lock_valid):
            self.actions.wake(run.run_id, self.now_ms + LOCK_RETRY_MS)
        else:
            release = Release(run_id=run.run_id, namespace=pod.namespace, name=pod.name, uid=pod.uid)
            self.actions.releases.append(release)
            self.actions.wake(run.run_id, self.now_ms + self.timings.delete_retry_ms)

    def _read(self, run: Run) -> None:
        """Reads by name, but not before the answer can be certain."""
        if run.reading:
            return
        certain_ms = rules.certain_from_ms(run, self.desired.instance_start_ms, self.timings)
        read_ms = max(certain_ms, run.next_read_ms)
        if self.now_ms < read_ms:
            self.actions.wake(run.run_id, read_ms)
            return
        self.actions.reads.append(Read(run_id=run.run_id, namespace=run.namespace, name=pod_name(run.run_id)))

    def _word_of_finished(self, run: Run, pod: Pod) -> Word:
        word = word_of_terminal(pod, deleted_by_us=run.delete_first_ms is not None)
        if run.ending is None or word.state is ReportState.SUCCEEDED:
            return word
        return run.ending.word

    def _word_without_pod(self, run: Run) -> Word | None:
        if run.outcome is not None and (run.ending is None or run.outcome.state is ReportState.SUCCEEDED):
            return run.outcome
        if run.ending is not None:
            return run.ending.word
        if run.finished:
            return words.GONE
        if run.refused is not None:
            return word_of_refusal(run.refused)
        if not rules.lost_pod_ends_run(run):
            return None
        return DELETED_EXTERNALLY if run.deleted_ms is not None else POD_LOST

    def _say_last(self, run: Run, pod: Pod | None, word: Word) -> None:
        self.actions.reports.append(words.last_report(run, pod, word, self.now_ms))
