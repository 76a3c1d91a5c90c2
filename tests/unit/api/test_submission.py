"""From a submit call to a command: defaults, shared specs, and everything that is wrong at once."""

import asyncio
from typing import Any

import orjson
import pytest

from app.api.errors import Fault
from app.api.job_policy import job_policy
from app.api.service.pod_cache import PodCache
from app.api.service.submission import Submission, SubmissionBuilder
from app.domain.commands import Gang, JobItem, Principal, SubmitJobs
from app.domain.ids import call_prefix, format_id, job_id
from app.pods.canonical import unpack_spec
from app.pods.shape import decode_shape
from app.settings import load_settings
from tests.unit.api.submissions import POD, call, pod

POLICY = job_policy(load_settings(None, {"ARGOSY_SCHEDULER__POOLS": '{"default": {}, "gpu": {}}'}))
PREFIX = call_prefix(1_700_000_000_000, 3, 12345)
ALICE = Principal(user="alice")


def built(*jobs: dict[str, Any], **fields: Any) -> Submission:
    builder = SubmissionBuilder(call(*jobs, **fields), ALICE, PREFIX, PodCache(POLICY), POLICY)
    return asyncio.run(builder.build())


def command_of(made: Submission) -> SubmitJobs:
    assert made.faults == []
    assert made.command is not None
    return made.command


def only_job(job: dict[str, Any], **fields: Any) -> JobItem:
    (item,) = command_of(built(job, **fields)).jobs
    return item


def faults_of(*jobs: dict[str, Any], **fields: Any) -> list[Fault]:
    made = built(*jobs, **fields)
    assert made.command is None
    return made.faults


def test_a_job_is_completed_with_the_defaults_of_the_installation() -> None:
    command = command_of(built({"podSpec": POD}))
    (job,) = command.jobs
    spec = unpack_spec(command.specs[job.spec].body)
    assert spec["restartPolicy"] == "Never"
    assert spec["activeDeadlineSeconds"] == job.deadline_s == 72 * 3600
    assert (job.priority_class, job.preemptible, job.namespace, job.priority) == ("argosy-default", False, "default", 0)
    shape = command.shapes[job.shape]
    assert (shape.cpu_milli, shape.memory_bytes, shape.storage_bytes, shape.gpus) == (500, 256 << 20, 8 << 30, 0)
    assert command.principal == ALICE


def test_ids_share_the_prefix_of_the_call_and_count_up() -> None:
    command = command_of(built({"podSpec": POD}, {"podSpec": POD}))
    assert [job.job_id for job in command.jobs] == [job_id(PREFIX, 0), job_id(PREFIX, 1)]


def test_equal_specs_stand_once_in_a_command_however_they_are_written() -> None:
    reordered = {key: POD[key] for key in reversed(POD)} | {"hostNetwork": None}
    made = built({"podSpec": POD}, {"podSpecIndex": 0}, {"podSpec": reordered}, podSpecs=[POD])
    command = command_of(made)
    assert len(command.specs) == len(command.shapes) == 1
    assert [decode_shape(encoded).priority_class for encoded in made.shapes.values()] == ["argosy-default"]


def test_jobs_of_another_class_have_another_shape_and_the_same_spec() -> None:
    command = command_of(built({"podSpec": POD}, {"podSpec": POD, "priorityClass": "argosy-preemptible"}))
    assert [job.preemptible for job in command.jobs] == [False, True]
    assert (len(command.specs), len(command.shapes)) == (1, 2)


def test_the_id_of_a_job_replaces_its_place_holder() -> None:
    job = only_job({"podSpec": POD, "labels": {"id": "{JobId}"}, "annotations": {"a": "x-{JobId}-{{JobId}}"}})
    assert job.labels == {"id": format_id(job.job_id)}
    assert job.annotations == {"a": f"x-{format_id(job.job_id)}-JobId"}


@pytest.mark.parametrize(("given", "priority"), [(3.6, 4), (-2.0, 0), (2.5, 3), (1e300, 2**31 - 1), (None, 0)])
def test_priorities_are_rounded_and_not_below_zero(given: float | None, priority: int) -> None:
    assert only_job({"podSpec": POD, "priority": given}).priority == priority


