"""Silence counts only where it can be known, so that an outage of ours never ends the jobs of others."""

from collections.abc import Sequence

from app.domain.clusters import ClusterUpdate
from app.domain.routing import partition_of_name
from app.scheduler.clusters import Clusters
from app.scheduler.silence import HEARD_S, TICK_MAX_S, Silence
from tests.unit.scheduler.partition import INSTANCE

PARTITIONS = 12
HOUR_S = 3600.0


class World:
    """Clusters that speak, or do not, second by second."""

    def __init__(self, *names: str) -> None:
        self.clusters = Clusters({})
        self.now_s = 1000.0
        self._sequence = 0
        self.silence = Silence(self.clusters, PARTITIONS, self.now_s)
        self.names = names

    def speak(self, names: Sequence[str]) -> None:
        self._sequence += 1
        for name in names:
            update = ClusterUpdate(
                cluster=name,
                instance=INSTANCE,
                sequence=self._sequence,
                received_ms=0,
                cluster_time_ms=0,
                generation=1,
            )
            self.clusters.update(update, self.now_s)

    def live(
        self,
        seconds: float,
        *,
        speaking: Sequence[str],
        at_end: bool = True,
        alive: Sequence[int] = range(PARTITIONS),
        relevant: Sequence[str] = (),
    ) -> None:
        for _ in range(int(seconds)):
            self.now_s += 1.0
            self.speak(speaking)
            for partition in alive:
                self.clusters.api_alive(partition, self.now_s)
            self.silence.tick(self.now_s, at_end=at_end, relevant=relevant)


def test_a_silent_cluster_is_counted_second_by_second_while_others_speak() -> None:
    world = World()
    world.live(10, speaking=["a", "b", "c"])
    assert world.silence.silent_s("a") == 0.0
    world.live(HOUR_S, speaking=["b", "c"])
    assert world.silence.silent_s("a") == HOUR_S
    assert world.silence.silent_s("b") == 0.0


def test_one_word_ends_the_silence() -> None:
    world = World()
    world.live(10, speaking=["a", "b"])
    world.live(100, speaking=["b"])
    world.live(1, speaking=["a", "b"])
    assert world.silence.silent_s("a") == 0.0
    world.live(5, speaking=["b"])
    assert world.silence.silent_s("a") == 5.0


def test_nothing_counts_while_the_feed_is_not_at_its_end() -> None:
    world = World()
    world.live(10, speaking=["a", "b"])
    world.live(HOUR_S, speaking=["b"], at_end=False)
    assert world.silence.silent_s("a") == 0.0


def test_nothing_counts_while_no_api_process_is_heard_in_the_clusters_own_partition() -> None:
    world = World()
    world.live(10, speaking=["a", "b", "c"])
    own = partition_of_name("a", PARTITIONS)
    others = [partition for partition in range(PARTITIONS) if partition != own]
    world.live(HOUR_S, speaking=["b", "c"], alive=others)
    assert world.silence.silent_s("a") <= HEARD_S
    world.live(100, speaking=["b", "c"])
    assert 100.0 <= world.silence.silent_s("a") <= 100.0 + HEARD_S


def test_counting_stops_when_more_than_half_of_the_clusters_are_not_heard() -> None:
    world = World()
    world.live(10, speaking=["a", "b", "c"])
    world.live(HOUR_S, speaking=["c"])
    assert world.silence.silent_s("a") <= HEARD_S + 1
    assert world.silence.silent_s("b") <= HEARD_S + 1


def test_half_is_enough() -> None:
    world = World()
    world.live(10, speaking=["a", "b"])
    world.live(HOUR_S, speaking=["b"])
    assert world.silence.silent_s("a") == HOUR_S


def test_a_single_cluster_is_never_counted() -> None:
    world = World()
    world.live(10, speaking=["a"])
    world.live(2 * HOUR_S, speaking=[])
    assert world.silence.silent_s("a") == 0.0


def test_a_cluster_that_has_runs_and_was_never_heard_counts_too() -> None:
    world = World()
    world.live(HOUR_S, speaking=["b", "c"], relevant=["lost"])
    assert world.silence.silent_s("lost") == HOUR_S


def test_a_pause_of_this_process_does_not_count() -> None:
    world = World()
    world.live(10, speaking=["a", "b"])
    world.live(5, speaking=["b"])
    world.now_s += HOUR_S
    world.live(1, speaking=["b"])
    assert world.silence.silent_s("a") <= 5.0 + TICK_MAX_S
    world.live(1, speaking=["b"])
    assert world.silence.silent_s("a") <= 6.0 + TICK_MAX_S


def test_what_was_said_before_this_leader_does_not_count_as_heard_or_as_silence() -> None:
    world = World()
    world.now_s -= 500
    world.speak(["a", "b"])
    world.now_s += 500
    world.live(20, speaking=["b"])
    assert world.silence.silent_s("a") == 20.0
    assert world.silence.heard_s("b") == 20.0


def test_heard_time_begins_anew_after_a_gap() -> None:
    world = World()
    world.live(100, speaking=["a", "b"])
    assert world.silence.heard_s("a") >= 99.0
    world.live(HEARD_S + 5, speaking=["b"])
    assert world.silence.heard_s("a") == 0.0
    world.live(10, speaking=["a", "b"])
    assert world.silence.heard_s("a") <= 10.0
