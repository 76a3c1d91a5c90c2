"""A lease that displaces runs, over the fake cluster: its pod begins to exist only when theirs certainly exist no
more."""

from pathlib import Path

import pytest

from app.executor.fake_cluster.lives import check_journals, read_journal
from app.executor.fake_cluster.records import PodLife
from app.executor.protocol import ReportState
from tests.unit.executor.builders import an_id
from tests.unit.executor.small_api import SmallApi
from tests.unit.executor.test_loop import NODE, Process, executor, spec


def lives(directory: Path) -> dict[str, PodLife]:
    return {life.run_id: life for life in read_journal(directory)}


async def displacing(process: Process, api: SmallApi, victims: int) -> str:
    """Leases a run that displaces the first ones, and waits until the executor knows and has had time to act on it."""
    displaces = tuple((number, api.runs[an_id(number)].lease.position.offset) for number in range(1, victims + 1))
    api.lease(victims + 1, node=NODE, pod_spec=spec("sleep", "600"), displaces=displaces)
    at = api.offset
    heard = len(api.requests)

    def was_taken() -> bool:
        later = api.requests[heard:]
        cursors = [request.lease_cursor for request in later if request.lease_cursor is not None]
        return sum(cursor.positions.get(0, (-1, -1))[0] >= at for cursor in cursors) > 5

    await process.until(was_taken)
    return an_id(victims + 1)


@pytest.mark.parametrize("victims", [1, 3])
async def test_the_pod_of_a_displacing_lease_waits_for_the_end_of_those_it_displaces(
    tmp_path: Path, victims: int
) -> None:
    api = SmallApi()
    for number in range(1, victims + 1):
        api.lease(number, node=NODE, pod_spec=spec("sleep", "600"))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: all(ReportState.RUNNING in run.words for run in api.runs.values()))
        run = await displacing(process, api, victims)
        assert run not in lives(tmp_path)
        for number in range(1, victims + 1):
            assert api.runs[run].words == []
            api.stop(an_id(number))
        await process.until(lambda: ReportState.RUNNING in api.runs[run].words)
    found = lives(tmp_path)
    ends = [found[an_id(number)].deleted for number in range(1, victims + 1)]
    assert all(0 < end <= found[run].created for end in ends)
    assert check_journals([tmp_path]) == []


async def test_a_new_instance_goes_on_waiting_for_the_displaced(tmp_path: Path) -> None:
    api = SmallApi()
    api.lease(1, node=NODE, pod_spec=spec("sleep", "600"))
    async with executor(tmp_path, api) as process:
        await process.until(lambda: ReportState.RUNNING in api.runs[an_id(1)].words)
        run = await displacing(process, api, 1)
    async with executor(tmp_path, api) as process:
        await process.until(lambda: any(request.runs is not None for request in api.requests[-3:]))
        await process.until(lambda: process.loop.not_ready() == [])
        assert run not in lives(tmp_path)
        api.stop(an_id(1))
        await process.until(lambda: ReportState.RUNNING in api.runs[run].words)
    found = lives(tmp_path)
    assert 0 < found[an_id(1)].deleted <= found[run].created
    assert check_journals([tmp_path]) == []
