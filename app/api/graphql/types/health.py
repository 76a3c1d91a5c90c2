"""How the pipeline is: views and what they still have to read."""

from collections.abc import Sequence

import strawberry

from app.api.graphql.scalars import DateTime, Long
from app.api.log_ports import LetterRecord
from app.db.queries.view_health import ViewHealth
from app.log.topics import EVENTS

LATEST = 10
MESSAGE_CHARS_MAX = 1_000


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


@strawberry.type(
    description="a record, or an item of one, that an agent could not take; argosy-admin dead-letters shows it"
)
class DeadLetter:
    number: Long
    time: DateTime
    topic: str
    partition: int
    offset: Long
    component: str
    reason: str
    message: str


@strawberry.type(
    description="count: up to 1,000, which stand for that many or more; latest: the last ten, newest first"
)
class DeadLetters:
    count: int
    latest: list[DeadLetter]


@strawberry.type(
    description="now: the API's clock; reading: whether it is at the end of the events; "
    "deadLetters: null when the log cannot be read now"
)
class Health:
    version: str
    now: DateTime
    reading: bool
    views: list[ViewStatus]
    dead_letters: DeadLetters | None


def dead_letters_of(letters: Sequence[LetterRecord]) -> DeadLetters:
    return DeadLetters(count=len(letters), latest=[_dead_letter(each) for each in reversed(letters[-LATEST:])])


def _dead_letter(found: LetterRecord) -> DeadLetter:
    letter = found.letter
    return DeadLetter(
        number=Long(found.number),
        time=DateTime(found.written_ms),
        topic=letter.topic,
        partition=letter.partition,
        offset=Long(letter.offset),
        component=letter.component,
        reason=letter.reason,
        message=letter.message[:MESSAGE_CHARS_MAX],
    )


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
