"""What people do: filter, look, cancel, with the keyboard alone; share an address; look on while things change."""

import re
import time

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.lookout import Facts, Visitor, visiting
from tests.ui.seeded import CREATE_QUEUES, SUBMIT

pytestmark = pytest.mark.stack

SLEEPER = {
    "restartPolicy": "Never",
    "containers": [
        {
            "name": "main",
            "image": "busybox:1.37",
            "command": ["sleep", "600"],
            "resources": {
                part: {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"} for part in ("requests", "limits")
            },
        }
    ],
}


def submit(facts: Facts, job_set: str, jobs: int, *, seconds: int = 600, **more: object) -> list[str]:
    """Jobs of a queue of these tests alone."""
    facts.ask(CREATE_QUEUES, queues=[{"name": "flows"}])
    spec = {**SLEEPER, "containers": [{**SLEEPER["containers"][0], "command": ["sleep", str(seconds)]}]}  # type: ignore[dict-item]
    given = {
        "queue": "flows",
        "jobSet": job_set,
        "requestId": f"{job_set}-{time.monotonic_ns()}",
        "podSpecs": [spec],
        "jobs": [{"podSpecIndex": 0, **more} for _ in range(jobs)],
    }
    answer = facts.ask(SUBMIT, input=given)["submitJobs"]
    assert not answer["errors"], answer
    return [each["jobId"] for each in answer["results"]]


def test_search_to_job_to_cancel_with_the_keyboard_alone(visitor: Visitor, facts: Facts) -> None:
    [job_id] = submit(facts, "by-keyboard", 1)
    page = visitor.open("/jobs")
    page.keyboard.press("/")
    page.keyboard.type("queue:flows set:by-keyboard state:live ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(2)  # the head and the job
    page.keyboard.press("Enter")
    expect(page.get_by_label("Job", exact=True).get_by_text(job_id).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Job", exact=True)).to_have_count(0)
    page.keyboard.press("x")
    page.keyboard.press("c")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.type("not needed any more")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("1 job cancelled")).to_be_visible()
    page.keyboard.press("Escape")
    job = facts.ask("query ($id: ID!) { job(id: $id) { state reason } }", id=job_id)["job"]
    assert job == {"state": "CANCELLED", "reason": "not needed any more"}
    assert visitor.complaints == []


def test_the_address_holds_what_one_sees(visitor: Visitor, facts: Facts, browser: Browser, base: str) -> None:
    submit(facts, "shared-view", 3, seconds=1, annotations={"team": "blue"})
    page = visitor.open("/jobs")
    box = page.get_by_role("combobox", name="Filter jobs")
    box.fill("set:shared-view ann.team=blue")
    box.press("Enter")
    expect(page.get_by_text("3 loaded")).to_be_visible()
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Owner").check()
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="Owner")).to_be_visible()
    with visiting(browser, base, "dark") as other:
        same = other.open(page.url.removeprefix(base))
        expect(same.get_by_text("3 loaded")).to_be_visible()
        expect(same.get_by_role("columnheader", name="Owner")).to_be_visible()
        expect(same.get_by_role("combobox", name="Filter jobs")).to_have_value("set:shared-view ann.team=blue")


def test_the_box_completes_and_names_what_it_does_not_understand(visitor: Visitor) -> None:
    page = visitor.open("/jobs")
    box = page.get_by_role("combobox", name="Filter jobs")
    box.press_sequentially("sta")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("state:")
    box.press_sequentially("fail")
    expect(page.get_by_role("option", name="state:failed")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=state%3Afailed"))
    box.fill("colour:red")
    box.press("Escape")
    expect(page.get_by_text("there is no filter colour")).to_be_visible()


def test_rows_change_in_place_and_new_ones_wait_until_they_are_asked_for(visitor: Visitor, facts: Facts) -> None:
    first = submit(facts, "in-place", 5, seconds=4)
    page = visitor.open("/jobs?q=set:in-place")
    rows = page.get_by_role("row")
    expect(rows).to_have_count(6)
    before = page.locator("[role=row] .mono").all_inner_texts()
    assert before == sorted(first, reverse=True)
    submit(facts, "in-place", 2, seconds=600)
    expect(page.get_by_role("button", name="2 new")).to_be_visible()
    expect(page.locator("[role=row]").get_by_text("Succeeded")).to_have_count(5, timeout=30_000)
    assert page.locator("[role=row] .mono").all_inner_texts() == before
    page.get_by_role("button", name="2 new").click()
    expect(rows).to_have_count(8)


def test_a_job_set_counts_live(visitor: Visitor, facts: Facts) -> None:
    submit(facts, "counted", 4, seconds=3)
    page = visitor.open("/queues/flows/sets/counted")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text("4 / 4 ended, 100 %")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("log").get_by_text("Succeeded").first).to_be_visible()
    submit(facts, "counted", 1, seconds=600)
    expect(page.get_by_text("4 / 5 ended, 80 %")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Cancel job set").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job set").click()
    expect(page.get_by_role("dialog").get_by_text("1 jobs cancelled")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("5 / 5 ended, 100 %")).to_be_visible()


def test_the_map_of_nodes_opens_a_node_with_the_keyboard(visitor: Visitor) -> None:
    page = visitor.open("/nodes")
    page.get_by_role("application").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/clusters/[^/]+/nodes/"))
    expect(page.get_by_text("Allocatable")).to_be_visible()


def test_the_theme_and_the_zone_are_kept(visitor: Visitor) -> None:
    page = visitor.open("/health")
    page.get_by_role("button", name="Display").click()
    page.get_by_text("Dark", exact=True).click()
    page.get_by_text("UTC", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    stored = page.evaluate("localStorage.getItem('lookout.preferences')")
    assert '"zone":"utc"' in stored
    assert '"theme":"dark"' in stored


def test_a_filter_becomes_a_file(visitor: Visitor, facts: Facts) -> None:
    submit(facts, "exported", 3, seconds=1)
    page = visitor.open("/jobs?q=set:exported&cols=id,queue,jobSet")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    text = download.value.path().read_text()
    assert text.splitlines()[0] == "id,queue,jobSet"
    assert len(text.splitlines()) == 4
    assert text.count("flows,exported") == 3
