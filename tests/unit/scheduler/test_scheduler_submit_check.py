"""Jobs that fit on no empty pool are rejected once that is certain, with the reason."""

from collections.abc import Mapping

import pytest

from app.domain.commands import BeginInstance, ReportState
from app.scheduler.pool_rules import pool_rules
from app.scheduler.round_input import PoolInput
from app.scheduler.submit_check import INCONSISTENT_TOLD_S, SubmitChecks, answers_of
from app.settings.scheduler import PoolSettings, SchedulerSettings, SubmitCheckSettings
from tests.unit.scheduler.partition import INSTANCE, begin, lease, leases, queues, report, run_id
from tests.unit.scheduler.world import SmallWorld, node, shape

GRACE_S = 10.0
ABSENT_MAX_S = 100.0
BIG, GPU = shape(9000), shape(1000, **{"nvidia.com/gpu": 2})  # type: ignore[arg-type]


class Checked:
    """A world that is asked once a second."""

    def __init__(self, *, enabled: bool = True, pools: Mapping[str, PoolSettings] | None = None) -> None:
        check = SubmitCheckSettings(enabled=enabled, grace_s=GRACE_S, absent_cluster_max_s=ABSENT_MAX_S)
        self.world = SmallWorld(
            settings=SchedulerSettings(submit_check=check, pools=pools or {"default": PoolSettings()})
        )
        self.world.step(0, queues("a", "b"), begin(1), BeginInstance(cluster="c0", instance=INSTANCE))
        for each in (BIG, GPU):
            self.world.add_shape(each)
        rules = pool_rules(self.world.settings)
        inputs = {pool: PoolInput(pool, of_pool, self.world.world) for pool, of_pool in rules.items()}
        self.checks = SubmitChecks(self.world.world, inputs, check)
        self.now_s = 0.0
        self.asked = 0

    def hear(self, *names: str, cpu: str = "4", cluster: str = "c0") -> None:
        self.world.nodes(cluster, *(node(name, cpu=cpu) for name in names), now_s=self.now_s)

    def go(self, seconds: float, silent: str = "") -> dict[bytes, tuple[str, str]]:
        """Lets time pass while the clusters but for `silent` are heard; returns job -> (code, reason) of what is due at
        the end."""
        found: dict[bytes, tuple[str, str]] = {}
        for _ in range(int(seconds)):
            self.now_s += 1
            for view in self.world.clusters.by_name.values():
                view.heard_s = view.heard_s if view.name == silent else self.now_s
            found = self.tick()
        return found

    def tick(self) -> dict[bytes, tuple[str, str]]:
        asked = self.checks.ask(self.now_s)
        if asked is not None:
            self.asked += len(asked.questions)
            self.checks.take(asked, answers_of(asked), self.now_s)
        due = self.checks.due(self.now_s, set())
        return {each.job_id: (each.reason_code, each.reason) for some in due.values() for each in some}


@pytest.fixture
def checked() -> Checked:
    return Checked()


def test_what_fits_nowhere_is_rejected_after_the_grace_with_its_reason(checked: Checked) -> None:
    checked.hear("n0", "n1")
    ids = checked.world.submit(0, "a", 3, shape=BIG)
    checked.world.submit(0, "a", 3)
    assert checked.go(GRACE_S) == {}
    found = checked.go(1)
    assert set(found) == set(ids)
    code, reason = found[ids[0]]
    assert code == "NoNodeFits"
    assert reason == (
        "pool default: it fits on no node even if the pool were empty "
        "(it needs 5 cpu more than the largest node has; 2 nodes: insufficient cpu)"
    )
    assert checked.asked == 2, "one question per queue and shape, asked once"


def test_a_full_pool_is_no_reason_to_reject(checked: Checked) -> None:
    checked.hear("n0")
    ids = checked.world.submit(0, "a", 9)
    checked.world.step(0, leases(1, *(lease(job, run_id(n + 1)) for n, job in enumerate(ids[:4]))))
    assert checked.go(3 * GRACE_S) == {}


def test_a_node_that_comes_in_time_saves_the_job(checked: Checked) -> None:
    checked.hear("n0")
    checked.world.submit(0, "a", 1, shape=BIG)
    assert checked.go(GRACE_S - 2) == {}
    checked.hear("n0", "n1", cpu="16")
    assert checked.go(3 * GRACE_S) == {}
    checked.hear("n0")
    assert checked.go(3 * GRACE_S) == {}, "what fitted once waits for its nodes to come back"


def test_a_node_that_changes_nothing_does_not_begin_the_grace_anew(checked: Checked) -> None:
    checked.hear("n0")
    (job,) = checked.world.submit(0, "a", 1, shape=BIG)
    assert checked.go(GRACE_S - 2) == {}
    checked.hear("n0", "n1")
    assert set(checked.go(3)) == {job}


def test_nothing_is_certain_while_a_known_cluster_is_silent_or_has_not_told_its_nodes(checked: Checked) -> None:
    world = checked.world
    world.submit(0, "a", 1, shape=BIG)
    assert checked.go(2 * GRACE_S) == {}, "c0 is known and was never heard"
    checked.hear("n0")
    assert checked.go(GRACE_S - 1) == {}
    checked.now_s += 100.0
    assert checked.tick() == {}, "silent: everything begins anew"
    assert checked.go(GRACE_S) == {}
    assert len(checked.go(2)) == 1
    world.step(0, BeginInstance(cluster="c1", instance=INSTANCE))
    assert checked.go(3 * GRACE_S) == {}


