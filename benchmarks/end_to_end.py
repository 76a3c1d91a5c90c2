"""The whole stack on one machine, from the call to the terminal event: `make bench-end-to-end`.

    python -m benchmarks.end_to_end [--samples 2000] [--runs 3] [--jobs 10000]

Kafka, Postgres, queue agent, views, API, two schedulers and three executors of fake clusters (200 nodes of 32 cpu each)
share the machine with this client. Prints progress, and as the last line one JSON object. Figures:

- submit_*_per_s: jobs (requests, for singles) acknowledged by the log (waitFor LOGGED) while everything else works on
  them; the budgets for submission are those of bench-api, where API and Kafka are alone.
- running_s: from sending the first of the calls until all jobs are seen running in Postgres; running_cpu_s: what all
  servers spent on it.
- latencies: single jobs at a rate; by the client's clock, from sending the call and from the end of the pod.
- cpu_s_per_1000_jobs_*: of a process over jobs that run for a second, from call to terminal; memory_mib_*: afterwards.
"""

import argparse
import asyncio
import sys
import time
from typing import Any

from benchmarks.end_to_end_load import (
    CANCEL_SET,
    LatencyProbe,
    Tables,
    call_input,
    create_queues,
    encoded,
    submit_encoded,
)
from benchmarks.outcome import Budget, conditions_here, median_figures, outcome_line, percentile
from tests.stack.directory import stack_directory
from tests.stack.graphql_client import GraphqlClient
from tests.stack.whole_stack import WholeStack, fake_cluster, running_stack

NODES, PARTITIONS = 200, 4
SETTINGS: dict[str, Any] = {
    "kafka": {"partitions": PARTITIONS, "replication": 1},
    "clusters": {name: fake_cluster(NODES) for name in ("alpha", "bravo", "charlie")},
}
QUEUES = ("amber", "birch", "cedar", "dune", "ember")
BATCH = 1_000
RATE_PER_S = 10.0
SHARED_BATCHES, OWN_BATCHES, SINGLES = 10, 5, 1_000
BATCHES_AT_ONCE, SINGLES_AT_ONCE = 2, 16
RUNNING_WITHIN_S = 300.0
MIB = 1 << 20

