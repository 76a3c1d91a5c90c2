"""A violation: one thing that is wrong with a pod spec, with the rule and the path of the field.

Outputs of every check in this package. A path reads like `jobs[3].podSpec.containers[0].resources.requests.cpu`;
a key that is not a plain word stands in quotes: `limits["nvidia.com/gpu"]`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_TEXT_CHARS_SHOWN = 80


class Rule(StrEnum):
    """Which rule is broken. The values are part of the API."""

    SCHEMA_TYPE = "SCHEMA_TYPE"
    """The value has another type than Kubernetes wants there."""
    SCHEMA_UNKNOWN_FIELD = "SCHEMA_UNKNOWN_FIELD"
    """Kubernetes knows no such field."""
    SCHEMA_REQUIRED = "SCHEMA_REQUIRED"
    """A required field is missing."""
    SCHEMA_VALUE = "SCHEMA_VALUE"
    """The value is of the right type, but not one that Kubernetes takes: enum, range, syntax, length."""
    VAL2 = "VAL2"
    """The pod spec is too large."""
    VAL3 = "VAL3"
    """Requests and limits of a container: for the same resources, not negative, in proportion, not too small."""
    VAL4 = "VAL4"
    """Init containers must request a fraction of a cpu (only where the installation asks for it)."""
    VAL5 = "VAL5"
    """The priority class is not one of this installation."""
    VAL6 = "VAL6"
    """The termination grace period is out of bounds."""
    VAL7 = "VAL7"
    """Node affinity: only required terms, which must be well formed."""
    VAL8 = "VAL8"
    """A port may be exposed once in a pod."""
    VAL9 = "VAL9"
    """The toleration is reserved to operators."""
    VAL10 = "VAL10"
    """The members of a gang do not agree, or its fields are wrong."""
    SELECTOR = "SELECTOR"
    """A node selector or toleration is not well formed."""
    LABEL = "LABEL"
    """A label or annotation is not well formed, too large or reserved."""
    DUPLICATE = "DUPLICATE"
    """A name that must be unique occurs twice."""
    REFERENCE = "REFERENCE"
    """A name refers to something that the pod spec does not define."""
    ONE_OF = "ONE_OF"
    """Exactly one of several fields must be given."""
    INIT_CONTAINER = "INIT_CONTAINER"
    """An init container has a field that only main containers and sidecars may have."""
    RESTART = "RESTART"
    """Pods of jobs are never restarted in place: restartPolicy must be Never or absent."""
    UNSUPPORTED = "UNSUPPORTED"
    """Kubernetes knows the field, but a job cannot use it here."""
    TOO_MANY = "TOO_MANY"
    """More violations than are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule: `path` names the field, `message` says what is wrong and what would be right."""

    rule: str
    path: str
    message: str


def member(path: str, key: str | int) -> str:
    """The path of a member of the object or array at `path`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.match(key):
        return f"{path}.{key}"
    return f'{path}["{shown(key)}"]'


def shown(value: str) -> str:
    """A user's text cut to what an error message can hold, on one line."""
    clean = value if value.isprintable() else ascii(value)[1:-1]
    return clean if len(clean) <= _TEXT_CHARS_SHOWN else clean[:_TEXT_CHARS_SHOWN] + "…"
