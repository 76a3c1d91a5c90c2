"""Labels, annotations, names and the job's id in values."""

from typing import Any

import pytest

from app.domain.limits import LABELS_BYTES_MAX
from app.pods.labels import replace_job_id, validate_annotations, validate_labels, with_job_id
from app.pods.limits import ANNOTATIONS_BYTES_MAX
from app.pods.names import is_dns_label, is_dns_subdomain, is_label_value, is_qualified_name

JOB = "01jd5z3v6k0000000000000abc"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("plain", "plain"),
        ("{JobId}", JOB),
        ("a-{JobId}-b/{JobId}", f"a-{JOB}-b/{JOB}"),
        ("{{JobId}}", "JobId"),
        ("{{JobId}}={JobId}", f"JobId={JOB}"),
        ("{{{JobId}}}", "{JobId}"),
        ("{jobid} {Job}", "{jobid} {Job}"),
        ("JobId", "JobId"),
        ("", ""),
    ],
)
def test_the_id_of_the_job_replaces_its_mark_and_double_braces_give_the_word(text: str, want: str) -> None:
    assert replace_job_id(text, JOB) == want


def test_an_id_is_not_replaced_again() -> None:
    assert replace_job_id("{JobId}", "{{JobId}}") == "{{JobId}}"


def test_every_value_of_a_map_is_replaced_and_the_map_stays_as_it_is() -> None:
    given = {"a": "{JobId}", "{JobId}": "b"}
    assert with_job_id(given, JOB) == {"a": JOB, "{JobId}": "b"}
    assert given["a"] == "{JobId}"


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        (None, []),
        ({}, []),
        ({"app": "x", "example.com/team": "a.b_c-d", "empty": ""}, []),
        ({"id": "job-{JobId}"}, []),
        ({"word": "{{JobId}}"}, []),
        ([], ["labels"]),
        ({"a": 5}, ["labels.a"]),
        ({"a": None}, ["labels.a"]),
        ({"a": True}, ["labels.a"]),
        ({"a b": "x"}, ['labels["a b"]']),
        ({"": "x"}, ['labels[""]']),
        ({"Example.COM/team": "x"}, ['labels["Example.COM/team"]']),
        ({"-/x": "x"}, ['labels["-/x"]']),
        ({"a": "x" * 64}, ["labels.a"]),
        ({"a": "{JobId}" + "x" * 38}, ["labels.a"]),
        ({"a": "{Job}"}, ["labels.a"]),
        ({"a": "-x"}, ["labels.a"]),
        ({"argosy.io/run-id": "x"}, ['labels["argosy.io/run-id"]']),
        ({"x.argosy.io/run-id": "x"}, ['labels["x.argosy.io/run-id"]']),
        ({"notargosy.io/run-id": "x"}, []),
        ({"a b": 5}, ['labels["a b"]', 'labels["a b"]']),
        ({"a": "!", "b": "?"}, ["labels.a", "labels.b"]),
    ],
)
def test_labels(labels: Any, want: list[str]) -> None:
    violations = validate_labels(labels, path="labels")
    assert [each.path for each in violations] == want
    assert {each.rule for each in violations} <= {"LABEL"}


@pytest.mark.parametrize(
    ("annotations", "want"),
    [
        (None, []),
        ({"a": "any text, ünïcode\n and {JobId}", "armadaproject.io/gangId": "g"}, []),
        ({"Example.COM/Note": "x"}, []),
        ("text", ["annotations"]),
        ({"a": {}}, ["annotations.a"]),
        ({"a b": "x"}, ['annotations["a b"]']),
        ({"argosy.io/job": "x"}, ['annotations["argosy.io/job"]']),
        ({"Argosy.IO/job": "x"}, ['annotations["Argosy.IO/job"]']),
    ],
)
def test_annotations(annotations: Any, want: list[str]) -> None:
    assert [each.path for each in validate_annotations(annotations, path="annotations")] == want


def test_labels_and_annotations_are_bounded_in_all() -> None:
    assert validate_annotations({"a": "x" * (ANNOTATIONS_BYTES_MAX - 1)}, path="annotations") == []
    (violation,) = validate_annotations({"a": "x" * ANNOTATIONS_BYTES_MAX}, path="annotations")
    assert (violation.path, violation.message) == ("annotations", "has 262,145 bytes, at most 262,144 are allowed")
    many = {f"label-{number:05}": "x" * 63 for number in range(LABELS_BYTES_MAX // 70)}
    assert [each.path for each in validate_labels(many, path="labels")] == ["labels"]


def test_texts_that_cannot_be_written_as_utf8_do_not_break_the_check() -> None:
    assert validate_labels({"a": "\ud800"}, path="labels") != []
    assert validate_annotations({"a": "\ud800"}, path="annotations") != []


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (is_dns_label, ["a", "a-1", "9", "a" * 63], ["", "A", "a_b", "-a", "a-", "a.b", "a" * 64, "a\n"]),
        (is_dns_subdomain, ["a", "a.b-c.d", "a" * 253], ["", ".", "a..b", "a.-b", "A.b", "a" * 254, "a\n"]),
        (
            is_qualified_name,
            ["a", "A_b.c-d", "x.y/z", "a" * 63],
            ["", "/a", "a/", "a/b/c", "A.b/c", "a" * 64, "-a", "a\n"],
        ),
        (is_label_value, ["", "a", "A_b.c-d", "a" * 63], ["-", "a b", "a" * 64, "ä", "a\n"]),
    ],
)
def test_syntax_of_names(check: Any, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not check(text)] == []
    assert [text for text in bad if check(text)] == []
