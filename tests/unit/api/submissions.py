"""Calls and pod specs for tests of the submit path."""

from typing import Any

import msgspec

from app.api.service.inputs import SubmitJobsInput

POD: dict[str, Any] = {
    "containers": [
        {
            "name": "main",
            "image": "busybox:1.36",
            "command": ["sleep", "5"],
            "resources": {
                "requests": {"cpu": "500m", "memory": "256Mi"},
                "limits": {"cpu": "500m", "memory": "256Mi"},
            },
        }
    ]
}


def pod(**changes: Any) -> dict[str, Any]:
    """A valid spec with other fields at the top."""
    return {**POD, **changes}


def call(*jobs: dict[str, Any], queue: str = "a", **fields: Any) -> SubmitJobsInput:
    """A submit call as it comes out of the request's bytes."""
    value = {"queue": queue, "jobSet": "s", "jobs": list(jobs), **fields}
    return msgspec.json.decode(msgspec.json.encode(value), type=SubmitJobsInput)
