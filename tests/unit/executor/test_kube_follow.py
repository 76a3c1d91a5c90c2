"""Following by list and watch: what is done next, and that no transition is missed, whatever ends a stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.executor.kube.follow import EventType, Follower, Step


def listed(*objects: tuple[str, int], version: str = "10") -> Follower[int]:
    follower: Follower[int] = Follower()
    follower.listed(objects, version)
    return follower


def test_it_begins_with_a_list_and_goes_on_with_a_watch_from_its_version() -> None:
    follower: Follower[int] = Follower()
    assert follower.step is Step.LIST
    difference = follower.listed([("a", 1)], "10")
    assert (difference.changed, difference.gone) == ([1], [])
    assert (follower.step, follower.version) == (Step.WATCH, "10")


def test_an_event_is_taken_once_and_moves_the_version() -> None:
    follower = listed(("a", 1))
    assert follower.event(EventType.MODIFIED, "a", 2, "11").changed == [2]
    assert not follower.event(EventType.MODIFIED, "a", 2, "12")
    assert follower.version == "12"
    follower.bookmark("20")
    assert follower.version == "20"


def test_a_deletion_gives_the_last_state_and_is_told_once() -> None:
    follower = listed(("a", 1))
    assert follower.event(EventType.DELETED, "a", 3, "11").gone == [3]
    assert not follower.event(EventType.DELETED, "a", 3, "12")


def test_the_end_of_a_stream_is_not_the_end_of_work() -> None:
    follower = listed(("a", 1))
    follower.event(EventType.MODIFIED, "a", 2, "15")
    follower.ended()
    assert (follower.step, follower.version) == (Step.WATCH, "15")


def test_a_version_that_is_too_old_leads_to_a_list_that_tells_what_is_gone() -> None:
    follower = listed(("a", 1), ("b", 2))
    follower.expired()
    assert follower.step is Step.LIST
    follower.lost()
    follower.ended()
    assert follower.step is Step.LIST, "nothing but a list makes up for what was missed"
    difference = follower.listed([("b", 2), ("c", 3)], "40")
    assert (difference.changed, difference.gone) == ([3], [1])


@pytest.mark.parametrize(
    ("version", "step"),
    [("9", Step.LIST), ("10", Step.WATCH), ("11", Step.WATCH), ("opaque", Step.LIST), ("", Step.LIST)],
)
def test_a_store_whose_versions_are_behind_ours_was_reset(version: str, step: Step) -> None:
    follower = listed(("a", 1))
    follower.lost()
    assert follower.step is Step.PROBE
    follower.probed(version)
    assert follower.step is step


EVENTS = st.lists(
    st.tuples(st.sampled_from(["set", "delete", "expire", "lose", "end"]), st.sampled_from("abc"), st.integers(0, 3)),
    max_size=40,
)


@given(EVENTS)
def test_whatever_happens_between_what_is_told_adds_up_to_what_is_there(events: list[tuple[str, str, int]]) -> None:
    """A watcher that sees only some of the events, and lists in between, ends with the store's content."""
    store: dict[str, int] = {}
    told: dict[str, int] = {}
    follower: Follower[tuple[str, int]] = Follower()
    version = 0

    def take(difference: object) -> None:
        for key, value in difference.changed:  # type: ignore[attr-defined]
            told[key] = value
        for key, _ in difference.gone:  # type: ignore[attr-defined]
            del told[key]

    take(follower.listed([], "0"))
    for what, key, value in events:
        version += 1
        if what == "set":
            store[key] = value
            if follower.step is Step.WATCH:
                take(follower.event(EventType.MODIFIED, key, (key, value), str(version)))
        elif what == "delete" and key in store:
            last = store.pop(key)
            if follower.step is Step.WATCH:
                take(follower.event(EventType.DELETED, key, (key, last), str(version)))
        elif what == "expire":
            follower.expired()
        elif what == "end":
            follower.ended()
    if follower.step is Step.LIST:
        take(follower.listed([(key, (key, value)) for key, value in store.items()], str(version)))
    assert told == store
