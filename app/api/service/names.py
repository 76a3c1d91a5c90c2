"""Checks of names and texts that several calls share. Output: a `Fault` that names the field, or None."""

from app.api.errors import Fault, invalid
from app.domain.limits import JOB_SET_CHARS_MAX, NAME_CHARS_MAX, REASON_CHARS_MAX
from app.pods.violation import Violation, shown

NUL = "\0"
"""Postgres cannot keep it in a text, so no text of a user that a view shows may have it."""


def queue_name_fault(name: str, *, path: str, index: int | None = None) -> Fault | None:
    """A queue's name: printable, no blanks at its ends."""
    if not 0 < len(name) <= NAME_CHARS_MAX:
        return invalid(path, f"must have 1 to {NAME_CHARS_MAX} characters, not {len(name):,}", index=index)
    if not name.isprintable() or name != name.strip():
        return invalid(path, f"{shown(name)!r} must be printable, without blanks at its ends", index=index)
    return None


def job_set_fault(name: str, *, path: str) -> Fault | None:
    """A job set's name."""
    fault = length_fault(name, path=path, chars_max=JOB_SET_CHARS_MAX)
    if fault is None and not name.isprintable():
        return invalid(path, f"{shown(name)!r} must be printable")
    return fault


def length_fault(text: str, *, path: str, chars_max: int) -> Fault | None:
    """A text of 1 to `chars_max` characters."""
    if 0 < len(text) <= chars_max:
        return None
    return invalid(path, f"must have 1 to {chars_max:,} characters, not {len(text):,}")


def reason_fault(reason: str | None, *, path: str = "reason") -> Fault | None:
    """Why somebody cancels, in his words."""
    if reason is not None and len(reason) > REASON_CHARS_MAX:
        return invalid(path, f"must have at most {REASON_CHARS_MAX} characters, not {len(reason):,}")
    if reason is not None and NUL in reason:
        return invalid(path, "must not contain the character U+0000")
    return None


def fault_of(violation: Violation, *, index: int | None = None) -> Fault:
    """A violation found by app.pods, as a fault of the item `index`."""
    return invalid(violation.path, violation.message, index=index, rule=violation.rule)