BUDGETS = {
    "running_s": Budget(value=10.0),
    "submit_applied_p99_ms": Budget(value=150.0),
    "submit_to_leased_p99_ms": Budget(value=1_000.0),
    "finish_to_terminal_p99_ms": Budget(value=1_000.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="The whole stack, from the call to the terminal event.")
    parser.add_argument("--samples", type=int, default=2_000, help="single jobs a run (default 2000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of the latencies; figures are their medians")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs that are to run at the same time")
    options = parser.parse_args()
    with stack_directory("bench-end-to-end") as directory:
        say("starting the stack")
        with running_stack(directory, SETTINGS) as stack:
            figures = asyncio.run(measure(stack, options))
    sizes = {
        "partitions": PARTITIONS,
        "nodes": 3 * NODES,
        "jobs": options.jobs,
        "batch": BATCH,
        "latency_samples": options.samples,
        "latency_rate_per_s": RATE_PER_S,
        "latency_runs": options.runs,
    }
    packages = ("faust-streaming", "aiokafka", "confluent-kafka", "strawberry-graphql", "asyncpg", "numpy")
    conditions = conditions_here(packages, sizes=sizes, load="the client and all servers share the machine")
    print(outcome_line("end-to-end", conditions, figures, BUDGETS))


async def measure(stack: WholeStack, options: argparse.Namespace) -> dict[str, float]:
    """All figures, one part after the other; each begins when nothing runs any more."""
    async with GraphqlClient(stack.graphql_url) as client:
        await create_queues(client, QUEUES)
        await wait_for_nodes(stack, client)
        runs = []
        for number in range(options.runs):
            runs.append(await latencies(client, f"latency-{number}", options.samples))
            say(f"latencies, run {number + 1}: {shown(runs[-1])}")
        figures = median_figures(runs)
        for part in (running, cpu_and_memory):
            found = await part(stack, client, options.jobs)
            say(f"{part.__name__}: {shown(found)}")
            figures |= found
        found = await submission(stack, client)
        say(f"submission: {shown(found)}")
        return figures | found


async def wait_for_nodes(stack: WholeStack, client: GraphqlClient) -> None:
    """One job through everything: then the nodes are known and everything is compiled."""
    body = encoded(call_input(QUEUES[0], "warm-up", 1, 1, own_specs=True), "APPLIED")
    await submit_encoded(client, [body], 1)
    await drained(stack, ["warm-up"], 1)


async def latencies(client: GraphqlClient, job_set: str, samples: int) -> dict[str, float]:
    """Single jobs at RATE_PER_S."""
    found = await LatencyProbe(client, QUEUES[0], job_set).run(samples, RATE_PER_S)
    named = {
        "submit_applied": found.applied,
        "submit_to_leased": found.leased,
        "finish_to_terminal": found.terminal,
    }
    return {
        f"{name}_p{percent}_ms": percentile(values, percent / 100)
        for name, values in named.items()
        for percent in (50, 99)
    }


async def running(stack: WholeStack, client: GraphqlClient, jobs: int) -> dict[str, float]:
    """Until all jobs of some large calls are seen running."""
    names = [f"running-{queue}" for queue in QUEUES]
    bodies = batches(jobs, "running", 3_600)
    tables = await Tables.open(stack, names)
    try:
        begun, before = time.perf_counter(), stack.usage()
        submitted_s = await submit_encoded(client, bodies, BATCHES_AT_ONCE)
        await tables.until_running(jobs, RUNNING_WITHIN_S)
        running_s, after = time.perf_counter() - begun, stack.usage()
        for queue, name in zip(QUEUES, names, strict=True):
            await client.call(CANCEL_SET, {"queue": queue, "jobSet": name})
        await tables.until_ended(jobs)
    finally:
        await tables.close()
    cpu_s = sum(after[name][0] - before[name][0] for name in after)
    return {"running_s": running_s, "running_submitted_s": submitted_s, "running_cpu_s": cpu_s}


async def cpu_and_memory(stack: WholeStack, client: GraphqlClient, jobs: int) -> dict[str, float]:
    """What each process spends on jobs that run for a second."""
    before = stack.usage()
    begun = time.perf_counter()
    await submit_encoded(client, batches(jobs, "cpu", 1), BATCHES_AT_ONCE)
    await drained(stack, [f"cpu-{queue}" for queue in QUEUES], jobs)
    took_s = time.perf_counter() - begun
    after = stack.usage()
    figures = {"ended_jobs_per_s": jobs / took_s}
    for name, (cpu_s, resident) in after.items():
        figures[f"cpu_s_per_1000_jobs_{name}"] = (cpu_s - before.get(name, (0.0, 0))[0]) / jobs * 1_000
        figures[f"memory_mib_{name}"] = resident / MIB
    names = [name for name in figures if name.startswith("cpu_s_")]
    figures["cpu_s_per_1000_jobs_all"] = sum(figures[name] for name in names)
    figures["memory_mib_all"] = sum(value for name, value in figures.items() if name.startswith("memory_mib_"))
    return figures


async def submission(stack: WholeStack, client: GraphqlClient) -> dict[str, float]:
    """Acknowledged jobs a second: shared specs, own specs, singles."""
    kinds = {
        "shared": (SHARED_BATCHES, BATCH, False, BATCHES_AT_ONCE),
        "own": (OWN_BATCHES, BATCH, True, BATCHES_AT_ONCE),
        "single": (SINGLES, 1, True, SINGLES_AT_ONCE),
    }
    figures = {}
    for kind, (calls, jobs, own, at_once) in kinds.items():
        bodies = []
        for at in range(calls):
            queue = QUEUES[at % len(QUEUES)]
            variables = call_input(queue, f"submit-{kind}-{queue}", jobs, 1, own_specs=own, first=at * jobs)
            bodies.append(encoded(variables, "LOGGED"))
        took_s = await submit_encoded(client, bodies, at_once)
        figures[f"submit_{kind}_per_s"] = calls * jobs / took_s
        await drained(stack, [f"submit-{kind}-{queue}" for queue in QUEUES], calls * jobs)
    return figures


def batches(jobs: int, prefix: str, seconds: float) -> list[bytes]:
    """Calls of up to BATCH jobs with shared specs, spread over the queues."""
    sizes = [min(BATCH, jobs - at) for at in range(0, jobs, BATCH)]
    made = []
    for number, size in enumerate(sizes):
        queue = QUEUES[number % len(QUEUES)]
        made.append(encoded(call_input(queue, f"{prefix}-{queue}", size, seconds, own_specs=False), "LOGGED"))
    return made


async def drained(stack: WholeStack, job_sets: list[str], jobs: int) -> None:
    """Returns when the jobs have ended and their rooms are free."""
    tables = await Tables.open(stack, job_sets)
    try:
        await tables.until_ended(jobs)
    finally:
        await tables.close()


def shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in figures.items())


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
