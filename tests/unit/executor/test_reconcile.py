"""The rules of executor-api.md, one by one, on a session with a clock of its own."""

from typing import Any

import pytest

from app.executor.answers import LogChangedError
from app.executor.cursor import ORDINAL_MAX, Cursor
from app.executor.kubernetes import (
    ContainerStatus,
    PodPhase,
    RefusalKind,
    Refused,
    Unknown,
)
from app.executor.protocol import SyncAnswer
from app.executor.timings import DEFAULT_TIMINGS
from tests.unit.executor.builders import START_MS, At, a_lease, a_pod, a_stop, an_id

ONE, TWO = an_id(1), an_id(2)
LAST_WORDS_MS = DEFAULT_TIMINGS.last_words_ms


def running(number: int = 1) -> At:
    """A run that was leased, created and reported RUNNING, well after the start."""
    return At().later(LAST_WORDS_MS).told(a_lease(number)).created(number).shows(a_pod(number))


class TestCreating:
    def test_a_lease_is_created(self) -> None:
        assert At().told(a_lease(1)).creates == [ONE]

    def test_a_lease_told_again_is_not_created_again(self) -> None:
        executor = At().told(a_lease(1))
        assert executor.told(a_lease(1), offset=21).creates == []
        assert executor.created(1).told(a_lease(1), offset=22).creates == []

    def test_nothing_is_created_without_the_lock(self) -> None:
        executor = At()
        executor.lock_valid = False
        assert executor.told(a_lease(1)).creates == []
        executor.lock_valid = True
        assert executor.later(1_000).creates == [ONE]

    def test_a_create_with_unknown_outcome_is_sent_again_under_the_same_name(self) -> None:
        executor = At().told(a_lease(1)).created(1, Unknown("timed out"))
        assert executor.creates == []
        assert executor.later(1_000).creates == [ONE]

    def test_no_create_is_repeated_once_the_pod_was_seen(self) -> None:
        executor = At().told(a_lease(1)).created(1, Unknown("timed out")).shows(a_pod(1))
        assert executor.later(60_000).creates == []

    def test_a_create_that_was_decided_does_not_stand_after_a_stop(self) -> None:
        executor = At().told(a_lease(1))
        create = executor.actions.creates[0]
        assert executor.session.create_stands(create, lock_valid=True)
        assert not executor.session.create_stands(create, lock_valid=False)
        executor.told(offset=30, stops=(a_stop(1),))
        assert not executor.session.create_stands(create, lock_valid=True)

    def test_a_run_whose_pod_vanished_fails_and_is_not_created_again(self) -> None:
        executor = running().deleted(a_pod(1))
        assert executor.said == [(ONE, "FAILED", "DeletedExternally")]
        assert executor.told(a_lease(1), offset=30).creates == []

    def test_a_created_pod_that_never_shows_is_read_by_name_and_lost(self) -> None:
        executor = At().later(LAST_WORDS_MS).told(a_lease(1)).created(1)
        assert executor.later(59_000).reads == []
        assert executor.later(1_000).reads == [ONE]
        assert executor.read(1, found=False).said == [(ONE, "FAILED", "PodLost")]

    @pytest.mark.parametrize(
        ("kind", "want_state", "want_reason"),
        [
            (RefusalKind.INVALID, "FAILED", "SpecInvalid"),
            (RefusalKind.FORBIDDEN, "FAILED", "CreateForbidden"),
            (RefusalKind.NAMESPACE_MISSING, "RETURNED", "NamespaceMissing"),
            (RefusalKind.NAME_TAKEN, "RETURNED", "NameTaken"),
            (RefusalKind.OTHER, "RETURNED", "CreateRefused"),
        ],
    )
    def test_a_refused_create_ends_the_run_once_no_pod_can_be(
        self, kind: RefusalKind, want_state: str, want_reason: str
    ) -> None:
        executor = At().later(LAST_WORDS_MS).told(a_lease(1)).created(1, Refused(kind, "no"))
        assert executor.reads == [ONE]
        assert executor.said == []
        assert executor.read(1, found=False).said == [(ONE, want_state, want_reason)]
        assert executor.reports == [] or executor.reports[0].attempted


