"""A golden log: what a release wrote, kept as it stood in Kafka, for later releases to read and to go on from.

`python -m tests.conformance.golden_log FILE` writes one with the code at hand: commands of a seeded load, what deciding
the first of them left in argosy.state and argosy.client-ids, and their events records. Format: zstd of msgpack.
"""

import sys
from pathlib import Path

import msgspec
import zstandard

from app.domain.decide import decide
from app.domain.memory import MemoryState
from app.domain.records import records_of
from app.domain.state import Overlay
from app.log.codec import Undecodable, decode, encode, encode_events
from tests.faults.load import POISON_JOB_SET, Load

SEED = 20261124
PARTITIONS = 2
DECIDED, TO_COME = 140, 80
FIRST_MS = 1_790_000_000_000


class GoldenPartition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition. decided: values of the commands behind rows and events; to_come: those that follow; log time of
    the command at offset n: FIRST_MS + 50 n."""

    decided: list[bytes] = []
    to_come: list[bytes] = []
    rows: dict[bytes, bytes] = {}
    ids: dict[bytes, bytes] = {}
    events: list[bytes] = []


def log_time_ms(offset: int) -> int:
    return FIRST_MS + 50 * offset


def read(path: Path) -> dict[int, GoldenPartition]:
    """Partition -> what stood in it."""
    packed = zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=64 << 20)
    return msgspec.msgpack.decode(packed, type=dict[int, GoldenPartition])


def write(path: Path) -> None:
    """Draws a log and writes what this code makes of it."""
    load = Load(SEED, PARTITIONS)
    drawn: dict[int, list[bytes]] = {partition: [] for partition in range(PARTITIONS)}
    while any(len(values) < DECIDED + TO_COME for values in drawn.values()):
        partition, value = load.next()
        if _is_command(value):
            drawn[partition].append(value)
    made = {partition: _decided(partition, values[: DECIDED + TO_COME]) for partition, values in drawn.items()}
    path.write_bytes(zstandard.ZstdCompressor(level=19).compress(msgspec.msgpack.encode(made)))


def _is_command(value: bytes) -> bool:
    try:
        return getattr(decode(value), "job_set", None) != POISON_JOB_SET
    except Undecodable:
        return False


def _decided(partition: int, values: list[bytes]) -> GoldenPartition:
    state, events = MemoryState(), []
    for offset, value in enumerate(values[:DECIDED]):
        overlay, command = Overlay(state), decode(value)
        decision = decide(overlay, command, partition, offset, log_time_ms(offset))  # type: ignore[arg-type]  # a command
        overlay.keep()
        state.commit(overlay, offset, log_time_ms(offset))
        records = records_of(
            decision,
            offset=offset,
            log_time_ms=log_time_ms(offset),
            command=type(command).__name__,
            encode_events=encode_events,
        )
        events += [encode(record) for record in records]
    return GoldenPartition(
        decided=values[:DECIDED],
        to_come=values[DECIDED:],
        rows={key: encode(row) for key, row in state.rows.items()},
        ids={key: encode(row) for key, row in state.ids.items()},
        events=events,
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
