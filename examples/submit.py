"""Submit Kubernetes pod manifests as jobs, over plain HTTP.

    python examples/submit.py --queue demo --create-queue examples/jobs/*.yaml
    python examples/submit.py --queue demo --count 5000 examples/jobs/failing.yaml

Needs nothing but Python and PyYAML. Prints one line a job (its id and manifest, or what is wrong with it) and exits
with 1 if any job was refused, with 2 if the server could not be used. Each call carries a requestId, so a call that
is repeated after a lost answer creates no job twice.
"""

import argparse
import itertools
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

JOBS_PER_CALL = 1000
ATTEMPTS = 5
TIMEOUT_S = 30

CREATE_QUEUE = """
mutation ($queues: [QueueInput!]!) {
  createQueues(queues: $queues) { errors { code path message } }
}"""

SUBMIT = """
mutation ($input: SubmitJobsInput!, $waitFor: WaitFor) {
  submitJobs(input: $input, waitFor: $waitFor) {
    results { index jobId duplicate error { code rule path message } }
    errors { code rule index path message }
  }
}"""


class SubmitError(Exception):
    """The server cannot be reached or does not understand the call."""


def main() -> int:
    options = arguments()
    try:
        manifests = [(path.name, pod) for path in options.manifests for pod in pods_of(path)]
        if not manifests:
            raise SubmitError("the files contain no pods")
        if options.create_queue:
            create_queue(options)
        return submit_all(options, manifests)
    except SubmitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Submit Kubernetes pod manifests as jobs.")
    parser.add_argument("manifests", nargs="+", type=Path, help="YAML files of pods (kind: Pod)")
    parser.add_argument("--queue", required=True)
    parser.add_argument("--create-queue", action="store_true", help="create the queue if it is not there")
    parser.add_argument("--job-set", default="examples")
    parser.add_argument("--count", type=int, default=1, help="jobs of each manifest (default 1)")
    parser.add_argument("--priority", type=float, default=0, help="lower numbers run first")
    parser.add_argument("--priority-class")
    parser.add_argument("--wait-for", choices=["LOGGED", "APPLIED", "VISIBLE"], default="APPLIED")
    parser.add_argument("--request-id", help="repeat with the same one after a failure: no job is created twice")
    parser.add_argument("--url", default=os.environ.get("ARGOSY_URL", "http://127.0.0.1:8080/graphql"))
    options = parser.parse_args()
    options.request_id = options.request_id or str(uuid.uuid4())
    return options


def pods_of(path: Path) -> Iterator[dict[str, Any]]:
    """Each pod of a file (documents are separated by ---)."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SubmitError(f"{path}: {error}") from error
    for document in documents:
        if not isinstance(document, dict) or document.get("kind") != "Pod" or "spec" not in document:
            raise SubmitError(f"{path}: expected a manifest with kind: Pod and a spec")
        yield document


def create_queue(options: argparse.Namespace) -> None:
    answer = call(options.url, CREATE_QUEUE, {"queues": [{"name": options.queue}]})
    for error in answer["createQueues"]["errors"]:
        if error["code"] != "CONFLICT":  # it is there already
            raise SubmitError(f"queue {options.queue}: {error['message']}")


def submit_all(options: argparse.Namespace, manifests: list[tuple[str, dict[str, Any]]]) -> int:
    """Copies of all manifests in turn, a thousand a call. Returns the exit code."""
    copies = itertools.chain.from_iterable(range(len(manifests)) for _ in range(options.count))
    refused = 0
    for number in itertools.count():
        chosen = list(itertools.islice(copies, JOBS_PER_CALL))
        if not chosen:
            return 1 if refused else 0
        variables = {"input": submit_input(options, manifests, chosen, number), "waitFor": options.wait_for}
        payload = call(options.url, SUBMIT, variables)["submitJobs"]
        refused += report(payload, [manifests[index][0] for index in chosen])
    raise AssertionError("the loop ends by return")


def submit_input(
    options: argparse.Namespace, manifests: list[tuple[str, dict[str, Any]]], chosen: list[int], number: int
) -> dict[str, Any]:
    """One call: every pod spec once, and the jobs that share it."""
    used = sorted(set(chosen))
    jobs = [job_input(options, manifests[index][1], used.index(index)) for index in chosen]
    return {
        "queue": options.queue,
        "jobSet": options.job_set,
        "requestId": f"{options.request_id}-{number}",
        "podSpecs": [manifests[index][1]["spec"] for index in used],
        "jobs": jobs,
    }


def job_input(options: argparse.Namespace, pod: dict[str, Any], spec_index: int) -> dict[str, Any]:
    metadata = pod.get("metadata") or {}
    job = {
        "podSpecIndex": spec_index,
        "namespace": metadata.get("namespace", "default"),
        "priority": options.priority,
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
    }
    if options.priority_class:
        job["priorityClass"] = options.priority_class
    return job


def report(payload: dict[str, Any], names: list[str]) -> int:
    """Prints a line for each job and each error of the call; returns how many were errors."""
    for error in payload["errors"]:
        print(f"{error['code']:<9} {error['path']}: {error['message']}", file=sys.stderr)
    refused = len(payload["errors"])
    for result in payload["results"]:
        name = names[result["index"]]
        if result["error"]:
            refused += 1
            print(f"{result['error']['code']:<9} {name}: {result['error']['message']}", file=sys.stderr)
        elif result["jobId"]:
            print(f"{result['jobId']}  {name}{'  (already submitted)' if result['duplicate'] else ''}")
    return refused


def call(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """The data of a GraphQL answer. Tries again while the server is away: the call is safe to repeat."""
    body = json.dumps({"query": query, "variables": variables}, default=str).encode()  # YAML reads dates, JSON has none
    trouble = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(0.2 * 2**attempt)
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            trouble = f"{url} answered {error.code} {error.reason}"
            if error.code < 500 and error.code != 429:
                break
            continue
        except (OSError, ValueError) as error:
            trouble = f"{url}: {error}"
            continue
        errors = answer.get("errors") or []
        if not errors:
            data: dict[str, Any] = answer["data"]
            return data
        trouble = "; ".join(error["message"] for error in errors)
        if not any(error.get("extensions", {}).get("code") in ("UNAVAILABLE", "RATE_LIMITED") for error in errors):
            break
    raise SubmitError(trouble)


if __name__ == "__main__":
    sys.exit(main())
