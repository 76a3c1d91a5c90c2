"""A round as compact bytes: MessagePack of what is few, and the columns of what is many as they stand in memory.

`pack_round` and `unpack_round` are inverse. Some 65 bytes a job before compression, against several hundred as JSON
(round_print.py). Errors of reading: RoundError with the path of the wrong part.
"""

from typing import Any

import msgspec
import numpy as np

from app.domain.clusters import Taint
from app.pods.shape import Shape
from app.scheduling.errors import RoundError
from app.scheduling.jobs import Gang, Jobs
from app.scheduling.nodes import HOME_POOL, Nodes
from app.scheduling.resources import Resources
from app.scheduling.round import Cluster, Limiter, NodeType, PriorityClass, Queue, Round, RoundConfig
from app.scheduling.round_file import JOBS_MAX, NODES_MAX
from app.scheduling.shapes import Shapes

BINARY_FORMAT = "argosy-round-binary/1"
_SEPARATOR = "\0"
_NODE_COLUMNS = {
    **dict.fromkeys(("cluster", "pool", "label_key", "label_value", "taint_set"), "<i4"),
    **dict.fromkeys(("capacity", "held", "label_start"), "<i8"),
    "unschedulable": "|b1",
}
_JOB_COLUMNS = {
    **dict.fromkeys(("queue", "shape", "gang", "run_node", "run_priority", "avoid_job", "avoid_node"), "<i4"),
    **dict.fromkeys(("priority", "submitted", "run_started"), "<i8"),
    "running": "|b1",
}
_SHAPE_COLUMNS = {"requests": "<i8", "priority_class": "<i4"}
_TABLES = {"nodes": _NODE_COLUMNS, "jobs": _JOB_COLUMNS, "shapes": _SHAPE_COLUMNS}
_ID_BYTES_MAX = 4096
Array = np.typing.NDArray[np.generic]


class _Column(msgspec.Struct, array_like=True):
    shape: tuple[int, ...]
    data: bytes


class _Packed(msgspec.Struct, kw_only=True):
    format: str
    pool: str
    config: RoundConfig
    resources: tuple[str, ...]
    floating: tuple[int, ...]
    clusters: tuple[Cluster, ...]
    limiter: Limiter | None
    classes: tuple[PriorityClass, ...]
    node_types: tuple[NodeType, ...]
    pools: tuple[str, ...]
    node_names: str
    strings: tuple[str, ...]
    taint_sets: tuple[tuple[Taint, ...], ...]
    queues: tuple[Queue, ...]
    specs: tuple[Shape, ...]
    gangs: tuple[Gang, ...]
    unknown: tuple[str, ...]
    id_bytes: int
    ids: bytes
    columns: dict[str, dict[str, _Column]]


_ENCODER, _DECODER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Packed)


def pack_round(round_: Round) -> bytes:
    """The bytes of a round."""
    nodes, jobs, shapes = round_.nodes, round_.jobs, round_.shapes
    tables = {"nodes": nodes, "jobs": jobs, "shapes": shapes}
    return _ENCODER.encode(
        _Packed(
            format=BINARY_FORMAT,
            pool=round_.pool,
            config=round_.config,
            resources=round_.resources.names,
            floating=round_.floating,
            clusters=round_.clusters,
            limiter=round_.limiter,
            classes=round_.classes,
            node_types=round_.node_types,
            pools=round_.pools,
            node_names=_SEPARATOR.join(nodes.names),
            strings=nodes.strings,
            taint_sets=nodes.taint_sets,
            queues=round_.queues,
            specs=shapes.specs,
            gangs=round_.gangs,
            unknown=round_.unknown,
            id_bytes=jobs.id.dtype.itemsize,
            ids=np.ascontiguousarray(jobs.id).tobytes(),
            columns={
                table: {name: _column(getattr(tables[table], name), kind) for name, kind in columns.items()}
                for table, columns in _TABLES.items()
            },
        )
    )


