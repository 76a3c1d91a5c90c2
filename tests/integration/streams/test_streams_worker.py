"""app.streams as a whole, with a toy agent, on a real broker: exactly once through kills, and every way to leave or
to stop."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from app.admin.processes import Child
from app.streams.exits import Exit
from tests.integration.streams.toy_run import PARTITIONS, ToyRun, eventually

pytestmark = pytest.mark.stack


@pytest.fixture
def toy(kafka: str, tmp_path: Path) -> Iterator[Callable[..., ToyRun]]:
    runs: list[ToyRun] = []

    def make(**options: str) -> ToyRun:
        runs.append(ToyRun(kafka, tmp_path / str(len(runs)), **options))
        return runs[-1]

    yield make
    for run in runs:
        run.close()


def exit_of(process: Child) -> int | None:
    """The exit code of a process that leaves by itself."""
    process.wait(60)
    return process.exit_code()


def test_every_command_is_decided_once_through_kills_with_and_without_the_store(toy: Callable[..., ToyRun]) -> None:
    run = toy()
    run.feed_all(300)
    worker = run.start("A")
    eventually(lambda: run.troubles("A") == [])
    run.feed_all(600)
    worker.kill()
    worker = run.start("A")
    run.feed_all(300)
    eventually(run.all_decided)
    run.stop(worker)
    run.verify("A")
    assert run.log("A").count("into an empty store") == PARTITIONS
    shutil.rmtree(run.directory / "A" / "stores")
    worker = run.start("A")
    run.feed_all(300)
    eventually(run.all_decided)
    run.stop(worker)
    run.verify("A")


def test_an_error_of_deciding_quarantines_its_partition_and_the_others_go_on(toy: Callable[..., ToyRun]) -> None:
    run = toy()
    run.feed_all(30)
    run.feed_bytes(1, b"!raise")
    worker = run.start("A")
    eventually(lambda: any("quarantined" in trouble for trouble in run.troubles("A")))
    for _ in range(50):
        run.feed(0)
        run.feed(2)
    run.flush()
    eventually(lambda: len(run.numbers(0)) == len(run.numbers(2)) == 60)
    [trouble] = run.troubles("A")
    assert trouble.startswith(f"{run.name}-commands partition 1 is quarantined: command ")
    assert trouble.endswith("KeyError: 'asked to raise'")
    assert worker.exit_code() is None
    run.stop(worker)


def test_commands_that_an_agent_took_and_forgot_end_the_process(toy: Callable[..., ToyRun]) -> None:
    run = toy()
    run.feed_bytes(0, b"!forget")
    run.flush()
    assert exit_of(run.start("A")) == Exit.UNCOMMITTED


def test_a_second_process_on_a_data_directory_leaves_and_the_first_goes_on(toy: Callable[..., ToyRun]) -> None:
    run = toy()
    first = run.start("A")
    eventually(lambda: run.troubles("A") == [])
    assert exit_of(run.start("B", directory="A")) == Exit.LOCKED
    run.feed_all(30)
    eventually(run.all_decided)
    run.stop(first)


def test_a_hole_in_the_commands_stops_before_anything_is_decided_behind_it(toy: Callable[..., ToyRun]) -> None:
    run = toy()
    run.feed_all(30 * PARTITIONS)
    holes = [TopicPartition(f"{run.name}-commands", partition, 20) for partition in range(PARTITIONS)]
    for future in run.admin.delete_records(holes).values():
        future.result(10)
    assert exit_of(run.start("A")) == Exit.HOLE
    assert "retention has deleted everything below 20" in run.log("A")
    assert all(run.numbers(partition) == [] for partition in range(PARTITIONS))


def test_commands_without_broker_time_are_refused(toy: Callable[..., ToyRun]) -> None:
    run = toy(timestamps="CreateTime")
    run.feed_all(3)
    assert exit_of(run.start("A")) == Exit.HOLE
    assert "message.timestamp.type=LogAppendTime" in run.log("A")
