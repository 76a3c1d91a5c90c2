"""Stamps: a store counts as fresh only while nobody else can have written to its changelogs."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.log.topics import CLIENT_IDS, STATE
from app.streams.store import Writes
from tables.client_ids import CHANGELOG as IDS
from tables.state import CHANGELOG as ROWS
from tests.unit.streams.memory_log import MemoryTenure

ASKED_MS = 1_800_000_000_000
OLD_MS = ASKED_MS - 3_600_000


@pytest.fixture
async def tenure(tmp_path: Path) -> AsyncIterator[MemoryTenure]:
    made = MemoryTenure(tmp_path, 0)
    made._plan = SimpleNamespace(changelogs=(IDS, ROWS))  # type: ignore[assignment]  # all that a stamp asks for
    made.store.write(Writes(applied={IDS.prefix: 10, ROWS.prefix: 20}, stamp_ms=OLD_MS))
    yield made
    made.store.close()


async def test_an_idle_store_at_the_end_of_both_changelogs_is_stamped(tenure: MemoryTenure) -> None:
    tenure.stamp(ASKED_MS, {CLIENT_IDS: 11, STATE: 22})
    assert tenure.store.stamp_ms == ASKED_MS


@pytest.mark.parametrize("ends", [{CLIENT_IDS: 13, STATE: 22}, {CLIENT_IDS: 11, STATE: 23}])
async def test_a_store_that_was_overtaken_is_not_stamped(tenure: MemoryTenure, ends: dict[str, int]) -> None:
    tenure.stamp(ASKED_MS, ends)
    assert tenure.store.stamp_ms == OLD_MS


@pytest.mark.parametrize("when", ["a step is running", "ended", "quarantined", "being restored"])
async def test_only_a_ready_idle_tenure_is_stamped(tenure: MemoryTenure, when: str) -> None:
    if when == "a step is running":
        tenure.idle.clear()
    elif when == "ended":
        tenure.ended = True
    elif when == "quarantined":
        tenure.quarantine("test")
    else:
        tenure.ready = False
    tenure.stamp(ASKED_MS, {CLIENT_IDS: 11, STATE: 22})
    assert tenure.store.stamp_ms == OLD_MS
