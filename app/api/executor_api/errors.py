"""Refusals of a sync request, each with its status."""

from app.executor.protocol import ErrorAnswer, FieldError

REPLACED = "REPLACED"


class SyncRefused(Exception):
    """The request is refused and nothing of it was logged. errors: (path, message)."""

    def __init__(self, status: int, errors: list[tuple[str, str]], *, code: str | None = None) -> None:
        super().__init__("; ".join(f"{path or 'body'}: {message}" for path, message in errors))
        self.status = status
        self.answer = ErrorAnswer(
            errors=tuple(FieldError(path=path, message=message) for path, message in errors), code=code
        )


def replaced(instance: str) -> SyncRefused:
    """Rule 1: another instance speaks for the cluster."""
    message = f"another instance speaks for this cluster now, {instance} was replaced"
    return SyncRefused(409, [("instance", message)], code=REPLACED)


def unavailable(message: str) -> SyncRefused:
    """The log cannot be written: send the same request again."""
    return SyncRefused(503, [("", message)])
