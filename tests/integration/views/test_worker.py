"""View processes on a real broker and a real database, killed again and again under load: rows equal a plain fold."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from agents.views.history import VIEW as HISTORY
from agents.views.leases import VIEW as LEASES
from agents.views.queues import VIEW as QUEUES
from app.admin.processes import free_port
from app.db.database import Database
from app.db.migrations import migrate
from app.db.queries.job_filter import JobFilter
from app.db.queries.job_order import JobKey, JobOrder, PageRequest
from app.db.queries.job_records import JobRecord
from app.db.queries.jobs import jobs_page
from app.db.queries.reached import reached
from app.log.topics import EVENTS, STATE, apply_topics, load_topics
from app.views.contract import prepared, table_rows, write
from app.views.source import RawRecord
from app.views.view import View
from tests.stack.server import KafkaBroker
from tests.unit.views.event_log import EventLog
from tests.unit.views.history_fold import fold

pytestmark = pytest.mark.stack

PARTITIONS = 3
DEADLINE_S = 180.0
JOBS_MIN = 1_000


async def eventually(holds: Callable[[], bool], what: str) -> None:
    """Waits until the condition holds. Raises TimeoutError."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(what) from None


class Worker:
    """`argosy-admin run views --app NAME`, as often as it is started."""

    def __init__(self, app: str, bootstrap: str, url: str, directory: Path) -> None:
        self.app = app
        self.port = free_port()
        self.log = directory / f"{app}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ,
            "ARGOSY_KAFKA__BOOTSTRAP": bootstrap,
            "ARGOSY_KAFKA__PARTITIONS": str(PARTITIONS),
            "ARGOSY_POSTGRES__URL": url,
            "ARGOSY_VIEWS__DATA_DIR": str(directory),
            "ARGOSY_HEALTH__PORT": str(self.port),
        }

    def start(self) -> None:
        command = [sys.executable, "-m", "app.admin.main", "run", "views", "--app", self.app]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(command, env=self._environment, stdout=out, stderr=out)

    def kill(self) -> None:
        self.running.kill()
        self.running.wait()

    def stop(self) -> int:
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(60)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def asked(self, path: str) -> tuple[int, str]:
        """Status and body; (0, "") when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        return self.asked("/readyz")[0] == 200


class Agent:
    """Writes what was decided, one transaction a command, as the queue agent does; now and then one is aborted."""

    def __init__(self, bootstrap: str, log: EventLog) -> None:
        self._log = log
        self._random = random.Random(9)
        self._sent = {(topic, part.partition): 0 for topic in (EVENTS, STATE) for part in log.partitions}
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": "test-agent",
                "linger.ms": 0,
                "enable.idempotence": True,
            }
        )
        self._producer.init_transactions(30)

    def send(self) -> None:
        """All records that were not sent yet."""
        new = []
        for part in self._log.partitions:
            for topic, records in ((EVENTS, part.events), (STATE, part.rows)):
                sent = self._sent[topic, part.partition]
                new += [(topic, record) for record in records[sent:]]
                self._sent[topic, part.partition] = len(records)
        if not new:
            return
        if self._random.random() < 0.1:
            self._transaction(new, commit=False)
        self._transaction(new, commit=True)

    def _transaction(self, records: list[tuple[str, RawRecord]], *, commit: bool) -> None:
        self._producer.begin_transaction()
        for topic, record in records:
            self._producer.produce(
                topic, value=record.value or None, key=record.key or None, partition=record.partition
            )
        if commit:
            self._producer.commit_transaction(30)
        else:
            self._producer.flush(30)
            self._producer.abort_transaction(30)


@pytest.fixture
def stack(fresh_kafka: KafkaBroker, database: str, tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    apply_topics(fresh_kafka.bootstrap, load_topics(), PARTITIONS, 1)
    workers: list[Worker] = []

    def make(app: str) -> Worker:
        workers.append(Worker(app, fresh_kafka.bootstrap, database, tmp_path))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


async def positions(database: Database, view: str) -> dict[int, int]:
    async with database.reading() as connection:
        return {partition: stand.position for partition, stand in (await reached(connection, view)).items()}


async def until_written(database: Database, log: EventLog, *views: View) -> None:
    """Waits until the views stand at the end of the log."""
    want = {part.partition: part.offset for part in log.partitions}
    async with asyncio.timeout(DEADLINE_S):
        for view in views:
            while await positions(database, view.name) != want:
                await asyncio.sleep(0.1)


async def all_jobs(database: Database) -> list[JobRecord]:
    found: list[JobRecord] = []
    key = None
    while True:
        page = await jobs_page(database, JobFilter(), JobOrder(), PageRequest(limit=200, key=key))
        found += page.jobs
        if not page.more:
            return found
        key = JobKey(job_id=found[-1].job_id)


async def test_killed_under_load_the_rows_are_those_of_a_plain_fold(
    stack: Callable[[str], Worker], fresh_kafka: KafkaBroker, database: str, database_factory: Callable[[], str]
) -> None:
    seed = 61
    print(f"seed {seed}")
    rnd = random.Random(seed)
    log = EventLog(seed=seed, partitions=PARTITIONS)
    agent = Agent(fresh_kafka.bootstrap, log)
    await migrate(database)
    workers = {view.name: stack(view.name) for view in (HISTORY, LEASES, QUEUES)}
    for worker in workers.values():
        worker.start()
    killed = threading.Event()

    def feed() -> None:
        """Until all kills are done; however soon the victims came back, there is enough to compare."""
        while not killed.wait(0.02) or sum(len(fold(part)) for part in log.partitions) <= JOBS_MIN:
            log.run(2)
            agent.send()

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for worker in workers.values():
            await eventually(worker.ready, f"{worker.app} is ready: {worker.log.read_text()[-2000:]}")
        for name in ("history", "leases", "history", "queues", "history"):
            victim = workers[name]
            await asyncio.sleep(rnd.uniform(0.2, 1.0))  # the moment of the kill is what varies
            victim.kill()
            victim.start()
            await eventually(victim.ready, f"{victim.app} is back")
    finally:
        killed.set()
        feeder.join()
    opened = await Database.open(database, connections_max=2)
    await until_written(opened, log, HISTORY, LEASES, QUEUES)
    want = {job_id: job for part in log.partitions for job_id, job in fold(part).items()}
    found = {job.job_id: job for job in await all_jobs(opened)}
    assert found.keys() == want.keys()
    for job_id, job in want.items():
        row = found[job_id]
        assert (row.state, row.attempt, row.node, row.last_transition_ms, row.exit_code, row.job_set) == (
            job.state,
            job.attempt,
            job.node,
            job.changed_ms,
            job.exit_code,
            job.job_set,
        )
    assert len(want) > JOBS_MIN
    await opened.close()
    assert [worker.stop() for worker in workers.values()] == [0, 0, 0]
    for view in (HISTORY, LEASES, QUEUES):
        raw = [one for part in log.partitions for one in (part.rows if view is QUEUES else part.events)]
        calm = await prepared(view, database_factory())
        await write(view, calm, [raw])
        assert await table_rows(view, database) == await table_rows(view, calm)


async def test_a_poison_record_stops_one_app_and_its_health_says_where(
    stack: Callable[[str], Worker], fresh_kafka: KafkaBroker, database: str
) -> None:
    log = EventLog(seed=62, partitions=PARTITIONS)
    agent = Agent(fresh_kafka.bootstrap, log)
    log.run(40)
    agent.send()
    await migrate(database)
    worker = stack("history")
    worker.start()
    await eventually(worker.ready, "ready")
    opened = await Database.open(database, connections_max=1)
    await until_written(opened, log, HISTORY)
    producer = Producer({"bootstrap.servers": fresh_kafka.bootstrap})
    producer.produce(EVENTS, value=b"\0\0\0\0\7", partition=1)
    producer.flush()
    log.run(20)
    agent.send()
    await eventually(lambda: worker.asked("/readyz")[0] == 503, "not ready")
    status, text = worker.asked("/readyz")
    assert status == 503
    assert "app history stands before argosy.events partition 1 offset" in text
    assert 'argosy_view_stopped{app="history"} 1.0' in worker.asked("/metrics")[1]
    assert worker.running.poll() is None
    stands = await positions(opened, "history")
    await opened.close()
    assert stands[1] < log.partitions[1].offset
    assert worker.stop() == 0


async def test_an_app_that_nobody_wrote_is_refused(stack: Callable[[str], Worker]) -> None:
    worker = stack("histories")
    worker.start()
    assert worker.running.wait(60) == 75
    assert "there is no view of app 'histories'" in worker.log.read_text()


async def test_a_view_process_waits_for_postgres_and_says_so(
    stack: Callable[[str], Worker], fresh_kafka: KafkaBroker, database: str, tmp_path: Path
) -> None:
    nowhere = f"postgresql://argosy:x@127.0.0.1:{free_port()}/argosy"
    worker = Worker("history", fresh_kafka.bootstrap, nowhere, tmp_path)
    worker.start()
    try:
        await eventually(lambda: "Postgres is away" in worker.asked("/readyz")[1], "it says so")
        assert worker.stop() == 0
    finally:
        worker.close()
