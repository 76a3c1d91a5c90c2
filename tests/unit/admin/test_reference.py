"""The generated pages of docs/reference say what the code says."""

import pytest

from app.admin.reference import PAGES
from app.admin.toolchain import checkout_root


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_what_the_code_says_now(name: str) -> None:
    committed = (checkout_root() / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), f"run: argosy-admin reference (docs/reference/{name} is stale)"
