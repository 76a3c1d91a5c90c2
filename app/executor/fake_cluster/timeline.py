"""The life of a fake pod, purely from when it was created, its script, and when it was deleted. Times are ms since
1970.

A pod that the node refused at admission is Failed from the first moment. A deletion stops what runs after the
script's stop delay, at the latest when its grace is over; then the pod is gone."""

from dataclasses import dataclass

from app.executor.fake_cluster.script import (
    FOREVER_MS,
    KILLED_EXIT_CODE,
    TERMINATED_EXIT_CODE,
    ContainerScript,
    PodScript,
    image_pull_reason,
)
from app.executor.kubernetes import ContainerPhase, ContainerStatus, PodPhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When a container begins and ends; None = never begins (start), is not known to end (end)."""

    script: ContainerScript
    start_ms: int | None
    end_ms: int | None
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A pod's life without deletion. end_ms: when its phase becomes terminal, None = never."""

    created_ms: int
    spans: tuple[Span, ...]
    end_ms: int | None
    end_phase: PodPhase
    reason: str | None = None
    message: str | None = None

    @property
    def run_start_ms(self) -> int | None:
        """When its first main container begins."""
        return min((s.start_ms for s in self.spans if s.start_ms is not None and not s.script.init), default=None)


def timeline_of(
    script: PodScript, created_ms: int, refused: str = "", refused_message: str = "", met_ms: int = 0
) -> Timeline:
    """The life of a pod that nobody deletes. refused: the kubelet's reason for not admitting it, "" = admitted. met_ms:
    when all members of its gang have begun, 0 = not known yet."""
    if refused:
        spans = tuple(Span(script=c, start_ms=None, end_ms=None, exit_code=0) for c in script.containers)
        return Timeline(
            created_ms=created_ms,
            spans=spans,
            end_ms=created_ms,
            end_phase=PodPhase.FAILED,
            reason=refused,
            message=refused_message,
        )
    spans, end_ms, failed = _spans(script, created_ms + script.start_delay_ms, met_ms)
    deadline_ms = created_ms + script.deadline_ms
    if script.deadline_ms and (end_ms is None or end_ms > deadline_ms):
        return Timeline(
            created_ms=created_ms,
            spans=tuple(_cut(span, deadline_ms, KILLED_EXIT_CODE) for span in spans),
            end_ms=deadline_ms,
            end_phase=PodPhase.FAILED,
            reason="DeadlineExceeded",
            message="Pod was active on the node longer than the specified deadline",
        )
    phase = PodPhase.FAILED if failed else PodPhase.SUCCEEDED
    return Timeline(created_ms=created_ms, spans=spans, end_ms=end_ms, end_phase=phase)


def gone_ms(timeline: Timeline, stop_delay_ms: int, deleted_ms: int, grace_seconds: int) -> int:
    """When a pod that is deleted then is gone: at once unless something runs, else when it has stopped or ended."""
    if timeline.end_ms is not None and timeline.end_ms <= deleted_ms:
        return deleted_ms
    if not any(span.start_ms is not None and span.start_ms <= deleted_ms for span in timeline.spans):
        return deleted_ms
    stopped_ms = deleted_ms + min(stop_delay_ms, grace_seconds * 1_000)
    return stopped_ms if timeline.end_ms is None else min(stopped_ms, timeline.end_ms)


def stopped(timeline: Timeline, at_ms: int) -> Timeline:
    """The life of a pod whose deletion is complete at that time: what ran then was terminated."""
    if timeline.end_ms is not None and timeline.end_ms <= at_ms:
        return timeline
    return Timeline(
        created_ms=timeline.created_ms,
        spans=tuple(_cut(span, at_ms, TERMINATED_EXIT_CODE) for span in timeline.spans),
        end_ms=at_ms,
        end_phase=PodPhase.FAILED,
    )


