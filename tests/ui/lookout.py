"""A browser at the pages of Lookout, and what every page must keep.

Inputs: a base URL, Chromium from PATH. Outputs: pages of Playwright that are ready: nothing is loading any more.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

AXE = Path(__file__).parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"
WIDTH, HEIGHT = 1440, 900
READY_MS = 15_000
THEMES = ("light", "dark")
WAITING_SET = "waiting"
"""a job set whose job waits for ever: its gang is not complete"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless. Raises RuntimeError when there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Visitor:
    """A person with a browser: one context, and what the pages complained of."""

    base: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """The page at a path, when nothing on it is loading any more."""
        self.page.goto(self.base + path)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Until the page has its head and what it asked for."""
        expect(self.page.locator("h1").first).to_be_attached(timeout=READY_MS)
        expect(self.page.locator("[role=status][aria-label=Loading]")).to_have_count(0, timeout=READY_MS)


@contextmanager
def visiting(browser: Browser, base: str, theme: str, *, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Visitor]:
    """A new person who likes this theme."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if theme == "dark" else "light"
    )
    context.add_init_script(f"localStorage.setItem('lookout.preferences', '{json.dumps({'theme': theme})}')")
    page = context.new_page()
    visitor = Visitor(base, context, page)
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: visitor.complaints.append(message.text) if message.type in ("error", "warning") else None,
    )
    try:
        yield visitor
    finally:
        page.unroute_all(behavior="ignoreErrors")
        context.close()


def at_rest(page: Page) -> bool:
    """Whether nothing moves: what fades in is not read well yet. Skeletons breathe for ever and do not count."""
    return bool(
        page.evaluate(
            """document.getAnimations().every((each) => each.playState !== 'running'
              || each.effect.getTiming().iterations === Infinity)"""
        )
    )


def axe_violations(page: Page) -> list[str]:
    """What axe finds, one line each."""
    # The policy of the pages forbids scripts of others; the debugger's own evaluation is not bound by it.
    page.evaluate(AXE.read_text(encoding="utf-8") + "; undefined")
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']} ({node['html'][:160]}) {node['failureSummary'][:300]}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]


class Facts:
    """What there is to look at: asked of the API as any client does."""

    def __init__(self, base: str) -> None:
        self._url = f"{base}/graphql"

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Raises AssertionError with the errors of the answer."""
        answer = httpx.post(self._url, json={"query": query, "variables": variables}, timeout=30.0).json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def job(self, *states: str, job_set: str | None = None) -> dict[str, Any] | None:
        """The newest job in one of these states (of a job set)."""
        text = """query ($filter: JobFilter!) {
          jobs(filter: $filter, first: 1) { nodes { id queue jobSet cluster node } } }"""
        of_set = {"jobSet": {"eq": job_set}} if job_set is not None else {}
        nodes: list[dict[str, Any]] = self.ask(text, filter={"states": list(states), **of_set})["jobs"]["nodes"]
        return nodes[0] if nodes else None

    def round_with_work(self) -> str | None:
        """A recent round that placed something, one that left jobs without a place if there is one."""
        pools = self.ask("{ pools { name } }")["pools"]
        for pool in pools:
            text = """query ($pool: String!) {
              rounds(pool: $pool, first: 200) { nodes { id placed preempted blocked } } }"""
            rounds = self.ask(text, pool=pool["name"])["rounds"]["nodes"]
            busy = sorted(rounds, key=lambda each: (each["preempted"] > 0, each["placed"] > 0, each["blocked"] > 0))
            if busy:
                return str(busy[-1]["id"])
        return None


@dataclass(frozen=True, slots=True)
class Scene:
    """What one sees after having done something on a page."""

    path: str
    open: Callable[[Page], None]
    shows: str


def _choose(page: Page, verb: str) -> None:
    for row in (0, 2):
        page.locator("[role=row][aria-rowindex]").nth(row).get_by_role("checkbox").check()
    page.get_by_role("button", name=verb, exact=True).click()


def _from_menu(page: Page, menu: str, verb: str) -> None:
    page.get_by_role("button", name=menu).click()
    page.get_by_role("menuitem", name=verb).click()


def _edit(page: Page) -> None:
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Add a cap").click()


SCENES = {
    "cancel": Scene("/jobs?q=state:live", lambda page: _choose(page, "Cancel"), "will be cancelled"),
    "priority": Scene("/jobs?q=state:live", lambda page: _choose(page, "Priority"), "the new priority"),
    "preempt": Scene(
        "/jobs?q=state:live", lambda page: _from_menu(page, "All that match", "Preempt"), "will be preempted"
    ),
    "menu": Scene("/queues/research", lambda page: page.get_by_role("button", name="All its jobs").click(), "Preempt…"),
    "queue-edit": Scene("/queues/research", _edit, "Priority class"),
    "queue-new": Scene("/queues", lambda page: page.get_by_role("button", name="New queue").click(), "A new queue"),
    "cordon": Scene("/queues/research", lambda page: page.get_by_role("button", name="Cordon").click(), "Leave them"),
    "keys": Scene("/health", lambda page: page.keyboard.press("?"), "this sheet"),
}
"""name -> a dialog or menu"""


def paths(facts: Facts) -> dict[str, str]:
    """Name of a page -> its path, with things that exist now."""
    running = facts.job("RUNNING") or facts.job("PENDING", "LEASED", "SUCCEEDED")
    failed = facts.job("FAILED")
    queued = facts.job("QUEUED", job_set=WAITING_SET)
    assert running is not None, "the demo has jobs"
    assert failed is not None, "the demo has failures"
    found = {
        "overview": "/",
        "jobs": "/jobs",
        "jobs-filtered": "/jobs?q="
        + quote("state:failed,rejected")
        + "&cols=state,timeInState,queue,id,exitCode,reason",
        "jobs-grouped": "/jobs?by=queue",
        "job-drawer": f"/jobs?job={failed['id']}",
        "job-failed": f"/jobs/{failed['id']}",
        "job-running": f"/jobs/{running['id']}",
        "job-sets": "/sets?ended=yes",
        "job-set": f"/queues/{quote(running['queue'])}/sets/{quote(running['jobSet'])}",
        "queues": "/queues",
        "queue": f"/queues/{quote(running['queue'])}",
        "nodes": "/nodes",
        "node": f"/clusters/{quote(running['cluster'])}/nodes/{quote(running['node'])}",
        "rounds": "/rounds",
        "health": "/health",
        "explorer": "/explorer",
    }
    if queued is not None:
        found["job-queued"] = f"/jobs?job={queued['id']}"
    round_id = facts.round_with_work()
    if round_id is not None:
        found["round"] = f"/rounds/{round_id}"
    return found
