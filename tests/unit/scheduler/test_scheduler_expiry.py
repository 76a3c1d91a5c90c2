"""What the leader ends, and what it does not."""

import pytest

from app.domain.commands import BeginInstance, ExpireKind, ExpireRuns, ReportState, Settings
from app.domain.rows import SettingsRow
from app.log.codec import decode
from app.scheduler.expiry import Due, ExpiryRules, clusters_with_runs, due_expiries
from app.scheduler.settings_duty import settings_due
from app.scheduler.state import State
from tests.unit.scheduler.partition import FIRST_MS, INSTANCE, begin, lease, leases, queues, report, run_id
from tests.unit.scheduler.test_scheduler_silence import World as Voices
from tests.unit.scheduler.world import SmallWorld

RULES = ExpiryRules(silent_s=3600.0, unreported_s=900.0, age_max_s=28 * 86_400.0)
DAY_MS = 86_400_000


class Case:
    """Three jobs: one queued, one leased and never reported on c0, one running on c0."""

    def __init__(self) -> None:
        self.world = SmallWorld()
        self.voices = Voices()
        instances = tuple(BeginInstance(cluster=name, instance=INSTANCE) for name in ("c0", "c1"))
        self.world.step(0, queues("a"), begin(1), *instances)
        self.ids = self.world.submit(0, "a", 3)
        _, leased, running = self.ids
        self.world.step(0, leases(1, lease(leased, run_id(1)), lease(running, run_id(2))), now_s=self.voices.now_s)
        self.world.step(0, report(running, run_id(2), ReportState.RUNNING), now_s=self.voices.now_s)

    def due(self) -> list[Due]:
        found = due_expiries(self.world.state, self.voices.silence, self.world.assumptions, RULES, self.voices.now_s)
        return [each for some in found.values() for each in some]


@pytest.fixture
def case() -> Case:
    return Case()


def test_nothing_is_due_at_first(case: Case) -> None:
    case.voices.live(60, speaking=["c0", "c1"])
    assert case.due() == []


def test_runs_of_a_silent_cluster_expire_and_queued_jobs_do_not(case: Case) -> None:
    case.voices.live(10, speaking=["c0", "c1"])
    case.voices.live(3599, speaking=["c1"])
    assert case.due() == []
    case.voices.live(1, speaking=["c1"])
    assert {(each.expiry.kind, each.expiry.run_id) for each in case.due()} == {
        (ExpireKind.SILENT, run_id(1)),
        (ExpireKind.SILENT, run_id(2)),
    }
    assert {each.expiry.job_id for each in case.due()} == set(case.ids[1:])


def test_a_run_that_a_heard_cluster_never_reports_expires_alone(case: Case) -> None:
    case.voices.live(899, speaking=["c0", "c1"])
    assert case.due() == []
    case.voices.live(3, speaking=["c0", "c1"])
    assert [(each.expiry.kind, each.expiry.run_id, each.key) for each in case.due()] == [
        (ExpireKind.UNREPORTED, run_id(1), run_id(1))
    ]


def test_an_unreported_run_is_spared_while_its_cluster_was_not_heard_without_a_gap(case: Case) -> None:
    case.voices.live(800, speaking=["c0", "c1"])
    case.voices.live(60, speaking=["c1"])
    case.voices.live(800, speaking=["c0", "c1"])
    assert case.due() == []
    case.voices.live(102, speaking=["c0", "c1"])
    assert [each.expiry.run_id for each in case.due()] == [run_id(1)]


def test_old_jobs_end_by_log_time_whether_they_run_or_not(case: Case) -> None:
    case.world.step(0, queues("later"), log_time_ms=FIRST_MS + 28 * DAY_MS - 1)
    assert case.due() == []
    case.world.step(0, queues("latest"), log_time_ms=FIRST_MS + 28 * DAY_MS + 60_000)
    due = {each.expiry.job_id: each.expiry for each in case.due()}
    assert set(due) == set(case.ids)
    assert {expiry.kind for expiry in due.values()} == {ExpireKind.AGED}
    assert due[case.ids[0]].run_id is None
    assert due[case.ids[1]].run_id == run_id(1)


def test_what_is_on_its_way_is_not_due_again(case: Case) -> None:
    case.voices.live(1000, speaking=["c0", "c1"])
    (due,) = case.due()
    case.world.assumptions.end(0, [due.key], 0.0)
    assert case.due() == []


def test_the_expiry_is_accepted_by_the_queue_agent(case: Case) -> None:
    case.voices.live(1000, speaking=["c0", "c1"])
    command = ExpireRuns(epoch=1, expiries=tuple(each.expiry for each in case.due()))
    case.world.step(0, command)
    assert case.world.partitions[0].outcomes[0].refusals == ()
    assert case.due() == []


def test_clusters_with_runs_are_known_by_name_though_they_never_spoke(case: Case) -> None:
    assert clusters_with_runs(case.world.state) == {"c0"}


def row(version: int, max_attempts: int) -> SettingsRow:
    return SettingsRow(version=version, max_attempts=max_attempts, client_id_retention_ms=7 * DAY_MS)


def test_the_defaults_are_in_force_without_a_command() -> None:
    assert settings_due(State(2, decode), row(0, 4)) == {}


def test_another_content_gets_the_next_version_everywhere() -> None:
    assert settings_due(State(2, decode), row(0, 7)) == {0: row(1, 7), 1: row(1, 7)}


def test_a_partition_that_lags_gets_the_latest_version_again() -> None:
    world = SmallWorld(partitions=2)
    for partition in range(2):
        world.step(partition, begin(1))
    settings = Settings(epoch=1, version=3, max_attempts=7, client_id_retention_ms=7 * DAY_MS)
    world.step(0, settings)
    assert settings_due(world.state, row(0, 7)) == {1: row(3, 7)}
    world.step(1, settings)
    assert settings_due(world.state, row(0, 7)) == {}
    assert settings_due(world.state, row(0, 4)) == {0: row(4, 4), 1: row(4, 4)}