class TestDisplacedRuns:
    """Rule 2."""

    def test_a_lease_waits_until_the_displaced_run_has_said_its_last_word(self) -> None:
        executor = running(1).told(a_lease(2, offset=21, displaces=((1, 10),)), offset=21)
        assert executor.creates == []
        executor.told(offset=22, stops=(a_stop(1, "preempted"),))
        assert executor.deletes == [(ONE, "END", 30)]
        assert executor.creates == []
        executor.deleted(a_pod(1))
        assert executor.said == [(ONE, "GONE", None)]
        assert executor.later(1).creates == [TWO]

    def test_a_lease_waits_for_a_displaced_run_of_which_nothing_was_told(self) -> None:
        lease = a_lease(2, offset=21, displaces=((1, 30),))
        executor = At().told(lease, offset=21)
        assert executor.creates == []
        assert executor.session.desired.needs_full
        assert executor.told(lease, offset=29, full=True).creates == []
        assert executor.told(offset=30).creates == []
        assert executor.told(lease, offset=31, full=True).creates == [TWO]

    def test_a_displaced_run_that_a_full_answer_names_is_not_gone(self) -> None:
        executor = At().told(a_lease(2, offset=21, displaces=((1, 10),)), offset=21)
        assert (
            executor.told(a_lease(2, offset=21, displaces=((1, 10),)), offset=25, full=True, reported=(1,)).creates
            == []
        )


class TestAnswers:
    """Rules 2 and 3."""

    def test_an_answer_that_is_behind_is_dropped(self) -> None:
        executor = At().told(offset=20)
        assert executor.told(a_lease(1), offset=19).creates == []
        assert executor.taken.dropped
        assert executor.session.desired.answers_dropped == 1

    def test_an_answer_without_known_leases_tells_nothing(self) -> None:
        executor = running()
        executor.told(a_lease(2), offset=40, stops=(a_stop(1),), full=True, known=False)
        assert (executor.creates, executor.deletes, executor.said) == ([], [], [])

    def test_an_answer_from_another_log_ends_the_instance(self) -> None:
        executor = At().told(offset=20)
        request = executor.session.leases_request(executor.now_ms, 0)
        with pytest.raises(LogChangedError, match="other"):
            executor.session.take_answer(
                request, SyncAnswer(sequence=request.sequence, lease_cursor=Cursor("other", {})), executor.now_ms
            )

    def test_a_reported_run_without_a_pod_is_lost_and_never_created(self) -> None:
        executor = At().told(full=True, reported=(1,))
        assert (executor.creates, executor.reads, executor.said) == ([], [], [])
        assert executor.later(LAST_WORDS_MS).reads == [ONE]
        assert executor.read(1, found=False).said == [(ONE, "FAILED", "PodLost")]
        assert executor.reports[0].job_id == ONE

    def test_a_lost_run_that_a_read_finds_is_left_alone(self) -> None:
        executor = At().told(full=True, reported=(1,)).later(LAST_WORDS_MS).read(1, found=True)
        assert (executor.said, executor.reads) == ([], [])
        assert executor.later(DEFAULT_TIMINGS.read_retry_ms).reads == [ONE]
        assert executor.shows(a_pod(1)).said == [(ONE, "RUNNING", None)]

    def test_what_a_full_answer_does_not_name_is_ended_only_when_the_view_has_passed_it(self) -> None:
        executor = running()
        assert executor.told(offset=20, full=True).deletes == [(ONE, "END", 30)]

    def test_a_pod_beyond_the_view_is_left_alone_and_asked_about_again(self) -> None:
        executor = At(a_pod(1, offset=50)).told(offset=20, full=True)
        assert (executor.deletes, executor.said) == ([], [(ONE, "RUNNING", None)])
        assert executor.session.desired.needs_full
        assert executor.told(offset=50, full=True).deletes == [(ONE, "END", 30)]

    def test_a_view_whose_log_begins_after_the_lease_ends_nothing(self) -> None:
        executor = At(a_pod(1, offset=10)).told(offset=20, full=True, log_begins={"0": 15})
        assert executor.deletes == []

    def test_an_ordinary_answer_that_does_not_name_a_run_ends_nothing(self) -> None:
        assert running().told(offset=30).deletes == []

    @pytest.mark.parametrize("foreign", [{"log": "other"}, {"cluster": "c1"}])
    def test_a_foreign_pod_is_never_touched(self, foreign: dict[str, Any]) -> None:
        executor = At(a_pod(1, **foreign)).told(offset=20, full=True, stops=(a_stop(1),))
        assert (executor.deletes, executor.said) == ([], [])

    def test_a_run_is_forgotten_only_when_a_full_answer_has_passed_it(self) -> None:
        executor = running().deleted(a_pod(1))
        executor.told(offset=30)
        assert ONE in executor.session.desired.runs
        executor.told(offset=31, full=True, reported=(1,))
        assert ONE in executor.session.desired.runs
        executor.told(offset=32, full=True)
        assert ONE not in executor.session.desired.runs

    def test_pods_found_before_the_log_is_known_are_sorted_when_it_is(self) -> None:
        executor = At(a_pod(1), a_pod(2, log="other"))
        assert executor.said == []
        assert executor.told(offset=20, known=False).said == [(ONE, "RUNNING", None)]


