"""Gangs: fields, Armada's annotations, agreement of members."""

from typing import Any

import pytest

from app.domain.commands import Gang
from app.pods.gangs import GangMember, effective_gang, gang_of_annotations, validate_gang, validate_members
from app.pods.limits import GANG_CARDINALITY_MAX


def annotations(**entries: str) -> dict[str, str]:
    return {f"armadaproject.io/{key}": value for key, value in entries.items()}


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({}, None),
        ({"other": "x"}, None),
        (annotations(gangId="g", gangCardinality="3"), Gang(gang_id="g", cardinality=3)),
        (
            annotations(gangId="g", gangCardinality="3", gangNodeUniformityLabel="rack", failFast="true"),
            Gang(gang_id="g", cardinality=3, uniformity_label="rack"),
        ),
    ],
)
def test_val10_armadas_annotations_are_understood(given: dict[str, str], want: Gang | None) -> None:
    assert gang_of_annotations(given, path="a") == (want, [])


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (annotations(gangId="g"), ["gangCardinality"]),
        (annotations(gangCardinality="3"), ["gangId"]),
        (annotations(gangId="", gangCardinality="3"), ["gangId"]),
        (annotations(gangId="g" * 101, gangCardinality="3"), ["gangId"]),
        (annotations(gangId="g", gangCardinality="0"), ["gangCardinality"]),
        (annotations(gangId="g", gangCardinality="-1"), ["gangCardinality"]),
        (annotations(gangId="g", gangCardinality="2.5"), ["gangCardinality"]),
        (annotations(gangId="g", gangCardinality="1" * 30), ["gangCardinality"]),
        (annotations(gangId="g", gangCardinality="٣"), ["gangCardinality"]),
        (annotations(gangId="g", gangCardinality="2", failFast="false"), ["failFast"]),
        (annotations(gangId="g", gangCardinality="2", gangNodeUniformityLabel="a b"), ["gangNodeUniformityLabel"]),
        (annotations(gangNodeUniformityLabel="a"), ["gangCardinality", "gangId"]),
    ],
)
def test_val10_wrong_annotations_are_named(given: dict[str, str], want: list[str]) -> None:
    gang, violations = gang_of_annotations(given, path="annotations")
    assert gang is None
    assert [each.path for each in violations] == [f'annotations["armadaproject.io/{key}"]' for key in want]
    assert {each.rule for each in violations} == {"VAL10"}


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({}, []),
        ({"cardinality": 1}, []),
        ({"cardinality": GANG_CARDINALITY_MAX}, []),
        ({"cardinality": 0}, ["gang.cardinality"]),
        ({"cardinality": GANG_CARDINALITY_MAX + 1}, ["gang.cardinality"]),
        ({"gang_id": "", "uniformity_label": "a b"}, ["gang.id", "gang.uniformityLabel"]),
        ({"uniformity_label": "topology.example.com/rack"}, []),
    ],
)
def test_val10_fields_of_a_gang(fields: dict[str, Any], want: list[str]) -> None:
    values: dict[str, Any] = {"gang_id": "g", "cardinality": 2} | fields
    gang = Gang(**values)
    assert [each.path for each in validate_gang(gang, path="gang")] == want


def test_val10_a_gang_of_one_is_an_ordinary_job() -> None:
    assert effective_gang(None) is None
    assert effective_gang(Gang(gang_id="g", cardinality=1)) is None
    assert effective_gang(Gang(gang_id="g", cardinality=2)) == Gang(gang_id="g", cardinality=2)


def a_member(number: int, priority_class: str = "p", **fields: Any) -> GangMember:
    values: dict[str, Any] = {"gang_id": "g", "cardinality": 3} | fields
    gang = Gang(**values)
    return GangMember(path=f"jobs[{number}]", gang=gang, priority_class=priority_class)


@pytest.mark.parametrize(
    ("second", "want"),
    [
        (a_member(1), []),
        (a_member(1, gang_id="other", cardinality=9), []),
        (a_member(1, cardinality=4), ["jobs[1].gang.cardinality"]),
        (a_member(1, uniformity_label="rack"), ["jobs[1].gang.uniformityLabel"]),
        (a_member(1, fail_fast=False), ["jobs[1].gang.failFast"]),
        (a_member(1, priority_class="q"), ["jobs[1].priorityClass"]),
    ],
)
def test_val10_members_agree(second: GangMember, want: list[str]) -> None:
    assert [each.path for each in validate_members([a_member(0), second])] == want


def test_val10_a_gang_has_no_more_members_than_its_cardinality() -> None:
    members = [a_member(number) for number in range(5)]
    assert validate_members(members[:3]) == []
    assert [each.path for each in validate_members(members)] == ["jobs[3].gang.id"]
