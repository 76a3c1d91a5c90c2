"""How far views have come, followed live: LISTEN on a channel per app, and a look at the table every 250 ms while
somebody waits.

Input: table view_positions, notifications of app.views.writer. Output: vectors (partition -> offset of the last
command wholly included) of the versions in force. Read-your-writes waits, cursors and executors' answers stand on it.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg

from app.db.engine import RawConnection, connect
from app.db.errors import DatabaseError, Unavailable, translated
from app.domain.errors import ErrorCode
from app.domain.positions import Vector, vector_covers

POLL_INTERVAL_S = 0.25
IDLE_POLL_INTERVAL_S = 2.0
RECONNECT_INTERVAL_S = 0.5
NOTIFY_BYTES_MAX = 7_900
"""Postgres takes payloads below 8,000 bytes"""

LOG = logging.getLogger(__name__)

# Positions of the versions in force.
FETCH = """
SELECT r.view, r.version, r.app, p.partition, p.position
FROM view_registry r LEFT JOIN view_positions p ON p.view = r.view AND p.version = r.version
WHERE r.active
"""


class ViewTimeout(DatabaseError):
    """the view did not come that far in time"""

    code = ErrorCode.TIMEOUT
    retryable = True


def channel(app: str) -> str:
    """The channel of an app's notifications."""
    return f"argosy_view_{app}"


def encode_notice(view: str, version: int, vector: Vector) -> str:
    """The payload: `view version partition:offset ...`; without offsets ("look yourself") when it would be too long."""
    text = f"{view} {version} " + " ".join(f"{partition}:{offset}" for partition, offset in sorted(vector.items()))
    return text if len(text) <= NOTIFY_BYTES_MAX else f"{view} {version}"


def decode_notice(payload: str) -> tuple[str, int, dict[int, int]]:
    """View, version and what moved. Raises ValueError."""
    view, version, *moved = payload.split()
    pairs = (item.split(":") for item in moved)
    return view, int(version), {int(partition): int(offset) for partition, offset in pairs}


@dataclass(slots=True, eq=False)
class _Waiter:
    view: str
    wanted: Vector
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Followed:
    version: int
    vector: dict[int, int] = field(default_factory=dict)
    changes: int = 0


class Positions:
    """Follows the vectors of all views from `start` to `stop`; survives the loss of the database."""

    def __init__(self, url: str, *, name: str = "argosy-positions") -> None:
        self._url = url
        self._name = name
        self._views: dict[str, _Followed] = {}
        self._waiters: set[_Waiter] = set()
        self._change = asyncio.Event()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._known = False

    @property
    def known(self) -> bool:
        """Whether the database answered the last time it was asked."""
        return self._known

    async def start(self) -> None:
        """Returns at once; `known` says when the first answer is there."""
        self._task = asyncio.create_task(self._follow(), name="view-positions")

    async def stop(self) -> None:
        """Waiters get Unavailable."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for waiter in list(self._waiters):
            if not waiter.done.done():
                waiter.done.set_exception(Unavailable("shutting down"))

    def vector(self, view: str) -> dict[int, int]:
        """How far a view has come; empty when it is not installed or not known."""
        followed = self._views.get(view)
        return dict(followed.vector) if followed is not None else {}

    def reached(self, view: str, wanted: Vector) -> bool:
        """Whether a view includes everything that `wanted` includes."""
        return vector_covers(self.vector(view), wanted)

    async def wait_until(self, view: str, vector: Vector, timeout_s: float) -> None:
        """Returns when the view covers the vector. Raises ViewTimeout, or Unavailable when the database cannot be
        asked."""
        if self.reached(view, vector):
            return
        waiter = _Waiter(view, dict(vector), asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.done
        except TimeoutError:
            if not self._known:
                raise Unavailable("the positions of views are not known: Postgres does not answer") from None
            raise ViewTimeout(f"view {view} did not come that far within {timeout_s:g} s") from None
        finally:
            self._waiters.discard(waiter)

    async def wait_change(self, view: str, seen: int, timeout_s: float) -> int:
        """The number of changes of a view's vector so far, as soon as it differs from `seen` or the time is over."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            followed = self._views.get(view)
            changes = followed.changes if followed is not None else 0
            left = deadline - asyncio.get_running_loop().time()
            if changes != seen or left <= 0:
                return changes
            change = self._change
            try:
                async with asyncio.timeout(left):
                    await change.wait()
            except TimeoutError:
                continue

    async def _follow(self) -> None:
        while True:
            try:
                with translated():
                    connection = await connect(self._url, name=self._name)
                    try:
                        await self._listen(connection)
                    finally:
                        connection.terminate()
            except DatabaseError as error:
                if self._known:
                    LOG.warning("positions of views are not known: %s", error)
                self._known = False
                await asyncio.sleep(RECONNECT_INTERVAL_S)

    async def _listen(self, connection: RawConnection) -> None:
        listening: set[str] = set()
        while True:
            self._wake.clear()
            rows = await connection.fetch(FETCH, timeout=10.0)
            new = {row["app"] for row in rows} - listening
            for app in sorted(new):
                await connection.add_listener(channel(app), self._noticed)
            listening |= new
            if new:
                continue  # what was written between the look and LISTEN would be missed
            self._known = True
            self._take(rows)
            if self._waiters:
                await asyncio.sleep(POLL_INTERVAL_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_POLL_INTERVAL_S):
                    await self._wake.wait()

    def _take(self, rows: list[asyncpg.Record]) -> None:
        found: dict[str, _Followed] = {}
        for row in rows:
            followed = found.setdefault(row["view"], _Followed(row["version"]))
            if row["partition"] is not None:
                followed.vector[row["partition"]] = row["position"]
        for view, followed in found.items():
            old = self._views.get(view)
            followed.changes = old.changes if old is not None else 0
            self._views[view] = followed
            if old is None or old.vector != followed.vector:
                self._moved(view)
        for view in self._views.keys() - found.keys():
            del self._views[view]

    def _noticed(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            view, version, moved = decode_notice(str(payload))
        except ValueError:
            LOG.warning("a notification of view positions was not understood")
            return
        followed = self._views.get(view)
        if followed is None or followed.version != version or not moved:
            self._wake.set()
            return
        followed.vector.update(moved)
        self._moved(view)

    def _moved(self, view: str) -> None:
        followed = self._views[view]
        followed.changes += 1
        change, self._change = self._change, asyncio.Event()
        change.set()
        for waiter in [each for each in self._waiters if each.view == view]:
            if not waiter.done.done() and vector_covers(followed.vector, waiter.wanted):
                waiter.done.set_result(None)
