"""The cluster's lock: a Kubernetes Lease that one executor holds (DESIGN.md 7).

Clocks of other machines are not trusted: a Lease has run out when it did not change for its own duration, measured
here. Inputs: `Calls`. Errors: LockHeldError, ClusterUnavailableError.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.executor.kube.calls import Answer, CallError, Calls
from app.executor.kubernetes import ClusterUnavailableError, LockHeldError

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


class KubernetesLease:
    """The Lease `argosy-executor-<cluster>` of a namespace."""

    def __init__(
        self,
        calls: Calls,
        cluster: str,
        namespace: str,
        monotonic_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self._calls = calls
        self._name = f"argosy-executor-{cluster}"
        self._collection = LEASES.format(namespace=namespace)
        self._namespace = namespace
        self._monotonic_ms = monotonic_ms
        self._seen: tuple[str, int] | None = None

    async def hold(self, holder: str, duration_ms: int) -> None:
        """Takes or renews it. Raises LockHeldError, ClusterUnavailableError."""
        if not await self._try(holder, duration_ms) and not await self._try(holder, duration_ms):
            raise LockHeldError(f"taken by another at this moment (Lease {self._namespace}/{self._name})")

    async def _try(self, holder: str, duration_ms: int) -> bool:
        """False when somebody wrote in between; that may have been an earlier call of ours, so it is read again."""
        answer = await self._call("GET", f"{self._collection}/{self._name}")
        if answer.status == 404:
            return await self._write("POST", self._collection, {}, holder, duration_ms)
        lease = _read(answer)
        spec = lease.get("spec") or {}
        current = spec.get("holderIdentity") or ""
        if current not in ("", holder) and not self._has_run_out(lease):
            raise LockHeldError(
                f"held by {current} (Lease {self._namespace}/{self._name}, renewed {spec.get('renewTime')})"
            )
        return await self._write("PUT", f"{self._collection}/{self._name}", lease, holder, duration_ms)

    async def release(self, holder: str) -> None:
        """Gives it back, if this holder has it. Raises ClusterUnavailableError."""
        answer = await self._call("GET", f"{self._collection}/{self._name}")
        if answer.status == 404:
            return
        lease = _read(answer)
        if (lease.get("spec") or {}).get("holderIdentity") == holder:
            lease["spec"] = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            await self._call("PUT", f"{self._collection}/{self._name}", lease)

    async def check_readable(self) -> None:
        """Whether it may be read now. Raises ClusterUnavailableError."""
        await self._call("GET", f"{self._collection}/{self._name}")

    def _has_run_out(self, lease: dict[str, Any]) -> bool:
        version = lease["metadata"].get("resourceVersion", "")
        now_ms = self._monotonic_ms()
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, now_ms)
        duration_s = (lease.get("spec") or {}).get("leaseDurationSeconds") or 0
        return now_ms - self._seen[1] > duration_s * 1_000

    async def _write(self, method: str, path: str, lease: dict[str, Any], holder: str, duration_ms: int) -> bool:
        spec = lease.get("spec") or {}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        taken = spec.get("holderIdentity") != holder
        changes = int(spec.get("leaseTransitions") or 0)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**lease.get("metadata", {}), "name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": max(1, round(duration_ms / 1_000)),
                "acquireTime": now if taken else spec.get("acquireTime", now),
                "renewTime": now,
                "leaseTransitions": changes + 1 if taken and spec else changes,
            },
        }
        answer = await self._call(method, path, body)
        if answer.status == 404:
            raise ClusterUnavailableError(f"the Lease cannot be written: {answer.message}")
        return answer.status != 409

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        try:
            answer = await self._calls.call(method, path, body, timeout_s=5.0)
        except CallError as error:
            raise ClusterUnavailableError(str(error)) from None
        if answer.ok or answer.status in (404, 409):
            return answer
        raise ClusterUnavailableError(f"Lease {self._namespace}/{self._name}: {answer.message}")


def _read(answer: Answer) -> dict[str, Any]:
    if not answer.ok:
        raise ClusterUnavailableError(answer.message)
    lease = json.loads(answer.body)
    if not isinstance(lease, dict) or not isinstance(lease.get("metadata"), dict):
        raise ClusterUnavailableError("the API server's answer is no Lease")
    return lease
