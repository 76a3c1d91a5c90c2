"""`KubernetesCluster`: the Cluster protocol over a real API server.

Two followers (pods, nodes) list and watch for ever; what they find differs is collected until `next_changes` takes it.
All pods of the cluster are watched: those that are not ours say how much of a node is free.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from app.executor.kube.access import KubeAccess
from app.executor.kube.calls import (
    CALL_TIMEOUT_S,
    LIST_TIMEOUT_S,
    STRATEGIC_MERGE,
    Answer,
    CallError,
    Calls,
    NoAnswerError,
    NotSentError,
)
from app.executor.kube.doubt import meaning_of_forbidden
from app.executor.kube.follow import EventType, Follower, Step
from app.executor.kube.lease import KubernetesLease
from app.executor.kube.objects import NodeJson, PodJson, PodReader, node_of
from app.executor.kube.outcomes import outcome_of_create
from app.executor.kubernetes import (
    ANNOTATION_LAST_WORD,
    FINALIZER,
    Changes,
    ClusterUnavailableError,
    Created,
    CreateOutcome,
    Node,
    NotSent,
    Pod,
    PodManifest,
    RefusalKind,
    Refused,
    Unknown,
)

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
PAGE_OBJECTS = 500
PAGES_RESTARTED_MAX = 5
WATCH_S_MIN, WATCH_S_MAX = 240, 300
SILENCE_MAX_S = 150.0
"""an API server says at least once a minute how far it is"""
RETRY_S_MIN, RETRY_S_MAX = 0.1, 2.0
LINGER_S = 0.005
ANSWER_MARGIN_S = 2.0

log = logging.getLogger(__name__)
V = TypeVar("V", Pod, Node)


class _ListMeta(Struct, rename={"version": "resourceVersion", "more": "continue"}):
    version: str = ""
    more: str = ""


class _List(Struct):
    metadata: _ListMeta
    items: list[Raw] = []


class _Event(Struct):
    type: str
    object: Raw = Raw(b"{}")


class _Status(Struct):
    code: int = 0
    message: str = ""


class _Bookmark(Struct):
    metadata: _ListMeta


_LIST, _EVENT = Decoder(_List), Decoder(_Event)
_STATUS, _BOOKMARK = Decoder(_Status), Decoder(_Bookmark)
_POD, _NODE = Decoder(PodJson), Decoder(NodeJson)


class _Kind(Generic[V]):
    """One kind of objects that is followed. read: JSON -> (key, value, resource version)."""

    def __init__(self, path: str, read: Callable[[Raw], tuple[str, V, str]]) -> None:
        self.path = path
        self.read: Callable[[Raw], tuple[str, V, str]] = read
        self.follower: Follower[V] = Follower()


class KubernetesCluster:
    """One cluster; implements app.executor.kubernetes.Cluster. lease_namespace: where its lock stands."""

    def __init__(self, access: KubeAccess, *, cluster: str, lease_namespace: str, rng: random.Random) -> None:
        self._calls = Calls(access)
        self._lease = KubernetesLease(self._calls, cluster, lease_namespace)
        self._rng = rng
        self._reader = PodReader()
        self._pods: _Kind[Pod] = _Kind(PODS, self._read_pod_json)
        self._nodes: _Kind[Node] = _Kind(NODES, _read_node_json)
        self._changed: dict[str, Pod] = {}
        self._gone: dict[str, Pod] = {}
        self._changed_nodes: dict[str, Node] = {}
        self._removed_nodes: set[str] = set()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> Changes:
        """Lists everything and begins to watch. Raises ClusterAccessError, ClusterUnavailableError."""
        await self._calls.open()
        try:
            await self._list(self._nodes)
            await self._list(self._pods)
        except CallError as error:
            raise ClusterUnavailableError(str(error)) from None
        self._tasks = [
            asyncio.create_task(self._follow(self._pods)),
            asyncio.create_task(self._follow(self._nodes)),
        ]
        return self._drain()

    async def next_changes(self, timeout_ms: int) -> Changes:
        """Waits until something differs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1_000):
                await self._news.wait()
                await asyncio.sleep(LINGER_S)
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()
        return self._drain()

    async def create_pod(self, manifest: PodManifest, timeout_ms: int) -> CreateOutcome:
        """Creates a pod; a name that is taken by this very run is success."""
        namespace_path = f"/api/v1/namespaces/{quote(manifest.namespace, safe='')}"
        try:
            answer = await self._post(f"{namespace_path}/pods", manifest, timeout_ms)
            if answer.status == 403:
                meaning = await meaning_of_forbidden(self._calls, self._lease, namespace_path, answer)
                if meaning is not None:
                    return meaning
                answer = await self._post(f"{namespace_path}/pods", manifest, timeout_ms)
        except NotSentError as error:
            return NotSent(str(error))
        except NoAnswerError as error:
            return Unknown(str(error))
        outcome = outcome_of_create(answer, manifest.namespace)
        return await self._outcome_of_taken_name(manifest) if outcome is None else outcome

    async def delete_pod(self, namespace: str, name: str, uid: str, grace_seconds: int) -> None:
        """Asks for a deletion. Raises ClusterUnavailableError."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": grace_seconds,
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        await self._write("DELETE", namespace, name, body)

    async def mark_pod(self, namespace: str, name: str, uid: str, mark: str) -> None:
        """Annotation and finalizer in one patch. Raises ClusterUnavailableError."""
        metadata = {"uid": uid, "annotations": {ANNOTATION_LAST_WORD: mark}, "finalizers": [FINALIZER]}
        await self._write("PATCH", namespace, name, {"metadata": metadata})

    async def release_pod(self, namespace: str, name: str, uid: str) -> None:
        """Removes our finalizer. Raises ClusterUnavailableError."""
        metadata = {"uid": uid, "$deleteFromPrimitiveList/finalizers": [FINALIZER]}
        await self._write("PATCH", namespace, name, {"metadata": metadata})

    async def read_pod(self, namespace: str | None, name: str) -> Pod | None:
        """From the API server itself. Raises ClusterUnavailableError."""
        try:
            if namespace is not None:
                answer = await self._calls.call("GET", _pod_path(namespace, name))
                if answer.status == 404:
                    return None
                return self._reader.pod(_decoded(_POD, _good(answer).body))
            found = await self._calls.call("GET", PODS, query={"fieldSelector": f"metadata.name={name}"})
            items = _decoded(_LIST, _good(found).body).items
            return self._reader.pod(_decoded(_POD, items[0])) if items else None
        except CallError as error:
            raise ClusterUnavailableError(str(error)) from None

    async def hold_lock(self, holder: str, duration_ms: int) -> None:
        await self._lease.hold(holder, duration_ms)

    async def release_lock(self, holder: str) -> None:
        await self._lease.release(holder)

    async def close(self) -> None:
        """Ends the watches and closes connections."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._calls.close()

    async def _post(self, path: str, manifest: PodManifest, timeout_ms: int) -> Answer:
        query = {"timeout": f"{max(1, timeout_ms // 1_000)}s"}
        timeout_s = timeout_ms / 1_000 + ANSWER_MARGIN_S
        return await self._calls.call("POST", path, manifest.body, query=query, timeout_s=timeout_s)

    async def _outcome_of_taken_name(self, manifest: PodManifest) -> CreateOutcome:
        try:
            there = await self.read_pod(manifest.namespace, manifest.name)
        except ClusterUnavailableError as error:
            return Unknown(f"the name is taken, and by whom could not be read: {error}")
        if there is None:
            return NotSent("a pod of this name has just gone")
        if there.run == manifest.run:
            return Created()
        return Refused(RefusalKind.NAME_TAKEN, f"pod {manifest.namespace}/{manifest.name} exists already")

    async def _write(self, method: str, namespace: str, name: str, body: dict[str, Any]) -> None:
        content_type = STRATEGIC_MERGE if method == "PATCH" else "application/json"
        try:
            answer = await self._calls.call(
                method, _pod_path(namespace, name), body, content_type=content_type, timeout_s=CALL_TIMEOUT_S
            )
        except CallError as error:
            raise ClusterUnavailableError(str(error)) from None
        # 409: another pod has the name by now. 422 to a patch: the pod is being deleted, or has another uid.
        if not (answer.ok or answer.status in (404, 409) or (method == "PATCH" and answer.status == 422)):
            raise ClusterUnavailableError(f"{answer.message} (HTTP {answer.status})")

    async def _follow(self, kind: _Kind[V]) -> None:
        """For ever; only a programming error ends it."""
        wait_s, said = RETRY_S_MIN, ""
        while True:
            began_s = time.monotonic()
            try:
                match kind.follower.step:
                    case Step.LIST:
                        await self._list(kind)
                    case Step.PROBE:
                        await self._probe(kind)
                    case Step.WATCH:
                        await self._watch(kind)
                if said:
                    log.info("the cluster answers again (%s)", kind.path)
                wait_s, said = RETRY_S_MIN, ""
                # A server that ends every stream at once is not asked without pause.
                await asyncio.sleep(max(0.0, RETRY_S_MIN - (time.monotonic() - began_s)))
            except (CallError, ClusterUnavailableError) as error:
                kind.follower.lost()
                if not said:
                    log.warning("the cluster is away, trying again (%s): %s", kind.path, error)
                    said = str(error)
                await asyncio.sleep(wait_s * self._rng.uniform(0.5, 1.0))
                wait_s = min(2 * wait_s, RETRY_S_MAX)

    async def _list(self, kind: _Kind[V]) -> None:
        """Page by page; a list that is too old to go on is begun anew."""
        for _ in range(PAGES_RESTARTED_MAX):
            objects: list[tuple[str, V]] = []
            query = {"limit": str(PAGE_OBJECTS)}
            while True:
                answer = await self._calls.call("GET", kind.path, query=query, timeout_s=LIST_TIMEOUT_S)
                if answer.status == 410:
                    break
                page = _decoded(_LIST, _good(answer).body)
                objects += [kind.read(item)[:2] for item in page.items]
                if not page.metadata.more:
                    self._take(kind.follower.listed(objects, page.metadata.version))
                    return
                query["continue"] = page.metadata.more
        raise ClusterUnavailableError(f"{kind.path} changes faster than it can be listed")

    async def _probe(self, kind: _Kind[V]) -> None:
        answer = await self._calls.call("GET", kind.path, query={"limit": "1"})
        kind.follower.probed(_decoded(_LIST, _good(answer).body).metadata.version)

    async def _watch(self, kind: _Kind[V]) -> None:
        follower = kind.follower
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": follower.version,
            "timeoutSeconds": str(self._rng.randint(WATCH_S_MIN, WATCH_S_MAX)),
        }
        async with aclosing(self._calls.lines(kind.path, query, silence_max_s=SILENCE_MAX_S)) as lines:
            async for line in lines:
                if isinstance(line, Answer):
                    if line.status == 410:
                        follower.expired()
                        return
                    _good(line)
                    return
                if not self._take_event(kind, line):
                    return
        follower.ended()

    def _take_event(self, kind: _Kind[V], line: bytes) -> bool:
        """False when the stream is of no more use."""
        follower = kind.follower
        event = _decoded(_EVENT, line)
        match event.type:
            case EventType.BOOKMARK.value:
                follower.bookmark(_decoded(_BOOKMARK, event.object).metadata.version)
            case EventType.ADDED.value | EventType.MODIFIED.value | EventType.DELETED.value:
                key, value, version = kind.read(event.object)
                self._take(follower.event(EventType(event.type), key, value, version))
            case _:
                status = _decoded(_STATUS, event.object)
                if status.code != 410:
                    raise ClusterUnavailableError(f"the watch of {kind.path} failed: {status.message or status.code}")
                follower.expired()
                return False
        return True

    def _take(self, difference: Any) -> None:
        if not difference:
            return
        for value in difference.changed:
            if isinstance(value, Pod):
                self._changed[value.uid] = value
            else:
                self._changed_nodes[value.name] = value
                self._removed_nodes.discard(value.name)
        for value in difference.gone:
            if isinstance(value, Pod):
                self._changed.pop(value.uid, None)
                self._gone[value.uid] = value
                self._reader.forget(value.uid)
            else:
                self._changed_nodes.pop(value.name, None)
                self._removed_nodes.add(value.name)
        self._news.set()

    def _drain(self) -> Changes:
        changes = Changes(
            pods=tuple(self._changed.values()),
            deleted=tuple(self._gone.values()),
            nodes=tuple(self._changed_nodes.values()),
            removed_nodes=tuple(self._removed_nodes),
        )
        self._changed, self._gone, self._changed_nodes, self._removed_nodes = {}, {}, {}, set()
        self._news.clear()
        return changes

    def _read_pod_json(self, raw: Raw) -> tuple[str, Pod, str]:
        json = _decoded(_POD, raw)
        return json.metadata.uid, self._reader.pod(json), json.metadata.resource_version


def _read_node_json(raw: Raw) -> tuple[str, Node, str]:
    json = _decoded(_NODE, raw)
    return json.metadata.name, node_of(json), json.metadata.resource_version


def _pod_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"


def _good(answer: Answer) -> Answer:
    """Raises ClusterUnavailableError for a refusal."""
    if answer.ok:
        return answer
    if answer.status == 401:
        raise ClusterUnavailableError(f"the API server refuses our credentials: {answer.message}")
    raise ClusterUnavailableError(f"{answer.message} (HTTP {answer.status})")


S = TypeVar("S")


def _decoded(decoder: Decoder[S], text: bytes | Raw) -> S:
    try:
        return decoder.decode(text)
    except MsgspecError as error:
        raise ClusterUnavailableError(f"the API server's answer cannot be understood: {error}") from None
