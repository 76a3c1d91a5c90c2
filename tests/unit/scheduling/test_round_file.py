"""Round files: defaults, and the path of every wrong field."""

import json
from typing import Any

import pytest

from app.scheduling.decisions_file import parse_decisions
from app.scheduling.errors import RoundError
from app.scheduling.round import RoundConfig
from app.scheduling.round_file import parse_round
from app.scheduling.round_print import print_round
from tests.unit.scheduling.cases import Json, affinity, decide, document, expressions, job, node


def refused(value: Any) -> tuple[str, str]:
    with pytest.raises(RoundError) as caught:
        parse_round(value if isinstance(value, str | bytes) else json.dumps(value))
    return caught.value.path, caught.value.message


def with_field(path: str, value: Any) -> Json:
    """A small round with one field set, `jobs/0/run` say."""
    root = document([node("n")], [job("j")], priorityClasses=[{"name": "default"}], clusters=[{"name": "c0"}])
    root |= {"nodeTypes": [{"name": "gpu"}], "limiter": {"tokens": 1, "burst": 1}}
    *way, last = path.split("/")
    target: Any = root
    for step in way:
        target = target[int(step)] if step.isdigit() else target.setdefault(step, {})
    target[int(last) if last.isdigit() else last] = value
    return root


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("format", "argosy-round/2", "format"),
        ("extra", 1, "extra"),
        ("pool", "", "pool"),
        ("config/lookback", -1, "config.lookback"),
        ("config/lookback", 1.5, "config.lookback"),
        ("config/lookback", True, "config.lookback"),
        ("config/preferLargeJobs", 1, "config.preferLargeJobs"),
        ("config/fairShareResources", {"cpu": -1}, "config.fairShareResources.cpu"),
        ("config/fairShareResources", {"nvidia.com/gpu": "1"}, 'config.fairShareResources["nvidia.com/gpu"]'),
        ("config/indexedResources", ["cpu", ""], "config.indexedResources[1]"),
        ("config/indexedResources", ["cpu", "cpu"], "config.indexedResources"),
        ("config/decisionBudget", "many", "config.decisionBudget"),
        ("config/maxFractionPerRound", [], "config.maxFractionPerRound"),
        ("config/unheard", None, "config.unheard"),
        ("clusters", {}, "clusters"),
        ("clusters/0", 5, "clusters[0]"),
        ("clusters/0/unacknowledged", -1, "clusters[0].unacknowledged"),
        ("clusters/0/cordoned", "no", "clusters[0].cordoned"),
        ("limiter/tokens", "all", "limiter.tokens"),
        ("limiter", 5, "limiter"),
        ("priorityClasses/0/priority", 2**31, "priorityClasses[0].priority"),
        ("priorityClasses/0/away", [{"nodeType": "tpu", "priority": 1}], "priorityClasses[0].away[0].nodeType"),
        ("priorityClasses/0/away", [{"nodeType": "gpu"}], "priorityClasses[0].away[0].priority"),
        ("nodeTypes/0/taints", [{"key": "a", "effect": "Never"}], "nodeTypes[0].taints[0].effect"),
        ("floatingResources", {"licence": -1}, "floatingResources.licence"),
        ("floatingResources", {"licence": "one"}, "floatingResources.licence"),
        ("nodes/0/name", None, "nodes[0].name"),
        ("nodes/0/capacity", {"cpu": "4Gx"}, "nodes[0].capacity.cpu"),
        ("nodes/0/capacity", {"cpu": True}, "nodes[0].capacity.cpu"),
        ("nodes/0/capacity", {"memory": "16Pi"}, "nodes[0].capacity.memory"),
        ("nodes/0/held", {"cpu": []}, "nodes[0].held.cpu"),
        ("nodes/0/labels", {"a": 1}, "nodes[0].labels.a"),
        ("nodes/0/taints", [{"effect": "NoSchedule"}], "nodes[0].taints[0].key"),
        ("queues/0/weight", 0, "queues[0].weight"),
        ("queues/0/penalty", {"cpu": -1}, "queues[0].penalty.cpu"),
        ("queues/0/demand", {"cpu": "-1m"}, "queues[0].demand.cpu"),
        ("queues/0/maxFractionPerQueue", {"default": {"cpu": "half"}}, "queues[0].maxFractionPerQueue.default.cpu"),
        ("jobs/0/id", "", "jobs[0].id"),
        ("jobs/0/id", "a\0b", "jobs[0].id"),
        ("jobs/0/requests", {"cpu": "1 core"}, "jobs[0].requests.cpu"),
        ("jobs/0/requests", None, "jobs[0].requests"),
        ("jobs/0/priority", 10**20, "jobs[0].priority"),
        ("jobs/0/submitted", "now", "jobs[0].submitted"),
        ("jobs/0/run", {"started": 3}, "jobs[0].run.node"),
        ("jobs/0/run", {"node": "n", "until": 3}, "jobs[0].run.until"),
        ("jobs/0/gang", {"id": "g", "cardinality": 0}, "jobs[0].gang.cardinality"),
        ("jobs/0/avoidNodes", ["n", 5], "jobs[0].avoidNodes[1]"),
        ("jobs/0/tolerations", [{"operator": "Equal"}], "jobs[0].tolerations[0].operator"),
        ("jobs/0/tolerations", [{"key": "a", "operator": "Exists", "value": "b"}], "jobs[0].tolerations[0].value"),
        ("jobs/0/tolerations", [{"key": "a", "effect": "Soon"}], "jobs[0].tolerations[0].effect"),
        ("jobs/0/nodeSelector", {"zone": None}, "jobs[0].nodeSelector.zone"),
        ("jobs/0/affinity", {"podAffinity": {}}, "jobs[0].affinity.podAffinity"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(field: str, value: Any, path: str) -> None:
    assert refused(with_field(field, value))[0] == path


@pytest.mark.parametrize(
    ("terms", "path"),
    [
        ([], ""),
        ([expressions({"key": "a", "operator": "Is"})], "[0].matchExpressions[0].operator"),
        ([expressions({"key": "a", "operator": "In"})], "[0].matchExpressions[0].values"),
        ([expressions({"key": "a", "operator": "Exists", "values": ["b"]})], "[0].matchExpressions[0].values"),
        ([{}, expressions({"key": "a", "operator": "Gt", "values": ["b"]})], "[1].matchExpressions[0].values"),
        ([expressions({"key": "a", "operator": "In", "values": ["b", 1]})], "[0].matchExpressions[0].values[1]"),
        ([{"matchFields": [{"key": "a", "operator": "In", "values": ["b"]}]}], "[0].matchFields[0].key"),
        ([{"matchFields": [{"key": "metadata.name", "operator": "Exists"}]}], "[0].matchFields[0].operator"),
    ],
)
def test_a_wrong_affinity_is_named_by_its_path(terms: list[Any], path: str) -> None:
    prefix = "jobs[0].affinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    assert refused(with_field("jobs/0/affinity", affinity(*terms)))[0] == prefix + path


@pytest.mark.parametrize("table", ["nodes", "queues", "jobs", "priorityClasses", "clusters", "nodeTypes"])
def test_a_name_that_is_taken_is_refused(table: str) -> None:
    root = with_field("pool", "cpu")
    root[table] = [*root[table], root[table][0]]
    path, message = refused(root)
    assert path == f"{table}[1].{'id' if table == 'jobs' else 'name'}"
    assert "already" in message


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"format": NaN}', "[" * 100_000, b"\xff\xfe", '{"pool": "cpu"}'])
def test_what_is_no_round_at_all_is_refused_in_one_sentence(text: str | bytes) -> None:
    path, message = refused(text)
    assert path in ("", "format")
    assert message