def test_a_cluster_that_never_comes_back_stops_rejection_for_a_while_only(checked: Checked) -> None:
    checked.world.step(0, BeginInstance(cluster="gone", instance=INSTANCE))
    checked.hear("n0")
    (job,) = checked.world.submit(0, "a", 1, shape=BIG)
    assert checked.go(ABSENT_MAX_S) == {}, "it may be the only one that could take it"
    assert checked.go(GRACE_S) == {}
    assert set(checked.go(2)) == {job}


def test_what_only_an_absent_cluster_takes_is_not_rejected_while_its_nodes_are_remembered(checked: Checked) -> None:
    checked.hear("n0")
    checked.hear("large", cpu="16", cluster="c1")
    checked.go(2)
    checked.world.submit(0, "a", 1, shape=BIG)
    (job,) = checked.world.submit(0, "a", 1, shape=GPU)
    assert checked.go(ABSENT_MAX_S, silent="c1") == {}
    assert set(checked.go(40 + 2 * GRACE_S, silent="c1")) == {job}


def test_no_time_counts_while_nobody_is_heard(checked: Checked) -> None:
    checked.hear("n0")
    checked.hear("n0", cluster="c1")
    checked.world.submit(0, "a", 1, shape=BIG)
    for _ in range(int(2 * ABSENT_MAX_S)):
        checked.now_s += 1
        assert checked.now_s < 40 or checked.tick() == {}
    assert checked.go(ABSENT_MAX_S, silent="c1") == {}
    assert len(checked.go(GRACE_S + 2, silent="c1")) == 1


def test_a_gang_is_judged_as_a_whole(checked: Checked) -> None:
    checked.hear("n0", "n1")
    fits = checked.world.submit(0, "a", 8, gang=("fits", 8))
    incomplete = checked.world.submit(0, "a", 8, gang=("incomplete", 9))
    too_big = checked.world.submit(0, "b", 9, gang=("big", 9))
    found = checked.go(GRACE_S + 1)
    assert set(found) == set(too_big), (fits, incomplete)
    assert found[too_big[0]][1].startswith("pool default: its gang of 9 does not fit even if the pool were empty")


def test_a_job_that_was_tried_on_every_node_is_rejected(checked: Checked) -> None:
    checked.hear("n0")
    (job,) = checked.world.submit(0, "a", 1)
    checked.world.step(0, leases(1, lease(job, run_id(1))), report(job, run_id(1), ReportState.RETURNED))
    found = checked.go(GRACE_S + 1)
    assert "1 node: avoided" in found[job][1]


def test_limits_of_the_queue_count_and_pools_are_tried_one_after_the_other() -> None:
    checked = Checked(pools={"default": PoolSettings(), "gpu": PoolSettings()})
    checked.hear("n0")
    checked.world.nodes("c1", node("g0", pool="gpu", cpu="16"))
    checked.world.submit(0, "a", 1, shape=BIG)
    (job,) = checked.world.submit(0, "a", 1, shape=GPU)
    elsewhere = shape(pools=("nowhere",))
    checked.world.add_shape(elsewhere)
    (lost,) = checked.world.submit(0, "a", 1, shape=elsewhere)
    found = checked.go(GRACE_S + 1)
    assert set(found) == {job, lost}
    assert found[job][1].startswith("pool default: ")
    assert "; pool gpu: " in found[job][1]
    assert found[lost] == ("NoPool", "none of the pools that it may use is known")


def test_shapes_and_queues_that_are_not_known_yet_are_asked_for_later(checked: Checked) -> None:
    checked.hear("n0")
    late = shape(10_000)
    (job,) = checked.world.submit(0, "a", 1, shape=late)
    assert checked.go(2 * GRACE_S) == {}
    checked.world.add_shape(late)
    assert set(checked.go(GRACE_S + 1)) == {job}


def test_a_gang_that_rounds_find_inconsistent_is_rejected_when_they_say_so_for_the_grace(checked: Checked) -> None:
    (job,) = checked.world.submit(0, "a", 1)
    checked.hear("n0")
    checked.checks.inconsistent([(job, 0, "members disagree")], 0.0)
    assert checked.checks.due(GRACE_S, set()) == {}
    checked.checks.inconsistent([(job, 0, "members disagree")], GRACE_S)
    ((rejection,),) = checked.checks.due(GRACE_S, set()).values()
    assert (rejection.reason_code, rejection.reason) == ("InconsistentGang", "members disagree")
    assert checked.checks.due(GRACE_S, {job}) == {}
    assert checked.checks.due(GRACE_S + INCONSISTENT_TOLD_S + 1, set()) == {}


def test_the_settings_may_switch_it_off() -> None:
    checked = Checked(enabled=False)
    checked.hear("n0")
    checked.world.submit(0, "a", 1, shape=BIG)
    assert checked.go(3 * GRACE_S) == {}
