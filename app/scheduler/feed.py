"""The feed: compacted topics and node data into memory, for leaders and standbys alike.

Input: argosy.state, argosy.shapes, argosy.clusters, argosy.leadership (plain readers, read committed, no group).
Output: the `World`, the highest epoch that anybody has claimed, and an event whenever something changed that
matters to a round. Begins at the start of the compacted topics and, for node data, some minutes back. A reader that
has not been at the end for 7 min starts anew, that is, the process ends: tombstones that it missed would bring
deleted jobs back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from app.domain.clusters import ApiAlive, ClusterUpdates, ShapeRecord
from app.log.admin import topic_bounds
from app.log.codec import decode
from app.log.errors import Undecodable
from app.log.offsets_since import offsets_since
from app.log.reader import LogReader, Record
from app.log.topics import CLUSTERS, LEADERSHIP, SHAPES, STATE
from app.pods.shape import ShapeError
from app.scheduler.clusters import Clusters
from app.scheduler.metrics import SchedulerMetrics
from app.scheduler.options import SchedulerOptions
from app.scheduler.round_input import World
from app.scheduler.shape_columns import ShapeColumns
from app.scheduler.state import State
from app.scheduler.steps import Steps

STALE_AFTER_S = 7 * 60.0
"""tombstones are kept for 15 min (delete.retention.ms of the compacted topics)"""
LOAD_MAX_S = 14 * 60.0
END_CHECK_S = 10.0
AT_END_S = 3.0
"""a reader that had nothing to read so recently is at the end"""
BROKER_HEARD_S = 8.0
"""unless the broker has not given a sign of life for longer; it is asked every 3 s"""
BATCH_RECORDS = 20_000
POLL_MS = 200

log = logging.getLogger(__name__)

OnPosition = Callable[[int, int], None]


class FeedTooOld(RuntimeError):
    """a reader has not been at the end of its topic for too long: what it has in memory may hold deleted jobs"""


class Feed:
    """Call `start`, then wait for `run` (it ends only by an error)."""

    def __init__(
        self, options: SchedulerOptions, metrics: SchedulerMetrics, boot_s: Callable[[], float] | None = None
    ) -> None:
        """`boot_s`: a clock in seconds that goes on while the machine sleeps."""
        self._options, self._metrics = options, metrics
        self._boot_s = _boot_s if boot_s is None else boot_s
        pools = options.scheduler.pools
        state = State(options.partitions, decode, {name: pool.short_job_cutoff_s for name, pool in pools.items()})
        self.world = World(state, Clusters(state.instances), ShapeColumns(state.jobs.shapes))
        self.highest_claim = -1
        """the offset of the last record of argosy.leadership"""
        self.changed = asyncio.Event()
        self.on_position: OnPosition | None = None
        self.cluster_partitions = 0
        self._steps = Steps()
        self._readers: dict[str, LogReader] = {}
        self._loaded: set[str] = set()
        self._fresh_s: dict[str, float] = {}
        self._idle_s: dict[str, float] = {}
        self._began_s = self._boot_s()

    @property
    def loaded(self) -> bool:
        """Whether every topic was read to its end once."""
        return len(self._loaded) == len(_TOPICS)

    @property
    def at_end(self) -> bool:
        """Whether nothing waits to be read, as far as is known."""
        return self.loaded and all(self._topic_at_end(topic) for topic in _TOPICS)

    def troubles(self) -> list[str]:
        """Why the feed is not ready."""
        return [f"{topic} is being read" for topic in _TOPICS if topic not in self._loaded]

    async def start(self) -> None:
        """Opens the readers. Raises TopicMismatch, LogUnavailable."""
        bootstrap = self._options.bootstrap
        since_ms = int((time.time() - self._options.clusters_window_s) * 1000)
        for topic in _TOPICS:
            if topic == CLUSTERS:
                begin = await asyncio.to_thread(offsets_since, bootstrap, topic, since_ms)
                self.cluster_partitions = len(begin)
            else:
                bounds = await asyncio.to_thread(topic_bounds, bootstrap, topic)
                begin = {partition: each.earliest for partition, each in bounds.items()}
            reader = LogReader(bootstrap, topic, start=begin, client_id="argosy-scheduler-feed")
            await reader.start()
            self._readers[topic] = reader
            self._fresh_s[topic] = self._began_s

    async def run(self) -> None:
        """Reads for ever. Raises FeedTooOld, and what reading and applying raise."""
        take = {
            STATE: self._take_state,
            SHAPES: self._take_shapes,
            CLUSTERS: self._take_clusters,
            LEADERSHIP: self._take_leadership,
        }
        async with asyncio.TaskGroup() as group:
            for topic, reader in self._readers.items():
                group.create_task(self._read(topic, reader, take[topic]), name=f"feed {topic}")
                group.create_task(self._watch_end(topic, reader), name=f"end of {topic}")

    async def stop(self) -> None:
        """Closes the readers."""
        await asyncio.gather(*(reader.stop() for reader in self._readers.values()))

    def _topic_at_end(self, topic: str) -> bool:
        """A topic that is never quiet is at its end when it was so at the last check but one."""
        now_s = time.monotonic()
        if now_s - self._readers[topic].heard_at_s > BROKER_HEARD_S:
            return False
        idle = now_s - self._idle_s.get(topic, float("-inf")) <= AT_END_S
        return idle or self._boot_s() - self._fresh_s[topic] <= 2 * END_CHECK_S

    async def _read(self, topic: str, reader: LogReader, take: Callable[[Sequence[Record]], None]) -> None:
        rows = self._metrics.rows.labels(topic)
        while True:
            records = await reader.poll(BATCH_RECORDS, POLL_MS)
            if topic in self._loaded and self._boot_s() - self._fresh_s[topic] > STALE_AFTER_S:
                raise FeedTooOld(f"{topic} was not at its end for {STALE_AFTER_S:.0f} s")
            if records:
                take(records)
                rows.inc(len(records))
                await asyncio.sleep(0)
            else:
                self._idle_s[topic] = time.monotonic()
            if topic not in self._loaded and reader.at_end:
                self._end_reached(topic)

    def _end_reached(self, topic: str) -> None:
        self._loaded.add(topic)
        self._fresh_s[topic] = self._boot_s()
        self.changed.set()
        if self.loaded:
            seconds = self._boot_s() - self._began_s
            self._metrics.load_seconds.set(seconds)
            state = self.world.state
            log.info(
                "the feed is at the end after %.1f s: %d jobs, %d queues, %d shapes, %d nodes of %d clusters",
                seconds,
                len(state.jobs),
                len(state.queues),
                len(self.world.shapes),
                self.world.clusters.node_count,
                len(self.world.clusters.by_name),
            )

    async def _watch_end(self, topic: str, reader: LogReader) -> None:
        """Notes when the reader was at the end of its topic; a reader that goes on reading old things never is."""
        while True:
            await asyncio.sleep(END_CHECK_S)
            if topic not in self._loaded:
                if self._boot_s() - self._began_s > LOAD_MAX_S:
                    raise FeedTooOld(f"{topic} was not read to its end within {LOAD_MAX_S:.0f} s")
                continue
            asked_s = self._boot_s()
            ends = await reader.end_offsets()
            until_s = asked_s + END_CHECK_S
            while self._boot_s() < until_s:
                positions = reader.positions()
                if all(positions[partition] >= end for partition, end in ends.items()):
                    self._fresh_s[topic] = asked_s
                    break
                await asyncio.sleep(1.0)

    def _take_state(self, records: Sequence[Record]) -> None:
        now_s, state = time.monotonic(), self.world.state
        for steps in self._steps.add(records):
            before = state.changes
            state.apply(steps, now_s)
            if self.on_position is not None:
                self.on_position(steps.partition, state.position(steps.partition).offset)
            if state.changes != before:
                self.changed.set()

    def _take_shapes(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.key is None or record.value is None:
                continue
            try:
                shape = decode(record.value)
                if isinstance(shape, ShapeRecord):
                    self.world.shapes.add(record.key, shape.body)
            except (Undecodable, ShapeError) as error:
                # Its jobs stay parked; the other shapes are as good as before.
                self.world.shapes.unreadable += 1
                log.warning("%s, offset %d cannot be read: %s", SHAPES, record.offset, error)
        self.changed.set()

    def _take_clusters(self, records: Sequence[Record]) -> None:
        clusters, now_s, now_ms = self.world.clusters, time.monotonic(), time.time() * 1000
        live = CLUSTERS in self._loaded
        nodes, known = clusters.nodes_version, len(clusters.by_name)
        for record in records:
            if record.value is None:
                continue
            try:
                value = decode(record.value)
            except Undecodable as error:
                log.warning("%s, partition %d, offset %d: %s", CLUSTERS, record.partition, record.offset, error)
                continue
            # What comes while we listen was said now; of what lies in the log, the broker's clock says when.
            age_s = 0.0 if live else max(0.0, now_ms - record.timestamp_ms) / 1000
            if isinstance(value, ClusterUpdates):
                for update in value.updates:
                    clusters.update(update, now_s - age_s)
            elif isinstance(value, ApiAlive):
                clusters.api_alive(record.partition, now_s - age_s)
        if clusters.nodes_version != nodes or len(clusters.by_name) != known:
            self.changed.set()

    def _take_leadership(self, records: Sequence[Record]) -> None:
        self.highest_claim = max(self.highest_claim, *(record.offset for record in records))


def _boot_s() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


_TOPICS = (STATE, SHAPES, CLUSTERS, LEADERSHIP)