def unpack_round(data: bytes) -> Round:
    """The round in these bytes. Raises RoundError."""
    try:
        packed = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise RoundError("", f"is no packed round: {error}") from None
    if packed.format != BINARY_FORMAT:
        raise RoundError("format", f"must be {BINARY_FORMAT!r}, not {packed.format!r}")
    names = tuple(packed.node_names.split(_SEPARATOR)) if packed.node_names else ()
    if not 1 <= packed.id_bytes <= _ID_BYTES_MAX or len(packed.ids) % packed.id_bytes:
        raise RoundError("ids", f"are not texts of {packed.id_bytes} bytes")
    if len(names) > NODES_MAX or len(packed.ids) // packed.id_bytes > JOBS_MAX:
        raise RoundError("", f"has more than {NODES_MAX} nodes or {JOBS_MAX} jobs")
    if len(set(packed.resources)) != len(packed.resources):
        raise RoundError("resources", "must name each resource once")
    tables: dict[str, dict[str, Any]] = {
        table: {name: _array(packed, table, name, kind) for name, kind in columns.items()}
        for table, columns in _TABLES.items()
    }
    result = Round(
        pool=packed.pool,
        config=packed.config,
        resources=Resources(names=packed.resources),
        floating=packed.floating,
        clusters=packed.clusters,
        limiter=packed.limiter,
        classes=packed.classes,
        node_types=packed.node_types,
        pools=packed.pools,
        nodes=Nodes(names=names, strings=packed.strings, taint_sets=packed.taint_sets, **tables["nodes"]),
        queues=packed.queues,
        shapes=Shapes(specs=packed.specs, **tables["shapes"]),
        gangs=packed.gangs,
        jobs=Jobs(id=np.frombuffer(packed.ids, f"S{packed.id_bytes}"), **tables["jobs"]),
        unknown=packed.unknown,
    )
    result.check()
    _check_references(result)
    return result


def _column(array: Array, kind: str) -> _Column:
    return _Column(shape=array.shape, data=np.ascontiguousarray(array, kind).tobytes())


def _array(packed: _Packed, table: str, name: str, kind: str) -> Array:
    path = f"columns.{table}.{name}"
    column = packed.columns.get(table, {}).get(name)
    if column is None:
        raise RoundError(path, "is required")
    array = np.frombuffer(column.data, kind) if len(column.data) % np.dtype(kind).itemsize == 0 else None
    wanted = 1
    for length in column.shape:
        wanted *= max(length, 0)
    if array is None or array.size != wanted or not 1 <= len(column.shape) <= 2:
        raise RoundError(path, f"has {len(column.data)} bytes, which are not {column.shape} of {kind}")
    return array.reshape(column.shape).astype(np.dtype(kind).newbyteorder("="))


def _check_references(round_: Round) -> None:
    """Indices that `Round.check` leaves to whoever made the round. Raises RoundError naming the column."""
    nodes, jobs = round_.nodes, round_.jobs
    starts = nodes.label_start
    if (
        len(starts) != len(nodes) + 1
        or starts[0] != 0
        or starts[-1] != len(nodes.label_key)
        or (np.diff(starts) < 0).any()
    ):
        raise RoundError("columns.nodes.label_start", "does not divide the labels")
    if nodes.label_key.shape != nodes.label_value.shape or jobs.avoid_job.shape != jobs.avoid_node.shape:
        raise RoundError("columns", "has pairs of which one side is longer")
    lowest = -len(round_.unknown)
    for path, indices, least, count in (
        ("nodes.label_key", nodes.label_key, 0, len(nodes.strings)),
        ("nodes.label_value", nodes.label_value, 0, len(nodes.strings)),
        ("nodes.taint_set", nodes.taint_set, 0, len(nodes.taint_sets)),
        ("nodes.pool", nodes.pool, HOME_POOL, len(round_.pools)),
        ("jobs.avoid_job", jobs.avoid_job, 0, len(jobs)),
        ("jobs.avoid_node", jobs.avoid_node, lowest, len(nodes)),
        ("jobs.queue", jobs.queue, lowest, len(round_.queues)),
        ("jobs.gang", jobs.gang, -1, len(round_.gangs)),
    ):
        if len(indices) and (int(indices.min()) < least or int(indices.max()) >= count):
            raise RoundError(f"columns.{path}", f"has an index outside of {least}..{count - 1}")
