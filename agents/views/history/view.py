"""View history (app history): reads argosy.events. A mutation that waits for VISIBLE waits for it.

Owner of the tables history_v1_*. Queries: app.db.queries.jobs, .job_sets, .job_set_events.
"""

from collections.abc import Sequence

from agents.views.history import merge, tables
from agents.views.history.encode import operations
from agents.views.history.plan import plan
from app.log.topics import EVENTS
from app.views.view import Batch, Operation, View


def rows(batch: Batch) -> Sequence[Operation]:
    """The whole view: events of a batch to operations on its tables."""
    return operations(plan(batch))


VIEW = View(
    name="history",
    version=tables.VERSION,
    topic=EVENTS,
    metadata=tables.METADATA,
    rows=rows,
    ddl=tables.DDL,
    indexes=tables.INDEXES,
    session=merge.SESSION,
    weekly=tables.WEEKLY,
)