def phase_at(timeline: Timeline, now_ms: int) -> PodPhase:
    """The phase: Pending until a main container begins, Running until all have ended."""
    if timeline.end_ms is not None and now_ms >= timeline.end_ms:
        return timeline.end_phase
    start_ms = timeline.run_start_ms
    return PodPhase.RUNNING if start_ms is not None and now_ms >= start_ms else PodPhase.PENDING


def containers_at(timeline: Timeline, now_ms: int) -> tuple[ContainerStatus, ...]:
    """The status of every container."""
    return tuple(_status(span, timeline.created_ms, now_ms) for span in timeline.spans)


def next_change_ms(timeline: Timeline, now_ms: int) -> int | None:
    """When the pod's status changes next, by itself."""
    times = [time for span in timeline.spans for time in (span.start_ms, span.end_ms)]
    times.append(timeline.end_ms)
    if any(span.script.waiting for span in timeline.spans):
        times.append(timeline.created_ms + 1_000)
    return min((time for time in times if time is not None and time > now_ms), default=None)


def _spans(script: PodScript, start_ms: int, met_ms: int) -> tuple[tuple[Span, ...], int | None, bool]:
    """The spans, when the pod ends, and whether it fails."""
    spans: list[Span] = []
    at_ms: int | None = start_ms
    end_ms: int | None = None
    init_failed = False
    for container in (c for c in script.containers if c.init):
        if at_ms is None or container.waiting:
            spans.append(Span(script=container, start_ms=None, end_ms=None, exit_code=0))
            at_ms = None
            continue
        ended_ms = _end(at_ms, container)
        spans.append(Span(script=container, start_ms=at_ms, end_ms=ended_ms, exit_code=container.exit_code))
        at_ms = ended_ms
        if container.exit_code:
            init_failed, end_ms, at_ms = True, ended_ms, None
    main = [c for c in script.containers if not c.init]
    if any(container.waiting for container in main):
        at_ms = None
    for container in main:
        alone = at_ms is None or (script.waits_for_gang and not met_ms)
        ended = None if at_ms is None or alone else _end(max(at_ms, met_ms), container)
        spans.append(Span(script=container, start_ms=at_ms, end_ms=ended, exit_code=container.exit_code))
    if init_failed or at_ms is None:
        return tuple(spans), end_ms, init_failed
    ends = [span.end_ms for span in spans]
    failed = any(span.exit_code for span in spans)
    return tuple(spans), None if None in ends else max((e for e in ends if e is not None), default=at_ms), failed


def _end(start_ms: int, container: ContainerScript) -> int | None:
    return None if container.run_ms >= FOREVER_MS else start_ms + container.run_ms


def _cut(span: Span, at_ms: int, exit_code: int) -> Span:
    if span.start_ms is None or span.start_ms >= at_ms:
        return Span(script=span.script, start_ms=None, end_ms=None, exit_code=0)
    if span.end_ms is not None and span.end_ms <= at_ms:
        return span
    return Span(script=span.script, start_ms=span.start_ms, end_ms=at_ms, exit_code=exit_code)


def _status(span: Span, created_ms: int, now_ms: int) -> ContainerStatus:
    script = span.script
    if span.start_ms is None or now_ms < span.start_ms:
        reason = image_pull_reason(script, now_ms - created_ms) or (
            "PodInitializing" if not script.init else "ContainerCreating"
        )
        return ContainerStatus(name=script.name, init=script.init, reason=reason, message=script.message or None)
    if span.end_ms is None or now_ms < span.end_ms:
        return ContainerStatus(
            name=script.name, init=script.init, phase=ContainerPhase.RUNNING, started_ms=span.start_ms
        )
    return ContainerStatus(
        name=script.name,
        init=script.init,
        phase=ContainerPhase.TERMINATED,
        reason=_ended_reason(span),
        message=script.note or None,
        exit_code=span.exit_code,
        started_ms=span.start_ms,
        finished_ms=span.end_ms,
    )


def _ended_reason(span: Span) -> str:
    """The script's own, unless something else ended it first."""
    if span.script.reason and span.exit_code == span.script.exit_code:
        return span.script.reason
    return "Completed" if span.exit_code == 0 else "Error"
