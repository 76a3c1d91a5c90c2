"""Fixtures for all tests: real Kafka and Postgres. How to use them: docstring of tests/stack/__init__.py."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.stack.databases import database_maker
from tests.stack.directory import stack_directory
from tests.stack.server import KafkaBroker, PostgresServer


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap address of the session's broker."""
    given = os.environ.get("ARGOSY_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    with stack_directory("kafka") as directory:
        broker = KafkaBroker(directory)
        broker.start()
        yield broker.bootstrap
        broker.close()


@pytest.fixture
def fresh_kafka() -> Iterator[KafkaBroker]:
    """A started, empty broker of this test alone."""
    with stack_directory("fresh-kafka") as directory:
        broker = KafkaBroker(directory)
        broker.start()
        yield broker
        broker.close()


@pytest.fixture(scope="module")
def kafka_factory() -> Iterator[Callable[[], KafkaBroker]]:
    """Starts empty brokers that live as long as the module."""
    with ExitStack() as stack:

        def make() -> KafkaBroker:
            broker = KafkaBroker(stack.enter_context(stack_directory("module-kafka")))
            broker.start()
            stack.callback(broker.close)
            return broker

        yield make


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of the session's server."""
    given = os.environ.get("ARGOSY_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with stack_directory("postgres") as directory:
        server = PostgresServer(directory)
        server.start()
        yield server.url
        server.close()


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """URL of a new, empty database of this test alone."""
    with database_maker(postgres) as make:
        yield make()


@pytest.fixture(scope="module")
def database_factory(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases that live as long as the module."""
    with database_maker(postgres) as make:
        yield make


@pytest.fixture
def fresh_postgres() -> Iterator[PostgresServer]:
    """A started server of this test alone."""
    with stack_directory("fresh-postgres") as directory:
        server = PostgresServer(directory)
        server.start()
        yield server
        server.close()