def test_the_external_uri_may_stand_in_its_annotation() -> None:
    annotated = {"podSpec": POD, "annotations": {"armadaproject.io/externalJobUri": "airflow://x"}}
    assert only_job(annotated).external_uri == "airflow://x"
    assert only_job({**annotated, "externalUri": "own://y"}).external_uri == "own://y"


def test_pools_are_part_of_the_shape() -> None:
    made = built({"podSpec": POD, "pools": ["gpu", "default", "gpu"]})
    (encoded,) = made.shapes.values()
    assert decode_shape(encoded).pools == ("default", "gpu")
    assert command_of(made).jobs[0].pools == ("default", "gpu")


def test_gpus_are_counted_for_views() -> None:
    resources = {"requests": {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": 2}}
    resources["limits"] = resources["requests"]
    container = {**POD["containers"][0], "resources": resources}
    command = command_of(built({"podSpec": pod(containers=[container])}))
    assert command.shapes[0].gpus == 2
    assert command.jobs[0].deadline_s == 336 * 3600


def test_every_fault_of_every_job_is_named_with_index_path_and_rule() -> None:
    bad = pod(containers=[{"name": "main", "imagee": "x"}], restartPolicy="Always")
    faults = faults_of({"podSpec": POD}, {"podSpec": bad, "clientId": ""}, {"podSpecIndex": 4})
    named = {(fault.index, fault.path, fault.rule) for fault in faults}
    assert (1, "jobs[1].clientId", "SCHEMA_VALUE") in named
    assert (1, "jobs[1].podSpec.containers[0].imagee", "SCHEMA_UNKNOWN_FIELD") in named
    assert (1, "jobs[1].podSpec.restartPolicy", "RESTART") in named
    assert (2, "jobs[2].podSpecIndex", "REFERENCE") in named
    assert {fault.index for fault in faults} == {1, 2}


def test_a_bad_shared_spec_is_named_where_it_stands() -> None:
    faults = faults_of({"podSpecIndex": 0}, podSpecs=[{"containers": []}])
    assert {fault.path.split(".")[0] for fault in faults} == {"podSpecs[0]"}


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ({}, "jobs[0].podSpec"),
        ({"podSpec": POD, "podSpecIndex": 0}, "jobs[0].podSpec"),
        ({"podSpec": POD, "clientId": "x" * 101}, "jobs[0].clientId"),
        ({"podSpec": POD, "clientId": "a\u0000b"}, "jobs[0].clientId"),
        ({"podSpec": POD, "namespace": "Not_A_Name"}, "jobs[0].namespace"),
        ({"podSpec": POD, "priorityClass": "nope"}, "jobs[0].priorityClass"),
        ({"podSpec": POD, "labels": {"a": 1}}, "jobs[0].labels.a"),
        ({"podSpec": POD, "labels": {"argosy.io/x": "y"}}, 'jobs[0].labels["argosy.io/x"]'),
        ({"podSpec": POD, "annotations": {"a": "x\u0000"}}, "jobs[0].annotations.a"),
        ({"podSpec": POD, "annotations": []}, "jobs[0].annotations"),
        ({"podSpec": POD, "pools": ["nope"]}, "jobs[0].pools[0]"),
        ({"podSpec": POD, "externalUri": "x" * 1025}, "jobs[0].externalUri"),
        ({"podSpec": POD, "services": [{"type": "NodePort"}]}, "jobs[0].services"),
        ({"podSpec": POD, "ingresses": [{"ports": [80]}]}, "jobs[0].ingresses"),
        ({"podSpec": POD, "gang": {"id": "", "cardinality": 2}}, "jobs[0].gang.id"),
        ({"podSpec": POD, "gang": {"id": "a\u0000", "cardinality": 2}}, "jobs[0].gang.id"),
        ({"podSpec": POD, "gang": {"id": "g", "cardinality": 0}}, "jobs[0].gang.cardinality"),
        ({"podSpec": POD, "gang": {"id": "g", "cardinality": 10_001}}, "jobs[0].gang.cardinality"),
        (
            {"podSpec": POD, "gang": {"id": "g", "cardinality": 2, "uniformityLabel": "a b"}},
            "jobs[0].gang.uniformityLabel",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_its_path(job: dict[str, Any], path: str) -> None:
    (fault,) = faults_of(job)
    assert (fault.code.value, fault.index, fault.path) == ("INVALID", 0, path)


GANG_ID, GANG_CARDINALITY = "armadaproject.io/gangId", "armadaproject.io/gangCardinality"
GANG_LABEL, FAIL_FAST = "armadaproject.io/gangNodeUniformityLabel", "armadaproject.io/failFast"


def test_a_member_of_a_gang_carries_it_with_its_defaults() -> None:
    job = only_job({"podSpec": POD, "gang": {"id": "g", "cardinality": 2}})
    assert job.gang == Gang(gang_id="g", cardinality=2, uniformity_label=None, fail_fast=True)
    whole = {"id": "g", "cardinality": 2, "uniformityLabel": "zone", "failFast": False}
    assert only_job({"podSpec": POD, "gang": whole}).gang == Gang(
        gang_id="g", cardinality=2, uniformity_label="zone", fail_fast=False
    )


def test_a_gang_of_one_job_is_an_ordinary_job() -> None:
    assert only_job({"podSpec": POD, "gang": {"id": "g", "cardinality": 1}}).gang is None
    assert only_job({"podSpec": POD, "annotations": {GANG_ID: "g", GANG_CARDINALITY: "1"}}).gang is None


def test_armadas_annotations_describe_a_gang_as_well() -> None:
    annotations = {GANG_ID: "g", GANG_CARDINALITY: "4", GANG_LABEL: "zone", FAIL_FAST: "true"}
    job = only_job({"podSpec": POD, "annotations": annotations})
    assert job.gang == Gang(gang_id="g", cardinality=4, uniformity_label="zone", fail_fast=True)
    assert job.annotations == annotations


@pytest.mark.parametrize(
    ("annotations", "wrong"),
    [
        ({GANG_ID: "g"}, GANG_CARDINALITY),
        ({GANG_ID: "g", GANG_CARDINALITY: "two"}, GANG_CARDINALITY),
        ({GANG_CARDINALITY: "2"}, GANG_ID),
        ({GANG_ID: "g", GANG_CARDINALITY: "2", GANG_LABEL: "a b"}, GANG_LABEL),
        ({GANG_ID: "g", GANG_CARDINALITY: "2", FAIL_FAST: "false"}, FAIL_FAST),
    ],
)
def test_wrong_annotations_of_a_gang_are_refused_by_name(annotations: dict[str, str], wrong: str) -> None:
    (fault,) = faults_of({"podSpec": POD, "annotations": annotations})
    assert (fault.rule, fault.path) == ("VAL10", f'jobs[0].annotations["{wrong}"]')


def test_a_field_and_annotations_of_different_gangs_contradict_each_other() -> None:
    annotations = {GANG_ID: "g", GANG_CARDINALITY: "2"}
    (fault,) = faults_of({"podSpec": POD, "annotations": annotations, "gang": {"id": "h", "cardinality": 2}})
    assert fault.path == "jobs[0].gang"
    assert only_job({"podSpec": POD, "annotations": annotations, "gang": {"id": "g", "cardinality": 2}}).gang


def test_the_installation_names_a_uniformity_label_for_gangs_without_one() -> None:
    policy = job_policy(load_settings(None, {"ARGOSY_JOBS__GANG_UNIFORMITY_LABEL_DEFAULT": "rack"}))
    jobs = [{"podSpec": POD, "gang": {"id": "g", "cardinality": 2}}, {"podSpec": POD}]
    builder = SubmissionBuilder(call(*jobs), ALICE, PREFIX, PodCache(policy), policy)
    member, single = command_of(asyncio.run(builder.build())).jobs
    assert member.gang == Gang(gang_id="g", cardinality=2, uniformity_label="rack", fail_fast=True)
    assert single.gang is None


@pytest.mark.parametrize(
    ("other", "path"),
    [
        ({"gang": {"id": "g", "cardinality": 3}}, "jobs[1].gang.cardinality"),
        ({"gang": {"id": "g", "cardinality": 2, "uniformityLabel": "zone"}}, "jobs[1].gang.uniformityLabel"),
        ({"gang": {"id": "g", "cardinality": 2, "failFast": False}}, "jobs[1].gang.failFast"),
        ({"gang": {"id": "g", "cardinality": 2}, "priorityClass": "argosy-preemptible"}, "jobs[1].priorityClass"),
    ],
)
def test_members_of_a_call_must_agree_and_a_wrong_one_refuses_them_all(other: dict[str, Any], path: str) -> None:
    first = {"podSpec": POD, "gang": {"id": "g", "cardinality": 2}}
    faults = faults_of(first, {"podSpec": POD, **other})
    assert [(fault.rule, fault.path) for fault in faults] == [("VAL10", "jobs[0].gang.id"), ("VAL10", path)]
    alone = built({"podSpec": POD}, first, {"podSpec": POD, **other}, {"podSpec": POD}, allOrNothing=False)
    assert alone.command is not None
    assert alone.indexes == [0, 3]
    assert [job.job_id for job in alone.command.jobs] == [job_id(PREFIX, 0), job_id(PREFIX, 1)]
    assert sorted(alone.refused) == [1, 2]


def test_a_member_that_is_refused_for_another_reason_takes_its_gang_along() -> None:
    gang = {"id": "g", "cardinality": 2}
    made = built({"podSpec": POD, "gang": gang}, {"podSpec": POD, "gang": gang, "pools": ["nope"]}, allOrNothing=False)
    assert made.command is None
    assert {index: fault.path for index, fault in made.refused.items()} == {
        0: "jobs[0].gang.id",
        1: "jobs[1].pools[0]",
    }


def test_a_call_has_no_more_members_than_the_gang() -> None:
    job = {"podSpec": POD, "gang": {"id": "g", "cardinality": 2}}
    assert "jobs[2].gang.id" in [fault.path for fault in faults_of(job, job, job)]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"queue": ""}, "queue"),
        ({"queue": "x" * 254}, "queue"),
        ({"queue": " a"}, "queue"),
        ({"jobSet": ""}, "jobSet"),
        ({"jobSet": "x" * 1024}, "jobSet"),
        ({"jobSet": "a\u0000"}, "jobSet"),
        ({"requestId": ""}, "requestId"),
        ({"requestId": "x" * 101}, "requestId"),
        ({"jobs": []}, "jobs"),
        ({"jobs": [{"podSpecIndex": 0}] * 1001}, "jobs"),
        ({"podSpecs": [POD] * 1001}, "podSpecs"),
    ],
)
def test_a_wrong_call_is_refused_before_its_jobs_are_looked_at(fields: dict[str, Any], path: str) -> None:
    jobs = fields.get("jobs", [{"podSpec": POD}])
    (fault,) = faults_of(*jobs, **{name: value for name, value in fields.items() if name != "jobs"})
    assert (fault.code.value, fault.path, fault.index) == ("INVALID", path, None)


