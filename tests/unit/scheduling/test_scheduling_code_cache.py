"""Where compiled kernels are kept: one folder per version of the sources, and trouble with the disk harms nothing."""

from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

from app.scheduling.kernels import code_cache

FRESH = (code_cache.directory, code_cache.stamp)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sources and caches in a place of their own."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "a.py").write_text("x = 1")
    monkeypatch.setattr(code_cache, "SOURCES", tmp_path / "sources")
    monkeypatch.setattr(code_cache, "BESIDE", tmp_path / "sources" / "__pycache__")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def forget() -> None:
    for function in FRESH:
        function.cache_clear()


def test_code_is_kept_beside_the_sources_and_other_sources_have_another_folder(places: Path) -> None:
    first = code_cache.directory()
    assert first.parent == places / "sources" / "__pycache__"
    assert not code_cache.is_complete()
    first.mkdir(parents=True)
    code_cache.mark_complete()
    assert code_cache.is_complete()
    (places / "sources" / "b.py").write_text("y = 2")
    forget()
    assert code_cache.directory() != first
    assert not code_cache.is_complete()
    code_cache.directory().mkdir()
    code_cache.mark_complete()
    assert not first.exists()


def test_a_read_only_disk_with_complete_code_is_used_and_one_without_is_not(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_cache, "_can_write", lambda _: False)
    assert code_cache.directory().parent == places / "home" / "argosy"
    name = code_cache.directory().name
    forget()
    (places / "sources" / "__pycache__" / name).mkdir(parents=True)
    (places / "sources" / "__pycache__" / name / code_cache.COMPLETE).touch()
    assert code_cache.directory().parent == places / "sources" / "__pycache__"
    assert code_cache.is_complete()


def test_where_nothing_can_be_written_nothing_fails(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (places / "file").write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(places / "file"))
    code_cache.mark_complete()
    assert not code_cache.is_complete()
    cache = code_cache.KernelCache(forget)
    cache.save_overload((), None)
    assert cache.load_overload((), None) is None
