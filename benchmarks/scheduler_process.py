"""A scheduler process for benchmarks. Argument: a JSON object of SchedulerOptions."""

import asyncio
import json
import logging
import sys

from app.scheduler.main import run_scheduler
from app.scheduler.options import SchedulerOptions

if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stderr, format="%(created).3f %(name)s %(message)s")
    asyncio.run(run_scheduler(SchedulerOptions(**json.loads(sys.argv[1]))))
