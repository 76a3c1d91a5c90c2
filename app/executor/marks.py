"""The mark on a troubled pod: the last word of its run, written on the pod before it is deleted (features.md X7). Pure.

A pod that carries it also carries a finalizer, so it stays, without containers, until that word was accepted: an
executor that is killed between the deletion and the report leaves it to the next one, which would else find no pod
and say PodLost."""

from msgspec import MsgspecError, Struct
from msgspec.json import decode, encode

from app.executor.desired import Word
from app.executor.protocol import MESSAGE_CHARS_MAX, ReportState


class _Mark(Struct, rename="camel", frozen=True, omit_defaults=True):
    state: ReportState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    attempted: bool = True


def mark_text(word: Word) -> str:
    """The annotation's value."""
    message = None if word.message is None else word.message[:MESSAGE_CHARS_MAX]
    return encode(_Mark(word.state, word.reason, message, word.exit_code, word.attempted)).decode()


def word_of_mark(text: str) -> Word | None:
    """The word on a pod; None when it is none that can be said."""
    try:
        mark = decode(text, type=_Mark)
    except MsgspecError:
        return None
    if mark.state not in (ReportState.FAILED, ReportState.RETURNED):
        return None
    return Word(
        state=mark.state,
        reason=mark.reason,
        message=mark.message,
        exit_code=mark.exit_code,
        attempted=mark.attempted,
    )
