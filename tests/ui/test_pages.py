"""Every page in both themes: it shows what it should, says nothing is wrong, and axe finds nothing."""

import pytest
from playwright.sync_api import Browser, expect

from tests.stack.whole_stack import eventually
from tests.ui.lookout import SCENES, THEMES, Facts, at_rest, axe_violations, paths, visiting

pytestmark = pytest.mark.stack

# Name of a page -> a text that stands on it when it has its data.
SHOWN = {
    "overview": "Queues and their shares",
    "jobs": "loaded",
    "jobs-filtered": "Failed",
    "jobs-grouped": "research",
    "job-drawer": "Open as a page",
    "job-failed": "Events",
    "job-running": "Events",
    "job-sets": "Progress",
    "job-set": "Failures by reason",
    "queues": "fair share with what others leave",
    "queue": "Waiting for a node",
    "nodes": "nodes,",
    "node": "Allocatable",
    "rounds": "Considered",
    "round": "No place",
    "health": "up to date",
    "job-queued": "Why is it not running?",
}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", SHOWN)
def test_page(browser: Browser, base: str, facts: Facts, name: str, theme: str) -> None:
    path = paths(facts).get(name)
    if path is None:
        assert name in ("job-queued", "round"), "only what comes and goes may be missing"
        return
    with visiting(browser, base, theme) as visitor:
        page = visitor.open(path)
        expect(page.get_by_text(SHOWN[name]).first).to_be_visible()
        assert page.title().endswith("Lookout")
        assert page.locator("html").get_attribute("data-mantine-color-scheme") == theme
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, "the page is wider than the window"
        assert visitor.complaints == []
        assert axe_violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", SCENES)
def test_dialog(browser: Browser, base: str, name: str, theme: str) -> None:
    scene = SCENES[name]
    with visiting(browser, base, theme) as visitor:
        page = visitor.open(scene.path)
        scene.open(page)
        expect(page.get_by_text(scene.shows).first).to_be_visible()
        eventually(lambda: at_rest(page), "nothing moves any more", within_s=10.0)
        assert visitor.complaints == []
        assert axe_violations(page) == []


def test_the_first_view_is_quick_and_needs_nothing_from_elsewhere(browser: Browser, base: str) -> None:
    with visiting(browser, base, "light") as visitor:
        asked: list[str] = []
        visitor.page.on("request", lambda request: asked.append(request.url))
        visitor.open("/")
        foreign = [url for url in asked if not url.startswith((base, "data:"))]
        assert foreign == []
        assert visitor.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 10_000
