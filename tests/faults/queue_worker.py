"""A queue agent with faults on request. Its argument: a JSON object of QueueAgentOptions and `mutation`.

A file in <directory>/faults asks for a fault once; the file is renamed to "<name>-done" when it happens:
- die-deciding, die-sending, die-committing, die-committed, die-stored: kill -9 of itself at that point of the next step
- hang: stand still in the open transaction of the next step, everything sent and acknowledged, until killed
- slow: (seconds in the file) stand still before the commit of the next step
The mutation "no-fence" gives every process transactional ids of its own, so that the former owner is not fenced.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from app.streams.producer import TransactionalProducer
from app.streams.step import Step
from app.streams.tenure import Tenure
from app.streams.worker import QueueAgentOptions, run

COMMIT_IN_FLIGHT_S = 0.002


class Faults:
    """Looks for what is asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def asked(self, name: str) -> str | None:
        """The content of the request, which is taken by this call."""
        path = self._directory / name
        try:
            content = path.read_text()
            path.rename(path.with_name(f"{name}-done"))
        except FileNotFoundError:
            return None
        return content

    def die_if_asked(self, point: str) -> None:
        if self.asked(f"die-{point}") is not None:
            os.kill(os.getpid(), signal.SIGKILL)


def install(faults: Faults) -> None:
    """Puts the faults into the way of every step."""
    commit, write, produce = Step.commit, Step._write, TransactionalProducer._commit

    async def commit_or_not(self: Step, *args: Any) -> None:
        faults.die_if_asked("deciding")
        if (seconds := faults.asked("slow")) is not None:
            await asyncio.sleep(float(seconds))
        await commit(self, *args)
        faults.die_if_asked("stored")

    def write_or_not(self: Step, *args: Any) -> None:
        faults.die_if_asked("committed")
        write(self, *args)

    async def produce_or_not(self: TransactionalProducer, outgoing: Any) -> Any:
        really = self._producer.commit_transaction

        async def commit_transaction() -> None:
            faults.die_if_asked("sending")
            if faults.asked("hang") is not None:
                await asyncio.sleep(3600)
            if faults.asked("die-committing") is not None:
                request = asyncio.create_task(really())
                await asyncio.sleep(COMMIT_IN_FLIGHT_S)
                os.kill(os.getpid(), signal.SIGKILL)
                await request
            await really()

        self._producer.commit_transaction = commit_transaction
        try:
            return await produce(self, outgoing)
        finally:
            self._producer.commit_transaction = really

    Step.commit = commit_or_not  # type: ignore[method-assign, assignment]
    Step._write = write_or_not  # type: ignore[method-assign, assignment]
    TransactionalProducer._commit = produce_or_not  # type: ignore[method-assign]


def remove_the_fence() -> None:
    make = Tenure._make_producer

    def make_unfenced(self: Tenure) -> TransactionalProducer:
        fenced = make(self)
        return TransactionalProducer(self._plan.bootstrap, f"{fenced.transactional_id}-{os.getpid()}")

    Tenure._make_producer = make_unfenced  # type: ignore[method-assign]


def main(options: dict[str, Any]) -> None:
    logging.basicConfig(level="INFO", stream=sys.stdout, format="%(created).3f %(name)s %(message)s")
    logging.getLogger("faust").setLevel("WARNING")
    mutation = options.pop("mutation", "")
    directory = Path(options.pop("directory"))
    install(Faults(directory / "faults"))
    if mutation == "no-fence":
        remove_the_fence()
    run(QueueAgentOptions(directory=directory, agent="tests.faults.poisoned_queue", **options))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
