"""What an API server's answer to a create means. Pure.

Only what is certain is called a refusal; an answer that comes after the object may have been stored (5xx, a broken
connection) is `Unknown`, and a refusal of ourselves or for lack of room to serve us is `NotSent`.
"""

from app.executor.kube.calls import Answer
from app.executor.kubernetes import Created, CreateOutcome, NotSent, RefusalKind, Refused, Unknown

_TRY_AGAIN = frozenset({401, 429, 503})
_INVALID = frozenset({400, 413, 415, 422})
_STARTING = "not yet ready to handle request"
"""what admission plugins of an API server say that has just started; they say it as 403"""
_BEFORE_STORING = ("failed calling webhook", "admission webhook", "failed to call webhook")


def outcome_of_create(answer: Answer, namespace: str) -> CreateOutcome | None:
    """None for a name that is taken (409): whose pod it is must be read."""
    if answer.ok:
        return Created()
    status, message = answer.status, answer.message
    if status == 409:
        return None if answer.reason == "AlreadyExists" else NotSent(message)
    if status in _TRY_AGAIN and answer.reason != "InternalError":
        return NotSent(f"{message} (HTTP {status})")
    if status in _INVALID:
        return Refused(RefusalKind.INVALID, message)
    if status == 403 and _STARTING in message:
        return NotSent(message)
    if status == 403:
        ends = "is being terminated" in message
        return Refused(RefusalKind.NAMESPACE_MISSING if ends else RefusalKind.FORBIDDEN, message)
    if status == 404:
        return Refused(RefusalKind.NAMESPACE_MISSING, f"{message} (namespace {namespace})")
    if status == 500 and any(text in message for text in _BEFORE_STORING):
        return Refused(RefusalKind.OTHER, message)
    return Unknown(f"{message} (HTTP {status})")
