"""What the cluster said enters `Desired` and `Actual`: changes of pods and nodes, outcomes of creates and of reads by
name."""

from app.executor import rules
from app.executor.actual import Actual
from app.executor.desired import Desired, Ending, EndKind, Run
from app.executor.kubernetes import Changes, Created, CreateOutcome, Pod, Refused, Unknown
from app.executor.marks import word_of_mark
from app.executor.timings import Timings
from app.executor.trouble import word_of_terminal


def take_changes(desired: Desired, actual: Actual, changes: Changes, now_ms: int) -> set[str]:
    """Enters what differs in the cluster. Output: the runs that are to be looked at."""
    actual.take_nodes(changes.nodes, changes.removed_nodes, now_ms)
    standing = (pod for name in changes.removed_nodes for pod in actual.by_node.get(name, {}).values())
    touched = {pod.run.run_id for pod in standing if pod.run is not None}
    touched |= {run_id for pod in changes.pods if (run_id := _pod_seen(desired, actual, pod)) is not None}
    return touched | {
        run_id for pod in changes.deleted if (run_id := _pod_deleted(desired, actual, pod, now_ms)) is not None
    }


def sort_pods(desired: Desired, actual: Actual) -> set[str]:
    """The log has become known: pods seen before are told apart. Output: the runs taken up."""
    pods, actual.unsorted = actual.unsorted, {}
    return {run_id for pod in pods.values() if (run_id := _pod_seen(desired, actual, pod)) is not None}


def take_create_outcome(
    desired: Desired, run_id: str, outcome: CreateOutcome | None, now_ms: int, timings: Timings
) -> None:
    """A create has ended (for us); None: it was certainly not sent.

    One whose outcome is unknown may still take effect until its time limit has passed (rule 4)."""
    run = desired.runs.get(run_id)
    if run is None:
        return
    run.creates_in_flight -= 1
    if isinstance(outcome, Created):
        run.created_ms = now_ms
    elif isinstance(outcome, Refused):
        run.refused = outcome
    else:
        run.next_create_ms = now_ms + timings.create_retry_ms
        if isinstance(outcome, Unknown):
            run.uncertain_ms = now_ms


def take_read(
    desired: Desired, run_id: str, *, found: bool | None, began_ms: int, now_ms: int, timings: Timings
) -> None:
    """A read by name has ended: found says whether there was a pod, None that the read failed. What counts is when it
    began.

    A pod that was found is not entered: the watch will show it, and knows better whether it still is there."""
    run = desired.runs.get(run_id)
    if run is None:
        return
    run.reading = False
    if found is False:
        run.absent_ms = began_ms
    else:
        run.next_read_ms = now_ms + timings.read_retry_ms


def take_marked(desired: Desired, run_id: str, *, done: bool) -> None:
    """A call to mark or release a pod has ended. done: it was carried out, or never can be."""
    run = desired.runs.get(run_id)
    if run is not None:
        run.marking = False
        run.marked = run.marked or done


def take_deleted(desired: Desired, run_id: str) -> None:
    """A call to delete has ended, with whatever result: the watch tells what came of it."""
    run = desired.runs.get(run_id)
    if run is not None:
        run.deleting = False


def _pod_seen(desired: Desired, actual: Actual, pod: Pod) -> str | None:
    actual.place(pod)
    if pod.run is None:
        return None
    if desired.log is None:
        actual.unsorted[pod.uid] = pod
        return None
    if not rules.pod_is_ours(pod.run, desired.log, desired.cluster):
        return None
    run = desired.run_of_pod(pod.run)
    run.seen = True
    run.deleted_ms = run.absent_ms = None
    _remember_end(run, pod)
    _heed_mark(run, pod)
    actual.pods[run.run_id] = pod
    return run.run_id


def _pod_deleted(desired: Desired, actual: Actual, pod: Pod, now_ms: int) -> str | None:
    actual.displace(pod)
    actual.unsorted.pop(pod.uid, None)
    if pod.run is None or desired.log is None or not rules.pod_is_ours(pod.run, desired.log, desired.cluster):
        return None
    run = desired.run_of_pod(pod.run)
    known = actual.pods.get(run.run_id)
    if known is not None and known.uid != pod.uid:
        return None
    actual.pods.pop(run.run_id, None)
    run.seen = True
    run.deleted_ms = now_ms
    _remember_end(run, pod)
    return run.run_id


def _heed_mark(run: Run, pod: Pod) -> None:
    """An executor before us decided that this run is to end, and said with which word."""
    if pod.mark is None or run.ending is not None or run.is_final:
        return
    word = word_of_mark(pod.mark)
    if word is not None:
        run.ending = Ending(kind=EndKind.TROUBLE, word=word)
        run.marked = True


def _remember_end(run: Run, pod: Pod) -> None:
    """How a pod ended may be shown only with its removal, or before it may be said for certain."""
    if pod.is_terminal:
        run.outcome = word_of_terminal(pod, deleted_by_us=run.delete_first_ms is not None)
