"""What earlier releases wrote is read by this one, and it goes on from where they stopped."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.domain.apply import head_of
from app.domain.decide import decide
from app.domain.errors import ErrorCode
from app.domain.events import EventsRecord
from app.domain.lifecycle import LIVE, STATES
from app.domain.memory import MemoryState
from app.domain.rows import JobRow
from app.domain.state import Overlay
from app.log.codec import decode, decode_events, encode
from tests.conformance.golden_log import GoldenPartition, log_time_ms, read

LOGS = sorted((Path(__file__).parent / "golden").glob("*.zst"))
each_log = pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)


def test_there_is_a_golden_log() -> None:
    assert LOGS


@each_log
def test_every_row_and_event_of_an_earlier_release_is_read_whole(path: Path) -> None:
    for partition in read(path).values():
        for value in (*partition.rows.values(), *partition.ids.values(), *partition.decided):
            known: Any = decode(value)
            assert decode(encode(known)) == known
        records = [decode(value) for value in partition.events]
        count = sum(record.count for record in records if isinstance(record, EventsRecord))
        assert count > 100
        found = 0
        for record in records:
            assert isinstance(record, EventsRecord)
            found += len(record.stops) + sum(len(decode_events(block.body)) for block in record.blocks)
        assert found == count


@each_log
def test_deciding_goes_on_over_the_state_of_an_earlier_release(path: Path) -> None:
    events: Counter[str] = Counter()
    for number, partition in read(path).items():
        state = restored(partition)
        for offset, value in enumerate(partition.to_come, len(partition.decided)):
            overlay, command = Overlay(state), decode(value)
            decision = decide(overlay, command, number, offset, log_time_ms(offset))  # type: ignore[arg-type]  # one
            overlay.keep()
            state.commit(overlay, offset, log_time_ms(offset))
            assert not decision.failed_items
            assert ErrorCode.INTERNAL not in {refusal.code for refusal in decision.outcome.refusals}
            events.update(event.kind.value for _, event in decision.events)
        for row in state.rows.values():
            if isinstance(row, JobRow):
                assert STATES[head_of(row).state] in LIVE
    assert events["SUBMITTED"] > 50
    assert events["LEASED"] > 20
    assert events["SUCCEEDED"] > 0


@each_log
def test_the_whole_log_of_an_earlier_release_can_be_decided_again(path: Path) -> None:
    for number, partition in read(path).items():
        state = MemoryState()
        for offset, value in enumerate((*partition.decided, *partition.to_come)):
            overlay, command = Overlay(state), decode(value)
            decision = decide(overlay, command, number, offset, log_time_ms(offset))  # type: ignore[arg-type]  # one
            overlay.keep()
            state.commit(overlay, offset, log_time_ms(offset))
            assert not decision.failed_items


def restored(partition: GoldenPartition) -> MemoryState:
    """As a restore makes it: the latest values of both changelogs."""
    state = MemoryState()
    rows: dict[bytes, Any] = {key: decode(value) for key, value in partition.rows.items()}
    ids: dict[bytes, Any] = {key: decode(value) for key, value in partition.ids.items()}
    state.restore(rows, ids)
    return state
