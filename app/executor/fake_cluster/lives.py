"""What ran where and when, read from the journals of fake clusters, and what must hold of it whoever scheduled it.

Inputs: the directories of stopped or running clusters. Outputs: the lives of all pods; findings as sentences, none
when all is well."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.executor.fake_cluster.journal import JOURNAL, LIVES, JournalError, read_lines
from app.executor.fake_cluster.records import CreatedLine, DeletedLine, NodeLine, PodLife, life_of
from app.pods.quantity import Resources, format_amount, resources_of

FINDINGS_MAX = 100
_NEVER = 1 << 62


def read_journal(directory: Path, now_ms: int = _NEVER) -> list[PodLife]:
    """Every pod that the cluster ever had (as far as its files go), by creation. now_ms: what lies after it has not
    happened yet.

    Raises JournalError for a damaged file."""
    lives: dict[str, PodLife] = {}
    created: dict[str, CreatedLine] = {}
    deleted: dict[str, DeletedLine] = {}
    for name in ("lives.1.jsonl", LIVES, JOURNAL):
        for line in read_lines(directory / name):
            match line:
                case PodLife():
                    lives[line.uid] = line
                case CreatedLine():
                    created[line.uid] = line
                case DeletedLine():
                    deleted[line.uid] = line
    for uid, line in created.items():
        if uid not in lives:
            lives[uid] = life_of(line, deleted.get(uid), now_ms)
    return sorted(lives.values(), key=lambda life: (life.created, life.uid))


def read_nodes(directory: Path) -> dict[str, dict[str, str]]:
    """Node name -> allocatable, as last written."""
    return {line.name: line.allocatable for line in read_lines(directory / JOURNAL) if isinstance(line, NodeLine)}


def check_journals(directories: Sequence[Path], now_ms: int = _NEVER) -> list[str]:
    """What does not hold: no job runs in two pods at once, over all clusters; no run has two pods; no node holds more
    than it has.

    At most 100 findings. A damaged file is a finding."""
    findings: list[str] = []
    every: list[tuple[str, PodLife]] = []
    for directory in directories:
        try:
            lives = read_journal(directory, now_ms)
            nodes = read_nodes(directory)
        except JournalError as error:
            findings.append(str(error))
            continue
        every += [(directory.name, life) for life in lives if life.run_id]
        findings += _overfull(directory.name, lives, nodes)
    findings += _run_in_two_pods(every)
    findings += _job_in_two_pods(every)
    return findings[:FINDINGS_MAX]


def _end(life: PodLife) -> int:
    """From when on nothing of a pod runs."""
    return life.finished or life.deleted or _NEVER


def _job_in_two_pods(lives: Iterable[tuple[str, PodLife]]) -> list[str]:
    findings: list[str] = []
    by_job: dict[str, list[tuple[str, PodLife]]] = defaultdict(list)
    for cluster, life in lives:
        if not life.refused:
            by_job[life.job_id].append((cluster, life))
    for job, pods in by_job.items():
        pods.sort(key=lambda pod: pod[1].created)
        latest = pods[0]
        for pod in pods[1:]:
            if pod[1].created < _end(latest[1]):
                findings.append(
                    f"job {job} was in two pods at once: {_named(latest)} until {_shown(_end(latest[1]))}, "
                    f"{_named(pod)} from {pod[1].created}"
                )
            if _end(pod[1]) > _end(latest[1]):
                latest = pod
    return findings


def _run_in_two_pods(lives: Iterable[tuple[str, PodLife]]) -> list[str]:
    by_run: dict[str, list[tuple[str, PodLife]]] = defaultdict(list)
    for cluster, life in lives:
        by_run[life.run_id].append((cluster, life))
    return [
        f"run {run} was created {len(pods)} times: {', '.join(_named(pod) for pod in pods)}"
        for run, pods in by_run.items()
        if len(pods) > 1
    ]


def _overfull(cluster: str, lives: Iterable[PodLife], nodes: dict[str, dict[str, str]]) -> list[str]:
    findings: list[str] = []
    by_node: dict[str, list[PodLife]] = defaultdict(list)
    for life in lives:
        if not life.refused and life.node in nodes and _end(life) > life.created:
            by_node[life.node].append(life)
    for node, pods in by_node.items():
        allocatable = resources_of(nodes[node])
        # At the same time ends come before beginnings: room that is free now may be taken now.
        marks = sorted(mark for pod in pods for mark in ((pod.created, 1, pod.uid), (_end(pod), 0, pod.uid)))
        requests = {pod.uid: _held(pod) for pod in pods}
        held: dict[str, int] = defaultdict(int)
        for at, begins, uid in marks:
            for resource, amount in requests[uid].items():
                held[resource] += amount if begins else -amount
                if begins and held[resource] > allocatable.get(resource, 0):
                    findings.append(
                        f"node {cluster}/{node} held {format_amount(resource, held[resource])} of {resource} at {at}, "
                        f"it has {format_amount(resource, allocatable.get(resource, 0))}"
                    )
    return findings


def _held(life: PodLife) -> Resources:
    return resources_of({**life.requests, "pods": "1"})


def _named(pod: tuple[str, PodLife]) -> str:
    return f"{pod[0]}/{pod[1].namespace}/{pod[1].name} on {pod[1].node}"


def _shown(time_ms: int) -> str:
    return "now" if time_ms == _NEVER else str(time_ms)
