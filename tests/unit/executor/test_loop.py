"""The whole process over a fake cluster and a small API: jobs run to their end, through restarts, faults and
refusals."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from time import time_ns

import pytest
from msgspec import Raw
from prometheus_client import CollectorRegistry, generate_latest

from app.executor.exits import ExecutorExit, ExitCode
from app.executor.fake_cluster.cluster import FakeCluster
from app.executor.fake_cluster.faults import FakeFaults
from app.executor.fake_cluster.lives import check_journals, read_journal
from app.executor.fake_cluster.spec import FakeClusterSpec, NodeGroup
from app.executor.lanes import LaneTimings
from app.executor.lock import LockTimings
from app.executor.loop import ExecutorLoop, run
from app.executor.options import ExecutorOptions, FakeClusterOptions
from app.executor.protocol import ReportState
from app.executor.sync_client import AgainError, ReplacedError, RequestRefusedError, TokenRefusedError, TooLargeError
from app.executor.timings import Timings
from tests.unit.executor.builders import CLUSTER, an_id
from tests.unit.executor.small_api import SmallApi

SPEC = FakeClusterSpec(groups=(NodeGroup(count=4, cpu="100"),), start_delay_ms=10, stop_delay_ms=10)
TIMINGS = Timings(
    create_timeout_ms=50,
    create_retry_ms=20,
    last_words_ms=100,
    read_retry_ms=20,
    finished_keep_ms=100,
    full_every_ms=1_000,
    full_retry_ms=50,
)
LANES = LaneTimings(
    reports_every_ms=5, heartbeat_every_ms=200, lease_wait_ms=100, retry_ms=10, retry_max_ms=50, token_retry_ms=10
)
LOCK = LockTimings(duration_ms=400, renew_every_ms=50, margin_ms=100, wait_ms=300)
NODE = "node-0000"


def options(directory: Path) -> ExecutorOptions:
    return ExecutorOptions(
        api_url="http://127.0.0.1:1",
        cluster=CLUSTER,
        token="secret-token",
        fake=FakeClusterOptions(spec=SPEC, journal_dir=directory),
        timings=TIMINGS,
        lane_timings=LANES,
        lock_timings=LOCK,
    )


def spec(*words: str) -> Raw:
    return Raw(json.dumps({"containers": [{"name": "main", "image": "busybox", "command": words}]}).encode())


class Process:
    """A running executor. `failure` is what it left with."""

    def __init__(self, loop: ExecutorLoop, registry: CollectorRegistry) -> None:
        self.loop = loop
        self.registry = registry
        self.failure: ExecutorExit | None = None

    async def until(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Waits for a condition; looks again and again."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                await asyncio.sleep(0.005)

    async def left_with(self) -> ExecutorExit:
        await self.until(lambda: self.failure is not None)
        assert self.failure is not None
        return self.failure


@asynccontextmanager
async def executor(directory: Path, api: SmallApi, faults: FakeFaults | None = None) -> AsyncIterator[Process]:
    cluster = FakeCluster(
        SPEC, directory, clock_ms=lambda: time_ns() // 1_000_000, rng=Random(7), faults=faults or FakeFaults()
    )
    registry = CollectorRegistry()
    process = Process(ExecutorLoop(options(directory), cluster, api, registry), registry)

    async def work() -> None:
        try:
            await process.loop.run()
        except ExecutorExit as leaving:
            process.failure = leaving

    task = asyncio.create_task(work())
    try:
        yield process
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def test_jobs_run_to_the_end_that_their_commands_prescribe(tmp_path: Path) -> None:
    api = SmallApi()
    for number in range(1, 21):
        api.lease(number, node=f"node-{number % 4:04d}", pod_spec=spec("sh", "-c", f"sleep 0.05; exit {number % 3}"))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: api.states() == {"gone": 20})
        for number in range(1, 21):
            words = api.runs[an_id(number)].words
            assert words[-1] is (ReportState.FAILED if number % 3 else ReportState.SUCCEEDED)
        assert api.nodes == {f"node-{index:04d}" for index in range(4)}
        assert process.loop.not_ready() == []
        metrics = generate_latest(process.registry).decode()
        assert 'argosy_executor_creates_total{outcome="created"} 20.0' in metrics
    assert check_journals([tmp_path]) == []


async def test_finished_pods_are_trimmed_when_their_end_was_accepted(tmp_path: Path) -> None:
    api = SmallApi()
    api.lease(1, node=NODE, pod_spec=spec("true"))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: api.states() == {"gone": 1})
        await process.until(lambda: all(life.deleted for life in read_journal(tmp_path)))
    [life] = read_journal(tmp_path)
    assert life.deleted - life.finished >= TIMINGS.finished_keep_ms


async def test_a_stopped_run_is_deleted_and_gone(tmp_path: Path) -> None:
    api = SmallApi()
    api.lease(1, node=NODE, pod_spec=spec("sleep", "600"))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: api.states() == {"reported": 1})
        await process.until(lambda: ReportState.RUNNING in api.runs[an_id(1)].words)
        api.stop(an_id(1))
        await process.until(lambda: api.states() == {"gone": 1})
        assert api.runs[an_id(1)].words[-1] is ReportState.GONE
    [life] = read_journal(tmp_path)
    assert life.deleted


async def test_pods_outlive_their_executor_and_are_taken_up_by_the_next(tmp_path: Path) -> None:
    api = SmallApi()
    api.lease(1, node=NODE, pod_spec=spec("sleep", "0.3"))
    api.lease(2, node=NODE, pod_spec=spec("sleep", "600"))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: len(read_journal(tmp_path)) == 2)
    api.stop(an_id(2))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: api.states() == {"gone": 2})
    assert api.runs[an_id(1)].words[-1] is ReportState.SUCCEEDED
    assert api.runs[an_id(2)].words[-1] is ReportState.GONE
    assert len(read_journal(tmp_path)) == 2


async def test_every_job_runs_once_though_creates_and_answers_are_lost(tmp_path: Path) -> None:
    api = SmallApi()
    api.errors = [
        AgainError("lost"),
        AgainError("lost"),
        TooLargeError("big"),
        RequestRefusedError((("nodes", "odd"),)),
    ]
    for number in range(1, 31):
        api.lease(number, node=f"node-{number % 4:04d}", pod_spec=spec("sleep", "0.02"))
    faults = FakeFaults(lost=0.2, silent=0.2, late=0.2, late_ms_max=40)
    async with executor(tmp_path, api, faults) as process:
        for _ in range(3):
            await asyncio.sleep(0.1)
            api.errors.append(AgainError("lost"))
        await process.until(lambda: api.states() == {"gone": 30})
    assert {run.words[-1] for run in api.runs.values()} == {ReportState.SUCCEEDED}
    assert check_journals([tmp_path]) == []


async def test_a_lost_pod_fails_its_run(tmp_path: Path) -> None:
    api = SmallApi()
    api.lease(1)
    api.runs[an_id(1)].state = "reported"
    async with executor(tmp_path, api) as process:
        await process.until(lambda: api.states() == {"gone": 1})
    assert api.runs[an_id(1)].words == [ReportState.FAILED]


async def test_nothing_is_started_or_stopped_while_leases_are_unknown(tmp_path: Path) -> None:
    api = SmallApi()
    api.known = False
    api.lease(1, node=NODE, pod_spec=spec("true"))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: len(api.requests) > 5)
        assert read_journal(tmp_path) == []
        api.known = True
        await process.until(lambda: api.states() == {"gone": 1})


async def test_a_replaced_executor_leaves_and_says_why(tmp_path: Path) -> None:
    api = SmallApi()
    api.errors = [ReplacedError("another instance")]
    async with executor(tmp_path, api) as process:
        leaving = await process.left_with()
    assert leaving.code is ExitCode.REPLACED
    assert "replaced" in str(leaving)


async def test_a_refused_token_is_said_once_and_is_not_ready(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = SmallApi()
    api.errors = [TokenRefusedError("unknown token") for _ in range(1_000)]
    async with executor(tmp_path, api) as process:
        await process.until(lambda: len(api.errors) < 980)
        assert "unknown token" in process.loop.not_ready()[0]
    lines = [record.getMessage() for record in caplog.records if "unknown token" in record.getMessage()]
    assert len(lines) == 1
    assert "secret-token" not in caplog.text


async def test_a_report_that_the_api_does_not_understand_is_dropped_and_the_others_go_on(tmp_path: Path) -> None:
    api = SmallApi()
    api.lease(1, node=NODE, pod_spec=spec("sleep", "0.1"))
    send = api.send

    async def refusing(request: object) -> object:
        for index, report in enumerate(request.reports):  # type: ignore[attr-defined]
            if report.state is ReportState.PENDING:
                raise RequestRefusedError(((f"reports[{index}].state", "odd"),))
        return await send(request)  # type: ignore[arg-type]

    api.send = refusing  # type: ignore[method-assign,assignment]
    async with executor(tmp_path, api) as process:
        await process.until(lambda: api.states() == {"gone": 1})
    assert api.runs[an_id(1)].words == [ReportState.RUNNING, ReportState.SUCCEEDED]


async def test_another_log_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api = SmallApi()
    async with executor(tmp_path, api) as process:
        await process.until(lambda: process.loop.not_ready() == [])
        monkeypatch.setattr("tests.unit.executor.small_api.LOG", "a new installation")
        leaving = await process.left_with()
    assert leaving.code is ExitCode.LOG_CHANGED


async def test_a_journal_in_use_is_one_clear_line(tmp_path: Path) -> None:
    async with executor(tmp_path, SmallApi()) as first:
        await first.until(lambda: first.loop.not_ready() == [])
        async with executor(tmp_path, SmallApi()) as second:
            leaving = await second.left_with()
    assert leaving.code is ExitCode.CLUSTER
    assert "in use" in str(leaving)


async def test_health_and_metrics_are_served_on_loopback(tmp_path: Path, unused_tcp_port: int) -> None:
    given = options(tmp_path)
    given = ExecutorOptions(
        api_url=given.api_url, cluster=CLUSTER, token="t", fake=given.fake, health_port=unused_tcp_port
    )
    task = asyncio.create_task(run(given))

    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{unused_tcp_port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    async with asyncio.timeout(20):
        while "API" not in (found := await asyncio.to_thread(get, "/readyz"))[1]:
            await asyncio.sleep(0.02)
    assert found[0] == 503
    assert (await asyncio.to_thread(get, "/healthz"))[0] == 200
    assert "argosy_executor_lock_valid 1.0" in (await asyncio.to_thread(get, "/metrics"))[1]
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("api_url", "want"),
    [("http://example.com", "loopback only"), ("ftp://x", "not an http"), ("nonsense", "not an http")],
)
async def test_a_wrong_address_is_one_clear_line(tmp_path: Path, api_url: str, want: str) -> None:
    with pytest.raises(ExecutorExit, match=want) as caught:
        await run(ExecutorOptions(api_url=api_url, cluster=CLUSTER, token="t"))
    assert caught.value.code is ExitCode.CONFIGURATION


async def test_without_a_fake_cluster_there_is_nothing_to_run_yet() -> None:
    with pytest.raises(ExecutorExit, match=r"clusters\.c0\.fake"):
        await run(ExecutorOptions(api_url="http://localhost:1", cluster=CLUSTER, token="t"))


def test_the_token_is_not_in_the_options_text(tmp_path: Path) -> None:
    assert "secret-token" not in repr(options(tmp_path))
