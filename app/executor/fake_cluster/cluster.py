"""`FakeCluster`: the Cluster protocol over pods that are interpreted, not run. Clock and randomness are arguments.

A create or delete is answered once it is in the journal. After a restart (or a kill -9) the journal gives the same
pods, in the phases that they have reached meanwhile."""

import asyncio
import heapq
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.executor.fake_cluster.faults import CreateFault, FakeFaults
from app.executor.fake_cluster.journal import Journal, JournalError
from app.executor.fake_cluster.pods import FakePod
from app.executor.fake_cluster.records import CreatedLine, DeletedLine, MarkedLine, NodeLine
from app.executor.fake_cluster.rooms import Admission, Rooms
from app.executor.fake_cluster.script import FOREVER_MS, PodScript, read_script, refusal_of
from app.executor.fake_cluster.spec import FakeClusterSpec
from app.executor.fake_cluster.timeline import gone_ms, timeline_of
from app.executor.kubernetes import (
    Changes,
    ClusterUnavailableError,
    Created,
    CreateOutcome,
    LockHeldError,
    Pod,
    PodManifest,
    PodPhase,
    RefusalKind,
    Refused,
    Unknown,
)
from app.pods.quantity import NO_RESOURCES, QuantityError, Resources, format_amount, pod_requests
from app.pods.tree import mapping

NO_FAULTS = FakeFaults()
MISSING_NAMESPACE, FORBIDDEN_NAMESPACE = "missing", "forbidden"