def test_too_many_resources_are_refused() -> None:
    many = {f"r{index}": 1 for index in range(70)}
    assert "at most 64" in refused(with_field("nodes/0/capacity", many))[1]


def test_absent_fields_take_their_defaults() -> None:
    least = {
        "format": "argosy-round/1",
        "nodes": [{"name": "n", "capacity": {"cpu": 1}}],
        "queues": [{"name": "a"}],
        "jobs": [{"id": "j", "queue": "a", "requests": {"cpu": "1"}}],
    }
    round_ = parse_round(json.dumps(least))
    assert round_.config == RoundConfig()
    assert [cluster.unacknowledged_limit for cluster in round_.clusters] == [5000]
    assert [(each.name, each.priority, each.preemptible) for each in round_.classes] == [("default", 0, True)]
    assert round_.jobs.priority.tolist() == [1000]
    assert round_.limiter is None
    assert decide(least)["scheduled"] == [{"job": "j", "node": "n", "scheduledAtPriority": 0, "method": "free"}]


FULL: Json = {
    "format": "argosy-round/1",
    "pool": "cpu",
    "config": {
        "fairShareResources": {"cpu": 1.0, "memory": 1.0},
        "indexedResources": ["cpu", "memory"],
        "protectedFractionOfFairShare": 0.5,
        "preferLargeJobs": True,
        "maxFractionPerRound": {"cpu": 0.5},
        "lookback": 10,
        "fairSharePreemption": False,
        "urgencyPreemption": False,
        "fairSharePreemptionBudget": 7,
        "decisionBudget": 8,
        "submitCheck": True,
    },
    "clusters": [{"name": "c0", "cordoned": True, "unacknowledged": 3, "unacknowledgedLimit": 4}],
    "limiter": {"tokens": 1.5, "burst": 10.0},
    "priorityClasses": [
        {
            "name": "default",
            "priority": 5,
            "preemptible": False,
            "maxFractionPerQueue": {"cpu": 0.25},
            "away": [{"nodeType": "gpu", "priority": -10}],
        }
    ],
    "nodeTypes": [{"name": "gpu", "taints": [{"key": "gpu", "value": "true", "effect": "NoSchedule"}]}],
    "floatingResources": {"licence": "5"},
    "nodes": [
        {
            "name": "n0",
            "cluster": "c0",
            "pool": "gpu",
            "held": {"cpu": "500m"},
            "capacity": {"cpu": "32", "memory": "256Gi", "nvidia.com/gpu": "2"},
            "labels": {"zone": "east", "": ""},
            "taints": [{"key": "a", "value": "", "effect": "NoExecute"}],
            "unschedulable": True,
        }
    ],
    "queues": [
        {
            "name": "a",
            "weight": 2.5,
            "cordoned": True,
            "maxFractionPerQueue": {"default": {"cpu": 0.125}},
            "limiter": {"tokens": 3.0, "burst": 4.0},
            "penalty": {"cpu": "1"},
            "demand": {"memory": "1Gi"},
        }
    ],
    "jobs": [
        {
            "id": "j0",
            "queue": "a",
            "priorityClass": "default",
            "priority": 7,
            "submitted": 17,
            "requests": {"cpu": "1500m", "memory": "4Gi"},
            "nodeSelector": {"zone": "east"},
            "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute"}],
            "affinity": affinity(expressions({"key": "zone", "operator": "In", "values": ["east", "west"]})),
            "gang": {"id": "g0", "cardinality": 3, "uniformityLabel": "rack", "generation": 2},
            "avoidNodes": ["n0", "gone"],
            "run": {"node": "gone", "started": 3, "scheduledAtPriority": -10},
        }
    ],
}


