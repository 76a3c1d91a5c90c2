"""One running stack for all acceptance tests that kill nothing."""

from collections.abc import Iterator

import pytest

from tests.stack.directory import stack_directory
from tests.stack.whole_stack import WholeStack, fake_cluster, running_stack

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
GPU_NODES = {"name": "gpu", "count": 2, "cpu": "32", "memory": "256Gi", "gpus": 8, "taints": [GPU_TAINT]}
SETTINGS = {
    "kafka": {"partitions": 4, "replication": 1},
    "clusters": {name: fake_cluster(10, more=[GPU_NODES]) for name in ("alpha", "bravo", "charlie")},
}


@pytest.fixture(scope="session")
def stack() -> Iterator[WholeStack]:
    """A stack that is up, on free ports, as `argosy-admin dev up` makes it."""
    with stack_directory("acceptance") as directory, running_stack(directory, SETTINGS) as running:
        yield running
