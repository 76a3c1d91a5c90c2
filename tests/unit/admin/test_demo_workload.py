"""What the demo submits is what the API takes, under the demo's own settings."""

import asyncio
from collections import Counter
from typing import Any

import msgspec

from app.admin.demo_workload import Call, Workload
from app.admin.toolchain import checkout_root
from app.api.job_policy import job_policy
from app.api.service.inputs import SubmitJobsInput
from app.api.service.pod_cache import PodCache
from app.api.service.submission import SubmissionBuilder
from app.domain.commands import Principal, SubmitJobs
from app.domain.ids import call_prefix
from app.settings import load_settings

QUEUES = ("research", "simulation")
SETTINGS = load_settings(checkout_root() / "infra" / "demo.yaml", {})
POLICY = job_policy(SETTINGS)


def command_of(call: Call) -> SubmitJobs:
    given = msgspec.json.decode(msgspec.json.encode(call.input), type=SubmitJobsInput)
    made = asyncio.run(
        SubmissionBuilder(given, Principal(user="demo"), call_prefix(1, 0, 1), PodCache(POLICY), POLICY).build()
    )
    assert made.faults == []
    assert made.command is not None
    return made.command


def test_the_api_takes_every_call_of_the_demo() -> None:
    calls = Workload(1, QUEUES).calls(2_000, "demo")
    commands = [command_of(call) for call in calls]
    jobs = [job for command in commands for job in command.jobs]
    assert len(jobs) == 2_000
    assert {job.priority_class for job in jobs} == set(SETTINGS.scheduler.priority_classes)
    cancelled = [call.input["jobs"][index] for call in calls for index in call.cancel]
    assert cancelled
    assert not [job for job in cancelled if "gang" in job]
    members = Counter((job.gang.gang_id, job.gang.cardinality) for job in jobs if job.gang is not None)
    assert len(members) > 5
    assert all(count == cardinality for (_, cardinality), count in members.items())


def test_the_same_seed_submits_the_same() -> None:
    def drawn() -> list[dict[str, Any]]:
        return [call.input for call in Workload(7, QUEUES).calls(500, "demo")]

    assert drawn() == drawn()


def test_one_job_asks_for_more_gpus_than_any_node_has() -> None:
    command = command_of(Workload(1, QUEUES).impossible("demo"))
    groups = [group for cluster in SETTINGS.clusters.values() if cluster.fake for group in cluster.fake.node_groups]
    assert command.shapes[0].gpus > max(group.gpus for group in groups)


def test_gangs_of_the_demo_name_a_label_that_its_nodes_have() -> None:
    commands = [command_of(call) for call in Workload(1, QUEUES).calls(2_000, "demo")]
    named = {job.gang.uniformity_label for command in commands for job in command.jobs if job.gang is not None}
    groups = [group for cluster in SETTINGS.clusters.values() if cluster.fake for group in cluster.fake.node_groups]
    assert all(label in group.labels for label in named if label for group in groups)
    assert len({group.labels["topology.kubernetes.io/zone"] for group in groups}) == len(SETTINGS.clusters)
