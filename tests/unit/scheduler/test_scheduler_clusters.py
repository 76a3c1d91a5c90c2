"""Node data: generations, deltas, instances, and what comes late."""

from app.domain.clusters import ClusterUpdate, NodeData
from app.scheduler.clusters import Clusters
from tests.unit.scheduler.partition import run_id

OLD, NEW = run_id(1), run_id(2)


def node(name: str, cpu: str = "4") -> NodeData:
    return NodeData(name=name, pool="default", allocatable={"cpu": cpu})


def update(
    sequence: int,
    *changed: NodeData,
    instance: bytes = OLD,
    generation: int = 1,
    removed: tuple[str, ...] = (),
    complete: int | None = None,
) -> ClusterUpdate:
    return ClusterUpdate(
        cluster="c0",
        instance=instance,
        sequence=sequence,
        received_ms=0,
        cluster_time_ms=0,
        generation=generation,
        changed=changed,
        removed=removed,
        complete_count=complete,
    )


def names(clusters: Clusters) -> set[str]:
    return set(clusters.by_name["c0"].nodes)


def test_a_generation_over_several_updates_drops_what_it_did_not_name() -> None:
    clusters = Clusters({})
    clusters.update(update(1, node("a"), node("b"), node("c"), complete=3), 1.0)
    clusters.update(update(2, node("a"), generation=2), 2.0)
    assert names(clusters) == {"a", "b", "c"}
    clusters.update(update(3, node("d"), generation=2, complete=2), 3.0)
    assert names(clusters) == {"a", "d"}
    assert clusters.by_name["c0"].heard_s == 3.0


def test_a_generation_whose_beginning_was_not_seen_drops_nothing() -> None:
    clusters = Clusters({})
    clusters.update(update(5, node("a")), 1.0)
    clusters.update(update(6, node("b"), generation=2, complete=7), 2.0)
    assert names(clusters) == {"a", "b"}


def test_deltas_change_and_remove_nodes() -> None:
    clusters = Clusters({})
    clusters.update(update(1, node("a"), node("b"), complete=2), 1.0)
    version = clusters.nodes_version
    clusters.update(update(2, node("a", cpu="8"), removed=("b", "unknown")), 2.0)
    assert names(clusters) == {"a"}
    assert clusters.by_name["c0"].nodes["a"].allocatable["cpu"] == "8"
    assert clusters.nodes_version == version + 2
    clusters.update(update(3, node("a", cpu="8")), 3.0)
    clusters.update(update(4), 4.0)
    assert clusters.nodes_version == version + 2, "what did not change costs no rebuilding"


def test_late_and_repeated_updates_are_dropped() -> None:
    clusters = Clusters({})
    clusters.update(update(2, node("a", cpu="8")), 2.0)
    clusters.update(update(1, node("a", cpu="4")), 3.0)
    clusters.update(update(2, node("a", cpu="4")), 4.0)
    assert clusters.by_name["c0"].nodes["a"].allocatable["cpu"] == "8"
    assert clusters.by_name["c0"].heard_s == 2.0
    assert clusters.dropped_updates == 2


def test_a_new_instance_starts_its_own_sequence_and_the_old_one_is_not_heard_again() -> None:
    clusters = Clusters({})
    clusters.update(update(900, node("a"), complete=1), 1.0)
    clusters.update(update(1, node("b"), instance=NEW, complete=1), 2.0)
    assert names(clusters) == {"b"}
    clusters.update(update(901, node("a")), 3.0)
    assert names(clusters) == {"b"}


def test_the_log_says_which_instance_speaks_even_if_its_id_is_lower() -> None:
    instances = {"c0": NEW}
    clusters = Clusters(instances)
    clusters.update(update(5, node("a"), instance=NEW, complete=1), 1.0)
    instances["c0"] = OLD
    clusters.update(update(1, node("b"), instance=OLD, complete=1), 2.0)
    assert names(clusters) == {"b"}
    clusters.update(update(6, node("a"), instance=NEW), 3.0)
    assert names(clusters) == {"b"}


def test_nodes_of_all_clusters_are_counted() -> None:
    clusters = Clusters({})
    clusters.update(update(1, node("a"), node("b")), 1.0)
    assert clusters.node_count == 2
    clusters.api_alive(3, 7.0)
    assert clusters.api_alive_s == {3: 7.0}
