"""The topics of the log: their names, and whether those of the cluster are as infra/kafka/topics.yaml says.

Inputs: a bootstrap address, the specs, P and replication of the settings. Outputs: topics created and altered
(`apply_topics`), differences as lines (`diff_topics`), or a refusal (`check_topics`). Partition counts are never
changed: that is a migration.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from app.log.admin import ANSWER_TIMEOUT_S, POLL_INTERVAL_S, admin_client, answer
from app.log.errors import LogUnavailable, TopicMismatch, TopicsFileInvalid
from app.log.topics_file import TopicSpec, load_topics

__all__ = [
    "TopicMismatch",
    "TopicSpec",
    "TopicsFileInvalid",
    "apply_topics",
    "check_topics",
    "diff_topics",
    "load_topics",
]

COMMANDS = "argosy.commands"
EVENTS = "argosy.events"
STATE = "argosy.state"
CLIENT_IDS = "argosy.client-ids"
SHAPES = "argosy.shapes"
CLUSTERS = "argosy.clusters"
LEADERSHIP = "argosy.leadership"
ROUNDS = "argosy.rounds"
JOB_EVENTS = "argosy.job-events"
JOB_RUNS = "argosy.job-runs"
DEAD_LETTERS = "argosy.dead-letters"

REPLICATION_SAFE = 3
"""with as many copies, two must have a record before it is acknowledged"""
_MIN_INSYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A topic as the cluster has it. led: every partition has a leader."""

    partitions: int
    replication: int
    led: bool
    config: dict[str, str]


def apply_topics(bootstrap: str, specs: Sequence[TopicSpec], partitions: int, replication: int) -> list[str]:
    """Creates topics that are missing and sets configs that differ; returns what was done, one line each.

    Raises TopicMismatch when a partition count differs (then nothing is changed) or the cluster refuses,
    LogUnavailable."""
    client = admin_client(bootstrap)
    found = _found(client, specs)
    _refuse_counts(found, specs, partitions)
    done: list[str] = []
    missing = [spec for spec in specs if spec.name not in found]
    if missing:
        _create(client, missing, partitions, replication)
        done += [f"{spec.name}: created with {spec.partition_count(partitions)} partitions" for spec in missing]
    for spec in specs:
        if spec.name in found:
            changes = _config_changes(found[spec.name], spec, found[spec.name].replication)
            if changes:
                _alter(client, spec.name, changes)
                done += [f"{spec.name}: {key} set to {value}" for key, value in changes.items()]
    if done:
        _await_applied(client, specs)
    return done


def diff_topics(bootstrap: str, specs: Sequence[TopicSpec], partitions: int, replication: int) -> list[str]:
    """What differs, one line each; empty when nothing does. Raises LogUnavailable."""
    found = _found(admin_client(bootstrap), specs)
    lines: list[str] = []
    for spec in specs:
        topic = found.get(spec.name)
        if topic is None:
            lines.append(f"{spec.name}: missing")
            continue
        wanted = spec.partition_count(partitions)
        if topic.partitions != wanted:
            lines.append(f"{spec.name}: {topic.partitions} partitions, must be {wanted}")
        if topic.replication != replication:
            lines.append(f"{spec.name}: {topic.replication} copies, must be {replication}: Kafka's own tools move them")
        for key, value in _config_changes(topic, spec, topic.replication).items():
            lines.append(f"{spec.name}: {key} is {topic.config.get(key, 'unknown')}, must be {value}")
    return lines


def check_topics(bootstrap: str, specs: Sequence[TopicSpec], partitions: int) -> None:
    """Raises TopicMismatch with one line when a topic is missing, has another partition count or another config.

    For the start of components, which never create anything. Raises LogUnavailable when no broker answers."""
    found = _found(admin_client(bootstrap), specs)
    missing = [spec.name for spec in specs if spec.name not in found]
    if missing:
        raise TopicMismatch(f"missing topics: {', '.join(missing)}: run argosy-admin topics apply")
    _refuse_counts(found, specs, partitions)
    for spec in specs:
        for key, value in _config_changes(found[spec.name], spec, found[spec.name].replication).items():
            is_now = found[spec.name].config.get(key, "unknown")
            raise TopicMismatch(f"{spec.name}: {key} is {is_now}, must be {value}: run argosy-admin topics apply")


