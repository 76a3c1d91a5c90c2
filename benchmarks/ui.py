"""Lookout in Chromium against the whole stack: `make bench-ui`.

    python -m benchmarks.ui [--seconds 180] [--jobs-per-s 100] [--nodes 20000]

Kafka, Postgres, all of Argosy with fake clusters, and the browser share the machine. Short jobs come at a rate, so that
rows change all the time: each is queued, leased, pending, running and ended within seconds. Two pages are looked at one
after the other, as a person does: the list of jobs (scrolled, new rows taken in when there are some), and the map of
all nodes with the pointer moving over it. Prints progress, and as the last line one JSON object. Figures of a page:

- frame_p95_ms, frame_p99_ms: time between frames that the browser drew (requestAnimationFrame; 16.7 at best).
- memory_growth_mib: what the page's script holds after a collection of garbage; the median of the last quarter of the
  samples minus that of the first. dom_nodes_growth: the same of the document's nodes.
- shown_ms: from the address to the page with its data.
"""

import argparse
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, expect

from benchmarks.outcome import Budget, conditions_here, outcome_line
from tests.stack.directory import stack_directory
from tests.stack.whole_stack import fake_cluster, running_stack
from tests.ui.lookout import Facts, chromium, visiting
from tests.ui.seeded import CREATE_QUEUES, SUBMIT

CLUSTERS = ("alpha", "bravo", "charlie", "delta")
QUEUE, JOB_SET = "bench", "bench-ui"
JOB_S = 2
WARM_UP_S = 20.0
SAMPLE_S = 5.0
GESTURE_S = 0.25
NEW_EVERY_S = 4.0
WAIT_MS = 120_000
MIB = 1 << 20
FRAME_MAX_MS = 2_000

FRAME_BUDGET = Budget(value=33.0)
MEMORY_BUDGET = Budget(value=4.0)
BUDGETS = {
    "jobs_frame_p95_ms": FRAME_BUDGET,
    "nodes_frame_p95_ms": FRAME_BUDGET,
    "jobs_memory_growth_mib": MEMORY_BUDGET,
    "nodes_memory_growth_mib": MEMORY_BUDGET,
}

