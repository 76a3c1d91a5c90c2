"""The wire types of `POST /executor/v1/sync`, their bounds, and encoding and decoding. Both sides of the wire import
this file.

Requests are strict: an unknown field, a wrong type or a broken bound is a `ProtocolError` that names its path.
Answers are tolerant: unknown fields are ignored and named, so that the executor can warn once. Quantities are
Kubernetes text and are not parsed here."""

import re
import zlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.executor.cursor import Cursor, Position, cursor_from_wire, cursor_to_wire

REQUEST_BYTES_MAX = 24 << 20
ANSWER_BYTES_MAX = 256 << 20
"""a full answer may name 1,000,000 runs, and a gang's leases carry 10,000 pod specs"""
NODES_PER_REQUEST_MAX = 5_000
REPORTS_PER_REQUEST_MAX = 10_000
RUNS_PER_REQUEST_MAX = 100_000
LEASES_PER_ANSWER_MAX = 20_000
"""1,000, or a whole gang, or (in a full answer) everything that is unreported"""
REPORTED_PER_ANSWER_MAX = 1_000_000
WAIT_MS_MAX = 10_000
MESSAGE_CHARS_MAX = 4_096

Name = Annotated[str, Meta(min_length=1, max_length=253)]
OptionalName = Annotated[str, Meta(max_length=253)]
Id = Annotated[str, Meta(min_length=26, max_length=26, pattern="^[0-7][0-9a-hjkmnp-tv-z]{25}$")]
Reason = Annotated[str, Meta(max_length=512)]
Message = Annotated[str, Meta(max_length=MESSAGE_CHARS_MAX)]
LabelMap = Annotated[
    dict[Annotated[str, Meta(max_length=512)], Annotated[str, Meta(max_length=65_536)]], Meta(max_length=1_000)
]
QuantityMap = Annotated[dict[Name, Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=100)]
Time = Annotated[str, Meta(max_length=35, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")]
Count = Annotated[int, Meta(ge=0, le=1 << 53)]
ExitStatus = Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31)]


class ProtocolError(ValueError):
    """A body is not what the protocol says. `errors` holds (path, message) pairs, at least one; path "" is the body
    itself."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path or 'body'}: {message}" for path, message in errors))
        self.errors = errors


class Request(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """What the executor sends: unknown fields are errors, defaults are left out."""


class Answer(Struct, rename="camel", omit_defaults=False, frozen=True, kw_only=True):
    """What the API sends: unknown fields are tolerated."""


class ReportState(StrEnum):
    """The level that a run has reached; the last four are last words (rule 4)."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    RETURNED = "RETURNED"
    GONE = "GONE"


LAST_WORDS = frozenset({ReportState.SUCCEEDED, ReportState.FAILED, ReportState.RETURNED, ReportState.GONE})


