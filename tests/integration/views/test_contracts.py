"""Every view of ours keeps the contract of views, on real Postgres, over logs that the domain made."""

from collections.abc import Callable

import pytest

from agents.views.history import VIEW as HISTORY
from agents.views.leases import VIEW as LEASES
from agents.views.queues import VIEW as QUEUES
from app.views.contract import check_contract
from tests.unit.views.event_log import EventLog

pytestmark = pytest.mark.stack


async def test_history_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    log = EventLog(seed=11)
    log.run(500)
    tables = await check_contract(HISTORY, log.events, database_factory)
    assert all(len(rows) > 10 for table, rows in tables.items()), "every table is put to use"


async def test_leases_keeps_the_contract(database_factory: Callable[[], str]) -> None:
    log = EventLog(seed=12, step_ms=30_000)
    log.run(500)
    tables = await check_contract(LEASES, log.events, database_factory)
    assert all(len(rows) >= 5 for table, rows in tables.items()), "every table is put to use"
