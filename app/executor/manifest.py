"""The pod of a lease: name, labels, annotations, environment, and the job's pod spec bound to its node (features.md
POD1, POD2). Pure.

The pod carries everything that a later instance needs to know it again: log, cluster, run, job, attempt and the
position of its lease."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from app.executor.kubernetes import (
    ANNOTATION_CLUSTER,
    ANNOTATION_GANG_CARDINALITY,
    ANNOTATION_GANG_ID,
    ANNOTATION_JOB_SET,
    ANNOTATION_LOG,
    ANNOTATION_OWNER,
    ANNOTATION_POSITION,
    ANNOTATION_QUEUE,
    LABEL_ATTEMPT,
    LABEL_JOB_ID,
    LABEL_PREEMPTIBLE,
    LABEL_PREFIX,
    LABEL_QUEUE,
    LABEL_RUN_ID,
    PodManifest,
    RunOfPod,
    pod_name,
)
from app.executor.protocol import Lease, LeaseGang

_LABEL_VALUE = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
_SPEC = msgspec.json.Decoder(dict[str, object])
_ARMADA_NAMES = {
    "ARGOSY_JOB_ID": "ARMADA_JOB_ID",
    "ARGOSY_QUEUE": "ARMADA_QUEUE",
    "ARGOSY_JOB_SET_ID": "ARMADA_JOB_SET_ID",
    "ARGOSY_GANG_ID": "ARMADA_GANG_ID",
    "ARGOSY_GANG_CARDINALITY": "ARMADA_GANG_CARDINALITY",
    "ARGOSY_GANG_NODE_UNIFORMITY_LABEL_NAME": "ARMADA_GANG_NODE_UNIFORMITY_LABEL_NAME",
    "ARGOSY_GANG_NODE_UNIFORMITY_LABEL_VALUE": "ARMADA_GANG_NODE_UNIFORMITY_LABEL_VALUE",
}
_ARMADA_LABELS = {
    LABEL_JOB_ID: "armada_job_id",
    LABEL_RUN_ID: "armada_job_run_id",
    LABEL_QUEUE: "armada_queue_id",
}
_ARMADA_POD_OF_JOB = {"armada_pod_number": "0", "armada_pod_count": "1"}
"""a job is one pod"""
NO_LABELS: Mapping[str, str] = MappingProxyType({})


class ManifestError(ValueError):
    """the lease's pod spec cannot be made into a pod"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRules:
    """What a cluster wants to be different. stripped_resources: names that Kubernetes does not know; priority_class:
    replaces the job's priority class name ("" removes it, None keeps it)."""

    stripped_resources: frozenset[str] = frozenset()
    priority_class: str | None = None


def build_manifest(
    lease: Lease, *, log: str, cluster: str, rules: ManifestRules, node_labels: Mapping[str, str] = NO_LABELS
) -> PodManifest:
    """The pod to create for a lease; node_labels are its node's. Raises ManifestError, which is certain: such a pod
    never exists."""
    if lease.services or lease.ingresses:
        raise ManifestError("services and ingresses are not supported by this executor")
    try:
        spec = _SPEC.decode(lease.pod_spec)
    except msgspec.MsgspecError as error:
        raise ManifestError(f"podSpec is not a JSON object: {error}") from None
    containers = spec.get("containers")
    if not isinstance(containers, list) or not containers:
        raise ManifestError("podSpec.containers must be a list with at least one container")
    environment = _environment(lease, node_labels)
    for field in ("initContainers", "containers"):
        if spec.get(field) is not None:
            spec[field] = _containers(field, spec[field], environment, rules)
    spec["restartPolicy"] = "Never"
    spec["nodeName"] = lease.node
    _set_deadline(spec, lease.deadline_seconds)
    if rules.priority_class is not None:
        spec.pop("priorityClassName", None)
        spec.pop("priority", None)
        if rules.priority_class:
            spec["priorityClassName"] = rules.priority_class
    name = pod_name(lease.run_id)
    metadata = {
        "name": name,
        "namespace": lease.namespace,
        "labels": {**_of_job(lease.labels), **_labels(lease)},
        "annotations": {**_of_job(lease.annotations), **_annotations(lease, log, cluster)},
    }
    run = RunOfPod(
        run_id=lease.run_id,
        job_id=lease.job_id,
        attempt=lease.attempt,
        log=log,
        cluster=cluster,
        position=lease.position,
    )
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return PodManifest(namespace=lease.namespace, name=name, run=run, node=lease.node, body=body)


