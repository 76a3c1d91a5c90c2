"""Reports and node data of a request, as they go into the log (rules 5 and 6).

Inputs: wire types. Outputs: items for the collectors: one ReportRuns record a partition and 20 ms over all requests,
one ClusterUpdates record a partition of argosy.clusters. Errors: `ProtocolError` with the path of what cannot be.
"""

from collections.abc import Sequence

import msgspec

from app.domain import clusters, commands
from app.domain.ids import parse_id, partition_of_job
from app.executor import protocol
from app.executor.protocol import ProtocolError

_NUL = "\0"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def log_reports(request: protocol.SyncRequest, partitions: int) -> dict[int, list[commands.Report]]:
    """partition -> the reports for it: those of `reports`, then those of `runs`. Raises ProtocolError."""
    found: dict[int, list[commands.Report]] = {}
    instance = parse_id(request.instance)
    errors: list[tuple[str, str]] = []
    for name, reports in (("reports", request.reports), ("runs", request.runs or ())):
        for index, report in enumerate(reports):
            path = f"{name}[{index}]"
            if report.job_id is None or report.attempt is None:
                missing = "jobId" if report.job_id is None else "attempt"
                errors.append((f"{path}.{missing}", "is needed: `reportedJobs` gives it"))
                continue
            job_id = parse_id(report.job_id)
            partition = partition_of_job(job_id)
            if partition >= partitions:
                errors.append((f"{path}.jobId", "no job of this installation has this id"))
                continue
            found.setdefault(partition, []).append(_report(request.cluster, instance, job_id, report))
    if errors:
        raise ProtocolError(errors[:100])
    return found


def cluster_update(request: protocol.SyncRequest, *, received_ms: int, generation: int) -> clusters.ClusterUpdate:
    """The update of a request of the reports lane; generation: the current one, for a mere heartbeat. Raises
    ProtocolError."""
    nodes = request.nodes
    return clusters.ClusterUpdate(
        cluster=request.cluster,
        instance=parse_id(request.instance),
        sequence=request.sequence,
        received_ms=received_ms,
        cluster_time_ms=_time_ms(request.time, "time"),
        generation=nodes.generation if nodes is not None else generation,
        changed=tuple(_node(node) for node in nodes.changed) if nodes is not None else (),
        removed=nodes.removed if nodes is not None else (),
        complete_count=nodes.complete.node_count if nodes is not None and nodes.complete is not None else None,
    )


def check_texts(request: protocol.SyncRequest) -> None:
    """Names with U+0000 cannot be kept by the views. Raises ProtocolError."""
    nodes = request.nodes
    if nodes is None:
        return
    for index, node in enumerate(nodes.changed):
        if _NUL in node.name or _NUL in node.pool:
            raise ProtocolError([(f"nodes.changed[{index}].name", "must not contain the character U+0000")])


def _report(cluster: str, instance: bytes, job_id: bytes, report: protocol.Report) -> commands.Report:
    assert report.attempt is not None, "checked by the caller"
    return commands.Report(
        cluster=cluster,
        instance=instance,
        job_id=job_id,
        run_id=parse_id(report.run_id),
        attempt=report.attempt,
        state=commands.ReportState(report.state.value),
        time_ms=_time_ms(report.time, "time"),
        node=_clean(report.node),
        pod=_clean(report.pod),
        namespace=_clean(report.namespace),
        exit_code=report.exit_code,
        reason=_clean(report.reason),
        message=_clean(report.message),
        category=_clean(report.category),
        attempted=report.attempted,
        containers=_json(report.containers),
    )


def _node(node: protocol.Node) -> clusters.NodeData:
    return clusters.NodeData(
        name=node.name,
        pool=node.pool,
        type=node.type,
        labels=node.labels,
        taints=tuple(clusters.Taint(key=each.key, value=each.value, effect=each.effect) for each in node.taints),
        allocatable=node.allocatable,
        foreign=tuple(
            clusters.Foreign(priority=int(priority), usage=usage) for priority, usage in sorted(node.foreign.items())
        ),
        unschedulable=node.unschedulable,
    )


def _time_ms(text: str, path: str) -> int:
    try:
        return protocol.parse_time(text)
    except ValueError:
        raise ProtocolError([(path, f"{text!r} is not a time")]) from None


def _json(containers: Sequence[protocol.ContainerReport]) -> str:
    if not containers:
        return ""
    # An escaped U+0000 inside JSON text is harmless until somebody unescapes it.
    return msgspec.json.encode(containers).decode().replace("\\u0000", "\\ufffd")


def _clean(text: str | None) -> str | None:
    """The words of a cluster, without what Postgres cannot keep."""
    return text.replace(_NUL, _REPLACEMENT) if text is not None else None