# Counts frames by their length in ms: an array of one size, so that measuring does not fill the memory it measures.
COUNT_FRAMES = """(longest) => {
  const counts = new Uint32Array(longest + 1);
  let before = 0;
  const frame = (now) => {
    if (before > 0) counts[Math.min(longest, Math.round(now - before))] += 1;
    before = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.benchFrames = () => { const found = Array.from(counts); counts.fill(0); return found; };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Frame times and memory of Lookout on live data.")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long each page is looked at")
    parser.add_argument("--jobs-per-s", type=int, default=100, help="jobs that come each second")
    parser.add_argument("--nodes", type=int, default=20_000, help="nodes on the map")
    options = parser.parse_args()
    each = options.nodes // len(CLUSTERS)
    settings = {
        "kafka": {"partitions": 4, "replication": 1},
        "clusters": {name: fake_cluster(each) for name in CLUSTERS},
        "dev": {"schedulers": 1},
    }
    with stack_directory("bench-ui") as directory:
        say("starting the stack")
        with running_stack(directory, settings) as stack, chromium() as browser:
            facts = Facts(stack.api_url)
            facts.ask(CREATE_QUEUES, queues=[{"name": QUEUE}])
            wait_for_nodes(facts, each * len(CLUSTERS))
            with submitting(facts, options.jobs_per_s) as load:
                figures = measure(browser, stack.api_url, options.seconds)
            figures["submitted_per_s"] = load.rate()
            version = browser.version
    sizes = {
        "nodes": each * len(CLUSTERS),
        "jobs_per_s": options.jobs_per_s,
        "job_s": JOB_S,
        "seconds": options.seconds,
    }
    conditions = conditions_here(
        ("playwright",), chromium=version, sizes=sizes, load="browser and all servers share the machine; no GPU"
    )
    print(outcome_line("ui", conditions, figures, BUDGETS))


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def wait_for_nodes(facts: Facts, count: int) -> None:
    """Until the API knows that many. Raises RuntimeError after two minutes."""
    deadline = time.monotonic() + WAIT_MS / 1_000
    while sum(pool["nodes"] for pool in facts.ask("{ pools { nodes } }")["pools"]) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {count:,} nodes were reported within {WAIT_MS / 1_000:.0f} s")
        time.sleep(0.5)


class Load(threading.Thread):
    """Submits short jobs, once a second, until it is stopped."""

    def __init__(self, facts: Facts, jobs_per_s: int) -> None:
        super().__init__(daemon=True)
        self._facts, self._jobs_per_s = facts, jobs_per_s
        self._stopped = threading.Event()
        self._sent, self._began = 0, time.monotonic()

    def run(self) -> None:
        due = self._began
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due += 1.0
            call = {**self._call(), "requestId": f"bench-{time.monotonic_ns()}"}
            self._facts.ask(SUBMIT.replace("VISIBLE", "LOGGED"), input=call)
            self._sent += self._jobs_per_s

    def stop(self) -> None:
        self._stopped.set()
        self.join(60.0)

    def rate(self) -> float:
        """Jobs a second that were really submitted."""
        return self._sent / max(1.0, time.monotonic() - self._began)

    def _call(self) -> dict[str, Any]:
        amounts = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
        resources = {"requests": amounts, "limits": amounts}
        container = {"name": "main", "image": "busybox:1.37", "command": ["sleep", str(JOB_S)], "resources": resources}
        spec = {"restartPolicy": "Never", "containers": [container]}
        jobs = [{"podSpecIndex": 0} for _ in range(self._jobs_per_s)]
        return {"queue": QUEUE, "jobSet": JOB_SET, "podSpecs": [spec], "jobs": jobs}


@contextmanager
def submitting(facts: Facts, jobs_per_s: int) -> Iterator[Load]:
    """Jobs come while the block runs."""
    load = Load(facts, jobs_per_s)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def measure(browser: Browser, base: str, seconds: float) -> dict[str, float]:
    """Both pages, one after the other, each in a browser context of its own."""
    figures: dict[str, float] = {}
    pages: tuple[tuple[str, str, Callable[[Page], None], Callable[[Page, int], None]], ...] = (
        ("jobs", "/jobs", jobs_are_shown, look_at_jobs),
        ("nodes", "/nodes", nodes_are_shown, look_at_nodes),
    )
    for name, path, shown, look in pages:
        say(f"{name}: {seconds:.0f} s")
        with visiting(browser, base, "light") as visitor:
            began = time.monotonic()
            page = visitor.open(path)
            shown(page)
            figures[f"{name}_shown_ms"] = (time.monotonic() - began) * 1_000
            for figure, value in watched(page, seconds, look).items():
                figures[f"{name}_{figure}"] = value
            for complaint in visitor.complaints[:5]:
                say(f"{name}: the page complained: {complaint[:200]}")
            figures[f"{name}_complaints"] = len(visitor.complaints)
    return figures


def jobs_are_shown(page: Page) -> None:
    expect(page.locator("[role=row][aria-rowindex]").nth(10)).to_be_visible(timeout=WAIT_MS)


def nodes_are_shown(page: Page) -> None:
    expect(page.locator("canvas.map")).to_have_count(len(CLUSTERS), timeout=WAIT_MS)


def look_at_jobs(page: Page, gesture: int) -> None:
    """Scrolls a little down and up again, and takes in new rows now and then."""
    page.mouse.move(700, 500)
    page.mouse.wheel(0, 240 if gesture % 8 < 4 else -240)
    if gesture % int(NEW_EVERY_S / GESTURE_S) == 0:
        new = page.get_by_role("button", name=re.compile(r"^\d+\+? new$"))
        if new.count() > 0:
            new.first.click()


def look_at_nodes(page: Page, gesture: int) -> None:
    """Moves the pointer over the first map, cell by cell."""
    page.mouse.move(220 + (gesture * 37) % 1_100, 120 + (gesture * 11) % 200)


def watched(page: Page, seconds: float, look: Callable[[Page, int], None]) -> dict[str, float]:
    """Looks at the page, and what that did to frames and memory."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.evaluate(COUNT_FRAMES, FRAME_MAX_MS)
    gesture = look_for(page, WARM_UP_S, look, 0)
    page.evaluate("window.benchFrames()")
    frames = [0] * (FRAME_MAX_MS + 1)
    heap, nodes = [held(session)[0]], [held(session)[1]]
    page.evaluate("window.benchFrames()")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        gesture = look_for(page, SAMPLE_S, look, gesture)
        # The collection of garbage that follows is the bench's own: frames are read before it and forgotten after.
        frames = [sum(pair) for pair in zip(frames, page.evaluate("window.benchFrames()"), strict=True)]
        sample = held(session)
        heap.append(sample[0])
        nodes.append(sample[1])
        page.evaluate("window.benchFrames()")
    return {
        "frame_p95_ms": frame_percentile(frames, 0.95),
        "frame_p99_ms": frame_percentile(frames, 0.99),
        "frames": sum(frames),
        "memory_mib": heap[-1] / MIB,
        "memory_growth_mib": growth(heap) / MIB,
        "dom_nodes_growth": growth(nodes),
    }


def look_for(page: Page, seconds: float, look: Callable[[Page, int], None], gesture: int) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        look(page, gesture)
        gesture += 1
        page.wait_for_timeout(GESTURE_S * 1_000)
    return gesture


def held(session: CDPSession) -> tuple[float, float]:
    """Bytes of script objects that are in use, and nodes of the document, after a collection of garbage."""
    session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"], metrics["Nodes"]


def growth(samples: list[float]) -> float:
    quarter = max(1, len(samples) // 4)
    return statistics.median(samples[-quarter:]) - statistics.median(samples[:quarter])


def frame_percentile(counts: list[int], share: float) -> float:
    """ms that this share of the frames did not exceed."""
    wanted, seen = share * sum(counts), 0
    for length, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return float(length)
    return float(len(counts) - 1)


if __name__ == "__main__":
    main()
