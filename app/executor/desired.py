"""What the log wants of this cluster, as far as its answers told, and what this instance has done about it: one `Run`
per run.

Changed only by `answers` (an answer was taken), `observe` (the cluster said something) and `reconcile.commit`
(actions were begun)."""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from app.executor.cursor import Cursor, Position
from app.executor.kubernetes import Refused, RunOfPod
from app.executor.protocol import LAST_WORDS, Lease, Report, ReportState


class Told(Enum):
    """The last thing that an answer said of a run."""

    NOTHING = "nothing"
    """its pod was found, the log has not spoken yet"""
    LEASE = "lease"
    REPORTED = "reported"
    """the log knows that it once was reported: a pod existed"""
    STOP = "stop"
    NOT_NAMED = "not named"
    """a full answer past its position does not name it: the log has ended it"""


class EndKind(StrEnum):
    """Why a run is to end."""

    STOPPED = "STOPPED"
    UNKNOWN_TO_LOG = "UNKNOWN_TO_LOG"
    TROUBLE = "TROUBLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What is said of a run when it has ended."""

    state: ReportState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    attempted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A run is to end; `word` is said once that is certain."""

    kind: EndKind
    word: Word


@dataclass(slots=True, kw_only=True)
class Run:
    """A run that this instance knows, from an answer or from its pod. Times are ms of this executor's clock, None =
    never.

    uncertain_ms: when a create with unknown outcome was given up; deleted_ms: the pod was seen deleted; absent_ms:
    when a read by name that found none began; outcome: how its pod ended, kept for the case that it is removed before
    that may be said; delete_first_ms, delete_last_ms: when we asked for its deletion; marking: its pod is being marked
    or released; marked: its pod was marked, as far as it could be."""

    run_id: str
    job_id: str | None = None
    attempt: int | None = None
    position: Position | None = None
    lease: Lease | None = None
    told: Told = Told.NOTHING
    finished: bool = False
    ending: Ending | None = None
    creates_in_flight: int = 0
    first_create_ms: int | None = None
    created_ms: int | None = None
    uncertain_ms: int | None = None
    refused: Refused | None = None
    next_create_ms: int = 0
    seen: bool = False
    outcome: Word | None = None
    deleted_ms: int | None = None
    absent_ms: int | None = None
    reading: bool = False
    next_read_ms: int = 0
    delete_first_ms: int | None = None
    delete_last_ms: int | None = None
    deleting: bool = False
    marking: bool = False
    marked: bool = False
    forced: bool = False
    said: Report | None = None
    say_gone_again: bool = False

    @property
    def is_final(self) -> bool:
        """Its last word was said."""
        return self.said is not None and self.said.state in LAST_WORDS

    @property
    def namespace(self) -> str | None:
        return self.lease.namespace if self.lease is not None else None


@dataclass(slots=True, kw_only=True)
class Desired:
    """Everything that one instance knows of the log's wishes. cursor: what was taken; full_cursor: that of the last
    full answer.

    waiting: runs whose displaced runs are not gone yet; needs_full: something can only be judged by another full
    answer."""

    cluster: str
    instance_start_ms: int
    log: str | None = None
    cursor: Cursor | None = None
    full_cursor: Cursor | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    needs_full: bool = False
    answers_dropped: int = 0

    def run_of_pod(self, of_pod: RunOfPod) -> Run:
        """The run of a pod of ours; taken up from the pod's labels when it is new here."""
        run = self.runs.get(of_pod.run_id)
        if run is None:
            run = Run(run_id=of_pod.run_id)
            self.runs[of_pod.run_id] = run
        run.job_id = run.job_id or of_pod.job_id
        run.attempt = of_pod.attempt if run.attempt is None else run.attempt
        run.position = run.position or of_pod.position
        return run