class TestLastWords:
    """Rule 4."""

    def test_a_stop_of_a_running_pod_deletes_first_and_says_gone_after(self) -> None:
        executor = running().told(offset=30, stops=(a_stop(1),))
        assert (executor.deletes, executor.said) == ([(ONE, "END", 30)], [])
        assert executor.delete_sent(1).shows(a_pod(1, deletion_ms=executor.now_ms)).deletes == []
        assert executor.deleted(a_pod(1)).said == [(ONE, "GONE", None)]

    def test_a_stop_of_an_unknown_run_is_answered_after_a_read_by_name(self) -> None:
        executor = At().told(offset=30, stops=(a_stop(1),))
        assert (executor.reads, executor.said) == ([], [])
        assert executor.later(LAST_WORDS_MS - 1).reads == []
        assert executor.later(1).reads == [ONE]
        assert executor.read(1, found=False).said == [(ONE, "GONE", None)]

    def test_a_deletion_seen_in_the_first_half_minute_is_not_enough(self) -> None:
        executor = At(a_pod(1)).told(offset=30, stops=(a_stop(1),)).deleted(a_pod(1))
        assert executor.said == []
        assert executor.later(LAST_WORDS_MS).reads == [ONE]
        assert executor.read(1, found=False).said == [(ONE, "GONE", None)]

    def test_after_a_create_with_unknown_outcome_a_seen_deletion_is_not_enough(self) -> None:
        executor = At().later(LAST_WORDS_MS).told(a_lease(1)).created(1, Unknown("timed out"))
        executor.shows(a_pod(1)).told(offset=30, stops=(a_stop(1),)).later(LAST_WORDS_MS).deleted(a_pod(1))
        assert (executor.reads, executor.said) == ([ONE], [])
        assert executor.read(1, found=False).said == [(ONE, "GONE", None)]

    def test_a_stop_during_a_create_waits_for_its_outcome(self) -> None:
        executor = At().later(LAST_WORDS_MS).told(a_lease(1)).told(offset=30, stops=(a_stop(1),))
        assert (executor.reads, executor.said) == ([], [])
        executor.created(1, Unknown("timed out"))
        assert executor.later(LAST_WORDS_MS - 1).reads == []
        assert executor.later(1).reads == [ONE]

    def test_a_read_that_fails_is_repeated(self) -> None:
        executor = At().later(LAST_WORDS_MS).told(offset=30, stops=(a_stop(1),)).read(1, found=None)
        assert executor.said == []
        assert executor.later(DEFAULT_TIMINGS.read_retry_ms).reads == [ONE]

    def test_a_stop_told_again_after_the_last_word_is_answered_again(self) -> None:
        executor = running().deleted(a_pod(1))
        assert executor.told(offset=30, stops=(a_stop(1),)).said == [(ONE, "GONE", None)]
        assert executor.later(1_000).said == []

    def test_a_finished_pod_is_a_last_word_at_once(self) -> None:
        assert At(a_pod(1, PodPhase.SUCCEEDED)).told(offset=20).said == [(ONE, "SUCCEEDED", None)]
        assert running().shows(a_pod(1, PodPhase.FAILED)).said == [(ONE, "FAILED", "ExitCode")]

    def test_a_pod_that_finishes_while_it_is_deleted_is_a_last_word_only_when_no_create_can_follow(self) -> None:
        executor = At(a_pod(1)).told(offset=30, stops=(a_stop(1),))
        executor.shows(a_pod(1, PodPhase.FAILED, deletion_ms=executor.now_ms))
        assert executor.said == []
        assert executor.later(LAST_WORDS_MS).said == [(ONE, "GONE", None)]

    def test_a_pod_refused_at_admission_returns_the_lease_unattempted(self) -> None:
        pod = a_pod(1, PodPhase.FAILED, reason="OutOfcpu", containers=(ContainerStatus(name="main"),))
        executor = running().shows(pod)
        assert executor.said == [(ONE, "RETURNED", "AdmissionRefused")]
        assert not executor.reports[0].attempted

    def test_pod_trouble_is_deleted_first_and_reported_after(self) -> None:
        waiting = ContainerStatus(name="main", reason="ImagePullBackOff", message="manifest unknown")
        executor = At().later(LAST_WORDS_MS).told(a_lease(1)).created(1)
        pod = a_pod(1, PodPhase.PENDING, created_ms=executor.now_ms, containers=(waiting,))
        assert executor.shows(pod).said == [(ONE, "PENDING", None)]
        assert executor.later(DEFAULT_TIMINGS.image_not_found_ms - 1).deletes == []
        assert [mark.run_id for mark in executor.later(1).actions.marks] == [ONE]
        executor.session.mark_ended(ONE, done=True)
        assert executor.later(0).deletes == [(ONE, "END", 30)]
        assert executor.said == []
        assert executor.deleted(pod).said == [(ONE, "FAILED", "ImageNotFound")]

    def test_a_pod_that_does_not_go_is_deleted_by_force_when_its_time_is_over(self) -> None:
        executor = running().told(offset=30, stops=(a_stop(1),)).delete_sent(1)
        executor.shows(a_pod(1, deletion_ms=executor.now_ms))
        assert executor.later(59_000).deletes == []
        assert executor.later(1_000).deletes == [(ONE, "FORCE", 0)]

    def test_a_pod_that_ended_and_was_removed_at_once_is_reported_as_it_ended(self) -> None:
        assert running().deleted(a_pod(1, PodPhase.SUCCEEDED)).said == [(ONE, "SUCCEEDED", None)]
        assert running().deleted(a_pod(1, PodPhase.FAILED)).said == [(ONE, "FAILED", "ExitCode")]

    def test_a_delete_that_got_lost_is_sent_again(self) -> None:
        executor = running().told(offset=30, stops=(a_stop(1),)).delete_sent(1)
        assert executor.later(DEFAULT_TIMINGS.delete_retry_ms).deletes == [(ONE, "END", 30)]

    def test_nothing_is_forced_on_a_node_that_is_not_ready(self) -> None:
        executor = At(ready_node=False).told(a_lease(1)).created(1).shows(a_pod(1))
        executor.told(offset=30, stops=(a_stop(1),)).delete_sent(1).shows(a_pod(1, deletion_ms=START_MS))
        assert executor.later(3_600_000).deletes == []

    def test_nothing_is_deleted_without_the_lock(self) -> None:
        executor = running()
        executor.lock_valid = False
        assert executor.told(offset=30, stops=(a_stop(1),)).deletes == []
        assert not executor.session.delete_stands(lock_valid=False)


