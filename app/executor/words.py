"""Reports: what is said of a run, made from what is known of it and of its pod. Pure."""

from app.executor.desired import Run, Word
from app.executor.kubernetes import ContainerStatus, Pod, PodPhase, pod_name
from app.executor.protocol import (
    MESSAGE_CHARS_MAX,
    ContainerPhase,
    ContainerReport,
    Report,
    ReportState,
    format_time,
)
from app.executor.trouble import finished_ms

_REASON_CHARS_MAX = 512
_CONTAINERS_MAX = 200
_LEVELS = {ReportState.PENDING: 1, ReportState.RUNNING: 2}
GONE = Word(state=ReportState.GONE)


def level_of(pod: Pod) -> ReportState:
    """The level of a living pod."""
    return ReportState.RUNNING if pod.phase is PodPhase.RUNNING else ReportState.PENDING


def is_news(run: Run, state: ReportState) -> bool:
    """Whether this level is above what was said."""
    return run.said is None or _LEVELS.get(run.said.state, 3) < _LEVELS.get(state, 3)


def level_report(run: Run, pod: Pod, now_ms: int) -> Report:
    """PENDING or RUNNING, with the time at which the pod was made or its first container began."""
    state = level_of(pod)
    started = [c.started_ms for c in pod.containers if c.started_ms is not None and not c.init]
    time_ms = min(started, default=now_ms) if state is ReportState.RUNNING else pod.created_ms
    return Report(
        run_id=run.run_id,
        job_id=run.job_id,
        attempt=run.attempt,
        state=state,
        time=format_time(time_ms),
        node=pod.node,
        pod=pod.name,
        namespace=pod.namespace,
    )


def last_report(run: Run, pod: Pod | None, word: Word, now_ms: int) -> Report:
    """A last word: from the terminal pod where there is one, else from what is remembered of the run."""
    node: str | None
    namespace: str | None
    if pod is not None:
        node, name, namespace = pod.node, pod.name, pod.namespace
        containers = tuple(_container_report(container) for container in pod.containers[:_CONTAINERS_MAX])
        time_ms = finished_ms(pod)
    else:
        before = run.said
        node = before.node if before is not None else (run.lease.node if run.lease is not None else None)
        name, namespace = pod_name(run.run_id), run.namespace
        containers, time_ms = (), now_ms
    return Report(
        run_id=run.run_id,
        job_id=run.job_id,
        attempt=run.attempt,
        state=word.state,
        time=format_time(time_ms),
        node=node,
        pod=name,
        namespace=namespace,
        exit_code=word.exit_code,
        reason=_cut(word.reason, _REASON_CHARS_MAX),
        message=_cut(word.message, MESSAGE_CHARS_MAX),
        attempted=word.attempted,
        containers=containers,
    )


def _container_report(container: ContainerStatus) -> ContainerReport:
    return ContainerReport(
        name=container.name,
        init=container.init,
        state=ContainerPhase(container.phase.value),
        reason=_cut(container.reason, _REASON_CHARS_MAX),
        message=_cut(container.message, MESSAGE_CHARS_MAX),
        exit_code=container.exit_code,
        started=None if container.started_ms is None else format_time(container.started_ms),
        finished=None if container.finished_ms is None else format_time(container.finished_ms),
    )


def _cut(text: str | None, chars_max: int) -> str | None:
    return text if text is None or len(text) <= chars_max else text[: chars_max - 1] + "…"
