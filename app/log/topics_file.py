"""infra/kafka/topics.yaml as values: the topics that an installation has.

Input: the file. Output: `TopicSpec`s. Raises TopicsFileInvalid that names topic and key for anything that is not
understood.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.log.errors import TopicsFileInvalid

FILE = Path(__file__).resolve().parents[2] / "infra" / "kafka" / "topics.yaml"
FILE_BYTES_MAX = 1 << 20

_P = "P"
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000}
_DURATION = re.compile(r"([1-9][0-9]{0,4}) ?(d|h|min)")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,248}")
_TOP_KEYS = frozenset({"defaults", "compacted", "topics"})
_TOPIC_KEYS = frozenset({"doc", "partitions", "cleanup", "retention", "segment", "config"})
_CLEANUPS = ("delete", "compact", "keep")
_KEEP_FOR_EVER = "-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it must be. partitions: a number, or None for P; config: topic configs of Kafka as text."""

    name: str
    doc: str
    partitions: int | None
    config: dict[str, str]

    def partition_count(self, partitions: int) -> int:
        """How many partitions it has in an installation of P = `partitions`."""
        return self.partitions or partitions


def load_topics(path: Path = FILE) -> tuple[TopicSpec, ...]:
    """The topics of a file, in its order. Raises TopicsFileInvalid."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise TopicsFileInvalid(f"{path}: {error.strerror}") from error
    if len(text) > FILE_BYTES_MAX:
        raise TopicsFileInvalid(f"{path}: more than {FILE_BYTES_MAX} bytes")
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise TopicsFileInvalid(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return _topics(tree)
    except TopicsFileInvalid as error:
        raise TopicsFileInvalid(f"{path}: {error}") from None


def _topics(tree: Any) -> tuple[TopicSpec, ...]:
    _mapping(tree, "the file", _TOP_KEYS)
    defaults = _config(tree.get("defaults", {}), "defaults")
    compacted = _config(tree.get("compacted", {}), "compacted")
    topics = tree.get("topics")
    _mapping(topics, "topics", None)
    if not topics:
        raise TopicsFileInvalid("topics: there is none")
    return tuple(_topic(name, entry, defaults, compacted) for name, entry in topics.items())


def _topic(name: Any, entry: Any, defaults: dict[str, str], compacted: dict[str, str]) -> TopicSpec:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TopicsFileInvalid(f"topics: {name!r} is no name of a topic (a-z, 0-9, . and -)")
    _mapping(entry, name, _TOPIC_KEYS)
    partitions = entry.get("partitions")
    if partitions != _P and (type(partitions) is not int or not 1 <= partitions <= 256):
        raise TopicsFileInvalid(f"{name}: partitions: P or a number from 1 to 256 was expected, not {partitions!r}")
    cleanup = entry.get("cleanup")
    if cleanup not in _CLEANUPS:
        raise TopicsFileInvalid(f"{name}: cleanup: delete, compact or keep was expected, not {cleanup!r}")
    if ("retention" in entry) != (cleanup == "delete"):
        raise TopicsFileInvalid(f"{name}: retention: it goes with cleanup: delete, and only with it")
    config = dict(defaults)
    config["cleanup.policy"] = "compact" if cleanup == "compact" else "delete"
    if cleanup == "compact":
        config.update(compacted)
    else:
        config["retention.ms"] = _KEEP_FOR_EVER if cleanup == "keep" else _duration_ms(entry, "retention", name)
        config["retention.bytes"] = _KEEP_FOR_EVER
    if "segment" in entry:
        config["segment.ms"] = _duration_ms(entry, "segment", name)
    config.update(_config(entry.get("config", {}), f"{name}: config"))
    doc = entry.get("doc")
    if not isinstance(doc, str) or not doc:
        raise TopicsFileInvalid(f"{name}: doc: a sentence was expected")
    return TopicSpec(name=name, doc=doc, partitions=None if partitions == _P else partitions, config=config)


def _duration_ms(entry: dict[str, Any], key: str, name: str) -> str:
    value = entry[key]
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise TopicsFileInvalid(f"{name}: {key}: a number and d, h or min was expected, not {value!r}")
    return str(int(found[1]) * _UNITS_MS[found[2]])


def _config(tree: Any, where: str) -> dict[str, str]:
    _mapping(tree, where, None)
    config = {}
    for key, value in tree.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float):
            raise TopicsFileInvalid(f"{where}: {key}: a text or number was expected, not {value!r}")
        config[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return config


def _mapping(tree: Any, where: str, keys: frozenset[str] | None) -> None:
    if not isinstance(tree, dict):
        raise TopicsFileInvalid(f"{where}: keys and values were expected")
    unknown = sorted(str(key) for key in tree if keys is not None and key not in keys)
    if unknown:
        raise TopicsFileInvalid(f"{where}: unknown key {unknown[0]!r} (known: {', '.join(sorted(keys or ()))})")
