"""The queue agent on a real broker, under load, through every fault of its protocol: afterwards logs and stores
equal the fold.

All tests share one installation whose log grows; each one ends with the whole comparison. The seed is printed;
ARGOSY_SEED=n repeats it.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from app.log.topics import COMMANDS
from app.streams.exits import Exit
from app.streams.worker import GROUP
from tests.faults.installation import (
    PARTITIONS,
    POINTS,
    Installation,
    Worker,
    copy_stores,
    eventually,
    seed_of_this_run,
)
from tests.stack.server import KafkaBroker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

KILLS = 20
PER_SECOND = 60


@pytest.fixture(scope="module")
def installation(
    kafka_factory: Callable[[], KafkaBroker], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Installation]:
    seed = seed_of_this_run()
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\nqueue agent faults: ARGOSY_SEED={seed}")
    made = Installation(kafka_factory().bootstrap, tmp_path_factory.mktemp("faults"), seed)
    yield made
    made.close()


@pytest.fixture
def worker(installation: Installation) -> Iterator[Worker]:
    """Worker A on all partitions under load, and no other."""
    mine = installation.worker("A")
    mine.start()
    installation.begin_load(PER_SECOND)
    eventually(lambda: mine.owns(PARTITIONS))
    yield mine
    for each in installation.workers.values():
        each.close()


def kill_in_flight(installation: Installation, worker: Worker) -> str:
    """Kills the worker with a step in flight, at a point of chance, and says at which."""
    point = installation.random.choice(POINTS)
    worker.ask(f"die-{point}")
    eventually(lambda: worker.exit_code() is not None)
    assert worker.exit_code() == -9, f"died with {worker.exit_code()} instead at {point}"
    return point


def a_while(installation: Installation, most_s: float) -> None:
    """Lets the load run for some time, which is chance and not waiting."""
    time.sleep(installation.random.uniform(0, most_s))


def both_share(first: Worker, second: Worker) -> bool:
    return first.owns(PARTITIONS // 2) and second.owns(PARTITIONS // 2)


def finds_a_difference(installation: Installation) -> bool:
    """Whether events records differ from the fold by now, or are too many."""
    try:
        installation.verify()
    except AssertionError as error:
        return "found" in str(error) or "too many" in str(error)
    return False


def test_killed_twenty_times_with_a_step_in_flight(installation: Installation, worker: Worker) -> None:
    points = []
    for _ in range(KILLS):
        points.append(kill_in_flight(installation, worker))
        worker.start()
    assert len(set(points)) >= 3
    assert installation.verify() > KILLS
    worker.stop()
    installation.verify_store(worker)


def test_killed_and_its_store_wiped_or_put_back_from_earlier(installation: Installation, worker: Worker) -> None:
    installation.verify()
    worker.stop()
    earlier = worker.directory / "earlier"
    copy_stores(worker.stores, earlier)
    worker.start()
    installation.begin_load(PER_SECOND)
    kill_in_flight(installation, worker)
    shutil.rmtree(worker.stores)
    worker.start()
    kill_in_flight(installation, worker)
    copy_stores(earlier, worker.stores)
    worker.start()
    installation.verify()
    worker.stop()
    installation.verify_store(worker)


def test_an_owner_that_was_stopped_past_its_session_does_no_harm_when_it_wakes(
    installation: Installation, worker: Worker
) -> None:
    other = installation.worker("B")
    other.start()
    eventually(lambda: both_share(worker, other))
    # With a step in hand that it will try to commit when it wakes.
    worker.ask("slow", "2")
    eventually(lambda: worker.happened("slow"))
    worker.pause()
    eventually(lambda: other.owns(PARTITIONS))
    a_while(installation, 2)
    worker.resume()
    eventually(lambda: worker.exit_code() is not None)
    assert worker.exit_code() == Exit.FAILED
    worker.start()
    eventually(lambda: both_share(worker, other))
    installation.verify()


def test_a_second_worker_joins_and_leaves_and_nobody_exits_by_itself(
    installation: Installation, worker: Worker
) -> None:
    other = installation.worker("B")
    for _ in range(2):
        other.start()
        eventually(lambda: both_share(worker, other))
        a_while(installation, 1)
        other.stop()
        eventually(lambda: worker.owns(PARTITIONS))
    installation.verify()
    worker.stop()
    installation.verify_store(worker)


def test_killed_inside_its_open_transaction_and_taken_over(installation: Installation, worker: Worker) -> None:
    worker.ask("hang")
    eventually(lambda: worker.happened("hang"))
    worker.kill()
    other = installation.worker("B")
    other.start()
    eventually(lambda: other.owns(PARTITIONS))
    installation.verify()
    other.stop()
    installation.verify_store(other)


def test_further_rebalances_inside_a_restore(installation: Installation, worker: Worker) -> None:
    kill_in_flight(installation, worker)
    shutil.rmtree(worker.stores)
    worker.start(restore_pause_s=2.0)
    eventually(lambda: worker.stores.exists())
    other = installation.worker("B")
    shutil.rmtree(other.stores, ignore_errors=True)
    other.start(restore_pause_s=2.0)
    eventually(lambda: other.stores.exists())
    # And once more, in the middle of the restore of both.
    other.kill()
    eventually(lambda: worker.owns(PARTITIONS))
    assert "given up during its restore" in worker.log.read_text()
    installation.verify()
    worker.stop()
    installation.verify_store(worker)


def test_an_open_operation_moves_on_by_itself_when_no_command_comes_also_after_a_kill(
    installation: Installation, worker: Worker
) -> None:
    commands = installation.verify()
    installation.feed_big_cancel(2, 4_500)
    installation.verify()
    installation.feed_big_cancel(1, 4_500)
    kill_in_flight(installation, worker)
    worker.start()
    # 6 calls and their cancels, and at least 4 commands of the agent itself for each.
    assert installation.verify() >= commands + 2 * (6 + 4)


@pytest.mark.parametrize("offsets", ["deleted", "far ahead"])
def test_group_offsets_are_not_believed(installation: Installation, worker: Worker, offsets: str) -> None:
    installation.verify()
    worker.stop()
    client = AdminClient({"bootstrap.servers": installation.bootstrap})

    def change() -> bool:
        try:
            if offsets == "deleted":
                futures = client.delete_consumer_groups([GROUP])
            else:
                places = [TopicPartition(COMMANDS, partition, 10**6) for partition in range(PARTITIONS)]
                futures = client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(GROUP, places)])
            for future in futures.values():
                future.result(10)
        except KafkaException:
            # The session of the static member has not ended yet.
            return False
        return True

    eventually(change)
    installation.feed(100)
    worker.start()
    installation.verify()


def test_without_the_fence_these_checks_find_what_is_decided_twice(fresh_kafka: KafkaBroker, tmp_path: Path) -> None:
    control = Installation(fresh_kafka.bootstrap, tmp_path, seed_of_this_run())
    try:
        first, second = control.worker("A"), control.worker("B")
        first.start(mutation="no-fence")
        second.start(mutation="no-fence")
        control.begin_load(PER_SECOND)
        eventually(lambda: both_share(first, second))
        first.ask("slow", "2")
        eventually(lambda: first.happened("slow"))
        first.pause()
        eventually(lambda: second.owns(PARTITIONS))
        a_while(control, 1)
        first.resume()
        eventually(lambda: finds_a_difference(control))
    finally:
        control.close()
