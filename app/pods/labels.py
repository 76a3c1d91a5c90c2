"""Labels and annotations of jobs: syntax, sizes, reserved keys, and the job's id inside values (SUB7).

Inputs: the JSON of the API. Outputs: violations, or the maps with `{JobId}` replaced.
"""

import re
from collections.abc import Mapping

from app.domain.ids import ID_CHARS
from app.domain.limits import LABELS_BYTES_MAX
from app.pods.limits import ANNOTATIONS_BYTES_MAX
from app.pods.names import LABEL_VALUE_SYNTAX, QUALIFIED_NAME_SYNTAX, is_label_value, is_qualified_name
from app.pods.violation import Rule, Violation, member, shown

RESERVED_PREFIX = "argosy.io"
"""Keys under this prefix (or under a subdomain of it) are set by the executor only."""

_JOB_ID = re.compile(r"\{\{JobId\}\}|\{JobId\}")
_ANY_JOB_ID = "0" * ID_CHARS


def replace_job_id(text: str, job_id: str) -> str:
    """`{JobId}` becomes the id; `{{JobId}}` becomes the plain word `JobId` (as in Armada)."""
    if "JobId" not in text:
        return text
    return _JOB_ID.sub(lambda match: "JobId" if match[0].startswith("{{") else job_id, text)


def with_job_id(values: Mapping[str, str], job_id: str) -> dict[str, str]:
    """The map with `replace_job_id` done on every value."""
    return {key: replace_job_id(value, job_id) for key, value in values.items()}


def validate_labels(labels: object, *, path: str) -> list[Violation]:
    """All that is wrong with a job's labels; values are judged as they will be with a job id in them.

    Absent (None) is right. The sum of keys and values is at most LABELS_BYTES_MAX.
    """
    entries, violations = _entries(labels, path, any_case=False)
    for key, value in entries.items():
        if not is_label_value(replace_job_id(value, _ANY_JOB_ID)):
            message = f"{shown(value)!r} is not a label value: {LABEL_VALUE_SYNTAX}"
            violations.append(Violation(rule=Rule.LABEL, path=member(path, key), message=message))
    violations += _too_large(entries, path, LABELS_BYTES_MAX)
    return violations


def validate_annotations(annotations: object, *, path: str) -> list[Violation]:
    """All that is wrong with a job's annotations: keys, reserved keys and the size of all (ANNOTATIONS_BYTES_MAX)."""
    entries, violations = _entries(annotations, path, any_case=True)
    violations += _too_large(entries, path, ANNOTATIONS_BYTES_MAX)
    return violations


def is_reserved(key: str) -> bool:
    """Whether the key belongs to the executor, which finds its pods by it."""
    prefix, slash, _ = key.lower().rpartition("/")
    return bool(slash) and (prefix == RESERVED_PREFIX or prefix.endswith("." + RESERVED_PREFIX))


def _entries(given: object, path: str, *, any_case: bool) -> tuple[dict[str, str], list[Violation]]:
    """The entries whose key and value are texts, and what is wrong with keys and types.

    `any_case`: Kubernetes lets the prefix of an annotation, but not that of a label, have capitals.
    """
    if given is None:
        return {}, []
    if not isinstance(given, dict):
        return {}, [Violation(rule=Rule.LABEL, path=path, message="must be an object of texts")]
    entries: dict[str, str] = {}
    violations: list[Violation] = []
    for key, value in given.items():
        if not isinstance(key, str) or not is_qualified_name(key.lower() if any_case else key):
            message = f"{shown(str(key))!r} is not a key: {QUALIFIED_NAME_SYNTAX}"
            violations.append(Violation(rule=Rule.LABEL, path=member(path, str(key)), message=message))
        elif is_reserved(key):
            message = f"keys under {RESERVED_PREFIX}/ are set by the system"
            violations.append(Violation(rule=Rule.LABEL, path=member(path, key), message=message))
        if isinstance(value, str) and not _is_utf8(value):
            violations.append(Violation(rule=Rule.LABEL, path=member(path, str(key)), message="must be valid Unicode"))
        elif not isinstance(value, str):
            message = f"must be a text, not {_json_type(value)}; put it in quotes"
            violations.append(Violation(rule=Rule.LABEL, path=member(path, str(key)), message=message))
        elif isinstance(key, str):
            entries[key] = value
    return entries, violations


def _is_utf8(value: str) -> bool:
    """False for lone surrogates, which JSON can escape and nothing can store."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _too_large(entries: Mapping[str, str], path: str, bytes_max: int) -> list[Violation]:
    size = sum(len(key.encode("utf-8", "replace")) + len(value.encode()) for key, value in entries.items())
    if size <= bytes_max:
        return []
    return [Violation(rule=Rule.LABEL, path=path, message=f"has {size:,} bytes, at most {bytes_max:,} are allowed")]


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return "a number" if isinstance(value, int | float) else "an object or array"
