"""What one may do: to jobs (chosen, of a filter, a set, a node) and to queues; and why not, where one may not."""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.stack.whole_stack import eventually
from tests.ui.lookout import Facts, Visitor
from tests.ui.seeded import CREATE_QUEUES
from tests.ui.test_flows import JOBS, RUN, submit

pytestmark = pytest.mark.stack

JOB_FACTS = "query ($id: ID!) { job(id: $id) { state reason priority requestor } }"
SET_FACTS = """query ($set: String!) {
  jobSet(queue: "flows", name: $set) { total stateCounts { state count } } }"""
QUEUE_FACTS = """query ($name: String!) {
  queue(name: $name) { priorityFactor cordoned owners labels resourceLimitsByPriorityClass } }"""


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def states(facts: Facts, job_set: str) -> dict[str, int]:
    found = facts.ask(SET_FACTS, set=job_set)["jobSet"]
    return {each["state"]: each["count"] for each in found["stateCounts"] if each["count"] > 0} if found else {}


def when_all_are(facts: Facts, job_set: str, wanted: dict[str, int]) -> None:
    eventually(lambda: states(facts, job_set) == wanted, f"{job_set} is {wanted}", within_s=60.0)


def test_chosen_jobs_get_another_priority(visitor: Visitor, facts: Facts) -> None:
    ids = submit(facts, f"priority-{RUN}", 3)
    page = visitor.open(f"/jobs?q=set:priority-{RUN}")
    for row in (0, 1):
        page.locator(JOBS).nth(row).get_by_role("checkbox").check()
    page.get_by_role("button", name="Priority", exact=True).click()
    expect(dialog(page).get_by_text("2 jobs will get the new priority")).to_be_visible()
    dialog(page).get_by_label("New priority").fill("7")
    dialog(page).get_by_label("Reason").fill("they can wait")
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_text("2 jobs have the new priority")).to_be_visible()
    priorities = [facts.ask(JOB_FACTS, id=job_id)["job"]["priority"] for job_id in ids]
    assert sorted(priorities) == [0.0, 7.0, 7.0]
    assert priorities[0] == 0.0, "the oldest stands in the last row, which was not chosen"


def test_only_preemptible_jobs_of_a_filter_are_preempted_and_the_others_say_so(visitor: Visitor, facts: Facts) -> None:
    job_set = f"preempted-{RUN}"
    [first, _second] = submit(facts, job_set, 2, priorityClass="argosy-preemptible")
    submit(facts, job_set, 1, priorityClass="argosy-default")
    when_all_are(facts, job_set, {"RUNNING": 3})
    page = visitor.open(f"/jobs?q=set:{job_set}")
    page.get_by_role("button", name="All that match").click()
    page.get_by_role("menuitem", name="Preempt").click()
    expect(dialog(page).get_by_text(f"set:{job_set}")).to_be_visible()
    expect(dialog(page).get_by_text("2 jobs will be preempted")).to_be_visible()
    dialog(page).get_by_label("Reason").fill("room for others")
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_text("2 jobs preempted")).to_be_visible()
    page.keyboard.press("Escape")
    when_all_are(facts, job_set, {"RUNNING": 1, "PREEMPTED": 2})
    visitor.open(f"/jobs/{first}")
    expect(page.get_by_text(re.compile("Preempted by .* room for others")).first).to_be_visible()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("The job has ended.").first).to_be_attached()


def test_many_jobs_of_a_filter_are_confirmed_once_more_and_all_cancelled(visitor: Visitor, facts: Facts) -> None:
    job_set = f"many-{RUN}"
    for _ in range(2):
        submit(facts, job_set, 600)
    page = visitor.open(f"/jobs?q=set:{job_set}")
    page.get_by_role("button", name="All that match").click()
    page.get_by_role("menuitem", name="Cancel").click()
    expect(dialog(page).get_by_text("1,200 jobs will be cancelled")).to_be_visible()
    go = dialog(page).get_by_role("button", name="Cancel 1,200 jobs")
    expect(go).to_be_disabled()
    dialog(page).get_by_label("Yes, all 1,200 of them").check()
    go.click()
    expect(dialog(page).get_by_text("1,200 jobs cancelled")).to_be_visible(timeout=60_000)
    assert states(facts, job_set) == {"CANCELLED": 1_200}