def test_without_all_or_nothing_the_good_jobs_stay_and_keep_their_places() -> None:
    made = built({"podSpec": 1}, {"podSpec": POD}, {}, {"podSpec": POD}, allOrNothing=False)
    assert made.command is not None
    assert made.indexes == [1, 3]
    assert sorted(made.refused) == [0, 2]
    # The deciders count jobs of the command: ids follow their places in it.
    assert [job.job_id for job in made.command.jobs] == [job_id(PREFIX, 0), job_id(PREFIX, 1)]
    assert made.command.all_or_nothing is False


def test_a_spec_that_was_seen_before_is_not_validated_again() -> None:
    cache = PodCache(POLICY)
    arguments: dict[str, Any] = {"priority_class": None, "pools": (), "path": "p", "class_path": "c"}
    first, _ = cache.find(orjson.dumps(POD), **arguments)
    again, _ = cache.find(orjson.dumps(POD), **arguments)
    assert first is not None
    assert again is first


def test_the_cache_of_specs_is_bounded() -> None:
    cache = PodCache(POLICY, bytes_max=20_000)
    arguments: dict[str, Any] = {"priority_class": None, "pools": (), "path": "p", "class_path": "c"}
    for number in range(100):
        known, violations = cache.find(orjson.dumps(pod(hostname=f"h{number}")), **arguments)
        assert violations == []
        assert known is not None
    assert cache.entries < 20
