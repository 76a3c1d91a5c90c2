"""The generated pages of the reference are those of the code."""

import pytest

from tests.conformance.table import PAGES, REFERENCE


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_what_the_code_says_now(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), "run: python -m tests.conformance.table"
