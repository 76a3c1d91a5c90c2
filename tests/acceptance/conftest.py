"""One running stack for all acceptance tests that kill nothing."""

from collections.abc import Iterator

import pytest

from tests.stack.directory import stack_directory
from tests.stack.whole_stack import WholeStack, fake_cluster, running_stack

SETTINGS = {
    "kafka": {"partitions": 4, "replication": 1},
    "clusters": {name: fake_cluster(10) for name in ("alpha", "bravo", "charlie")},
}


@pytest.fixture(scope="session")
def stack() -> Iterator[WholeStack]:
    """A stack that is up, on free ports, as `argosy-admin dev up` makes it."""
    with stack_directory("acceptance") as directory, running_stack(directory, SETTINGS) as running:
        yield running