class FakeCluster:
    """One fake cluster; implements app.executor.kubernetes.Cluster. `open` raises JournalInUseError when another
    process has it."""

    def __init__(
        self,
        spec: FakeClusterSpec,
        directory: Path,
        *,
        clock_ms: Callable[[], int],
        rng: random.Random,
        faults: FakeFaults = NO_FAULTS,
    ) -> None:
        self._spec = spec
        self._clock_ms = clock_ms
        self._rng = rng
        self._faults = faults
        self._journal = Journal(directory, self._now_ms)
        self._latest_ms = 0
        self._nodes = spec.nodes()
        self._rooms = Rooms(self._nodes)
        self._pods: dict[str, FakePod] = {}
        self._uids: dict[tuple[str, str], str] = {}
        self._due: list[tuple[int, str]] = []
        self._changed: set[str] = set()
        self._gone: list[Pod] = []
        self._losses: list[tuple[int, str]] = []
        self._gangs: dict[tuple[str, str, int], dict[str, FakePod]] = {}
        self._lost: set[str] = set()
        self._removed_nodes: list[str] = []
        self._wake = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()
        self._lock: tuple[str, int] | None = None

    async def open(self) -> Changes:
        """Reads the journal; gives every pod and node. Raises JournalError."""
        alive, deleted, marks = self._journal.open()
        self._latest_ms = self._journal.latest_ms
        now_ms = self._now_ms()
        self._journal.append(
            [NodeLine(at=now_ms, name=node.name, allocatable=dict(node.allocatable)) for node in self._nodes]
        )
        system = [self._system_pod(node, amounts) for node, amounts in self._spec.system_usage()]
        for line in alive:
            pod = FakePod.of(line, deleted.get(line.uid), marks.get(line.uid, ""))
            self._keep(pod)
            end_ms = pod.room_until_ms()
            if not line.refused and (end_ms is None or end_ms > now_ms):
                self._take_room(pod)
            self._schedule(pod, now_ms)
        self._lose_nodes(now_ms)
        self._changed.clear()
        self._removed_nodes.clear()
        nodes = tuple(node for node in self._nodes if node.name not in self._lost)
        return Changes(pods=(*system, *(pod.seen_at(now_ms) for pod in self._pods.values())), nodes=nodes)

    async def next_changes(self, timeout_ms: int) -> Changes:
        """Waits until some pod looks different, at most this long."""
        deadline_ms = self._now_ms() + timeout_ms
        while True:
            now_ms = self._now_ms()
            self._advance(now_ms)
            if self._changed or self._gone or self._removed_nodes or now_ms >= deadline_ms:
                return self._drain(now_ms)
            until_ms = min([deadline_ms, *(times[0][0] for times in (self._due, self._losses) if times)])
            self._wake.clear()
            # Not asyncio.wait_for: in Python 3.11 it may swallow a cancellation that comes with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(max(until_ms - now_ms, 1) / 1_000):
                    await self._wake.wait()

    async def create_pod(self, manifest: PodManifest, timeout_ms: int) -> CreateOutcome:
        """Creates a pod, unless a fault has it lost or late."""
        fault = self._faults.of_create(self._rng)
        if fault is CreateFault.LOST:
            return Unknown("the create was lost")
        if fault is CreateFault.LATE:
            delay_ms = self._rng.randrange(1, max(2, min(self._faults.late_ms_max, timeout_ms)))
            task = asyncio.create_task(self._create_late(manifest, delay_ms))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return Unknown("the create is late")
        outcome = self._create(manifest)
        return Unknown("the answer was lost") if fault is CreateFault.SILENT else outcome

    async def delete_pod(self, namespace: str, name: str, uid: str, grace_seconds: int) -> None:
        """Asks for a deletion; a later call may only shorten it."""
        pod = self._pods.get(uid)
        now_ms = self._now_ms()
        if pod is None or (pod.line.namespace, pod.line.name) != (namespace, name) or pod.is_gone(now_ms):
            return
        gone = gone_ms(pod.life, pod.line.script.stop_delay_ms, now_ms, grace_seconds)
        if grace_seconds and pod.line.node in self._lost:
            gone = now_ms + FOREVER_MS
        if pod.deleted is not None and pod.deleted.gone <= gone:
            return
        at_ms = now_ms if pod.deleted is None else min(now_ms, pod.deleted.at)
        line = DeletedLine(at=at_ms, uid=uid, grace_seconds=grace_seconds, gone=gone)
        try:
            self._journal.append([line])
        except JournalError as error:
            raise ClusterUnavailableError(str(error)) from error
        pod.deleted = line
        self._touch(pod, self._now_ms())

    async def mark_pod(self, namespace: str, name: str, uid: str, mark: str) -> None:
        """Writes the last word of a run on its pod, and holds it."""
        pod = self._pods.get(uid)
        if pod is not None and (pod.deleted is None or pod.deleted.at > self._now_ms()):
            self._hold(pod, mark)

    async def release_pod(self, namespace: str, name: str, uid: str) -> None:
        """Holds a pod no longer."""
        pod = self._pods.get(uid)
        if pod is not None and pod.mark:
            self._hold(pod, "")

    def _hold(self, pod: FakePod, mark: str) -> None:
        now_ms = self._now_ms()
        try:
            self._journal.append([MarkedLine(at=now_ms, uid=pod.line.uid, mark=mark)])
        except JournalError as error:
            raise ClusterUnavailableError(str(error)) from error
        pod.mark = mark
        self._touch(pod, now_ms)

    async def read_pod(self, namespace: str | None, name: str) -> Pod | None:
        """The pod of that name as it is now."""
        now_ms = self._now_ms()
        self._advance(now_ms)
        for pod in self._pods.values() if namespace is None else self._named(namespace, name):
            if pod.line.name == name and not pod.is_gone(now_ms):
                return pod.seen_at(now_ms)
        return None

    async def hold_lock(self, holder: str, duration_ms: int) -> None:
        """The lock between executors of one process; between processes the journal's directory lock stands."""
        now_ms = self._now_ms()
        if self._lock is not None and self._lock[0] != holder and self._lock[1] > now_ms:
            raise LockHeldError(f"held by {self._lock[0]}")
        self._lock = (holder, now_ms + duration_ms)

    async def release_lock(self, holder: str) -> None:
        if self._lock is not None and self._lock[0] == holder:
            self._lock = None

    async def close(self) -> None:
        """Gives the journal back; pods live on."""
        for task in list(self._late):
            task.cancel()
        await self._journal.close()

    def _now_ms(self) -> int:
        """The clock, but never backwards, nor behind what the journal says has happened."""
        self._latest_ms = max(self._latest_ms, self._clock_ms())
        return self._latest_ms

    def _named(self, namespace: str, name: str) -> list[FakePod]:
        uid = self._uids.get((namespace, name))
        return [] if uid is None else [self._pods[uid]]

    async def _create_late(self, manifest: PodManifest, delay_ms: int) -> None:
        await asyncio.sleep(delay_ms / 1_000)
        self._create(manifest)

    def _create(self, manifest: PodManifest) -> CreateOutcome:
        now_ms = self._now_ms()
        self._advance(now_ms)
        for existing in self._named(manifest.namespace, manifest.name):
            if existing.run == manifest.run:
                return Created()
            return Refused(RefusalKind.NAME_TAKEN, f"pods {manifest.name!r} already exists")
        if manifest.namespace.startswith(MISSING_NAMESPACE):
            return Refused(RefusalKind.NAMESPACE_MISSING, f"namespaces {manifest.namespace!r} not found")
        if manifest.namespace.startswith(FORBIDDEN_NAMESPACE):
            where = f"in the namespace {manifest.namespace!r}"
            return Refused(RefusalKind.FORBIDDEN, f"pods is forbidden: cannot create resource pods {where}")
        invalid = refusal_of(mapping(manifest.body.get("spec")))
        if invalid:
            return Refused(RefusalKind.INVALID, invalid)
        try:
            pod = self._admitted(manifest, now_ms)
        except QuantityError as error:
            return Refused(RefusalKind.INVALID, str(error))
        pod.deleted = self._deletion_by_others(pod)
        try:
            self._journal.append([pod.line] if pod.deleted is None else [pod.line, pod.deleted])
        except JournalError as error:
            return Unknown(str(error))
        self._keep(pod)
        if not pod.line.refused:
            self._take_room(pod)
        self._touch(pod, now_ms)
        self._meet(pod, now_ms)
        return Created()

    def _admitted(self, manifest: PodManifest, now_ms: int) -> FakePod:
        metadata, spec = mapping(manifest.body.get("metadata")), mapping(manifest.body.get("spec"))
        labels, annotations = _texts(metadata.get("labels")), _texts(metadata.get("annotations"))
        requests = pod_requests(spec)
        script = read_script(spec, annotations, self._spec, manifest.run.attempt)
        admission = Admission()
        if script.refuse:
            admission = Admission(script.refuse, f"The node refused the pod: {script.refuse}")
        elif self._rooms.has(manifest.node) and manifest.node not in self._lost:
            admission = self._rooms.admit(manifest.node, requests, spec)
        else:
            script = _never_starting(script)
        life = timeline_of(script, now_ms, admission.reason, admission.message)
        priority = spec.get("priority")
        line = CreatedLine(
            at=now_ms,
            uid=f"{now_ms:x}-{self._rng.getrandbits(64):016x}",
            namespace=manifest.namespace,
            name=manifest.name,
            node=manifest.node,
            run_id=manifest.run.run_id,
            job_id=manifest.run.job_id,
            requests={name: format_amount(name, amount) for name, amount in requests.items()},
            priority=priority if isinstance(priority, int) else 0,
            script=script,
            labels=labels,
            annotations={key: value for key, value in annotations.items() if key.startswith("argosy.io/")},
            refused=admission.reason,
            refused_message=admission.message,
            starts=min((span.start_ms for span in life.spans if span.start_ms is not None), default=0),
            ends=life.end_ms or 0,
        )
        return FakePod.of(line)

    @staticmethod
    def _deletion_by_others(pod: FakePod) -> DeletedLine | None:
        """What its script says that somebody else will do to it."""
        begins, script = pod.life.run_start_ms, pod.line.script
        if begins is None:
            return None
        if script.hangs_after_ms:
            at_ms = begins + script.hangs_after_ms
            never_ms = at_ms + FOREVER_MS
            return DeletedLine(at=at_ms, uid=pod.line.uid, grace_seconds=script.grace_seconds, gone=never_ms)
        if script.deleted_after_ms:
            at_ms = begins + script.deleted_after_ms
            return DeletedLine(at=at_ms, uid=pod.line.uid, grace_seconds=0, gone=at_ms)
        return None

    def _meet(self, pod: FakePod, now_ms: int) -> None:
        """When the last member of a gang is there it is known when all have begun; the journal says it to those who
        come later."""
        gang = pod.gang
        members = self._gangs.get(gang, {}) if gang is not None else {}
        if gang is None or len(members) < gang[2]:
            return
        living = [member for member in members.values() if member.deleted is None]
        begins = [member.life.run_start_ms for member in living]
        if len(living) < gang[2] or None in begins:
            return
        met_ms = max(begin for begin in begins if begin is not None)
        lines = [member.meet(met_ms) for member in living]
        try:
            self._journal.append(lines)
        except JournalError:
            return
        del self._gangs[gang]
        for member, line in zip(living, lines, strict=True):
            member.line, member.life = line, FakePod.of(line).life
            self._touch(member, now_ms)

    def _lose_nodes(self, now_ms: int) -> None:
        """Nodes whose time has come vanish; what runs there is never heard of again."""
        while self._losses and self._losses[0][0] <= now_ms:
            _, name = heapq.heappop(self._losses)
            if name not in self._lost:
                self._lost.add(name)
                self._removed_nodes.append(name)

    def _keep(self, pod: FakePod) -> None:
        self._pods[pod.line.uid] = pod
        self._uids[(pod.line.namespace, pod.line.name)] = pod.line.uid
        if pod.gang is not None:
            self._gangs.setdefault(pod.gang, {})[pod.line.uid] = pod
        if pod.node_lost_ms is not None:
            heapq.heappush(self._losses, (pod.node_lost_ms, pod.line.node))

    def _take_room(self, pod: FakePod) -> None:
        self._rooms.take(pod.line.node, pod.requests)
        pod.holds_room = True

    def _schedule(self, pod: FakePod, now_ms: int) -> None:
        next_ms = pod.next_change_ms(now_ms)
        if next_ms is not None:
            heapq.heappush(self._due, (next_ms, pod.line.uid))

    def _touch(self, pod: FakePod, now_ms: int) -> None:
        """A pod looks different now: its room and its next change follow."""
        end_ms = pod.room_until_ms()
        if pod.holds_room and end_ms is not None and end_ms <= now_ms:
            self._rooms.give_back(pod.line.node, pod.requests)
            pod.holds_room = False
        if pod.is_gone(now_ms):
            del self._pods[pod.line.uid]
            del self._uids[(pod.line.namespace, pod.line.name)]
            if pod.gang is not None:
                self._gangs.get(pod.gang, {}).pop(pod.line.uid, None)
            self._changed.discard(pod.line.uid)
            self._gone.append(pod.seen_at(now_ms))
        else:
            self._changed.add(pod.line.uid)
            self._schedule(pod, now_ms)
        self._wake.set()

    def _advance(self, now_ms: int) -> None:
        """Everything that has become due."""
        self._lose_nodes(now_ms)
        while self._due and self._due[0][0] <= now_ms:
            _, uid = heapq.heappop(self._due)
            pod = self._pods.get(uid)
            if pod is not None:
                self._touch(pod, now_ms)

    def _drain(self, now_ms: int) -> Changes:
        changed, self._changed = self._changed, set()
        gone, self._gone = self._gone, []
        removed, self._removed_nodes = self._removed_nodes, []
        return Changes(
            pods=tuple(self._pods[uid].seen_at(now_ms) for uid in sorted(changed)),
            deleted=tuple(gone),
            removed_nodes=tuple(removed),
        )

    def _system_pod(self, node: str, requests: Resources) -> Pod:
        """What runs on a node beside Argosy's pods."""
        self._rooms.take(node, requests)
        return Pod(
            namespace="kube-system",
            name=f"system-{node}",
            uid=f"system-{node}",
            node=node,
            phase=PodPhase.RUNNING,
            priority=2_000_000_000,
            requests=requests or NO_RESOURCES,
        )


def _texts(value: object) -> dict[str, str]:
    return {key: text for key, text in mapping(value).items() if isinstance(text, str)}


def _never_starting(script: PodScript) -> PodScript:
    """On a node that does not exist there is no kubelet: the pod waits for ever."""
    return PodScript(
        containers=script.containers,
        start_delay_ms=FOREVER_MS,
        stop_delay_ms=0,
        grace_seconds=script.grace_seconds,
    )
