"""The Avro schemas of everything that is written to Kafka, and which class of app.domain each belongs to.

Inputs: schemas/avro/*.avsc (the source of each schema) and schemas/avro/registry.lock (ids and all versions). Output:
`SCHEMAS`. The lock gives the ids that stand in the 5-byte frame of each value, so no registry is needed to run.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fastavro
import msgspec
from fastavro.schema import fingerprint, to_parsing_canonical_form

from app.domain import clusters, commands, events, rounds, rows
from app.log.errors import SchemaError, UnknownSchema

SCHEMA_DIR = Path(__file__).resolve().parents[2] / "schemas" / "avro"
LOCK_NAME = "registry.lock"
NAMESPACE = "argosy"
FRAME_BYTES = 5

CLASSES: dict[str, type[msgspec.Struct]] = {
    "CreateQueues": commands.CreateQueues,
    "UpdateQueues": commands.UpdateQueues,
    "DeleteQueues": commands.DeleteQueues,
    "SubmitJobs": commands.SubmitJobs,
    "CancelJobs": commands.CancelJobs,
    "CancelJobSet": commands.CancelJobSet,
    "ReprioritizeJobs": commands.ReprioritizeJobs,
    "ReprioritizeJobSet": commands.ReprioritizeJobSet,
    "PreemptJobs": commands.PreemptJobs,
    "Continue": commands.Continue,
    "Settings": commands.Settings,
    "BeginEpoch": commands.BeginEpoch,
    "BeginInstance": commands.BeginInstance,
    "LeaseJobs": commands.LeaseJobs,
    "ExpireRuns": commands.ExpireRuns,
    "PreemptRuns": commands.PreemptRuns,
    "RejectJobs": commands.RejectJobs,
    "ReportRuns": commands.ReportRuns,
    "EventsRecord": events.EventsRecord,
    "Events": events.Event,
    "JobRow": rows.JobRow,
    "RunRow": rows.RunRow,
    "QueueRow": rows.QueueRow,
    "OperationRow": rows.OperationRow,
    "ClusterRow": rows.ClusterRow,
    "SettingsRow": rows.SettingsRow,
    "PositionRow": rows.PositionRow,
    "ClientIdRow": rows.ClientIdRow,
    "RequestIdRow": rows.RequestIdRow,
    "ClusterUpdates": clusters.ClusterUpdates,
    "ApiAlive": clusters.ApiAlive,
    "ShapeRecord": clusters.ShapeRecord,
    "LeadershipRecord": clusters.LeadershipRecord,
    "RoundRecord": rounds.RoundRecord,
    "DeadLetter": clusters.DeadLetter,
}
"""Schema name (= file name) -> class. `Events` alone is an array: of Event, the body of a block."""

ARRAYS = frozenset({"Events"})


class SchemaVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a schema in the lock. fingerprint: SHA-256 of the parsing canonical form; text: the schema
    without docs, as JSON."""

    version: int
    id: int
    fingerprint: str
    text: str


Lock = dict[str, tuple[SchemaVersion, ...]]
"""Schema name -> its versions, oldest first; the last one is in the file."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A schema in force. source: the file as JSON; versions: all, oldest first; array: a value is a list of `cls`."""

    name: str
    cls: type[msgspec.Struct]
    source: Any
    versions: tuple[SchemaVersion, ...]
    array: bool

    @property
    def id(self) -> int:
        return self.versions[-1].id

    @cached_property
    def frame(self) -> bytes:
        """What each value begins with: byte 0 and the id, big-endian in 4 bytes (Confluent's wire format)."""
        return frame_of(self.id)

    @cached_property
    def parsed(self) -> Any:
        """For fastavro."""
        return fastavro.parse_schema(self.source)


class Schemas:
    """All schemas, by name, by class and by id."""

    def __init__(self, schemas: tuple[Schema, ...]) -> None:
        self.all = schemas
        self.by_name = {schema.name: schema for schema in schemas}
        self.by_class = {schema.cls: schema for schema in schemas}
        self.by_id = {version.id: (schema, version) for schema in schemas for version in schema.versions}
        self._writers: dict[int, Any] = {}

    def of_class(self, cls: type) -> Schema:
        """Raises SchemaError when values of this class are not written to the log."""
        schema = self.by_class.get(cls)
        if schema is None:
            raise SchemaError(f"{cls.__name__} has no schema: it is not written to the log by itself")
        return schema

    def of_id(self, schema_id: int) -> tuple[Schema, SchemaVersion]:
        """The schema and which version of it has this id. Raises UnknownSchema."""
        found = self.by_id.get(schema_id)
        if found is None:
            raise UnknownSchema(schema_id)
        return found

    def writer(self, version: SchemaVersion) -> Any:
        """A version for fastavro, to read with what was written by an earlier release."""
        parsed = self._writers.get(version.id)
        if parsed is None:
            parsed = self._writers[version.id] = fastavro.parse_schema(json.loads(version.text))
        return parsed


def frame_of(schema_id: int) -> bytes:
    """The 5-byte frame of a schema id."""
    return b"\0" + schema_id.to_bytes(4, "big")


def read_source(directory: Path, name: str) -> Any:
    """The JSON of a schema file. Raises SchemaError."""
    path = directory / f"{name}.avsc"
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SchemaError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise SchemaError(f"{path} is not JSON: {error}") from error


def read_lock(directory: Path) -> Lock:
    """The lock of a schema directory; empty when there is none yet. Raises SchemaError."""
    path = directory / LOCK_NAME
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lock)
    except msgspec.MsgspecError as error:
        raise SchemaError(f"{path} is not a lock of schemas: {error}") from error


def fingerprint_of(source: Any) -> str:
    """SHA-256 of the parsing canonical form, as 64 hexadecimal digits."""
    return str(fingerprint(to_parsing_canonical_form(source), "sha256"))


def load_schemas(directory: Path = SCHEMA_DIR) -> Schemas:
    """Reads files and lock. Raises SchemaError when one is missing or they do not fit each other."""
    lock = read_lock(directory)
    schemas = []
    for name, cls in CLASSES.items():
        source = read_source(directory, name)
        versions = lock.get(name, ())
        if not versions or versions[-1].fingerprint != fingerprint_of(source):
            raise SchemaError(f"schemas/avro/{name}.avsc was changed and {LOCK_NAME} was not: run make schemas")
        schemas.append(Schema(name=name, cls=cls, source=source, versions=versions, array=name in ARRAYS))
    return Schemas(tuple(schemas))
