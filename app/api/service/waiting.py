"""How long a call waits for what it wrote: until it is in the log, until it is applied, or until queries show it.

Inputs: where commands were written (partition -> offset; a call writes at most one command a partition). Output:
`Written`. Giving up is an expected outcome: the commands stand in the log, so ids and position are told with a fault
TIMEOUT.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.api.errors import ApiError, Fault
from app.api.tail.outcomes import Applied, Outcomes
from app.db.errors import DatabaseError
from app.domain.errors import ErrorCode
from app.domain.positions import Vector

HISTORY_VIEW = "history"
QUEUES_VIEW = "queues"


class WaitFor(StrEnum):
    """What a mutation waits for."""

    LOGGED = "LOGGED"
    APPLIED = "APPLIED"
    VISIBLE = "VISIBLE"


class ViewPositions(Protocol):
    """How far views have come (app.db.positions)."""

    async def wait_until(self, view: str, vector: Vector, timeout_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """position: of the commands, or of those that closed their operations. applied: by partition, as far as it is
    known.

    fault: why the wait was given up."""

    position: dict[int, int]
    applied: dict[int, Applied]
    fault: Fault | None = None


class Waiting:
    """One per process."""

    def __init__(self, outcomes: Outcomes, positions: ViewPositions, *, timeout_s: float) -> None:
        self._outcomes = outcomes
        self._positions = positions
        self._timeout_s = timeout_s

    async def wait(self, sent: Mapping[int, int], wait_for: WaitFor, *, view: str) -> Written:
        """Waits as long as asked for, at most the settings' time in all. Raises nothing but cancellation."""
        position = dict(sent)
        if wait_for is WaitFor.LOGGED or not sent:
            return Written(position=position, applied={})
        deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        answers = await asyncio.gather(
            *(self._outcomes.wait(partition, offset, timeout_s=self._timeout_s) for partition, offset in sent.items()),
            return_exceptions=True,
        )
        applied: dict[int, Applied] = {}
        fault: Fault | None = None
        for partition, answer in zip(sent, answers, strict=True):
            if isinstance(answer, Applied):
                applied[partition] = answer
                position[partition] = answer.offset
            elif isinstance(answer, TimeoutError):
                fault = self._timeout("applied")
            elif isinstance(answer, ApiError):
                fault = Fault(code=answer.code, path="", message=f"logged, its outcome is not known: {answer.message}")
            else:
                raise answer
        if fault is None and wait_for is WaitFor.VISIBLE:
            left_s = max(0.0, deadline_s - asyncio.get_running_loop().time())
            fault = await self._visible(view, position, left_s)
        return Written(position=position, applied=applied, fault=fault)

    async def _visible(self, view: str, position: Vector, timeout_s: float) -> Fault | None:
        try:
            await self._positions.wait_until(view, position, timeout_s)
        except DatabaseError as error:
            if error.code is ErrorCode.TIMEOUT:
                return self._timeout(f"visible in view {view}")
            return Fault(code=error.code, path="", message=f"applied, but queries cannot be waited for: {error}")
        return None

    def _timeout(self, what: str) -> Fault:
        message = f"logged, but not {what} within {self._timeout_s:g} s; ask again with the position"
        return Fault(code=ErrorCode.TIMEOUT, path="", message=message)
