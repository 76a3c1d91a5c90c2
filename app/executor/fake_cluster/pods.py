"""A pod of a fake cluster in memory, and how it looks at a given time."""

from dataclasses import dataclass

import msgspec

from app.executor.fake_cluster.records import CreatedLine, DeletedLine
from app.executor.fake_cluster.timeline import Timeline, containers_at, next_change_ms, phase_at, stopped, timeline_of
from app.executor.kubernetes import (
    ANNOTATION_GANG_CARDINALITY,
    ANNOTATION_GANG_ID,
    ANNOTATION_QUEUE,
    Pod,
    RunOfPod,
)
from app.executor.pod_object import run_of_pod
from app.pods.quantity import Resources, resources_of


@dataclass(slots=True, kw_only=True)
class FakePod:
    """life: without deletion. mark: the last word of its run, which holds it. holds_room: its node's room is booked
    for it."""

    line: CreatedLine
    life: Timeline
    run: RunOfPod | None
    requests: Resources
    deleted: DeletedLine | None = None
    mark: str = ""
    holds_room: bool = False

    @classmethod
    def of(cls, line: CreatedLine, deleted: DeletedLine | None = None, mark: str = "") -> "FakePod":
        """The pod of a journal line; everything about it follows from that line."""
        life = timeline_of(line.script, line.at, line.refused, line.refused_message, line.met)
        run = run_of_pod(line.name, line.labels, line.annotations)
        return cls(line=line, life=life, run=run, requests=resources_of(line.requests), deleted=deleted, mark=mark)

    @property
    def gang(self) -> tuple[str, str, int] | None:
        """(queue, gang, cardinality) while it waits for the other members of its gang."""
        told = self.line.annotations
        cardinality = told.get(ANNOTATION_GANG_CARDINALITY, "")
        if not self.line.script.waits_for_gang or self.line.met or self.line.refused or not cardinality.isdigit():
            return None
        return told.get(ANNOTATION_QUEUE, ""), told.get(ANNOTATION_GANG_ID, ""), int(cardinality)

    def meet(self, met_ms: int) -> CreatedLine:
        """The line of this pod once all members of its gang have begun; nothing changes yet."""
        line = msgspec.structs.replace(self.line, met=met_ms)
        return msgspec.structs.replace(line, ends=FakePod.of(line).life.end_ms or 0)

    @property
    def current(self) -> Timeline:
        return self.life if self.deleted is None else stopped(self.life, self.deleted.gone)

    def is_gone(self, now_ms: int) -> bool:
        return self.deleted is not None and self.deleted.gone <= now_ms and not self.mark

    @property
    def node_lost_ms(self) -> int | None:
        """When its node vanishes, by its script."""
        begins, after_ms = self.life.run_start_ms, self.line.script.node_lost_after_ms
        return begins + after_ms if after_ms and begins is not None else None

    def room_until_ms(self) -> int | None:
        """When it stops to hold room; None = not by itself."""
        return self.current.end_ms

    def next_change_ms(self, now_ms: int) -> int | None:
        """When it looks different next."""
        times = [next_change_ms(self.current, now_ms)]
        if self.deleted is not None:
            times += [time for time in (self.deleted.at, self.deleted.gone) if time > now_ms]
        return min((time for time in times if time is not None), default=None)

    def seen_at(self, now_ms: int) -> Pod:
        """The pod as the API server shows it. One that was removed by force was not seen to end."""
        by_force = self.deleted is not None and self.deleted.grace_seconds == 0 and not self.mark
        life = self.life if by_force else self.current
        ended = life.end_ms is not None and life.end_ms <= now_ms
        return Pod(
            namespace=self.line.namespace,
            name=self.line.name,
            uid=self.line.uid,
            run=self.run,
            node=self.line.node,
            phase=phase_at(life, now_ms),
            reason=life.reason if ended else None,
            message=life.message if ended else None,
            created_ms=self.line.at,
            deletion_ms=None if self.deleted is None or self.deleted.at > now_ms else self.deleted.at,
            grace_seconds=self.line.script.grace_seconds,
            priority=self.line.priority,
            requests=self.requests,
            containers=containers_at(life, now_ms),
            mark=self.mark or None,
            held=bool(self.mark),
            released=bool(self.mark) and self.deleted is not None and self.deleted.gone <= now_ms,
        )
