"""From a submit call to one command: every job is checked, completed and resolved, and all that is wrong is said at
once.

Inputs: SubmitJobsInput, the principal, the ids' prefix. Output: `Submission`. Nothing is written here.
Rules: features.md SUB1–SUB7, VAL1–VAL10, DEF1–DEF5.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from app.api.errors import Fault, invalid
from app.api.job_policy import JobPolicy
from app.api.service.gangs import faults_of_gangs, gang_ids_of, gang_of_job
from app.api.service.inputs import NULL, JobInput, SubmitJobsInput
from app.api.service.names import (
    NUL,
    fault_of,
    job_set_fault,
    length_fault,
    queue_name_fault,
)
from app.api.service.pod_cache import KnownPod, PodCache
from app.api.service.priorities import whole_priority
from app.domain.commands import Gang, JobItem, Principal, ShapeRef, Spec, SubmitJobs
from app.domain.ids import format_id, job_id
from app.domain.limits import CLIENT_ID_CHARS_MAX, JOBS_PER_CALL_MAX, REQUEST_ID_CHARS_MAX
from app.pods.labels import validate_annotations, validate_labels, with_job_id
from app.pods.limits import EXTERNAL_URI_CHARS_MAX
from app.pods.names import DNS_LABEL_SYNTAX, is_dns_label
from app.pods.violation import Rule, Violation, member, shown

ANNOTATION_EXTERNAL_URI = "armadaproject.io/externalJobUri"
FAULTS_MAX = 1_000
"""named in one answer"""
_NOT_BUILT = "is not built yet"
_SLICE_S = 0.005
"""Other requests get their turn after this."""


@dataclass(slots=True, kw_only=True)
class Submission:
    """What a call comes to. faults: everything that is wrong; refused: index in the call -> why that job is refused.

    indexes: for each job of the command its index in the call; command is None when nothing may be written."""

    command: SubmitJobs | None = None
    indexes: list[int] = field(default_factory=list)
    shapes: dict[bytes, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    refused: dict[int, Fault] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A job of the call with which nothing is wrong by itself."""

    index: int
    job: JobInput
    pools: tuple[str, ...]
    pod: KnownPod
    gang: Gang | None


