"""The API is away for ten minutes, by a clock that the test moves: what runs is left alone, what ends is kept and told
in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from app.executor import report_buffer, session
from app.executor.fake_cluster.cluster import FakeCluster
from app.executor.fake_cluster.lives import check_journals, read_journal
from app.executor.loop import ExecutorLoop
from app.executor.protocol import ReportState, SyncAnswer, SyncRequest
from app.executor.sync_client import AgainError
from tests.unit.executor.builders import an_id
from tests.unit.executor.small_api import SmallApi
from tests.unit.executor.test_fake_cluster import Clock
from tests.unit.executor.test_loop import SPEC, options, spec

RUNS, ENDING = 60, 40
STEP_MS, OUTAGE_MS = 30_000, 600_000


class AwayApi(SmallApi):
    """away: requests find nobody; turned_away counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.turned_away = 0

    async def send(self, request: SyncRequest) -> SyncAnswer:
        if self.away:
            await asyncio.sleep(0.001)
            self.turned_away += 1
            raise AgainError("the API cannot be reached", after_s=0.0)
        return await super().send(request)


class Scene:
    """An executor over a fake cluster at a time of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.api = AwayApi()
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scene"]:
        cluster = FakeCluster(SPEC, self.directory, clock_ms=self.clock, rng=Random(1))
        loop = ExecutorLoop(options(self.directory), cluster, self.api, self.registry, wall_ms=self.clock)
        self.task = asyncio.create_task(loop.run())
        try:
            yield self
        finally:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def until(self, holds: Callable[[], bool], *, step_ms: int = 20) -> None:
        """Time goes on, `step_ms` at each look, until the condition holds."""
        async with asyncio.timeout(30.0):
            while not holds():
                assert self.task is not None
                assert not self.task.done(), self.task
                self.clock.now_ms += step_ms
                await asyncio.sleep(0.002)

    def figure(self, name: str) -> float:
        return self.registry.get_sample_value(name) or 0.0


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_in_ten_minutes_without_the_api_what_runs_is_left_alone_and_what_ends_is_kept_and_told_in_order(
    scene: Scene,
) -> None:
    api = scene.api
    for number in range(1, RUNS + 1):
        seconds = str(60 + 10 * number) if number <= ENDING else "7200"
        api.lease(number, node=f"node-{number % 4:04d}", pod_spec=spec("sleep", seconds))
    async with scene.running():
        running = ReportState.RUNNING
        await scene.until(lambda: all(run.words[-1:] == [running] for run in api.runs.values()))
        before = len(api.requests)
        api.away = True
        began_ms = scene.clock.now_ms
        while scene.clock.now_ms < began_ms + OUTAGE_MS:
            scene.clock.now_ms += STEP_MS
            looked = api.turned_away
            await scene.until(lambda looked=looked: api.turned_away > looked, step_ms=0)  # type: ignore[misc]
        await scene.until(lambda: scene.figure("argosy_executor_reports_kept") == ENDING)
        lives = read_journal(scene.directory, scene.clock.now_ms)
        assert len(lives) == RUNS
        assert [life.run_id for life in lives if life.deleted] == [], "nothing is removed before its end was accepted"
        assert len(api.requests) == before
        assert scene.figure("argosy_executor_lock_valid") == 1
        api.away = False
        await scene.until(lambda: api.states() == {"gone": ENDING, "reported": RUNS - ENDING})
    told = [report for request in api.requests[before:] for report in request.reports]
    ended = [report for report in told if report.state is ReportState.SUCCEEDED]
    assert [report.run_id for report in ended] == [an_id(number) for number in range(1, ENDING + 1)], "in their order"
    assert {run.words[-1] for run in list(api.runs.values())[ENDING:]} == {ReportState.RUNNING}
    assert check_journals([scene.directory]) == []


async def test_what_is_kept_while_the_api_is_away_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound only the latest report of each run stays, and that is enough."""
    monkeypatch.setattr(session, "ReportBuffer", lambda _reports_max: report_buffer.ReportBuffer(RUNS))
    api = scene.api
    async with scene.running():
        await scene.until(lambda: bool(api.nodes))
        for number in range(1, RUNS + 1):
            api.lease(number, node=f"node-{number % 4:04d}", pod_spec=spec("sleep", "60"))
        await scene.until(lambda: scene.figure("argosy_executor_runs") == RUNS)
        api.away = True
        kept: list[float] = []

        def all_ended() -> bool:
            kept.append(scene.figure("argosy_executor_reports_kept"))
            ended = "argosy_executor_reports_total"
            return scene.registry.get_sample_value(ended, {"state": "SUCCEEDED"}) == RUNS

        await scene.until(all_ended, step_ms=200)
        assert max(kept) <= 2 * RUNS
        assert kept[-1] >= RUNS
        api.away = False
        await scene.until(lambda: api.states() == {"gone": RUNS})
    assert {run.words[-1] for run in api.runs.values()} == {ReportState.SUCCEEDED}