class TestReports:
    """Rule 5."""

    def test_each_level_is_reported_once(self) -> None:
        executor = At().told(a_lease(1)).created(1)
        assert executor.shows(a_pod(1, PodPhase.PENDING)).said == [(ONE, "PENDING", None)]
        assert executor.shows(a_pod(1, PodPhase.PENDING)).said == []
        assert executor.shows(a_pod(1)).said == [(ONE, "RUNNING", None)]
        assert executor.shows(a_pod(1, PodPhase.PENDING)).said == []

    def test_a_finished_pod_is_kept_for_three_minutes_and_until_its_end_was_accepted(self) -> None:
        finished_ms = 2_000_000
        executor = running().shows(a_pod(1, PodPhase.SUCCEEDED)).told(offset=30)
        executor.now_ms = finished_ms + 10 * DEFAULT_TIMINGS.finished_keep_ms
        assert executor.later(1).deletes == []
        assert executor.told(offset=40, stops=(a_stop(1, "finished"),)).deletes == [(ONE, "TRIM", 30)]

        executor = running().shows(a_pod(1, PodPhase.SUCCEEDED))
        executor.now_ms = finished_ms
        assert executor.told(offset=40, stops=(a_stop(1, "finished"),)).deletes == []
        assert executor.later(DEFAULT_TIMINGS.finished_keep_ms).deletes == [(ONE, "TRIM", 30)]
        assert executor.deleted(a_pod(1, PodPhase.SUCCEEDED)).said == []

    def test_a_finished_pod_may_go_when_a_view_past_it_does_not_know_its_run(self) -> None:
        executor = running().shows(a_pod(1, PodPhase.SUCCEEDED))
        executor.now_ms = 3_000_000
        assert executor.told(offset=40, full=True).deletes == [(ONE, "TRIM", 30)]

    def test_everything_held_is_said_in_runs_last_words_too(self) -> None:
        executor = running(1).told(a_lease(2, offset=25), offset=25).deleted(a_pod(1))
        executor.now_ms += 3_600_000
        request = executor.session.reports_request(executor.now_ms)
        assert request.runs is not None
        assert [(run.run_id, run.state.value) for run in request.runs] == [(ONE, "FAILED")]

    def test_a_request_names_what_was_taken(self) -> None:
        executor = At().told(offset=20)
        assert executor.session.leases_request(executor.now_ms, 0).lease_cursor == Cursor(
            "installation.events", {0: (20, ORDINAL_MAX)}
        )
