"""What calls that change jobs answer, and what every such call has in common: which ids it names, and its reason."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.api.errors import Fault, invalid
from app.api.service.names import job_set_fault, queue_name_fault, reason_fault
from app.api.service.waiting import Written
from app.domain.errors import ErrorCode
from app.domain.ids import InvalidId, format_id, parse_id
from app.domain.limits import IDS_PER_CALL_MAX

FAULTS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAffected:
    """An id that the call did not change, and why."""

    id: str
    code: ErrorCode
    message: str


@dataclass(slots=True, kw_only=True)
class JobsAnswer:
    """position: a vector. affected: up to 10,000 ids, affected_count: all; both are unknown (empty) with LOGGED."""

    position: dict[int, int] = field(default_factory=dict)
    affected: list[bytes] = field(default_factory=list)
    affected_count: int = 0
    not_affected: list[NotAffected] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def merge(self, written: Written) -> "JobsAnswer":
        """Takes what became of the call's commands."""
        self.position = written.position
        if written.fault is not None:
            self.faults.append(written.fault)
        for applied in written.applied.values():
            self.affected.extend(applied.affected[: IDS_PER_CALL_MAX - len(self.affected)])
            self.affected_count += applied.affected_count
            for refusal in applied.outcome.refusals:
                if refusal.index >= 0 and refusal.id:
                    self.not_affected.append(
                        NotAffected(id=_id_text(refusal.id), code=refusal.code, message=refusal.message)
                    )
                else:
                    self.faults.append(Fault(code=refusal.code, path=refusal.path, message=refusal.message))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedJobs:
    """Jobs by their ids. queue and job_set, where given, must be the jobs' own."""

    job_ids: Sequence[str]
    queue: str | None
    job_set: str | None
    reason: str | None

    def parsed(self, answer: JobsAnswer) -> list[bytes]:
        """The ids, each once; what is wrong with the call goes into the answer."""
        checks = [
            queue_name_fault(self.queue, path="queue") if self.queue is not None else None,
            job_set_fault(self.job_set, path="jobSet") if self.job_set is not None else None,
            reason_fault(self.reason),
        ]
        answer.faults += [fault for fault in checks if fault is not None]
        count = len(self.job_ids)
        if not 1 <= count <= IDS_PER_CALL_MAX:
            answer.faults.append(invalid("jobIds", f"must have 1 to {IDS_PER_CALL_MAX:,} ids, not {count:,}"))
            return []
        ids: dict[bytes, None] = {}
        for index, text in enumerate(self.job_ids):
            try:
                ids[parse_id(text)] = None
            except InvalidId as error:
                answer.faults.append(invalid(f"jobIds[{index}]", str(error), index=index))
                if len(answer.faults) >= FAULTS_MAX:
                    break
        return list(ids)


def _id_text(value: bytes) -> str:
    return format_id(value) if len(value) == 16 else value.decode("utf-8", "replace")
