"""One running stack for all acceptance tests that kill nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.directory import stack_directory
from tests.stack.whole_stack import WholeStack, fake_cluster, running_stack

HERE = Path(__file__).parent
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
GPU_NODES = {"name": "gpu", "count": 2, "cpu": "32", "memory": "256Gi", "gpus": 8, "taints": [GPU_TAINT]}
SETTINGS = {
    "kafka": {"partitions": 4, "replication": 1},
    "scheduler": {"submit_check": {"grace_s": 3}},
    "clusters": {name: fake_cluster(10, more=[GPU_NODES]) for name in ("alpha", "bravo", "charlie")},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs on a stack of its own comes first: the shared one lives to the end and would only cost time."""
    ours = [at for at, item in enumerate(items) if HERE in item.path.parents]
    ordered = sorted((items[at] for at in ours), key=lambda item: "stack" in getattr(item, "fixturenames", ()))
    for at, item in zip(ours, ordered, strict=True):
        items[at] = item


@pytest.fixture(scope="session")
def stack() -> Iterator[WholeStack]:
    """A stack that is up, on free ports, as `argosy-admin dev up` makes it."""
    with stack_directory("acceptance") as directory, running_stack(directory, SETTINGS) as running:
        yield running