class ContainerPhase(StrEnum):
    """Where a container of a pod stands."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    TERMINATED = "TERMINATED"


class ContainerReport(Request, frozen=True, kw_only=True):
    """One container of a run's pod. reason and message are the kubelet's (ImagePullBackOff, OOMKilled, a termination
    message)."""

    name: Name
    init: bool = False
    state: ContainerPhase = ContainerPhase.WAITING
    reason: Reason | None = None
    message: Message | None = None
    exit_code: ExitStatus | None = None
    started: Time | None = None
    finished: Time | None = None


class Taint(Request, frozen=True, kw_only=True):
    """A Kubernetes taint."""

    key: Name
    value: OptionalName = ""
    effect: Annotated[str, Meta(min_length=1, max_length=40)]


class Node(Request, frozen=True, kw_only=True):
    """A node. foreign: usage of every pod that holds room and whose run the log does not count, by priority."""

    name: Name
    pool: Name = "default"
    type: OptionalName = ""
    labels: LabelMap = {}
    taints: Annotated[tuple[Taint, ...], Meta(max_length=100)] = ()
    allocatable: QuantityMap = {}
    foreign: Annotated[dict[Annotated[str, Meta(pattern=r"^-?\d{1,10}$")], QuantityMap], Meta(max_length=1_000)] = {}
    unschedulable: bool = False


class NodesComplete(Request, frozen=True, kw_only=True):
    """Closes a generation: nodes that it did not name are gone. A wrong count makes the API ask for a new one."""

    node_count: Count


class Nodes(Request, frozen=True, kw_only=True):
    """Changed nodes of one generation."""

    generation: Annotated[int, Meta(ge=1, le=1 << 53)]
    changed: Annotated[tuple[Node, ...], Meta(max_length=NODES_PER_REQUEST_MAX)] = ()
    removed: Annotated[tuple[Name, ...], Meta(max_length=RUNS_PER_REQUEST_MAX)] = ()
    complete: NodesComplete | None = None


class Report(Request, frozen=True, kw_only=True):
    """The level of one run. jobId and attempt are absent only where the executor knows a lost run from `reported`
    alone, without `reportedJobs`."""

    run_id: Id
    job_id: Id | None = None
    attempt: Annotated[int, Meta(ge=0, le=255)] | None = None
    state: ReportState
    time: Time
    node: OptionalName | None = None
    pod: OptionalName | None = None
    namespace: OptionalName | None = None
    exit_code: ExitStatus | None = None
    reason: Reason | None = None
    message: Message | None = None
    category: Reason | None = None
    attempted: bool = True
    containers: Annotated[tuple[ContainerReport, ...], Meta(max_length=200)] = ()
    usage: QuantityMap | None = None
    ingress: (
        Annotated[
            dict[Annotated[str, Meta(max_length=20)], Annotated[str, Meta(max_length=1_024)]], Meta(max_length=100)
        ]
        | None
    ) = None


class SyncRequest(Request, frozen=True, kw_only=True):
    """One request of a lane. Only the reports lane (waitMs 0) carries nodes, reports and runs. `runs` asks for a full
    answer."""

    cluster: Name
    instance: Id
    sequence: Annotated[int, Meta(ge=1, le=1 << 53)]
    time: Time
    nodes: Nodes | None = None
    reports: Annotated[tuple[Report, ...], Meta(max_length=REPORTS_PER_REQUEST_MAX)] = ()
    runs: Annotated[tuple[Report, ...], Meta(max_length=RUNS_PER_REQUEST_MAX)] | None = None
    lease_cursor: Cursor | None = None
    wait_ms: Annotated[int, Meta(ge=0, le=WAIT_MS_MAX)] = 0


class Displaced(Answer, frozen=True, kw_only=True):
    """A run that a lease displaces, and the position of its own LEASED event."""

    run_id: Id
    position: Position


class LeaseGang(Answer, frozen=True, kw_only=True):
    """The gang of a run's job: its pod is told. uniformityLabel: of nodes, None = none."""

    id: str
    cardinality: Annotated[int, Meta(ge=1, le=1 << 31)]
    uniformity_label: str | None = None


class Lease(Answer, frozen=True, kw_only=True):
    """A run to start: a job on a node. podSpec, services and ingresses stay JSON text until a pod is made of them."""

    job_id: Id
    run_id: Id
    attempt: Annotated[int, Meta(ge=0, le=255)]
    queue: Name
    job_set: Annotated[str, Meta(min_length=1, max_length=1_023)]
    owner: str = ""
    groups: tuple[str, ...] = ()
    node: Name
    pool: Name = "default"
    position: Position
    displaces: Annotated[tuple[Displaced, ...], Meta(max_length=1_000)] = ()
    namespace: Name = "default"
    pod_spec: Raw
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    services: tuple[Raw, ...] = ()
    ingresses: tuple[Raw, ...] = ()
    preemptible: bool = False
    deadline_seconds: Annotated[int, Meta(ge=0, le=1 << 53)] | None = None
    gang: LeaseGang | None = None


class ReportedJob(Answer, frozen=True, kw_only=True):
    """What a report of a run in `reported` needs; `reportedJobs` stands in the same order as `reported`."""

    job_id: Id
    attempt: Annotated[int, Meta(ge=0, le=255)]


FINISHED = "finished"
"""the reason of a stop that only says: this run's end was accepted, its pod may go"""


class Stop(Answer, frozen=True, kw_only=True):
    """A run that we ended, or (reason `finished`) one whose end was accepted."""

    job_id: Id
    run_id: Id
    attempt: Annotated[int, Meta(ge=0, le=255)]
    reason: str = ""


class SyncAnswer(Answer, frozen=True, kw_only=True):
    """The answer to a request. logBegins: partition -> first offset that its events still hold; older runs are not
    judged by absence."""

    sequence: Count
    leases: Annotated[tuple[Lease, ...], Meta(max_length=LEASES_PER_ANSWER_MAX)] = ()
    reported: Annotated[tuple[Id, ...], Meta(max_length=REPORTED_PER_ANSWER_MAX)] = ()
    reported_jobs: Annotated[tuple[ReportedJob, ...], Meta(max_length=REPORTED_PER_ANSWER_MAX)] | UnsetType = UNSET
    stops: Annotated[tuple[Stop, ...], Meta(max_length=REPORTED_PER_ANSWER_MAX)] = ()
    lease_cursor: Cursor | None = None
    leases_known: bool = True
    ask_nodes: bool = False
    log_begins: Annotated[dict[str, Count], Meta(max_length=256)] | UnsetType = UNSET


class FieldError(Answer, frozen=True, kw_only=True):
    """One thing that is wrong with a request."""

    path: str
    message: str


class ErrorAnswer(Answer, frozen=True, kw_only=True):
    """The body of every refusal; code is set for 409 (REPLACED)."""

    errors: tuple[FieldError, ...] = ()
    code: str | None = None