def test_every_field_of_the_reference_is_read_and_printed() -> None:
    assert json.loads(print_round(parse_round(json.dumps(FULL)))) == FULL


def test_decisions_of_another_round_are_refused_with_the_path_of_the_stranger() -> None:
    round_ = parse_round(json.dumps(document([node("n")], [job("j")])))
    entry = {"job": "j", "node": "m", "scheduledAtPriority": 0, "method": "free"}
    for wrong, path in (
        ({"scheduled": [entry]}, "scheduled[0].node"),
        ({"scheduled": [entry | {"node": "n", "method": "luck"}]}, "scheduled[0].method"),
        ({"unschedulable": [{"job": "k", "reason": "noNodeFits"}]}, "unschedulable[0].job"),
        ({"queues": [{"name": "b"}]}, "queues[0].name"),
        ({"later": 1}, "later"),
    ):
        with pytest.raises(RoundError) as caught:
            parse_decisions(round_, json.dumps({"format": "argosy-decisions/1"} | wrong))
        assert caught.value.path == path


def test_preemptions_and_rejections_of_a_file_are_read_though_this_algorithm_makes_none() -> None:
    round_ = parse_round(json.dumps(document([node("n")], [job("r", run={"node": "n"}), job("j")])))
    text = {
        "format": "argosy-decisions/1",
        "preempted": [{"job": "r", "node": "n", "reason": "urgency", "by": "j"}],
        "rejected": [{"job": "j", "reason": "fits nowhere"}],
    }
    decisions = parse_decisions(round_, json.dumps(text))
    assert decisions.preempted.by.tolist() == [1]
    assert decisions.rejected[0].reason == "fits nowhere"
