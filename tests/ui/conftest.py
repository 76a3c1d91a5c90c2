"""One seeded stack and one Chromium for all tests of the UI."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.stack.whole_stack import WholeStack
from tests.ui.lookout import Facts, Visitor, chromium, visiting
from tests.ui.seeded import seeded_stack


@pytest.fixture(scope="session")
def seeded() -> Iterator[WholeStack | None]:
    """The stack; None when ARGOSY_UI_URL names one that runs already."""
    if os.environ.get("ARGOSY_UI_URL"):
        yield None
        return
    with seeded_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def base(seeded: WholeStack | None) -> str:
    """Where the UI is."""
    return seeded.api_url if seeded is not None else os.environ["ARGOSY_UI_URL"]


@pytest.fixture(scope="session")
def facts(base: str) -> Facts:
    return Facts(base)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def visitor(browser: Browser, base: str) -> Iterator[Visitor]:
    """Somebody new, in the light theme."""
    with visiting(browser, base, "light") as found:
        yield found
