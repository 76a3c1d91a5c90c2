"""Names, ids and sizes of the model's world: 2 partitions, 2 clusters of one node each, 8 jobs. Every job fills a
node."""

from app.executor.timings import Timings

PARTITIONS = (0, 1)
JOBS = tuple(range(8))
NODES = {"n0": "A", "n1": "B"}
"""node -> cluster"""
CLUSTERS = ("A", "B")
ATTEMPTS_MAX = 8
LOG = "installation.events"

TIMINGS = Timings(
    create_timeout_ms=100,
    create_retry_ms=8,
    last_words_ms=140,
    read_retry_ms=5,
    unseen_ms=60,
    finished_keep_ms=140,
    delete_retry_ms=20,
    force_delete_ms=60,
    image_not_found_ms=10,
    image_unavailable_ms=10,
    stuck_starting_ms=1_000_000,
    full_every_ms=200,
    full_retry_ms=20,
)
"""one step of a walk is one ms"""
CREATE_LANDS_MS_MAX = TIMINGS.create_timeout_ms
"""a create that was sent takes effect within this time, or never"""


def job_id(job: int) -> str:
    return f"{job:026d}"


def run_id(number: int) -> str:
    return f"{number:026d}"


def partition_of(job: int) -> int:
    return job % len(PARTITIONS)
