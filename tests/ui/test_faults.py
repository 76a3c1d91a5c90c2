"""When something is wrong, a page says what and goes on; it is never blank."""

import json
import re

import pytest
from playwright.sync_api import Route, expect

from tests.stack.whole_stack import WholeStack, eventually
from tests.ui.lookout import Facts, Visitor
from tests.ui.test_flows import submit

pytestmark = pytest.mark.stack

UNKNOWN = "01kas1x8vq0123456789abcdef"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/nothing/here", "There is no such page"),
        (f"/jobs/{UNKNOWN}", "This job is not known"),
        ("/jobs/rubbish", "The question was not understood"),
        (f"/jobs?job={UNKNOWN}", "This job is not known"),
        ("/queues/none", "This queue is not known"),
        ("/queues/research/sets/none", "This job set is not known"),
        ("/clusters/none/nodes/none", "This node is not known"),
        (f"/rounds/{UNKNOWN}", "This round is not kept any more"),
        ("/rounds?pool=none", "No rounds yet"),
        ("/jobs?q=state:asleep&order=sideways&dir=up&cols=,,x&by=", "there is no state asleep"),
        ("/jobs?by=colour", "The question was not understood"),
        ("/jobs?q=set:matches-nothing", "No job matches"),
        ("/?minutes=forever", "Queues and their shares"),
        ("/nodes?by=weight&pool=none", "No nodes yet"),
    ],
)
def test_an_address_that_means_nothing_says_so(visitor: Visitor, path: str, text: str) -> None:
    visitor.page.goto(visitor.base + path)
    expect(visitor.page.get_by_text(text).first).to_be_visible()
    expect(visitor.page.get_by_role("link", name="Overview")).to_be_visible()


def test_while_the_api_is_away_the_last_answer_stays_and_says_how_old_it_is(visitor: Visitor) -> None:
    page = visitor.open("/queues")
    expect(page.get_by_role("link", name="research")).to_be_visible()
    page.route("**/graphql", lambda route: route.abort())
    expect(page.get_by_text(re.compile("These figures are .* old"))).to_be_visible(timeout=15_000)
    expect(page.get_by_role("link", name="research")).to_be_visible()
    page.unroute("**/graphql")
    expect(page.get_by_text(re.compile("These figures are .* old"))).to_have_count(0, timeout=15_000)


def test_an_api_that_never_was_there_is_named_and_asked_again(visitor: Visitor) -> None:
    visitor.page.route("**/graphql", lambda route: route.abort())
    visitor.page.goto(f"{visitor.base}/health")
    expect(visitor.page.get_by_text("The API cannot be reached. Retrying.")).to_be_visible()
    visitor.page.unroute("**/graphql")
    expect(visitor.page.get_by_text("Last written")).to_be_visible(timeout=15_000)


def answer_with(code: str, message: str) -> str:
    return json.dumps(
        {"errors": [{"message": message, "extensions": {"code": code, "retryable": False}}], "data": None}
    )


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("FORBIDDEN", "You may not see this"),
        ("UNAUTHENTICATED", "Sign in to see this"),
        ("UNAVAILABLE", "A part of the system is away"),
        ("TIMEOUT", "That took too long"),
    ],
)
def test_what_the_api_refuses_is_said_in_words(visitor: Visitor, code: str, text: str) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(content_type="application/json", body=answer_with(code, f"because of {code}"))

    visitor.page.route("**/graphql", refuse)
    visitor.page.goto(f"{visitor.base}/queues/research")
    expect(visitor.page.get_by_text(text)).to_be_visible()


def test_a_message_of_five_megabytes_does_not_stop_the_page(visitor: Visitor, facts: Facts) -> None:
    failed = facts.job("FAILED")
    assert failed is not None

    def enlarge(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        job = (answer.get("data") or {}).get("job") or {}
        for error in job.get("errors", []):
            error["message"] = "x" * 5_000_000
        route.fulfill(response=response, body=json.dumps(answer))

    visitor.page.route("**/graphql", enlarge)
    page = visitor.open(f"/jobs/{failed['id']}")
    expect(page.get_by_text(re.compile("The message has 4883 KB"))).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("Queues and their shares")).to_be_visible()


def test_a_restart_of_the_api_leaves_no_gap_in_a_job_set(
    visitor: Visitor, facts: Facts, seeded: WholeStack | None
) -> None:
    if seeded is None:
        pytest.skip("needs a stack of its own to kill a process in")
    submit(facts, "over-a-restart", 20, seconds=600)
    page = visitor.open("/queues/flows/sets/over-a-restart")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text("Running 20")).to_be_visible(timeout=60_000)
    seeded.kill("api")
    expect(page.get_by_text(re.compile("^reconnecting"))).to_be_visible(timeout=15_000)
    eventually(lambda: seeded.is_ready("api"), "the API is ready again", within_s=60.0)
    expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=30_000)
    submit(facts, "over-a-restart", 1, seconds=1)
    expect(page.get_by_text("1 / 21 ended, 4.8 %")).to_be_visible(timeout=30_000)