class SubmissionBuilder:
    """Builds one submission. prefix: the 14 bytes that the ids of this call's jobs share; policy: what the installation
    allows."""

    def __init__(
        self, call: SubmitJobsInput, principal: Principal, prefix: bytes, cache: PodCache, policy: JobPolicy
    ) -> None:
        self._call = call
        self._principal = principal
        self._prefix = prefix
        self._cache = cache
        self._policy = policy
        self._specs: dict[bytes, tuple[int, Spec]] = {}
        self._shape_refs: dict[bytes, tuple[int, ShapeRef]] = {}
        self._shared: dict[tuple[int, str | None, tuple[str, ...]], tuple[KnownPod | None, list[Violation]]] = {}
        self._made = Submission()
        self._broken_gangs: set[str] = set()

    async def build(self) -> Submission:
        """Takes turns with other requests every few milliseconds. Raises nothing for bad input."""
        made, call = self._made, self._call
        made.faults += _call_faults(call)
        if made.faults:
            return made
        checked: list[_Checked] = []
        turn_ends_s = time.monotonic() + _SLICE_S
        for index, job in enumerate(call.jobs):
            good, faults = self._check(index, job)
            if good is None:
                self._refuse(index, faults)
                self._broken_gangs.update(gang_ids_of(job))
            else:
                checked.append(good)
            if time.monotonic() > turn_ends_s:
                await asyncio.sleep(0)
                turn_ends_s = time.monotonic() + _SLICE_S
        checked = self._without_broken_gangs(checked)
        jobs = [self._item(place, each) for place, each in enumerate(checked)]
        made.indexes = [each.index for each in checked]
        if jobs and (not made.refused or call.all_or_nothing is False):
            made.command = SubmitJobs(
                principal=self._principal,
                queue=call.queue,
                job_set=call.job_set,
                request_id=call.request_id,
                all_or_nothing=call.all_or_nothing is not False,
                specs=tuple(spec for _, spec in self._specs.values()),
                shapes=tuple(shape for _, shape in self._shape_refs.values()),
                jobs=tuple(jobs),
            )
        return made

    def _refuse(self, index: int, faults: list[Fault]) -> None:
        self._made.refused[index] = faults[0]
        self._made.faults += faults[: FAULTS_MAX - len(self._made.faults)]

    def _check(self, index: int, job: JobInput) -> tuple[_Checked | None, list[Fault]]:
        path = f"jobs[{index}]"
        violations = _job_violations(job, path)
        gang, gang_violations = gang_of_job(job, path, self._policy.limits.gang_uniformity_label_default)
        pools, pool_violations = self._named_pools(job, path)
        pod, pod_violations = self._pod(job, path, pools)
        violations += gang_violations
        violations += pool_violations
        violations += pod_violations
        if violations or pod is None:
            return None, [fault_of(violation, index=index) for violation in violations]
        return _Checked(index=index, job=job, pools=pools, pod=pod, gang=gang), []

    def _without_broken_gangs(self, checked: list[_Checked]) -> list[_Checked]:
        """The jobs that stay when the members of gangs have been compared."""
        members = {each.index: (each.gang, each.pod.priority_class) for each in checked if each.gang is not None}
        if not members:
            return checked
        faults = faults_of_gangs(members, self._broken_gangs)
        for index, some in sorted(faults.items()):
            self._refuse(index, some)
        return [each for each in checked if each.index not in faults]

    def _item(self, place: int, checked: _Checked) -> JobItem:
        job, pod = checked.job, checked.pod
        self._made.shapes[pod.shape.shape_hash] = pod.encoded_shape
        own_id = job_id(self._prefix, place)
        annotations: dict[str, str] = job.annotations or {}
        return JobItem(
            job_id=own_id,
            spec=self._specs.setdefault(pod.spec.spec_id, (len(self._specs), pod.spec))[0],
            shape=self._shape_refs.setdefault(pod.shape.shape_hash, (len(self._shape_refs), pod.shape))[0],
            namespace=job.namespace or "default",
            priority=whole_priority(job.priority or 0.0),
            priority_class=pod.priority_class,
            preemptible=pod.preemptible,
            deadline_s=pod.deadline_s,
            client_id=job.client_id,
            labels=_named(job.labels or {}, own_id),
            annotations=_named(annotations, own_id),
            external_uri=job.external_uri or annotations.get(ANNOTATION_EXTERNAL_URI),
            pools=checked.pools,
            gang=checked.gang,
        )

    def _named_pools(self, job: JobInput, path: str) -> tuple[tuple[str, ...], list[Violation]]:
        if not job.pools:
            return (), []
        known = self._policy.pools
        unknown = [
            Violation(
                rule=Rule.REFERENCE,
                path=f"{path}.pools[{place}]",
                message=f"there is no pool {shown(pool)!r}; there are {', '.join(sorted(known))}",
            )
            for place, pool in enumerate(job.pools[:JOBS_PER_CALL_MAX])
            if pool not in known
        ]
        return tuple(sorted(set(job.pools))), unknown

    def _pod(self, job: JobInput, path: str, pools: tuple[str, ...]) -> tuple[KnownPod | None, list[Violation]]:
        shared = self._call.pod_specs or ()
        class_path = f"{path}.priorityClass"
        own = bytes(job.pod_spec) != bytes(NULL)
        if own == (job.pod_spec_index is not None):
            message = "exactly one of podSpec and podSpecIndex must be given"
            return None, [Violation(rule=Rule.ONE_OF, path=f"{path}.podSpec", message=message)]
        if own:
            return self._cache.find(
                bytes(job.pod_spec),
                priority_class=job.priority_class,
                pools=pools,
                path=f"{path}.podSpec",
                class_path=class_path,
            )
        at = job.pod_spec_index
        assert at is not None, "one of both is given"
        if not 0 <= at < len(shared):
            message = f"must be an index into podSpecs, which has {len(shared)} entries"
            return None, [Violation(rule=Rule.REFERENCE, path=f"{path}.podSpecIndex", message=message)]
        key = (at, job.priority_class, pools)
        if key not in self._shared:
            self._shared[key] = self._cache.find(
                bytes(shared[at]),
                priority_class=job.priority_class,
                pools=pools,
                path=f"podSpecs[{at}]",
                class_path=class_path,
            )
        return self._shared[key]


