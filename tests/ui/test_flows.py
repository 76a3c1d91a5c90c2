"""What people do: filter, look, cancel, with the keyboard alone; share an address; look on while things change."""

import re
import time

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.lookout import Facts, Visitor, visiting
from tests.ui.seeded import CREATE_QUEUES, SUBMIT

pytestmark = pytest.mark.stack
JOBS = "[role=row][aria-rowindex]"
"""the rows of the table"""
RUN = f"{time.time_ns() // 1_000_000:x}"
"""a part of the job sets' names: the tests may run again on the same stack"""

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
    answer = facts.ask(SUBMIT, input=call_of(job_set, jobs, seconds=seconds, **more))["submitJobs"]
    assert not answer["errors"], answer
    return [each["jobId"] for each in answer["results"]]


def call_of(job_set: str, jobs: int, *, seconds: int, **more: object) -> dict[str, object]:
    """The input of submitJobs for jobs that sleep."""
    spec = {**SLEEPER, "containers": [{**SLEEPER["containers"][0], "command": ["sleep", str(seconds)]}]}  # type: ignore[dict-item]
    return {
        "queue": "flows",
        "jobSet": job_set,
        "requestId": f"{job_set}-{time.monotonic_ns()}",
        "podSpecs": [spec],
        "jobs": [{"podSpecIndex": 0, **more} for _ in range(jobs)],
    }


def test_search_to_job_to_cancel_with_the_keyboard_alone(visitor: Visitor, facts: Facts) -> None:
    [job_id] = submit(facts, f"by-keyboard-{RUN}", 1)
    page = visitor.open("/jobs")
    page.keyboard.press("/")
    page.keyboard.type(f"queue:flows set:by-keyboard-{RUN} state:live ")
    page.keyboard.press("Enter")
    expect(page.locator(JOBS)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Job", exact=True).get_by_text(job_id).first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Job", exact=True)).to_have_count(0)
    page.keyboard.press("x")
    page.keyboard.press("c")
    expect(page.get_by_role("dialog").get_by_text("1 job will be cancelled")).to_be_visible()
    page.keyboard.type("not needed any more")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("1 job cancelled")).to_be_visible()
    page.keyboard.press("Escape")
    job = facts.ask("query ($id: ID!) { job(id: $id) { state reason } }", id=job_id)["job"]
    assert job == {"state": "CANCELLED", "reason": "not needed any more"}
    assert visitor.complaints == []


def test_the_address_holds_what_one_sees(visitor: Visitor, facts: Facts, browser: Browser, base: str) -> None:
    submit(facts, f"shared-view-{RUN}", 3, seconds=1, annotations={"team": "blue"})
    page = visitor.open("/jobs")
    box = page.get_by_role("combobox", name="Filter jobs")
    box.fill(f"set:shared-view-{RUN} ann.team=blue")
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
        expect(same.get_by_role("combobox", name="Filter jobs")).to_have_value(f"set:shared-view-{RUN} ann.team=blue")


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
    first = submit(facts, f"in-place-{RUN}", 5, seconds=4)
    page = visitor.open(f"/jobs?q=set:in-place-{RUN}")
    rows = page.locator(JOBS)
    expect(rows).to_have_count(5)
    before = page.locator(f"{JOBS} .mono").all_inner_texts()
    assert before == sorted(first, reverse=True)
    submit(facts, f"in-place-{RUN}", 2, seconds=600)
    expect(page.get_by_role("button", name="2 new")).to_be_visible()
    expect(page.locator(JOBS).get_by_text("Succeeded")).to_have_count(5, timeout=30_000)
    assert page.locator(f"{JOBS} .mono").all_inner_texts() == before
    page.get_by_role("button", name="2 new").click()
    expect(rows).to_have_count(7)


def test_a_job_set_counts_live(visitor: Visitor, facts: Facts) -> None:
    submit(facts, f"counted-{RUN}", 4, seconds=3)
    page = visitor.open(f"/queues/flows/sets/counted-{RUN}")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text("4 / 4 ended, 100 %")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("log").get_by_text("Succeeded").first).to_be_visible()
    submit(facts, f"counted-{RUN}", 1, seconds=600)
    expect(page.get_by_text("4 / 5 ended, 80 %")).to_be_visible(timeout=15_000)
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_role("dialog").get_by_text("1 job cancelled")).to_be_visible()
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
    page.get_by_role("switch", name="UTC").check()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    stored = page.evaluate("localStorage.getItem('lookout.preferences')")
    assert '"zone":"utc"' in stored
    assert '"theme":"dark"' in stored


def test_a_filter_becomes_a_file(visitor: Visitor, facts: Facts) -> None:
    submit(facts, f"exported-{RUN}", 3, seconds=1)
    page = visitor.open(f"/jobs?q=set:exported-{RUN}&cols=id,queue,jobSet")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    text = download.value.path().read_text()
    assert text.splitlines()[0] == "id,queue,jobSet"
    assert len(text.splitlines()) == 4
    assert text.count("flows,exported") == 3
