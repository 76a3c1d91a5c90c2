"""A troubled pod is marked before it is deleted, and held until its last word was accepted (features.md X7)."""

from dataclasses import replace

from app.executor.actions import Mark
from app.executor.kubernetes import Changes, ContainerStatus, Pod, PodPhase
from app.executor.timings import DEFAULT_TIMINGS
from tests.unit.executor.builders import At, a_lease, a_pod, a_stop, an_id

ONE = an_id(1)


def troubled() -> Pod:
    waiting = ContainerStatus(name="main", reason="InvalidImageName", message="A B")
    return a_pod(1, PodPhase.PENDING, containers=(waiting,))


def in_trouble() -> tuple[At, Mark]:
    executor = At().later(DEFAULT_TIMINGS.last_words_ms).told(a_lease(1)).created(1).shows(troubled())
    (mark,) = executor.actions.marks
    assert executor.deletes == []
    return executor, mark


def marked(executor: At, *, done: bool = True) -> At:
    executor.session.mark_ended(ONE, done=done)
    return executor.later(0)


def held(pod: Pod, mark: Mark, **more: object) -> Pod:
    return replace(pod, mark=mark.text, held=True, **more)  # type: ignore[arg-type]


def test_it_is_marked_then_deleted_then_said_then_released() -> None:
    executor, mark = in_trouble()
    assert marked(executor).deletes == [(ONE, "END", 30)]
    gone = held(troubled(), mark, deletion_ms=executor.now_ms, released=True)
    assert executor.shows(gone).said == [(ONE, "FAILED", "ImageInvalid")]
    assert executor.actions.releases == [], "not before its end was accepted"
    assert [r.run_id for r in executor.told(offset=30, stops=(a_stop(1, "finished"),)).actions.releases] == [ONE]


def test_a_mark_that_could_not_be_written_is_written_again() -> None:
    executor, _ = in_trouble()
    assert [mark.run_id for mark in marked(executor, done=False).actions.marks] == [ONE]


def test_an_executor_that_finds_a_marked_pod_deletes_it_and_says_what_was_decided() -> None:
    _, mark = in_trouble()
    executor = At(held(troubled(), mark)).told(full=True, reported=(1,))
    assert executor.actions.marks == []
    assert executor.deletes == [(ONE, "END", 30)]
    gone = held(troubled(), mark, deletion_ms=executor.now_ms, released=True)
    executor.shows(gone).later(DEFAULT_TIMINGS.last_words_ms)
    assert executor.said == [(ONE, "FAILED", "ImageInvalid")]


def test_an_executor_that_finds_it_deleted_but_held_does_not_call_it_lost() -> None:
    _, mark = in_trouble()
    executor = At(held(troubled(), mark, deletion_ms=5, released=True)).told(full=True, reported=(1,))
    assert executor.later(DEFAULT_TIMINGS.last_words_ms).said == [(ONE, "FAILED", "ImageInvalid")]


def test_a_run_that_was_cancelled_meanwhile_is_gone_and_its_pod_released() -> None:
    executor, mark = in_trouble()
    marked(executor)
    executor.told(offset=30, stops=(a_stop(1),))
    executor.shows(held(troubled(), mark, deletion_ms=executor.now_ms, released=True))
    assert executor.said == [(ONE, "GONE", None)]
    assert [release.run_id for release in executor.later(0).actions.releases] in ([ONE], [])


def test_the_runs_of_a_node_that_is_gone_are_returned() -> None:
    executor = At().later(DEFAULT_TIMINGS.last_words_ms).told(a_lease(1)).created(1).shows(a_pod(1))
    executor.session.take_changes(Changes(removed_nodes=("n0",)), executor.now_ms)
    assert executor.later(DEFAULT_TIMINGS.node_lost_ms - 1).actions.marks == []
    executor.later(1)
    assert '"NodeLost"' in executor.actions.marks[0].text
    assert marked(executor).deletes == [(ONE, "END", 30)]
    executor.delete_sent(1)
    executor.later(30_000 + DEFAULT_TIMINGS.force_delete_ms)
    assert executor.deletes == [(ONE, "FORCE", 0)]
    assert executor.deleted(a_pod(1)).said == [(ONE, "RETURNED", "NodeLost")]
