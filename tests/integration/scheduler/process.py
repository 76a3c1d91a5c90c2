"""One scheduler or queue agent process. Arguments: "scheduler" or "agent", and a JSON object of its options."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from app.scheduler.main import run_scheduler
from app.scheduler.options import SchedulerOptions
from app.settings.scheduler import SchedulerSettings
from app.streams.worker import QueueAgentOptions, run


def main(kind: str, given: str) -> None:
    logging.basicConfig(level="INFO", stream=sys.stdout, format="%(created).3f %(name)s %(message)s")
    options = json.loads(given)
    if kind == "agent":
        logging.getLogger("faust").setLevel("WARNING")
        run(QueueAgentOptions(directory=Path(options.pop("directory")), **options))
    else:
        settings = SchedulerSettings(**options.pop("scheduler", {}))
        asyncio.run(run_scheduler(SchedulerOptions(scheduler=settings, **options)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
