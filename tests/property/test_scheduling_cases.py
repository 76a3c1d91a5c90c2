"""Directed rounds are decided as by brute force, with the index and without it, in both forms of the kernels."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.scheduling import ways
from app.scheduling.compiler import COMPILED, PLAIN
from app.scheduling.ways import PINNED_MAX
from tests.property import scheduling_cases, scheduling_cases_limits, scheduling_cases_rules
from tests.property.scheduling_compare import decide, difference

Json = dict[str, Any]
CASES: dict[str, Callable[[], Json]] = {
    name: case
    for module in (scheduling_cases, scheduling_cases_rules, scheduling_cases_limits)
    for name, case in inspect.getmembers(module, inspect.isfunction)
    if case.__module__ == module.__name__ and not inspect.signature(case).parameters
}


@pytest.mark.parametrize("name", CASES)
def test_a_directed_round_is_decided_as_by_brute_force(name: str) -> None:
    for kernels in (PLAIN, COMPILED):
        for listed in (0, PINNED_MAX):
            assert difference(CASES[name](), kernels, listed=listed) == ""


def test_groups_are_right_though_two_rows_mix_to_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "MIXER", np.uint64(0))
    case = scheduling_cases_rules.more_sets_of_nodes_than_bits()
    assert difference(case, PLAIN) == ""


def told(case: Callable[[], Json]) -> tuple[dict[str, str], dict[str, tuple[str, str | None]]]:
    """Where jobs were placed, and who gave way, why and to whom."""
    decided = decide(case(), PLAIN)
    lost = {each["job"]: (each["reason"], each["by"]) for each in decided["preempted"]}
    return {each["job"]: each["node"] for each in decided["scheduled"]}, lost


def test_the_second_try_takes_the_node_whose_t_has_risen() -> None:
    places, lost = told(scheduling_cases.t_rises_for_a_candidate_above)
    assert (places["s1"], lost["a5-n-2"]) == ("n", ("fairShare", "s1"))
    places, lost = told(scheduling_cases.t_rises_for_a_candidate_below)
    assert (places["s1"], lost["a4-n-1"]) == ("n", ("fairShare", "s1"))
    places, lost = told(scheduling_cases.t_rises_where_a_sibling_ran)
    assert (places["s1"], lost["a1-k-3"]) == ("k", ("gang", "x"))


@pytest.mark.parametrize(
    "case",
    [
        scheduling_cases.t_after_an_undone_preemption,
        scheduling_cases.t_after_an_undone_placement,
        scheduling_cases.t_after_a_cluster_opens_again,
        scheduling_cases.the_walk_begins_at_the_end_again,
    ],
)
def test_a_failed_gang_leaves_everything_as_it_was(case: Callable[[], Json]) -> None:
    places, lost = told(case)
    assert places == {"s": "y"}
    assert len(lost) == 1


def test_a_head_keeps_its_turn_though_its_cheap_successor_loses_by_that() -> None:
    places, lost = told(scheduling_cases.a_preempted_head_still_takes_its_turn)
    assert places == {"x": "n", "y": "m"}
    assert lost == {"a1-n-4": ("fairShare", "x"), "a2-m-1": ("fairShare", "y")}
    assert told(scheduling_cases.a_hopeless_head_still_takes_its_turn) == ({"c0": "n"}, {})


def test_the_repair_keeps_the_higher_level() -> None:
    for case in (
        scheduling_cases_rules.the_repair_goes_by_level_inside_a_queue,
        scheduling_cases_rules.the_repair_goes_by_level_between_queues,
    ):
        places, lost = told(case)
        assert places == {"u": "n"}
        assert lost["low"] == ("urgency", "u")
        assert len(lost) == 2


def test_gangs_take_what_they_need_by_every_step_or_nothing() -> None:
    places, lost = told(scheduling_cases.a_gang_that_needs_preemption)
    assert places == {"g0": "n", "g1": "m", "g2": "l"}
    assert {by for _, by in lost.values()} == {"g1", "g2"}
    assert told(scheduling_cases.the_budget_ends_inside_a_gang) == ({}, {})
    assert told(scheduling_cases.two_gangs_compete)[0] == {"c0": "n", "c1": "m"}


def test_a_licence_goes_from_the_queue_above_its_share_to_another_on_another_node() -> None:
    assert told(scheduling_cases_limits.a_licence_changes_hands) == ({"x": "m"}, {"a1-n-1": ("fairShare", "x")})
    assert told(scheduling_cases_limits.a_licence_is_taken_by_the_last_of_several)[1] == {"a1-n-1": ("fairShare", "y")}
    assert told(scheduling_cases_limits.licences_of_runs_within_the_share_stay) == ({}, {})
    assert told(scheduling_cases_limits.a_budget_keeps_licences_where_they_are) == ({}, {})


def test_the_last_runs_give_back_licences_that_were_in_use_twice() -> None:
    lost: dict[str, tuple[str, str | None]] = {f"a{n}-n-1": ("overcommitted", None) for n in (2, 3)}
    assert told(scheduling_cases_limits.too_many_licences_are_in_use) == ({}, lost)
    no_licence = scheduling_cases_limits.who_asks_for_no_licence_returns_or_comes_though_too_many_are_in_use
    assert told(no_licence) == ({"x": "n"}, {})


def test_a_gang_returns_with_all_its_licences_or_loses_all() -> None:
    lost: dict[str, tuple[str, str | None]] = {"a1-n-1": ("fairShare", "x"), "a2-k-1": ("fairShare", "x")}
    assert told(scheduling_cases_limits.a_gang_returns_with_all_its_licences_or_not_at_all) == ({"x": "m"}, lost)
    lost = {"a1-n-3": ("overcommitted", None), "a1-k-1": ("overcommitted", None)}
    assert told(scheduling_cases_limits.a_gang_that_lacks_room_takes_no_licences) == ({}, lost)


def test_a_failed_gang_is_no_cause_and_hides_none() -> None:
    places, lost = told(scheduling_cases_limits.who_took_a_licence_is_told_though_a_gang_failed_after_that)
    assert (places, lost) == ({"x": "m"}, {"a1-n-4": ("fairShare", "x")})
    assert told(scheduling_cases_limits.nobody_is_told_of_a_gang_that_failed) == (
        {},
        {"a2-n-2": ("overcommitted", None)},
    )
