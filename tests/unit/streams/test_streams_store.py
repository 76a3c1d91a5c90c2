"""The local store: all or nothing, prefixes apart, and what it knows of itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.streams.store import Store, Writes


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "stores" / "3")
    yield store
    store.close()


def test_a_new_store_holds_nothing_and_was_never_complete(store: Store) -> None:
    assert store.get([b"sx", b"ix"]) == [None, None]
    assert store.get([]) == []
    assert (store.applied(b"s"), store.stamp_ms, store.topics([b"s", b"i"])) == (-1, 0, ["", ""])


def test_rows_offsets_and_stamp_survive_closing(store: Store) -> None:
    store.write(Writes(rows=[(b"sa", b"1"), (b"ia", b"2")], applied={b"s": 7, b"i": 3}, stamp_ms=1000))
    store.close()
    again = Store(store.path)
    assert again.get([b"sa", b"ia", b"sb"]) == [b"1", b"2", None]
    assert (again.applied(b"s"), again.applied(b"i"), again.stamp_ms) == (7, 3, 1000)
    again.close()
    store._open()


def test_later_writes_of_a_batch_win(store: Store) -> None:
    store.write(Writes(rows=[(b"sa", b"1"), (b"sa", None), (b"sb", None), (b"sb", b"2")]))
    assert store.get([b"sa", b"sb"]) == [None, b"2"]


def test_keys_and_items_stay_inside_their_prefix(store: Store) -> None:
    store.write(Writes(rows=[(b"J1a", b""), (b"J1c", b""), (b"J2a", b""), (b"i", b"x"), (b"sz", b"y")]))
    assert list(store.keys(b"J1b", b"J1")) == [b"J1c"]
    assert list(store.keys(b"J1", b"J1")) == [b"J1a", b"J1c"]
    assert list(store.items(b"s")) == [(b"sz", b"y")]
    assert list(store.items(b"t")) == []


def test_beginning_anew_empties_the_store_and_names_its_topics(store: Store) -> None:
    store.write(Writes(rows=[(b"sa", b"1")], applied={b"s": 7}, stamp_ms=1000))
    store.begin({b"s": "id-of-state", b"i": "id-of-ids"})
    assert store.get([b"sa"]) == [None]
    assert (store.applied(b"s"), store.stamp_ms) == (-1, 0)
    assert store.topics([b"i", b"s"]) == ["id-of-ids", "id-of-state"]