def _from_builtin(expected: type, value: Any) -> Any:
    if expected is Cursor:
        return cursor_from_wire(value)
    raise NotImplementedError(expected)


def _to_builtin(value: object) -> object:
    if isinstance(value, Cursor):
        return cursor_to_wire(value)
    raise NotImplementedError(type(value))


_ENCODER = msgspec.json.Encoder(enc_hook=_to_builtin)
_REQUESTS = msgspec.json.Decoder(SyncRequest, dec_hook=_from_builtin)
_ANSWERS = msgspec.json.Decoder(SyncAnswer, dec_hook=_from_builtin)
_ERRORS = msgspec.json.Decoder(ErrorAnswer)
_SHALLOW_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_SHALLOW_LIST = msgspec.json.Decoder(list[dict[str, Raw]])
_AT = re.compile(r"^(.*) - at (?:`key` in )?`\$(.*)`$", re.DOTALL)
_FIELD = re.compile(r"(?:unknown|required) field `([^`]*)`")


def encode_request(request: SyncRequest) -> bytes:
    """The JSON of a request."""
    return _ENCODER.encode(request)


def encode_answer(answer: SyncAnswer | ErrorAnswer) -> bytes:
    """The JSON of an answer or a refusal."""
    return _ENCODER.encode(answer)


def decode_request(body: bytes) -> SyncRequest:
    """The request in a body (already decompressed). Raises ProtocolError with the path of the first wrong field."""
    if len(body) > REQUEST_BYTES_MAX:
        raise ProtocolError([("", f"longer than {REQUEST_BYTES_MAX} bytes")])
    try:
        request = _REQUESTS.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _protocol_error(error) from None
    if request.wait_ms and (request.nodes is not None or request.reports or request.runs is not None):
        fields = [
            ("nodes", request.nodes is not None),
            ("reports", bool(request.reports)),
            ("runs", request.runs is not None),
        ]
        raise ProtocolError(
            [(name, "only the reports lane (waitMs 0) carries this") for name, given in fields if given]
        )
    return request


def decode_answer(body: bytes) -> tuple[SyncAnswer, tuple[str, ...]]:
    """The answer in a body, and the paths of the fields that this version does not know. Raises ProtocolError."""
    try:
        answer = _ANSWERS.decode(body)
        shallow = _SHALLOW_OBJECT.decode(body)
        unknown = _unknown("", shallow, SyncAnswer)
        for name, item in (("leases", Lease), ("stops", Stop), ("reportedJobs", ReportedJob)):
            for entry in _SHALLOW_LIST.decode(shallow[name]) if name in shallow else ():
                unknown |= _unknown(f"{name}[].", entry, item)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _protocol_error(error) from None
    if answer.reported_jobs is not UNSET and len(answer.reported_jobs) != len(answer.reported):
        raise ProtocolError(
            [("reportedJobs", f"has {len(answer.reported_jobs)} entries, `reported` has {len(answer.reported)}")]
        )
    return answer, tuple(sorted(unknown))


def decode_refusal(body: bytes) -> ErrorAnswer:
    """The refusal in a body; an empty one when the body is something else (a proxy's page, say)."""
    try:
        return _ERRORS.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return ErrorAnswer()


def decompress(body: bytes, bytes_max: int = REQUEST_BYTES_MAX) -> bytes:
    """A gzip body, decompressed up to a bound. Raises ProtocolError when it is longer or not gzip."""
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(body, bytes_max + 1)
    except zlib.error:
        raise ProtocolError([("", "is not gzip, though Content-Encoding says so")]) from None
    if len(plain) > bytes_max:
        raise ProtocolError([("", f"longer than {bytes_max} bytes when decompressed")])
    if not stream.eof or stream.unused_data:
        raise ProtocolError([("", "is not one whole gzip member")])
    return plain


def format_time(time_ms: int) -> str:
    """Milliseconds since 1970 as the wire's time: RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{time_ms % 1000:03d}Z"


def parse_time(text: str) -> int:
    """The wire's time in ms since 1970 (finer digits are cut). Raises ValueError."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return int(seconds.timestamp()) * 1000 + int((fraction + "000")[:3])


def _unknown(prefix: str, entry: dict[str, Raw], struct: type[Struct]) -> set[str]:
    return {prefix + name for name in entry.keys() - set(struct.__struct_encode_fields__)}


def _protocol_error(error: Exception) -> ProtocolError:
    if isinstance(error, RecursionError):
        return ProtocolError([("", "is nested too deeply")])
    text = str(error)
    found = _AT.match(text)
    message, path = (found[1], found[2].lstrip(".")) if found else (text, "")
    named = _FIELD.search(message)
    if named:
        path = f"{path}.{named[1]}" if path else named[1]
    return ProtocolError([(path, message)])
