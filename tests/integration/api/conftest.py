"""One installation for all tests of this folder, started at the first use."""

from collections.abc import AsyncIterator, Iterator

import pytest

from app.log.producer import LogProducer
from tests.integration.api.by_hand import Executor, Leader
from tests.integration.api.installation import Installation
from tests.stack.directory import stack_directory
from tests.stack.server import KafkaBroker, PostgresServer


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """Broker, database, queue agent, views and API of this session."""
    with stack_directory("api") as directory:
        broker, server = KafkaBroker(directory / "kafka"), PostgresServer(directory / "postgres")
        broker.start()
        server.start()
        made = Installation(broker.bootstrap, server.url, directory)
        try:
            made.start()
            yield made
        finally:
            made.close()
            server.close()
            broker.close()


@pytest.fixture
async def leader(installation: Installation) -> AsyncIterator[Leader]:
    producer = LogProducer(installation.bootstrap, "test-leader")
    await producer.start()
    made = Leader(producer)
    await made.begin()
    yield made
    await producer.stop()


@pytest.fixture
async def executor(installation: Installation) -> AsyncIterator[Executor]:
    made = Executor(installation.url)
    yield made
    await made.close()
