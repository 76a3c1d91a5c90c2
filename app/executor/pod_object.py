"""Kubernetes JSON of a pod's metadata -> which run it says to be. Pure; the real and the fake cluster read labels the
same way."""

from collections.abc import Mapping

from app.executor.cursor import Position
from app.executor.kubernetes import (
    ANNOTATION_CLUSTER,
    ANNOTATION_LOG,
    ANNOTATION_POSITION,
    LABEL_ATTEMPT,
    LABEL_JOB_ID,
    LABEL_RUN_ID,
    RunOfPod,
    pod_name,
)

_ATTEMPT_DIGITS_MAX = 3


def run_of_pod(name: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> RunOfPod | None:
    """The run of a pod; None for a pod that carries no complete and consistent identity: it is foreign, and never
    touched."""
    run_id, job_id, attempt = (labels.get(label, "") for label in (LABEL_RUN_ID, LABEL_JOB_ID, LABEL_ATTEMPT))
    log, cluster = annotations.get(ANNOTATION_LOG, ""), annotations.get(ANNOTATION_CLUSTER, "")
    position = Position.parse(annotations.get(ANNOTATION_POSITION, ""))
    if not (run_id and job_id and log and cluster) or position is None or name != pod_name(run_id):
        return None
    if not (attempt.isascii() and attempt.isdigit() and len(attempt) <= _ATTEMPT_DIGITS_MAX):
        return None
    return RunOfPod(run_id=run_id, job_id=job_id, attempt=int(attempt), log=log, cluster=cluster, position=position)