def _of_job(values: Mapping[str, str]) -> dict[str, str]:
    """The job's own labels or annotations; those that are read by the executor (or by a fake cluster's table) may not
    be forged."""
    reserved = LABEL_PREFIX
    return {
        key: value
        for key, value in values.items()
        if not key.startswith(reserved) or key.startswith(f"{reserved}fake-")
    }


def _labels(lease: Lease) -> dict[str, str]:
    labels = {
        LABEL_RUN_ID: lease.run_id,
        LABEL_JOB_ID: lease.job_id,
        LABEL_ATTEMPT: str(lease.attempt),
        LABEL_PREEMPTIBLE: "true" if lease.preemptible else "false",
    }
    if _LABEL_VALUE.match(lease.queue):
        labels[LABEL_QUEUE] = lease.queue
    theirs = {name: labels[ours] for ours, name in _ARMADA_LABELS.items() if ours in labels}
    return {**labels, **theirs, **_ARMADA_POD_OF_JOB}


def _annotations(lease: Lease, log: str, cluster: str) -> dict[str, str]:
    annotations = {
        ANNOTATION_LOG: log,
        ANNOTATION_CLUSTER: cluster,
        ANNOTATION_POSITION: lease.position.text(),
        ANNOTATION_QUEUE: lease.queue,
        ANNOTATION_JOB_SET: lease.job_set,
        ANNOTATION_OWNER: lease.owner,
        "armada_jobset_id": lease.job_set,
        "armada_owner": lease.owner,
    }
    if lease.gang is not None:
        annotations[ANNOTATION_GANG_ID] = lease.gang.id
        annotations[ANNOTATION_GANG_CARDINALITY] = str(lease.gang.cardinality)
    return annotations


def _environment(lease: Lease, node_labels: Mapping[str, str]) -> list[dict[str, object]]:
    values = {
        "ARGOSY_JOB_ID": lease.job_id,
        "ARGOSY_RUN_ID": lease.run_id,
        "ARGOSY_ATTEMPT": str(lease.attempt),
        "ARGOSY_QUEUE": lease.queue,
        "ARGOSY_JOB_SET_ID": lease.job_set,
        "ARGOSY_NODE": lease.node,
    }
    if lease.gang is not None:
        values |= _gang_environment(lease.gang, node_labels)
    values |= {theirs: values[ours] for ours, theirs in _ARMADA_NAMES.items() if ours in values}
    return [{"name": name, "value": value} for name, value in values.items()]


def _gang_environment(gang: LeaseGang, node_labels: Mapping[str, str]) -> dict[str, str]:
    values = {"ARGOSY_GANG_ID": gang.id, "ARGOSY_GANG_CARDINALITY": str(gang.cardinality)}
    if gang.uniformity_label is not None:
        values["ARGOSY_GANG_NODE_UNIFORMITY_LABEL_NAME"] = gang.uniformity_label
        values["ARGOSY_GANG_NODE_UNIFORMITY_LABEL_VALUE"] = node_labels.get(gang.uniformity_label, "")
    return values


def _containers(
    field: str, given: object, environment: list[dict[str, object]], rules: ManifestRules
) -> list[dict[str, object]]:
    if not isinstance(given, list) or not all(isinstance(container, dict) for container in given):
        raise ManifestError(f"podSpec.{field} must be a list of objects")
    made: list[dict[str, object]] = []
    for container in given:
        own = container.get("env")
        own = own if isinstance(own, list) else []
        ours = {entry["name"] for entry in environment}
        kept = [entry for entry in own if not (isinstance(entry, dict) and entry.get("name") in ours)]
        changed = {**container, "env": [*environment, *kept]}
        if rules.stripped_resources and isinstance(container.get("resources"), dict):
            changed["resources"] = _stripped(container["resources"], rules.stripped_resources)
        made.append(changed)
    return made


def _stripped(resources: dict[str, object], names: frozenset[str]) -> dict[str, object]:
    return {
        field: {name: amount for name, amount in part.items() if name not in names} if isinstance(part, dict) else part
        for field, part in resources.items()
    }


def _set_deadline(spec: dict[str, object], deadline_seconds: int | None) -> None:
    """The earlier of the job's deadline and the spec's own."""
    own = spec.get("activeDeadlineSeconds")
    given = [seconds for seconds in (own, deadline_seconds) if isinstance(seconds, int) and seconds > 0]
    if given:
        spec["activeDeadlineSeconds"] = min(given)
