"""Changes: what `decide` emits and `apply` alone turns into rows. Job events and stops also go to argosy.events;
the others are bookkeeping."""

from typing import NamedTuple

from app.domain.commands import QueueSpec
from app.domain.events import Event, JobData, LeaseData, StopData
from app.domain.rows import ClusterRow, OperationRow, SettingsRow
from app.domain.state import IdRow


class JobSetKey(NamedTuple):
    """The job set of an event: queue, the queue's incarnation, job set."""

    queue: str
    incarnation: int
    job_set: str


class JobEvent(NamedTuple):
    """An event of a job. data comes with SUBMITTED, lease and scheduled_at_priority with LEASED; outranks: the event
    is REPRIORITIZED and older operations that have yet to reach the job must pass it by."""

    job_set: JobSetKey
    event: Event
    data: JobData | None = None
    lease: LeaseData | None = None
    scheduled_at_priority: int = 0
    outranks: bool = False


class RunStopped(NamedTuple):
    """A run ended; it comes before the event that ends its job."""

    stop: StopData


class QueueCreated(NamedTuple):
    """A queue came into being. place: its index in the command."""

    spec: QueueSpec
    place: int


class QueueUpdated(NamedTuple):
    """A queue is described otherwise; its incarnation stays."""

    spec: QueueSpec


class QueueDeleted(NamedTuple):
    """A queue is gone."""

    name: str


class EpochBegun(NamedTuple):
    """A scheduler leads."""

    epoch: int


class SettingsChanged(NamedTuple):
    """Deciding goes by these settings."""

    settings: SettingsRow


class InstanceBegun(NamedTuple):
    """An executor process speaks for its cluster."""

    cluster: ClusterRow


class OperationMoved(NamedTuple):
    """An operation was opened or moved on (row), or is done (None)."""

    offset: int
    row: OperationRow | None


class IdRemembered(NamedTuple):
    """A client id or request id has its answer."""

    key: bytes
    row: IdRow


class IdForgotten(NamedTuple):
    """A client id or request id is older than it counts."""

    key: bytes


Change = (
    JobEvent
    | RunStopped
    | QueueCreated
    | QueueUpdated
    | QueueDeleted
    | EpochBegun
    | SettingsChanged
    | InstanceBegun
    | OperationMoved
    | IdRemembered
    | IdForgotten
)
