"""What /metrics says of an API process.

Inputs: the running `Api` (gauges are read when somebody asks) and every HTTP request. Names begin with argosy_api_.
"""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.assembly import Api

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PATHS = frozenset({"/graphql", "/executor/v1/sync", "/executor/v1/openapi.json"})
_OTHER = "other"


class ApiMetrics:
    """One per process, with a registry of its own."""

    def __init__(self, api: Api) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "argosy_api_requests", "HTTP requests answered", ("path", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "argosy_api_request_seconds",
            "From the first byte of a request to the last byte of its answer",
            ("path",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        tail = api.tail
        self._gauge("tail_records", "Records of argosy.events that the tail has read", lambda: tail.records_read)
        self._gauge("tail_ready", "1 when the tail is at the end", lambda: int(tail.ready))
        self._gauge("waiting_calls", "Calls that wait for their commands", lambda: tail.outcomes.waiting)
        self._gauge("streams", "Streams that are open", lambda: api.services.stream.active)
        self._gauge("changes_streams", "Streams of changed jobs that are open", lambda: api.services.changes.active)
        self._gauge("live_streams", "Streams that have caught up", lambda: tail.channels.subscribers)
        self._gauge("sync_requests", "Requests of executors that are open", lambda: api.sync.open_requests)
        self._gauge("clusters", "Clusters whose executor was heard", lambda: len(api.feed.clusters))

    def observed(self, app: ASGIApp) -> ASGIApp:
        """The application, with each HTTP request counted."""

        async def observing(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began_s = time.perf_counter()
            status = 0

            async def noting_send(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            path = scope["path"] if scope["path"] in _PATHS else _OTHER
            try:
                await app(scope, receive, noting_send)
            finally:
                self._requests.labels(path, str(status)).inc()
                self._seconds.labels(path).observe(time.perf_counter() - began_s)

        return observing

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(f"argosy_api_{name}", text, registry=self.registry).set_function(value)
