"""Jobs of a filter as they change: each change once, as soon as queries show it.

Inputs: filter, cursor. Output: `ChangesStep`s. A subscriber is a place in each partition. At most four times a second
he is moved on to where both the tail and view history have come: what the events between name is read from the
history, one query for all who stand and want alike. A row belongs to the step whose events changed it last, so nothing
is told twice, and a job that changes often is told with its latest row. Nothing is kept for a slow subscriber: he is
moved on by more at once, until the tail's buffer has lost his place. Errors: INVALID, CURSOR_EXPIRED, CONSUMER_TOO_SLOW
(with the cursor), RATE_LIMITED, UNAVAILABLE.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from app.api.coordinates import NOWHERE, WHOLE_COMMAND, Coordinates, Place, Reached
from app.api.errors import ApiError
from app.api.service.changed_events import Backlog, FellBehind, Places, Window, read_backlog, window_of
from app.api.service.changes_history import ChangesHistory
from app.api.service.waiting import HISTORY_VIEW
from app.api.tail.tail import Tail
from app.db.queries import reached as views
from app.db.queries.job_filter import JobFilter
from app.db.queries.job_records import JobRecord
from app.domain.errors import ErrorCode
from app.domain.ids import partition_of_job

INTERVAL_S = 0.25
HEARTBEAT_INTERVAL_S = 5.0
TAIL_BEHIND_POLL_S = 0.05
GRACE_S = 20.0
"""a subscriber who has not taken a step within this time takes nothing at all"""
AHEAD_WAIT_S = 5.0
"""how long a cursor may be ahead of this process's tail: another process gave it out"""
AHEAD_POLL_S = 0.05


class FollowedPositions(Protocol):
    """How far views have come, live (app.db.positions)."""

    def vector(self, view: str) -> dict[int, int]: ...

    async def wait_change(self, view: str, seen: int, timeout_s: float) -> int: ...


class ChangesStep:
    """What changed since the step before. One object for all who stand and want alike; never changed.

    changed: jobs that match. left: jobs that changed and do not match (any more). places: where a subscriber
    stands who has taken it. caught_up: everything that queries showed is in it. lag_s: seconds since the oldest event
    that queries do not show was read (None: not known). renderings: what a transport made of it, by its own key."""

    __slots__ = ("caught_up", "changed", "lag_s", "left", "places", "renderings")

    def __init__(
        self, changed: list[JobRecord], left: list[JobRecord], places: Places, *, caught_up: bool, lag_s: float | None
    ) -> None:
        self.changed = changed
        self.left = left
        self.places = places
        self.caught_up = caught_up
        self.lag_s = lag_s
        self.renderings: dict[Any, Any] = {}

    @property
    def is_empty(self) -> bool:
        return not self.changed and not self.left


