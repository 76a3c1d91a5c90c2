"""A job's priority as a client gives it, and as it stands in the log. Rule: features SUB5."""

import math

from app.domain.limits import PRIORITY_MAX


def whole_priority(given: float) -> int:
    """Rounded to a whole number, not below 0. Lower runs first."""
    return math.floor(min(max(given + 0.5, 0.0), PRIORITY_MAX))
