"""A Kubernetes API server of a few lines over HTTP: pods, nodes and Leases with resource versions, lists in pages,
watches with bookmarks; and what a real one does only now and then, on demand.

It is what the client's odd paths are tested with; what a real server says is tested in tests/integration/kube.
"""

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

TOKEN = "good-token"
Object = dict[str, Any]


@dataclass(slots=True)
class Refusal:
    """The next call that matches is answered with this instead. silent: it is carried out, and not answered."""

    method: str
    path: str
    status: int = 500
    reason: str = "InternalError"
    message: str = "refused"
    silent: bool = False


@dataclass(slots=True)
class SmallKube:
    """version: of the store. history: (version, kind, type, object); compacted: versions up to it are forgotten; added:
    what was ever created."""

    objects: dict[str, dict[str, Object]] = field(default_factory=lambda: {"pods": {}, "nodes": {}, "leases": {}})
    version: int = 100
    compacted: int = 0
    history: list[tuple[int, str, str, Object]] = field(default_factory=list)
    added: list[tuple[int, str, str, Object]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    watches: int = 0
    deaf: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _cut: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, kind: str, body: Object, event: str = "MODIFIED") -> Object:
        """Stores an object under its key and tells the watchers."""
        self.version += 1
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self.version)
        key = key_of(body)
        if event == "DELETED":
            self.objects[kind].pop(key, None)
        else:
            event = event if key in self.objects[kind] else "ADDED"
            self.objects[kind][key] = body
        self.history.append((self.version, kind, event, body))
        if event == "ADDED":
            self.added.append(self.history[-1])
        self._news.set()
        return body

    def node(self, name: str) -> None:
        """A ready node."""
        status = {"allocatable": {"cpu": "8"}, "conditions": [{"type": "Ready", "status": "True"}]}
        self.put("nodes", {"metadata": {"name": name, "uid": name}, "status": status})

    def set_status(self, name: str, **status: Any) -> None:
        """A kubelet's report."""
        pod = next(pod for pod in self.objects["pods"].values() if pod["metadata"]["name"] == name)
        self.put("pods", {**pod, "status": status})

    def remove(self, name: str) -> None:
        """A pod is gone."""
        pod = next(pod for pod in self.objects["pods"].values() if pod["metadata"]["name"] == name)
        self.put("pods", pod, "DELETED")

    def compact(self) -> None:
        """Forgets what has happened."""
        self.compacted = self.version
        self.history.clear()

    def cut(self) -> None:
        """Ends all watches in order, without a word."""
        self._cut.set()
        self._cut = asyncio.Event()

    def reset(self, version: int) -> None:
        """The store is restored from an old backup: nothing is there, and its versions begin anew."""
        self.objects = {"pods": {}, "nodes": {}, "leases": {}}
        self.version, self.compacted = version, 0
        self.history.clear()
        self.deaf = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        path = request.path
        self.calls.append((request.method, path))
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return refused(401, "Unauthorized", "Unauthorized")
        for refusal in self.refusals:
            if refusal.method == request.method and path.startswith(refusal.path) and "watch" not in request.query:
                self.refusals.remove(refusal)
                if refusal.silent:
                    await self._carry_out(request)
                    assert request.transport is not None
                    request.transport.abort()
                    await asyncio.sleep(60)
                return refused(refusal.status, refusal.reason, refusal.message)
        return await self._carry_out(request)

    async def _carry_out(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts[-2] == "namespaces":
            missing = parts[-1] == "missing"
            return refused(404, "NotFound", 'namespaces "missing" not found') if missing else web.json_response({})
        kind = next(part for part in parts if part in self.objects)
        name = parts[-1] if parts[-1] != kind else ""
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else ""
        key = f"{namespace}/{name}"
        if request.method == "GET" and "watch" in request.query:
            return await self._watch(request, kind)
        if request.method == "GET" and not name:
            return self._list(request, kind)
        body = await request.json() if request.can_read_body else {}
        if request.method == "POST":
            return self._create(kind, namespace, body)
        stored = self.objects[kind].get(key)
        if stored is None:
            return refused(404, "NotFound", f"{kind} {name!r} not found")
        match request.method:
            case "GET":
                return web.json_response(stored)
            case "PUT":
                if body["metadata"].get("resourceVersion") != stored["metadata"]["resourceVersion"]:
                    return refused(409, "Conflict", "the object has been modified")
                return web.json_response(self.put(kind, body))
            case "PATCH":
                return web.json_response(self.put(kind, patched(stored, body)))
            case _:
                return self._delete(kind, stored, body)

    def _create(self, kind: str, namespace: str, body: Object) -> web.Response:
        if namespace == "missing":
            return refused(404, "NotFound", 'namespaces "missing" not found')
        if f"{namespace}/{body['metadata']['name']}" in self.objects[kind]:
            return refused(409, "AlreadyExists", "already exists")
        body["metadata"] |= {"namespace": namespace, "uid": f"uid-{self.version}", "creationTimestamp": now()}
        return web.json_response(self.put(kind, body | {"status": {"phase": "Pending"}}), status=201)

    def _delete(self, kind: str, stored: Object, body: Object) -> web.Response:
        if body.get("preconditions", {}).get("uid") not in (None, stored["metadata"]["uid"]):
            return refused(409, "Conflict", "another uid")
        if body.get("gracePeriodSeconds") == 0 and not stored["metadata"].get("finalizers"):
            self.put(kind, stored, "DELETED")
        else:
            grace = {"deletionTimestamp": now(), "deletionGracePeriodSeconds": body.get("gracePeriodSeconds", 30)}
            self.put(kind, {**stored, "metadata": {**stored["metadata"], **grace}})
        return web.json_response({})

    def _list(self, request: web.Request, kind: str) -> web.Response:
        wanted = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        found = [each for each in self.objects[kind].values() if not wanted or each["metadata"]["name"] == wanted]
        begin = int(request.query.get("continue") or 0)
        end = begin + int(request.query.get("limit") or len(found) or 1)
        metadata = {"resourceVersion": str(self.version), "continue": str(end) if end < len(found) else ""}
        return web.json_response({"metadata": metadata, "items": found[begin:end]})

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        self.watches += 1
        since, cut = int(request.query["resourceVersion"]), self._cut
        if since < self.compacted:
            return refused(410, "Expired", "too old resource version")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while not cut.is_set():
            if not self.deaf:
                for version, of_kind, event, body in [item for item in self.history if item[0] > since]:
                    since = version
                    if of_kind == kind:
                        await send(response, event, body)
                await send(response, "BOOKMARK", {"metadata": {"resourceVersion": str(since)}})
            self._news.clear()
            waits = [asyncio.create_task(self._news.wait()), asyncio.create_task(cut.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
            for wait in waits:
                wait.cancel()
        return response


def key_of(body: Object) -> str:
    return f"{body['metadata'].get('namespace', '')}/{body['metadata']['name']}"


def patched(stored: Object, body: Object) -> Object:
    """Strategic merge, as far as the executor uses it."""
    meta, change = copy.deepcopy(stored["metadata"]), body["metadata"]
    meta["annotations"] = {**(meta.get("annotations") or {}), **change.get("annotations", {})}
    held = [*meta.get("finalizers", []), *change.get("finalizers", [])]
    dropped = change.get("$deleteFromPrimitiveList/finalizers", [])
    meta["finalizers"] = [each for each in held if each not in dropped]
    return {**stored, "metadata": meta}


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def refused(status: int, reason: str, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "reason": reason, "message": message, "code": status}, status=status)


async def send(response: web.StreamResponse, event: str, body: Object) -> None:
    await response.write(json.dumps({"type": event, "object": body}).encode() + b"\n")


@asynccontextmanager
async def serving(kube: SmallKube, directory: Path, *, token: str = TOKEN) -> AsyncIterator[Path]:
    """The kubeconfig of a server that runs while the block does."""

    async def answer(request: web.Request) -> web.StreamResponse:
        with contextlib.suppress(ConnectionResetError):
            return await kube.answer(request)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    kubeconfig = directory / f"{port}.kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    try:
        yield kubeconfig
    finally:
        kube.cut()
        await runner.cleanup()
