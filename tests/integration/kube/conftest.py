"""A real Kubernetes API server, etcd and kwok for the tests of this folder, with a namespace for each test."""

import itertools
from collections.abc import Iterator

import pytest

from app.admin.kube_node import KubeNodes
from tests.stack.directory import stack_directory
from tests.stack.kube import KubePlane, skip_without_kube

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def plane() -> Iterator[KubePlane]:
    """Shared; its API server writes down what the executor's user calls."""
    skip_without_kube()
    with stack_directory("kube") as directory:
        plane = KubePlane(directory / "kube", audited=True)
        try:
            plane.start(KubeNodes(count=4))
            yield plane
        finally:
            plane.close()


@pytest.fixture
def namespace(plane: KubePlane) -> str:
    """A new namespace in which the executor may write pods; namespaces of a plane without controllers never go."""
    name = f"jobs-{next(_NUMBERS)}"
    plane.make_namespace(name)
    return name
