"""The rules of executor-api.md as named functions: each answers one question, and nothing decides that question
elsewhere.

They are called through this module, so that the model in tests/property can switch each of them off and show that it
is needed."""

from collections.abc import Mapping

from app.executor.cursor import Cursor, Position
from app.executor.desired import Desired, Ending, EndKind, Run, Told
from app.executor.kubernetes import Node, Pod, RunOfPod
from app.executor.protocol import Displaced, Lease
from app.executor.timings import Timings


def answer_is_behind(taken: Cursor | None, answered: Cursor) -> bool:
    """Rule 2: an answer whose cursor is behind one that was taken, in some partition, is dropped (a late answer, a
    restored view)."""
    return taken is not None and answered.is_behind(taken)


def pod_is_ours(of_pod: RunOfPod, log: str, cluster: str) -> bool:
    """Rule 3: a pod of another log or cluster name is foreign: counted, shown, never stopped."""
    return of_pod.log == log and of_pod.cluster == cluster


def log_has_ended(run: Run, answered: Cursor, log_begins: Mapping[int, int]) -> bool:
    """DESIGN.md 7, positive evidence: a full answer does not name this run; it ended only if the view has passed the
    position of its lease.

    A view whose log begins after that position says nothing. A run without position was named by an earlier answer,
    which was not ahead."""
    position = run.position
    if position is None:
        return run.told is not Told.NOTHING
    return position.offset >= log_begins.get(position.partition, 0) and answered.has_passed(position)


def may_be_created(run: Run) -> bool:
    """Rules 2 and 3: an instance creates a run at most once, and never one that was reported before."""
    return run.told is Told.LEASE and not run.seen and run.created_ms is None and run.refused is None


def lock_allows_acting(lock_valid: bool) -> bool:
    """DESIGN.md 7: pods are created, and deleted, only while this instance certainly holds the cluster's lock. One
    that was replaced may have said last words that nobody accepted: it must not act on them either."""
    return lock_valid


def has_told_of(taken: Cursor | None, position: Position) -> bool:
    """Rule 2: only answers up to a cursor that has passed a displaced run's own lease have surely told of it."""
    return taken is not None and taken.has_passed(position)


def displaced_is_gone(desired: Desired, displaced: Displaced) -> bool:
    """Rule 2: a displaced run is gone when its last word was said here, or when a full answer past its lease did not
    name it."""
    run = desired.runs.get(displaced.run_id)
    if run is not None:
        return run.is_final and has_told_of(desired.cursor, displaced.position)
    return has_told_of(desired.full_cursor, displaced.position)


def displaced_are_gone(desired: Desired, lease: Lease) -> bool:
    """Rule 2: a lease waits until every run that it displaces is gone."""
    return all(displaced_is_gone(desired, displaced) for displaced in lease.displaces)


def certain_from_ms(run: Run, instance_start_ms: int, timings: Timings) -> int:
    """Rule 4: from when on "there is no such pod" means that there never will be one: any create that may have been
    sent has ended."""
    return max(instance_start_ms, run.uncertain_ms or 0) + timings.last_words_ms


def absence_is_certain(run: Run, instance_start_ms: int, timings: Timings) -> bool:
    """Rule 4: no pod of this run is in the cluster or ever will be.

    Either a read by name found none and began after the last create that may have been sent has ended; or its pod was
    seen deleted, and no other create can have been under way. The time at which the watch shows a deletion does not
    help: it may lag, and another create may have taken effect between the deletion and its showing."""
    if run.creates_in_flight:
        return False
    certain_ms = certain_from_ms(run, instance_start_ms, timings)
    if run.absent_ms is not None and run.absent_ms >= certain_ms:
        return True
    created_once = run.uncertain_ms is None and run.first_create_ms is not None and run.first_create_ms >= certain_ms
    return run.deleted_ms is not None and created_once


def terminal_phase_is_certain(run: Run, pod: Pod, now_ms: int, instance_start_ms: int, timings: Timings) -> bool:
    """Rule 4: a terminal phase is a last word, for the pod holds the run's name. One that is being deleted does not
    for long: then any create that may have been sent must have ended. So must those of ours, lest somebody else
    removes the pod."""
    if run.delete_first_ms is not None or pod.deletion_ms is not None:
        return now_ms >= certain_from_ms(run, instance_start_ms, timings)
    return run.uncertain_ms is None or now_ms >= run.uncertain_ms + timings.last_words_ms


def lost_pod_ends_run(run: Run) -> bool:
    """Rule 3: a run that has (had) a pod and certainly has none any more failed (PodLost); it is never created
    again."""
    return run.seen or run.created_ms is not None or run.told is Told.REPORTED


def trouble_is_said_while_pod_lives() -> bool:
    """Rule 4: no. Pod trouble: delete first, report after."""
    return False


def finished_pod_may_go(run: Run, finished_ms: int, now_ms: int, instance_start_ms: int, timings: Timings) -> bool:
    """Rule 5: a finished pod is kept for a while, and until its end was accepted or the log has ended its run; logged
    is not accepted. It also keeps the run's name taken until any create that may have been sent has ended (rule
    4)."""
    accepted = run.finished or run.told in (Told.STOP, Told.NOT_NAMED)
    certain_ms = certain_from_ms(run, instance_start_ms, timings)
    return accepted and now_ms >= max(finished_ms + timings.finished_keep_ms, certain_ms)


def must_be_marked(run: Run, pod: Pod, ending: Ending) -> bool:
    """Rule 4, "delete first, report after": what will be said of a troubled pod is written on it before it is deleted,
    so that it is known to whoever finds it (features.md X7). Not on one that ended by itself, and shows how."""
    in_trouble = ending.kind is EndKind.TROUBLE
    return in_trouble and not run.marked and pod.deletion_ms is None


def held_pod_may_go(run: Run, now_ms: int, instance_start_ms: int, timings: Timings) -> bool:
    """Rule 5: a pod that was marked stays until its end was accepted, or the log has ended its run; and, as every
    finished pod, until any create of that name that may have been sent has ended (rule 4)."""
    accepted = run.finished or run.told in (Told.STOP, Told.NOT_NAMED)
    return accepted and now_ms >= certain_from_ms(run, instance_start_ms, timings)


def may_force_delete(node: Node | None) -> bool:
    """Rule 4: never by force on a node that exists and is not ready: its containers may run on."""
    return node is None or node.ready


def may_be_forgotten(run: Run, pod: Pod | None) -> bool:
    """Rules 2 and 3: only a full answer past its position that does not name it lets a run be forgotten; before, a
    late lease would create it again. Asked for such runs only."""
    return pod is None and run.is_final and not run.creates_in_flight


def log_counts_room(run: Run | None, desired: Desired) -> bool:
    """Node usage: the room of a run that answers name is counted by the scheduler, all other room is foreign. Before
    the first full answer every pod of ours is taken to be named."""
    if run is None:
        return False
    return run.told is not Told.NOT_NAMED and (run.told is not Told.NOTHING or desired.full_cursor is None)


def must_end(run: Run, pod: Pod) -> bool:
    """Whether a living pod is to be deleted: there is positive evidence that its run ended, or its trouble was
    decided."""
    return run.ending is not None or run.finished or run.is_final


def ended_by_log(run: Run) -> bool:
    """The last word of a run that the log ended is GONE."""
    return run.ending is not None and run.ending.kind is not EndKind.TROUBLE
