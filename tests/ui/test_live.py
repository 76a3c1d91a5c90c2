"""Live rows under load: 500 changes a second, a restart of the API; order is kept and nothing is missed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.stack.whole_stack import WholeStack, eventually
from tests.ui.lookout import Facts, Visitor
from tests.ui.seeded import SUBMIT
from tests.ui.test_flows import JOBS, RUN, call_of, submit

pytestmark = pytest.mark.stack

WATCHED, WATCHED_S = 20, 12
LOAD_PER_S, LOAD_S, LOAD_JOB_S = 200, 12, 1
CHANGES_PER_JOB = 5
"""submitted (and queued), leased, pending, running, ended"""
CHANGES_PER_S_MIN = 500.0


class Load(threading.Thread):
    """Short jobs, some each second, for a while."""

    def __init__(self, facts: Facts, job_set: str) -> None:
        super().__init__(daemon=True)
        self._facts, self._job_set = facts, job_set

    def run(self) -> None:
        began = time.monotonic()
        for second in range(LOAD_S):
            while time.monotonic() < began + second:
                time.sleep(0.02)
            call = call_of(self._job_set, LOAD_PER_S, seconds=LOAD_JOB_S)
            self._facts.ask(SUBMIT.replace("VISIBLE", "LOGGED"), input=call)


@contextmanager
def load(facts: Facts, job_set: str) -> Iterator[Load]:
    thread = Load(facts, job_set)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(120.0)


def ids_in_sight(page: Page) -> list[str]:
    found: list[str] = page.locator(f"{JOBS} .mono").all_inner_texts()
    return found


def box_of_rows(page: Page) -> tuple[float, float]:
    """Where the table begins and how high it is, in pixels: nothing that comes or goes around it may move rows."""
    box = page.locator("[role=grid]").bounding_box()
    assert box is not None
    return box["y"], box["height"]


def ended(facts: Facts, job_set: str) -> int:
    text = """query ($set: String!) { jobSet(queue: "flows", name: $set) { stateCounts { state count } } }"""
    found = facts.ask(text, set=job_set)["jobSet"]
    counts = {each["state"]: each["count"] for each in found["stateCounts"]} if found else {}
    return int(counts.get("SUCCEEDED", 0))


def test_rows_keep_their_order_and_miss_nothing_at_500_changes_a_second(visitor: Visitor, facts: Facts) -> None:
    watched, noise = f"watched-{RUN}", f"noise-{RUN}"
    ids = submit(facts, watched, WATCHED, seconds=WATCHED_S)
    page = visitor.open("/jobs?q=queue:flows state:live,succeeded")
    expect(page.get_by_text(ids[0])).to_be_visible()
    before, box = ids_in_sight(page), box_of_rows(page)
    assert set(ids) <= set(before)
    began = time.monotonic()
    with load(facts, noise) as running:
        while running.is_alive():
            assert (ids_in_sight(page), box_of_rows(page)) == (before, box)
    eventually(lambda: ended(facts, noise) == LOAD_PER_S * LOAD_S, "all of the load has ended", within_s=60.0)
    changes_per_s = LOAD_PER_S * LOAD_S * CHANGES_PER_JOB / (time.monotonic() - began)
    eventually(lambda: ended(facts, watched) == WATCHED, "the watched jobs have ended", within_s=60.0)
    for job_id in ids:
        row = page.locator(JOBS).filter(has_text=job_id)
        expect(row.get_by_text("Succeeded")).to_be_visible(timeout=10_000)
    assert ids_in_sight(page) == before
    expect(page.get_by_role("button", name="new")).to_be_visible()
    assert changes_per_s >= CHANGES_PER_S_MIN, f"{changes_per_s:.0f} changes a second came"
    assert visitor.complaints == []


def test_rows_catch_up_after_a_restart_of_the_api(visitor: Visitor, facts: Facts, seeded: WholeStack | None) -> None:
    if seeded is None:
        pytest.skip("needs a stack of its own to kill a process in")
    job_set = f"rows-over-a-restart-{RUN}"
    ids = submit(facts, job_set, 10, seconds=8)
    page = visitor.open(f"/jobs?q=set:{job_set}")
    expect(page.locator(JOBS)).to_have_count(10)
    before = ids_in_sight(page)
    seeded.kill("api")
    eventually(lambda: seeded.is_ready("api"), "the API is ready again", within_s=60.0)
    expect(page.locator(JOBS).get_by_text("Succeeded")).to_have_count(len(ids), timeout=60_000)
    assert ids_in_sight(page) == before
    submit(facts, job_set, 2)
    expect(page.get_by_role("button", name="2 new")).to_be_visible(timeout=15_000)
