"""The built UI as the API serves it: files, pages, policy, and nothing outside its folder."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.api.web_ui import ui_routes


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<title>Lookout</title>")
    (built / "assets" / "a-1.js").write_text("plain")
    (built / "assets" / "a-1.js.gz").write_bytes(b"\x1f\x8bpacked")
    (tmp_path / "secret.txt").write_text("secret")
    return TestClient(Starlette(routes=ui_routes(built)))


@pytest.mark.parametrize("path", ["/", "/jobs", "/queues/a%2Fb/sets/x", "/clusters/c/nodes/n?x=1"])
def test_every_address_of_a_page_gets_the_page_with_a_policy_without_inline_script(
    client: TestClient, path: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "<title>Lookout</title>")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_assets_are_kept_for_ever_and_packed_for_who_takes_it(client: TestClient) -> None:
    plain = client.get("/assets/a-1.js", headers={"accept-encoding": "identity"})
    assert plain.text == "plain"
    assert "immutable" in plain.headers["cache-control"]
    assert plain.headers["content-type"].startswith("text/javascript")
    with client.stream("GET", "/assets/a-1.js", headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert b"".join(packed.iter_raw()) == b"\x1f\x8bpacked"
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"


def test_an_asset_that_is_not_there_is_no_page(client: TestClient) -> None:
    assert client.get("/assets/b-2.js").status_code == 404


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/jobs/a%00b"]
)
def test_nothing_outside_the_folder_is_served(client: TestClient, path: str) -> None:
    assert "secret" not in client.get(path).text


def test_an_address_that_no_page_has_is_404_and_still_shows_the_frame(client: TestClient) -> None:
    answer = client.get("/nope")
    assert (answer.status_code, answer.text) == (404, "<title>Lookout</title>")


def test_the_paths_of_the_api_are_no_pages(client: TestClient) -> None:
    assert client.get("/graphql").status_code == 405
    assert client.get("/executor/v1/nothing").status_code == 405


def test_without_a_build_it_says_how_to_make_one(tmp_path: Path) -> None:
    answer = TestClient(Starlette(routes=ui_routes(tmp_path))).get("/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
