"""How the pipeline is: views and what they still have to read."""

import strawberry

from app.api.graphql.scalars import DateTime, Long
from app.db.queries.view_health import ViewHealth
from app.log.topics import EVENTS


@strawberry.type(
    description="a view; behind: commands decided and not included yet (null: unknown, or its topic is another)"
)
class ViewStatus:
    name: str
    version: int
    app: str
    topic: str
    partitions: int
    behind: Long | None
    log_time: DateTime | None
    written: DateTime | None


@strawberry.type(description="now: the API's clock; reading: whether it is at the end of the events")
class Health:
    version: str
    now: DateTime
    reading: bool
    views: list[ViewStatus]


def view_status_of(view: ViewHealth, decided: dict[int, int]) -> ViewStatus:
    behind = None
    if view.topic == EVENTS and decided:
        behind = Long(sum(max(0, offset - view.positions.get(partition, -1)) for partition, offset in decided.items()))
    return ViewStatus(
        name=view.view,
        version=view.version,
        app=view.app,
        topic=view.topic,
        partitions=len(view.positions),
        behind=behind,
        log_time=DateTime(view.log_time_ms) if view.log_time_ms else None,
        written=DateTime(view.written_ms) if view.written_ms else None,
    )
