"""A scheduler or queue agent process for benchmarks. Arguments: "scheduler" or "agent", and a JSON object of its
options; `scheduler` in it: settings of that section."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from app.scheduler.main import run_scheduler
from app.scheduler.options import SchedulerOptions
from app.settings.scheduler import SchedulerSettings
from app.streams.worker import QueueAgentOptions, run

if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(created).3f %(name)s %(message)s")
    options = json.loads(sys.argv[2])
    if sys.argv[1] == "agent":
        run(QueueAgentOptions(directory=Path(options.pop("directory")), **options))
    settings = SchedulerSettings(**options.pop("scheduler", {}))
    asyncio.run(run_scheduler(SchedulerOptions(scheduler=settings, **options)))
