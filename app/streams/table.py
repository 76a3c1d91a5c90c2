"""TransactionalTable: a table that is written by steps.

    async for step in table.steps(stream):
        async with step: ... await step.commit(...)

All transactional tables of one source topic share its tenures: one store, one producer, one transaction. The table
that is added last leads: its changelog holds the position row, as the last record of every transaction.
"""

import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from app.streams.faust_hooks import HookedTable
from app.streams.step import Step, StepLimits
from app.streams.store import Changelog, Store
from app.streams.tenure import Tenure
from app.streams.turns import turns

if TYPE_CHECKING:
    from app.streams.app import App

log = logging.getLogger(__name__)


class TransactionalTable(HookedTable):
    """Made by App.TransactionalTable."""

    def __init__(
        self,
        app: "App",
        *,
        source: str,
        changelog: Changelog,
        position_key: bytes = b"",
        opens: Callable[[Store], Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            app,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=app.topic(changelog.topic, key_type=bytes, value_type=bytes),
            **options,
        )
        self.source = source
        self.changelog = changelog
        self.position_key = position_key
        self.opens = opens

    def tenures(self) -> list[Tenure]:
        """Those that are ready and not quarantined."""
        return [
            claim
            for claim in self.app.claims.values()
            if isinstance(claim, Tenure) and claim.source.topic == self.source and claim.ready and claim.live
        ]

    async def steps(self, stream: Any) -> AsyncIterator[Step]:
        """Steps of one partition come one after the other; those of different partitions run at the same time in the
        agent's actors."""
        limits: StepLimits = self.app.step_limits
        async for claim in turns(stream):
            assert isinstance(claim, Tenure)
            step = Step(claim, limits, self.app.turn)
            claim.idle.clear()
            try:
                yield step
                if step.committed:
                    for event in step.events:
                        await stream.ack(event)
            finally:
                claim.idle.set()