def test_a_node_is_cleared_of_its_jobs(visitor: Visitor, facts: Facts) -> None:
    [job_id] = submit(facts, f"on-a-node-{RUN}", 1)
    when_all_are(facts, f"on-a-node-{RUN}", {"RUNNING": 1})
    at = facts.ask("query ($id: ID!) { job(id: $id) { cluster node } }", id=job_id)["job"]
    page = visitor.open(f"/clusters/{at['cluster']}/nodes/{at['node']}")
    page.get_by_role("button", name="All on this node").click()
    page.get_by_role("menuitem", name="Cancel").click()
    expect(dialog(page).get_by_text(f"node:{at['node']}")).to_be_visible()
    expect(dialog(page).get_by_text(re.compile("jobs? will be cancelled"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)


def test_a_queue_is_changed_and_what_is_wrong_stands_at_its_field(visitor: Visitor, facts: Facts) -> None:
    name = f"edited-{RUN}"
    facts.ask(CREATE_QUEUES, queues=[{"name": name}])
    page = visitor.open(f"/queues/{name}")
    page.get_by_role("button", name="Edit").click()
    dialog(page).get_by_label("Priority factor").fill("4")
    dialog(page).get_by_label("Owners").fill("carol")
    page.keyboard.press("Enter")
    dialog(page).get_by_label("Labels").fill("team=blue")
    dialog(page).get_by_role("button", name="Add a cap").click()
    dialog(page).get_by_label("Priority class").fill("no-such-class")
    dialog(page).get_by_label("Percent of the pool").fill("90")
    dialog(page).get_by_role("button", name="Save").click()
    expect(dialog(page).get_by_text("there is no such priority class")).to_be_visible()
    dialog(page).get_by_label("Priority class").fill("argosy-preemptible")
    dialog(page).get_by_role("button", name="Save").click()
    expect(dialog(page)).to_have_count(0)
    expect(page.get_by_text("argosy-preemptible: cpu ≤ 90 %")).to_be_visible()
    queue = facts.ask(QUEUE_FACTS, name=name)["queue"]
    assert queue["priorityFactor"] == 4.0
    assert "carol" in queue["owners"]
    assert queue["labels"] == {"team": "blue"}
    assert queue["resourceLimitsByPriorityClass"] == {"argosy-preemptible": {"cpu": 0.9}}
    page.get_by_role("button", name="Edit").click()
    dialog(page).get_by_role("button", name="Remove this cap").click()
    dialog(page).get_by_role("button", name="Save").click()
    expect(dialog(page)).to_have_count(0)
    after = facts.ask(QUEUE_FACTS, name=name)["queue"]
    assert after == {**queue, "resourceLimitsByPriorityClass": {}}


def test_a_queue_is_made_cordoned_and_let_go(visitor: Visitor, facts: Facts) -> None:
    name = f"made-{RUN}"
    page = visitor.open("/queues")
    page.get_by_role("button", name="New queue").click()
    dialog(page).get_by_label("Queue").fill(name)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/queues/{name}"))
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.get_by_role("button", name="Cordon", exact=True).click()
    dialog(page).get_by_role("button", name="Cordon", exact=True).click()
    expect(page.get_by_text("cordoned", exact=True)).to_be_visible()
    assert facts.ask(QUEUE_FACTS, name=name)["queue"]["cordoned"] is True
    page.get_by_role("button", name="Uncordon").click()
    expect(dialog(page).get_by_role("button", name="Uncordon")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("cordoned", exact=True)).to_have_count(0)
    assert facts.ask(QUEUE_FACTS, name=name)["queue"]["cordoned"] is False


def test_what_one_may_not_do_is_off_and_says_why(visitor: Visitor, facts: Facts) -> None:
    [job_id] = submit(facts, f"not-mine-{RUN}", 1)
    reason = "bob may not do this to queue flows"
    verbs = ("cancel", "preempt", "reprioritize", "update", "cordon")

    def refuse(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        data = answer.get("data") or {}
        for queue in [*((data.get("queues") or {}).get("nodes") or []), data.get("queue") or {}]:
            if "refusedVerbs" in queue:
                queue["refusedVerbs"] = [{"verb": verb, "reason": reason} for verb in verbs]
        route.fulfill(response=response, body=json.dumps(answer))

    visitor.page.route("**/graphql", refuse)
    page = visitor.open(f"/jobs/{job_id}")
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    expect(cancel).to_have_attribute("aria-disabled", "true")
    cancel.focus()
    expect(page.get_by_role("tooltip").filter(has_text=reason)).to_be_visible()
    page.keyboard.press("Enter")
    expect(dialog(page)).to_have_count(0)
    visitor.open("/queues/flows")
    for name in ("Cordon", "Edit"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="All its jobs").click()
    expect(page.get_by_role("menuitem", name="Cancel").get_by_text(reason)).to_be_visible()
    assert facts.ask(JOB_FACTS, id=job_id)["job"]["state"] != "CANCELLED"


def test_a_preview_that_fails_says_so_and_nothing_is_done(visitor: Visitor, facts: Facts) -> None:
    [job_id] = submit(facts, f"no-preview-{RUN}", 1)

    def fail(route: Route) -> None:
        if "matchingJobs" in (route.request.post_data or ""):
            error = {"message": "the history lags", "extensions": {"code": "UNAVAILABLE", "retryable": True}}
            route.fulfill(content_type="application/json", body=json.dumps({"errors": [error], "data": None}))
        else:
            route.continue_()

    page = visitor.open(f"/jobs/{job_id}")
    page.route("**/graphql", fail)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(dialog(page).get_by_text("It cannot be told what this would do")).to_be_visible()
    expect(dialog(page).get_by_role("button", name=re.compile("^Cancel"))).to_be_disabled()
    page.unroute("**/graphql")
    dialog(page).get_by_role("button", name="Try again").click()
    expect(dialog(page).get_by_text("1 job will be cancelled")).to_be_visible()
    page.keyboard.press("Escape")
    assert facts.ask(JOB_FACTS, id=job_id)["job"]["state"] != "CANCELLED"


def test_the_keyboard_goes_to_pages_and_tells_its_keys(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    page.keyboard.press("?")
    expect(dialog(page).get_by_text("write a filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("j")
    box = page.get_by_role("combobox", name="Filter jobs")
    box.click()
    page.keyboard.type("gn?")
    expect(box).to_have_value("gn?")
    expect(page).to_have_url(re.compile("/jobs"))