class JobChangesService:
    """One per process."""

    def __init__(
        self,
        history: ChangesHistory,
        positions: FollowedPositions,
        tail: Tail,
        coordinates: Coordinates,
        *,
        streams_max: int,
        interval_s: float = INTERVAL_S,
        heartbeat_interval_s: float = HEARTBEAT_INTERVAL_S,
    ) -> None:
        self._history = history
        self._positions = positions
        self._tail = tail
        self._coordinates = coordinates
        self._streams_max = streams_max
        self._interval_s = interval_s
        self._heartbeat_interval_s = heartbeat_interval_s
        self._frontier: tuple[int, ...] = (-1,) * len(tail.buffers)
        self._frontier_at_s = float("-inf")
        self._oldest_s: float | None = None
        self._windows: dict[tuple[Places, tuple[int, ...]], Window] = {}
        self._steps: dict[tuple[JobFilter, Places, tuple[int, ...]], asyncio.Task[ChangesStep]] = {}
        self.active = 0
        """subscriptions that are open"""

    @property
    def lag_s(self) -> float | None:
        """Seconds since the oldest event that queries do not show yet was read from the log; 0 when they show all that
        the tail has read, None when the tail does not stand at the end of the log."""
        if not self._tail.ready:
            return None
        self._current_frontier()
        return max(0.0, time.monotonic() - self._oldest_s) if self._oldest_s is not None else 0.0

    def places(self, stands: Mapping[int, views.Reached]) -> Places:
        """Where a reader stands who has read the history in a snapshot with these positions."""
        return tuple(_place(stands.get(partition)) for partition in range(len(self._tail.buffers)))

    async def changes(self, wanted: JobFilter, after: str | None) -> AsyncGenerator[ChangesStep, None]:
        """The steps of one subscriber, for ever; after None: from what the history shows now."""
        if self.active >= self._streams_max:
            raise ApiError(ErrorCode.RATE_LIMITED, f"{self._streams_max:,} streams are open here, no more are allowed")
        self.active += 1
        try:
            at = await self._begin(after)
            backlog = await read_backlog(self._tail, at)
            said_at_s = float("-inf")
            loop = asyncio.get_running_loop()
            while True:
                seen = await self._positions.wait_change(HISTORY_VIEW, -1, 0)
                frontier = self._current_frontier()
                step = await self._step(wanted, at, frontier, backlog)
                at = step.places
                if not step.is_empty or loop.time() - said_at_s >= self._heartbeat_interval_s:
                    with _Grace():
                        yield step
                    said_at_s = loop.time()
                if step.caught_up:
                    backlog = {}
                    await self._until_moved(seen, frontier, said_at_s + self._heartbeat_interval_s)
        finally:
            self.active -= 1

    async def _begin(self, after: str | None) -> Places:
        if after is None:
            return self.places(await self._history.stands())
        at = self._coordinates.parse_changes_cursor(after, len(self._tail.buffers), path="after")
        deadline_s = asyncio.get_running_loop().time() + AHEAD_WAIT_S
        while any(
            buffer.reached is not None and place.reached.next > buffer.reached.next
            for buffer, place in zip(self._tail.buffers, at, strict=True)
        ):
            if asyncio.get_running_loop().time() > deadline_s:
                raise ApiError(ErrorCode.INVALID, "after: is a cursor of the future", path="after")
            await asyncio.sleep(AHEAD_POLL_S)
        return at

    def _current_frontier(self) -> tuple[int, ...]:
        """The last command of each partition that was read and is shown: the same for everybody for a while."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._frontier_at_s >= self._interval_s:
            shown = self._positions.vector(HISTORY_VIEW)
            frontier = tuple(
                min(shown.get(buffer.partition, -1), buffer.reached.next[0] - 1) if buffer.reached is not None else -1
                for buffer in self._tail.buffers
            )
            self._frontier_at_s = now_s
            self._oldest_s = self._oldest_not_shown_s(shown)
            if frontier != self._frontier:
                self._frontier = frontier
                self._windows.clear()
                self._steps = {key: task for key, task in self._steps.items() if not task.done()}
        return self._frontier

    def _oldest_not_shown_s(self, shown: Mapping[int, int]) -> float | None:
        """When the oldest event was received that queries do not show; None when they show all."""
        first = (
            next(buffer.after(Reached(shown.get(buffer.partition, -1), WHOLE_COMMAND)), None)
            for buffer in self._tail.buffers
        )
        return min((held.received_s for held in first if held is not None), default=None)

    async def _until_moved(self, seen: int, frontier: tuple[int, ...], until_s: float) -> None:
        """Waits for a new frontier, or until the time is over."""
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            shown = self._positions.vector(HISTORY_VIEW)
            is_tail_behind = any(shown.get(p, -1) > at for p, at in enumerate(frontier))
            left_s = TAIL_BEHIND_POLL_S if is_tail_behind else until_s - loop.time()
            seen = await self._positions.wait_change(HISTORY_VIEW, seen, max(0.0, left_s))
            await asyncio.sleep(max(0.0, self._frontier_at_s + self._interval_s - loop.time()))
            if self._current_frontier() != frontier:
                return

    async def _step(self, wanted: JobFilter, at: Places, frontier: tuple[int, ...], backlog: Backlog) -> ChangesStep:
        """What a subscriber gets next; made once for all who stand and want alike. Raises ApiError."""
        window = self._windows.get((at, frontier))
        if window is None:
            try:
                window = window_of(self._tail, at, frontier, backlog)
            except FellBehind:
                cursor = self._coordinates.changes_cursor(at)
                message = "the client takes changes too slowly; go on after the cursor, or read the list again"
                raise ApiError(ErrorCode.CONSUMER_TOO_SLOW, message, details={"cursor": cursor}) from None
            self._windows[at, frontier] = window
        ids = window.of_interest(wanted)
        if not ids:
            return ChangesStep([], [], window.places, caught_up=window.is_last, lag_s=self.lag_s)
        key = (wanted, at, frontier)
        task = self._steps.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._steps[key] = asyncio.create_task(self._made(wanted, at, window, ids))
            task.add_done_callback(_taken)
        return await asyncio.shield(task)

    async def _made(self, wanted: JobFilter, at: Places, window: Window, ids: list[bytes]) -> ChangesStep:
        found = await self._history.changed(wanted, ids)
        changed = [job for job in found.matching if _is_between(job, at, window.places)]
        left = [job for job in found.others if _is_between(job, at, window.places)]
        return ChangesStep(changed, left, window.places, caught_up=window.is_last, lag_s=self.lag_s)


class _Grace:
    """Ends the task that takes steps when it hangs in one for too long: in a send that nobody reads."""

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "steps are taken in a task"
        self._timer = asyncio.get_running_loop().call_later(GRACE_S, task.cancel)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _is_between(job: JobRecord, at: Places, until: Places) -> bool:
    """Whether the event that changed a row last is one of a window. A later one is told when its turn comes."""
    partition = partition_of_job(job.job_id)
    if partition >= len(at):
        return False
    position = (job.position.offset, job.position.ordinal)
    return at[partition].reached < position <= until[partition].reached


def _place(stands: views.Reached | None) -> Place:
    if stands is None:
        return NOWHERE
    return Place(Reached(stands.exact.offset, stands.exact.ordinal), stands.source_offset)


def _taken(task: asyncio.Task[ChangesStep]) -> None:
    """All who asked may be gone: nobody would take the error."""
    if not task.cancelled():
        task.exception()