def _call_faults(call: SubmitJobsInput) -> list[Fault]:
    """What is wrong with the call itself: then its jobs are not looked at."""
    found = [queue_name_fault(call.queue, path="queue"), job_set_fault(call.job_set, path="jobSet")]
    if call.request_id is not None:
        found.append(length_fault(call.request_id, path="requestId", chars_max=REQUEST_ID_CHARS_MAX))
    count = len(call.jobs)
    if not 1 <= count <= JOBS_PER_CALL_MAX:
        found.append(invalid("jobs", f"must have 1 to {JOBS_PER_CALL_MAX:,} jobs, not {count:,}: split the call"))
    if len(call.pod_specs or ()) > JOBS_PER_CALL_MAX:
        found.append(invalid("podSpecs", f"must have at most {JOBS_PER_CALL_MAX:,} specs"))
    return [fault for fault in found if fault is not None]


def _job_violations(job: JobInput, path: str) -> list[Violation]:
    """What is wrong with the job beside its pod spec and pools."""
    found: list[Violation] = []

    def refuse(name: str, message: str, rule: Rule = Rule.SCHEMA_VALUE) -> None:
        found.append(Violation(rule=rule, path=f"{path}.{name}", message=message))

    if job.client_id is not None and not 0 < len(job.client_id) <= CLIENT_ID_CHARS_MAX:
        refuse("clientId", f"must have 1 to {CLIENT_ID_CHARS_MAX} characters")
    elif job.client_id is not None and not job.client_id.isprintable():
        refuse("clientId", "must be printable")
    if job.namespace is not None and not is_dns_label(job.namespace):
        refuse("namespace", f"{shown(job.namespace)!r} is not a namespace: {DNS_LABEL_SYNTAX}")
    if job.external_uri is not None and (len(job.external_uri) > EXTERNAL_URI_CHARS_MAX or NUL in job.external_uri):
        refuse("externalUri", f"must have at most {EXTERNAL_URI_CHARS_MAX} characters, none of them U+0000")
    for name, given in (("services", job.services), ("ingresses", job.ingresses)):
        if given:
            refuse(name, _NOT_BUILT, Rule.UNSUPPORTED)
    if job.labels is not None:
        found += validate_labels(job.labels, path=f"{path}.labels")
    if job.annotations is not None:
        found += validate_annotations(job.annotations, path=f"{path}.annotations")
        if isinstance(job.annotations, dict):
            found += _annotation_violations(job.annotations, f"{path}.annotations")
    return found


def _annotation_violations(annotations: dict[str, Any], path: str) -> list[Violation]:
    """What annotations of a meaning of their own may not say."""
    found = []
    for key, value in annotations.items():
        if isinstance(value, str) and NUL in value:
            message = "must not contain the character U+0000"
            found.append(Violation(rule=Rule.LABEL, path=member(path, key), message=message))
    uri = annotations.get(ANNOTATION_EXTERNAL_URI)
    if isinstance(uri, str) and len(uri) > EXTERNAL_URI_CHARS_MAX:
        message = f"must have at most {EXTERNAL_URI_CHARS_MAX} characters"
        found.append(Violation(rule=Rule.SCHEMA_VALUE, path=member(path, ANNOTATION_EXTERNAL_URI), message=message))
    return found


def _named(values: dict[str, str], own_id: bytes) -> dict[str, str]:
    """SUB7, where there is a place holder at all."""
    if any("JobId" in value for value in values.values()):
        return with_job_id(values, format_id(own_id))
    return values
