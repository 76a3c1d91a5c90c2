"""The little that a local control plane needs of a Kubernetes client: readiness, and objects that must exist.

Inputs: address, CA file, token. Outputs: JSON. Loopback only; every call is bounded.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.admin.errors import AdminError

CALL_TIMEOUT_S = 30.0
PROBE_TIMEOUT_S = 2.0


class KubeCallError(AdminError):
    """The API server refused a call. status: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KubeClient:
    """One connection to an API server, as one user; not for several threads."""

    def __init__(self, host: str, port: int, *, ca: Path, token: str) -> None:
        self._host, self._port, self._ca, self._token = host, port, ca, token
        self._connection: http.client.HTTPSConnection | None = None

    def is_ready(self) -> bool:
        """Whether /readyz answers 200; False also when nobody listens yet."""
        try:
            self.call("GET", "/readyz", timeout_s=PROBE_TIMEOUT_S)
        except (KubeCallError, OSError, http.client.HTTPException):
            self.close()
            return False
        return True

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> dict[str, Any]:
        """The decoded answer. Raises KubeCallError, OSError."""
        reused = self._connection is not None
        try:
            answer, text = self._exchange(method, path, body, content_type, timeout_s)
        except (ConnectionError, ssl.SSLEOFError):
            if not reused:
                raise
            # The server has closed a connection that was idle; nobody has read this call.
            answer, text = self._exchange(method, path, body, content_type, timeout_s)
        if answer.status >= http.client.BAD_REQUEST:
            raise KubeCallError(answer.status, _message_of(method, path, answer.status, text))
        try:
            decoded = json.loads(text)
        except ValueError:
            return {}
        return decoded if isinstance(decoded, dict) else {}

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None, content_type: str, timeout_s: float
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            context = ssl.create_default_context(cafile=str(self._ca))
            self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=context)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self._connection.getresponse()
            return answer, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def ensure(self, path: str, body: Mapping[str, Any]) -> None:
        """Creates an object in a collection, or puts it in place of the one of that name."""
        try:
            self.call("POST", path, body)
        except KubeCallError as error:
            if error.status != http.client.CONFLICT:
                raise
            self.call("PUT", f"{path}/{body['metadata']['name']}", body)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _message_of(method: str, path: str, status: int, text: bytes) -> str:
    try:
        message = json.loads(text).get("message", "")
    except (ValueError, AttributeError):
        message = text[:200].decode(errors="replace")
    return f"{method} {path}: {status} {message}".strip()
