"""The GraphQL examples of the documentation, executed as they stand: each ```graphql block in order, with the variables
of a ```json block that follows it directly.

An example's text may say JOB_ID: the first job that an example before it submitted.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack.whole_stack import ROOT, WholeStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

PAGES = [path for path in (ROOT / "README.md", ROOT / "docs" / "quick-start.md") if path.is_file()]
BLOCK = re.compile(r"^```graphql\n(.*?)^```\n(?:\s*^```json\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Example:
    """A block and its variables."""

    query: str
    variables: dict[str, Any]


def examples_of(page: Path) -> list[Example]:
    """The examples of a page in order."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Example(query, json.loads(variables) if variables else {}) for query, variables in found]


def execute(url: str, example: Example) -> list[dict[str, Any]]:
    """The answers: one, or those of a subscription up to its end or the first that has caught up."""
    body = {"query": example.query, "variables": example.variables}
    if not re.search(r"^\s*subscription\b", example.query, re.MULTILINE):
        return [httpx.post(url, json=body, timeout=ANSWER_TIMEOUT_S).json()]
    answers = []
    headers = {"accept": "text/event-stream"}
    with httpx.stream("POST", url, json=body, headers=headers, timeout=ANSWER_TIMEOUT_S) as response:
        assert response.headers["content-type"].startswith("text/event-stream"), response.read()
        for line in response.iter_lines():
            if line.startswith("data:") and line[5:].strip():
                answers.append(json.loads(line[5:]))
                if '"caughtUp":true' in line.replace(" ", ""):
                    break
    return answers


def faults_in(value: Any) -> list[Any]:
    """Every non-empty `errors` and every `error` anywhere in an answer."""
    if isinstance(value, list):
        return [fault for item in value for fault in faults_in(item)]
    if not isinstance(value, dict):
        return []
    own = [value[name] for name in ("errors", "error") if value.get(name)]
    return own + [fault for item in value.values() for fault in faults_in(item)]


def first_job(answers: list[dict[str, Any]]) -> str | None:
    found = re.search(r'"jobId": "([0-9a-z]{26})"', json.dumps(answers))
    return found[1] if found else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_the_documentation_do_what_they_say(page: Path, stack: WholeStack) -> None:
    examples = examples_of(page)
    job_id = "0" * 26
    for number, example in enumerate(examples, start=1):
        text = json.dumps(example.variables).replace("JOB_ID", job_id)
        filled = Example(example.query.replace("JOB_ID", job_id), json.loads(text))
        answers = execute(stack.graphql_url, filled)
        assert answers, f"example {number} of {page.name} gave no answer"
        assert faults_in(answers) == [], f"example {number} of {page.name}"
        assert all(answer.get("data") for answer in answers), f"example {number} of {page.name}"
        job_id = first_job(answers) or job_id


def test_the_readme_shows_queues_submission_queries_a_stream_and_cancellation() -> None:
    text = "\n".join(example.query for example in examples_of(ROOT / "README.md"))
    for name in ("createQueues", "submitJobs", "jobSet(", "jobs(", "jobSetEvents(", "cancelJob"):
        assert name in text, f"README.md has no example of {name}"
