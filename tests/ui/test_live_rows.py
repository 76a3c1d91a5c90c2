"""Rows of the jobs page while jobs change: at 500 changes a second their order is stable, nothing is missed, and no
restart of the API nor a hidden tab leaves a gap."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.stack.whole_stack import WholeStack, eventually
from tests.ui.lookout import Facts, Visitor, visiting

pytestmark = pytest.mark.stack

QUEUE = "live-rows"
JOBS = 300
CHANGES_PER_S = 500
CALL_JOBS = 50
SECONDS = 24.0
CREATE = """mutation ($queues: [QueueInput!]!) {
  createQueues(queues: $queues, waitFor: VISIBLE) { errors { message } } }"""
SUBMIT = """mutation ($input: SubmitJobsInput!) {
  submitJobs(input: $input, waitFor: VISIBLE) { results { jobId } errors { path message } } }"""
REPRIORITIZE = """mutation ($queue: String!, $jobSet: String!, $ids: [ID!], $priority: Float!) {
  reprioritizeJobs(queue: $queue, jobSet: $jobSet, jobIds: $ids, priority: $priority, waitFor: LOGGED) {
    errors { message } } }"""
# Notes what the table shows on every frame: an order that changed, a priority that went back.
WATCH = """() => {
  const seen = new Map(), places = new Map(); const noted = {order: [], back: [], frames: 0};
  const look = () => {
    const rows = [...document.querySelectorAll("[role=grid] .vrow")].map((row) => ({
      at: Number(row.getAttribute("aria-rowindex")), id: row.querySelector("input").getAttribute("aria-label"),
      priority: Number(row.querySelector("[data-column=priority]")?.textContent ?? NaN)}));
    for (const row of rows) {
      if ((places.get(row.at) ?? row.id) !== row.id) noted.order.push(`${row.at}: ${places.get(row.at)} ${row.id}`);
      places.set(row.at, row.id);
      if (seen.get(row.id) > row.priority) noted.back.push(`${row.id} ${seen.get(row.id)} -> ${row.priority}`);
      seen.set(row.id, row.priority);
    }
    noted.frames += 1;
    window.lookoutWatch = noted; requestAnimationFrame(look);
  };
  look();
}"""
PRIORITIES = """() => Object.fromEntries([...document.querySelectorAll("[role=grid] .vrow")].map((row) => [
  row.querySelector("input").getAttribute("aria-label"),
  Number(row.querySelector("[data-column=priority]")?.textContent ?? NaN)]))"""


@pytest.fixture
def visitor(browser: Browser, base: str) -> Iterator[Visitor]:
    with visiting(browser, base, "light") as found:
        yield found


def waiting_jobs(facts: Facts, job_set: str, count: int, *, call: str = "first") -> list[str]:
    """Jobs that wait for ever: each is one of a gang of two whose other member never comes."""
    facts.ask(CREATE, queues=[{"name": QUEUE}])
    amounts = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}
    container = {"name": "main", "image": "busybox:1.37", "resources": {"requests": amounts, "limits": amounts}}
    gangs = [{"id": f"{job_set}-{call}-{number}", "cardinality": 2} for number in range(count)]
    given = {
        "queue": QUEUE,
        "jobSet": job_set,
        "requestId": f"{job_set}-{call}",
        "podSpecs": [{"restartPolicy": "Never", "containers": [container]}],
        "jobs": [{"podSpecIndex": 0, "gang": gang} for gang in gangs],
    }
    answer = facts.ask(SUBMIT, input=given)["submitJobs"]
    assert not answer["errors"], answer
    return [each["jobId"] for each in answer["results"]]


class Load:
    """Changes priorities, always upwards, by so many jobs a second; what each job was given last."""

    def __init__(self, base: str, job_set: str, jobs: list[str]) -> None:
        self.last: dict[str, int] = {}
        self.changes = 0
        self.busy_s = 0.0
        self._url = f"{base}/graphql"
        self._job_set = job_set
        self._jobs = jobs
        self._random = random.Random(7)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        priority = 0
        due = time.monotonic()
        with httpx.Client(timeout=30.0) as client:
            while not self._done.is_set():
                priority += 1
                began = time.monotonic()
                if self._change(client, priority, self._random.sample(self._jobs, CALL_JOBS)):
                    due += CALL_JOBS / CHANGES_PER_S
                    self.busy_s += max(time.monotonic() - began, CALL_JOBS / CHANGES_PER_S)
                else:
                    due = time.monotonic()
                if self._done.wait(max(0.0, due - time.monotonic())):
                    return

    def _change(self, client: httpx.Client, priority: int, jobs: list[str]) -> bool:
        """Asked again until it is in the log: what is given is given."""
        given: dict[str, Any] = {"queue": QUEUE, "jobSet": self._job_set, "ids": jobs, "priority": float(priority)}
        is_first = True
        while not self._done.is_set() or not is_first:
            try:
                answer = client.post(self._url, json={"query": REPRIORITIZE, "variables": given}).json()
            except httpx.TransportError:
                is_first = False
                time.sleep(0.05)
                continue
            if "errors" not in answer:
                assert answer["data"]["reprioritizeJobs"]["errors"] == [], answer
                self.last |= dict.fromkeys(jobs, priority)
                self.changes += len(jobs)
                return is_first
            is_first = False
            time.sleep(0.05)
        return False


@contextmanager
def watched(page: Page) -> Iterator[None]:
    """The order of the rows does not change meanwhile, and no row goes back."""
    page.evaluate(WATCH)
    yield
    noted = page.evaluate("() => window.lookoutWatch")
    assert noted["frames"] > 10, "nobody looked"
    assert noted["order"] == [], "rows changed their places"
    assert noted["back"] == [], "a row went back to what it was"


def shows_the_last(page: Page, load: Load, *, within_s: float = 30.0) -> None:
    """Every row in sight has the priority that its job was given last."""

    def is_right() -> bool:
        shown = page.evaluate(PRIORITIES)
        return len(shown) > 10 and all(priority == load.last[job_id] for job_id, priority in shown.items())

    eventually(is_right, "the rows show what was written last", within_s=within_s)


def test_at_500_changes_a_second_rows_stay_in_place_and_miss_nothing_over_a_restart_of_the_api(
    visitor: Visitor, facts: Facts, base: str, seeded: WholeStack | None
) -> None:
    if seeded is None:
        pytest.skip("needs a stack of its own to kill a process in")
    jobs = waiting_jobs(facts, "steady", JOBS)
    page = visitor.open("/jobs?q=set:steady&cols=state,id,priority")
    expect(page.get_by_role("row", selected=False)).not_to_have_count(0)
    with watched(page):
        with Load(base, "steady", jobs) as load:
            time.sleep(SECONDS / 3)
            seeded.kill("api")
            eventually(lambda: seeded.is_ready("api"), "the API is ready again", within_s=60.0)
            time.sleep(SECONDS / 3)
        assert load.changes / load.busy_s >= 0.9 * CHANGES_PER_S, f"{load.changes} changes in {load.busy_s:.0f} s"
        assert set(load.last) == set(jobs)
        shows_the_last(page, load)


def test_a_hidden_tab_asks_nothing_and_has_everything_when_it_is_shown_again(
    visitor: Visitor, facts: Facts, base: str
) -> None:
    jobs = waiting_jobs(facts, "hidden", 60)
    page = visitor.open("/jobs?q=set:hidden&cols=state,id,priority")
    with Load(base, "hidden", jobs) as load:
        eventually(lambda: any(page.evaluate(PRIORITIES).values()), "the rows are live", within_s=30.0)
        _show(page, visible=False)
        page.wait_for_timeout(500)
        before = page.evaluate(PRIORITIES)
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url))
        eventually(lambda: len(load.last) == len(jobs), "all jobs were changed", within_s=30.0)
        assert page.evaluate(PRIORITIES) == before
        assert sent == []
    _show(page, visible=True)
    shows_the_last(page, load)


def test_pause_holds_the_rows_and_resume_brings_what_was_missed(visitor: Visitor, facts: Facts, base: str) -> None:
    jobs = waiting_jobs(facts, "paused", 60)
    page = visitor.open("/jobs?q=set:paused&cols=state,id,priority")
    page.get_by_role("button", name="Pause").click()
    with Load(base, "paused", jobs) as load:
        eventually(lambda: len(load.last) == len(jobs), "all jobs were changed", within_s=30.0)
    assert set(page.evaluate(PRIORITIES).values()) == {0}
    page.get_by_role("button", name="Resume").click()
    shows_the_last(page, load)


def test_new_jobs_are_counted_and_come_when_asked_for(visitor: Visitor, facts: Facts) -> None:
    waiting_jobs(facts, "growing", 30)
    page = visitor.open("/jobs?q=set:growing&cols=state,id,priority")
    before = page.evaluate(PRIORITIES).keys()
    page.locator("[role=grid]").evaluate("(grid) => grid.scrollTo(0, 0)")
    more = waiting_jobs(facts, "growing", 3, call="second")
    button = page.get_by_role("button", name="3 new")
    expect(button).to_be_visible(timeout=15_000)
    assert page.evaluate(PRIORITIES).keys() == before
    button.click()
    expect(button).to_have_count(0)
    for job_id in more:
        expect(page.get_by_role("link", name=job_id)).to_be_visible()


def _show(page: Page, *, visible: bool) -> None:
    """As if another tab were chosen, or this one again."""
    hidden = "false" if visible else "true"
    page.evaluate(
        f"""() => {{ Object.defineProperty(document, "hidden", {{get: () => {hidden}, configurable: true}});
        document.dispatchEvent(new Event("visibilitychange")); }}"""
    )