def _refuse_counts(found: dict[str, _Found], specs: Sequence[TopicSpec], partitions: int) -> None:
    for spec in specs:
        wanted = spec.partition_count(partitions)
        if spec.name in found and found[spec.name].partitions != wanted:
            raise TopicMismatch(
                f"{spec.name} has {found[spec.name].partitions} partitions, the settings say {wanted}: the count is "
                "fixed at installation; set kafka.partitions to what the topics have, or migrate"
            )


def _config_changes(found: _Found, spec: TopicSpec, replication: int) -> dict[str, str]:
    """Configs that must be set, with their values."""
    wanted = _config(spec, replication)
    return {key: value for key, value in wanted.items() if not _same(found.config.get(key), value)}


def _config(spec: TopicSpec, replication: int) -> dict[str, str]:
    return {_MIN_INSYNC: "2" if replication >= REPLICATION_SAFE else "1", **spec.config}


def _same(found: str | None, wanted: str) -> bool:
    if found is None or found == wanted:
        return found is not None
    try:
        return float(found) == float(wanted)
    except ValueError:
        return False


def _found(client: AdminClient, specs: Sequence[TopicSpec]) -> dict[str, _Found]:
    """Those of the topics that the cluster has, by name."""
    try:
        metadata = client.list_topics(timeout=ANSWER_TIMEOUT_S).topics
        names = [spec.name for spec in specs if spec.name in metadata]
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        configs = client.describe_configs(resources, request_timeout=ANSWER_TIMEOUT_S) if resources else {}
        entries = {resource.name: answer(future) for resource, future in configs.items()}
    except KafkaException as error:
        raise LogUnavailable(f"the broker does not answer: {error.args[0].str()}") from error
    found = {}
    for name in names:
        placed = metadata[name].partitions
        found[name] = _Found(
            partitions=len(placed),
            replication=min((len(partition.replicas) for partition in placed.values()), default=0),
            led=all(partition.leader >= 0 for partition in placed.values()),
            config={key: entry.value for key, entry in entries[name].items() if entry.value is not None},
        )
    return found


def _await_applied(client: AdminClient, specs: Sequence[TopicSpec]) -> None:
    """Brokers hear of a change from the controller a moment later; whoever comes next should see it."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        found = _found(client, specs)
        if all(
            spec.name in found
            and found[spec.name].led
            and not _config_changes(found[spec.name], spec, found[spec.name].replication)
            for spec in specs
        ):
            return
        if time.monotonic() >= deadline:
            raise LogUnavailable(f"topics were created or changed, but not seen within {ANSWER_TIMEOUT_S:.0f} s")
        time.sleep(POLL_INTERVAL_S)


def _create(client: AdminClient, specs: Sequence[TopicSpec], partitions: int, replication: int) -> None:
    wanted = [
        NewTopic(
            spec.name,
            num_partitions=spec.partition_count(partitions),
            replication_factor=replication,
            config=_config(spec, replication),
        )
        for spec in specs
    ]
    for name, future in client.create_topics(wanted, request_timeout=ANSWER_TIMEOUT_S).items():
        try:
            answer(future)
        except KafkaException as error:
            # Somebody else may have applied the same list at the same time.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicMismatch(f"{name} could not be created: {error.args[0].str()}") from error


def _alter(client: AdminClient, name: str, changes: dict[str, str]) -> None:
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in changes.items()]
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
    try:
        for future in client.incremental_alter_configs([resource], request_timeout=ANSWER_TIMEOUT_S).values():
            answer(future)
    except KafkaException as error:
        raise TopicMismatch(f"{name} could not be changed: {error.args[0].str()}") from error
