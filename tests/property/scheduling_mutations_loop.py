"""Mutations of the loop: turns, limits, the steps of placing, gangs, rooms and their undoing."""

from app.scheduling import arrays, outcome
from app.scheduling.kernels import floating, passes, placing, queue_heap, rooms
from tests.property.scheduling_mutants import Row, mutations

REKEY_NEW = """for q in range(st.rank.size):
            if st.evicted_turn[q] == st.evicted_ptr[q + 1] and not st.closed[q]:
                if st.waiting_turn[q] < st.waiting_ptr[q + 1]:
                    _advance(st, q, by_level, large)
        start(st)
        queue = st.turn_heap[0]
        if not _advance(st, queue, by_level, large):
            drop_first(st)
            continue"""
"""Heads of new work are looked at again before each turn."""
REKEY_ALL = """for at in range(st.turn_length[0]):
            _advance(st, st.turn_heap[at], by_level, large)
        start(st)
        queue = st.turn_heap[0]
        if not _advance(st, queue, by_level, large):
            drop_first(st)
            continue"""
"""All heads are looked at again before each turn."""
NO_LICENCE = "who_asks_for_no_licence_returns_or_comes_though_too_many_are_in_use"
ROWS: list[Row] = [
    # turns
    (
        queue_heap.set_key,
        "st.turn_priority[queue] = st.level[job]",
        "st.turn_priority[queue] = 0",
        "the_repair_goes_by_level_between_queues",
    ),
    (queue_heap._is_first, "st.turn_priority[a] > st.turn_priority[b]", "False", "a_gang_that_needs_preemption"),
    (queue_heap._is_first, "st.turn_size[a] > st.turn_size[b]", "st.turn_size[a] < st.turn_size[b]", ("pressed", 148)),
    (queue_heap._is_first, "st.turn_over[a] < st.turn_over[b]", "st.turn_over[a] > st.turn_over[b]", ("pressed", 25)),
    (
        queue_heap._is_first,
        "st.turn_cost[a] < st.turn_cost[b]",
        "st.turn_cost[a] > st.turn_cost[b]",
        "a_gang_that_needs_preemption",
    ),
    (
        queue_heap._is_first,
        "st.rank[a] < st.rank[b]",
        "st.rank[a] > st.rank[b]",
        "a_penalty_counts_for_the_protected_fraction",
    ),
    (queue_heap._is_first, "st.rank[a] < st.rank[b]", "a < b", ("mixed", 1)),
    (queue_heap.set_key, "* st.weight[queue]", "* 1.0", "large_jobs_first_by_size_and_weight"),
    (queue_heap.set_key, "cost > st.budget[queue]", "cost >= 0", ("pressed", 81)),
    (queue_heap.sink, "not _is_first(st, heap[child], queue)", "True", "a_gang_that_needs_preemption"),
    (queue_heap.sink, "_is_first(st, heap[child + 1], heap[child])", "False", "a_gang_that_needs_preemption"),
    (queue_heap.drop_first, "sink(st, wide(0))", "pass", "t_rises_for_a_candidate_above"),
    (queue_heap.start, "sink(st, at)", "pass", "a_gang_that_needs_preemption"),
    (queue_heap.cost_of, "* st.cost_factor[i]", "", "costs_count_resources_by_their_factor"),
    (passes.run, "queue = st.turn_heap[0]", REKEY_NEW, ("mixed", 13)),
    (passes.run, "queue = st.turn_heap[0]", REKEY_ALL, "a_preempted_head_still_takes_its_turn"),
    (passes.run, "wide(1) if by_level else wide(-1)", "wide(-1)", ("pressed", 322)),
    (passes.run, "wide(1) if by_level else wide(-1)", "wide(1)", ("pressed", 0)),
    (passes.run, "st.queue_tokens[queue] < 1", "st.queue_tokens[queue] <= 0", "half_a_token_of_a_queue_is_none"),
    (passes._advance, "st.status[st.evicted_unit[at]] != EVICTED", "False", ("pressed", 36)),
    (passes._advance, "if st.unit[job] >= 0:\n            break", "if False:\n            break", ("pressed", 2)),
    (passes._advance, "st.capped.size and is_capped(st, base + shape)", "False", ("mixed", 5)),
    (passes._advance, "base = queue * st.ask.shape[0]", "base = 0", "a_limit_of_one_queue_says_nothing_of_another"),
    (
        passes.charge,
        "range(st.unit_ptr[unit], st.unit_ptr[unit + 1])",
        "range(st.unit_ptr[unit], st.unit_ptr[unit] + 1)",
        "a_gang_counts_for_the_limit_of_its_queue",
    ),
    (
        passes._charge_queue,
        "range(st.unit_ptr[unit], st.unit_ptr[unit + 1])",
        "range(st.unit_ptr[unit], st.unit_ptr[unit] + 1)",
        "a_gang_that_needs_preemption",
    ),
    (passes._charge_class, "if row >= 0:", "if False:", ("pressed", 21)),
    (passes.evict_all, "_charge_class(st, job, wide(-1))", "pass", ("pressed", 21)),
    (passes.evict_all, "st.charged[queue, r] -= st.ask[shape, r]", "pass", "a_gang_that_needs_preemption"),
    (passes.number_evicted, "_charge_queue(st, job, wide(1))", "pass", ("pressed", 122)),
    (passes.number_evicted, "_copy(st.charged, before)", "pass", "a_gang_that_needs_preemption"),
    (
        passes._list_by_node,
        "range(count - 1, -1, -1)",
        "range(count)",
        "a_value_that_cannot_hold_a_gang_costs_no_budget",
    ),
    # limits
    (passes._over, "st.round_placed[r] > st.round_limit[r]", "st.round_placed[r] >= st.round_limit[r]", ("pressed", 1)),
    (passes._over, "st.tokens[TOKENS] < 1", "st.tokens[TOKENS] <= 0", "half_a_token_is_none"),
    (passes._over, ">= st.counters[BUDGET]", "> st.counters[BUDGET]", ("mixed", 4)),
    (passes.refusal, "members > st.tokens[BURST]", "False", "a_gang_above_the_burst_never_starts"),
    (passes.refusal, "members > st.queue_burst[queue]", "False", ("pressed+check", 27)),
    (passes.refusal, "st.tokens[TOKENS] < members", "False", ("pressed", 67)),
    (passes.refusal, "st.queue_tokens[queue] < members", "False", ("pressed", 142)),
    (
        passes.refusal,
        "st.cap_held[row, r] + ask[r] > st.cap_limit[row, r]",
        "st.cap_held[row, r] >= st.cap_limit[row, r]",
        "a_gang_above_the_limit_does_not_block_its_shape",
    ),
    (
        passes.refusal,
        "if single:\n                    set_capped",
        "if True:\n                    set_capped",
        "a_gang_above_the_limit_does_not_block_its_shape",
    ),
    (
        passes.refusal,
        "if single:\n                st.blocked",
        "if True:\n                st.blocked",
        "a_gang_beyond_a_floating_resource_does_not_block_its_shape",
    ),
    (passes.refusal, "st.is_floating[r] and ask[r] > 0", "st.is_floating[r]", NO_LICENCE),
    (passes._try_new, "if single and st.blocked[shape]:", "if False:", "a_hopeless_head_still_takes_its_turn"),
    (
        passes._try_new,
        "if single and st.avoid_ptr[job] == st.avoid_ptr[job + 1]:",
        "if st.avoid_ptr[job] == st.avoid_ptr[job + 1]:",
        ("pressed", 10),
    ),
    (passes._try_new, "if single and st.avoid_ptr[job] == st.avoid_ptr[job + 1]:", "if single:", ("pressed", 26)),
    (passes._try_new, "if hurt == EXHAUSTED:", "if False:", "the_budget_ends_inside_a_gang"),
    (passes._try_new, "st.round_placed[r] += ask[r]", "pass", ("pressed", 7)),
    (passes._try_new, "st.floating_left[r] -= ask[r]", "pass", ("pressed", 55)),
    (passes._try_new, "st.tokens[TOKENS] -= members", "st.tokens[TOKENS] -= 1", ("pressed", 67)),
    (passes._try_new, "st.queue_tokens[queue] -= members", "st.queue_tokens[queue] -= 1", ("pressed", 150)),
    (passes._return_all, "st.counters[BALANCING] = 0", "pass", ("pressed", 40)),
    (passes._return_all, "range(st.evicted_at.size)", "range(st.evicted_at.size - 1, -1, -1)", ("pressed", 69)),
    (passes._return_all, "charge(st, job)", "pass", "the_budget_ends_inside_a_gang"),
    (
        passes.overdrawn_jobs,
        "or st.class_fixed[st.class_of[st.shape[job]]] or",
        "or",
        "what_is_not_preemptible_is_not_repaired",
    ),
    (
        passes._is_overdrawn,
        "st.free[st.level[job], st.node[job], r]",
        "st.free[st.free.shape[0] - 1, st.node[job], r]",
        "the_best_value_is_the_one_that_preempts_at_the_lowest_priorities",
    ),
    (passes._overdrawn_nodes, "range(1, st.free.shape[0])", "range(2, st.free.shape[0])", ("pressed", 2)),
    # licences of evicted runs
    (passes.evict_all, "if st.counters[FLOATING_MOVES]:", "if False:", "a_licence_changes_hands"),
    (floating.release, "+= st.ask[shape, r]", "+= 0", "a_licence_changes_hands"),
    (passes._try_return, "if moves and is_taken(st, job):", "if False:", "a_licence_changes_hands"),
    (passes._try_return, "take_back(st)", "pass", "too_many_licences_are_in_use"),
    (
        passes._try_return,
        "if moves:",
        "if False:",
        "too_many_licences_are_in_use",
    ),
    (passes._try_new, "st.floating_taker[r] = job", "pass", "a_licence_changes_hands"),
    (
        passes._try_new,
        "if ask[r] > 0:\n                st.floating_taker",
        "if True:\n                st.floating_taker",
        "a_licence_is_taken_by_the_last_of_several",
    ),
    (
        floating.is_taken,
        "ask[r] > 0 and ",
        "",
        NO_LICENCE,
    ),
    (
        floating.is_taken,
        "ask[r] > st.floating_left[r]",
        "st.floating_left[r] < 1",
        "a_gang_returns_with_all_its_licences_or_not_at_all",
    ),
    (floating._name, "if unit < 0:", "if True:", "a_gang_returns_with_all_its_licences_or_not_at_all"),
    (floating.take_back, "-= st.unit_ask[r]", "-= 0", "too_many_licences_are_in_use"),
    (arrays._pool, "budget is None and scaled", "scaled", "a_budget_keeps_licences_where_they_are"),
    (outcome._preempted, "evicted & (by < 0)", "evicted", "a_licence_changes_hands"),
    (rooms.undo, "st.by[job] = st.journal", "_ = st.journal", "nobody_is_told_of_a_gang_that_failed"),
    (
        rooms.undo,
        "st.by[job] = st.journal[st.counters[JOURNAL], 2]",
        "st.by[job] = -1",
        "who_took_a_licence_is_told_though_a_gang_failed_after_that",
    ),
    # the steps of placing
    (placing.place_job, "_find(st, wide(0), way", "_find(st, level, way", "a_gang_that_needs_preemption"),
    (placing._is_feasible, "node < 0 and st.counters[JOURNAL] == 0", "node < 0", "a_gang_that_failed_closes_no_way"),
    (placing._is_feasible, "level = st.way_level[way]", "level = wide(0)", "a_gang_that_needs_preemption"),
    (
        placing.place_job,
        "hurt += 1",
        "hurt = level",
        "the_best_value_is_the_one_that_preempts_at_the_lowest_priorities",
    ),
    (placing.place_job, "if st.counters[BALANCING]:", "if False:", "a_gang_that_needs_preemption"),
    (placing.place_job, "+ AWAY_OFFSET * st.way_away[way]", "", ("pressed", 2)),
    (
        placing.place_job,
        "range(st.way_ptr[shape], st.way_ptr[shape + 1])",
        "range(st.way_ptr[shape], min(st.way_ptr[shape] + 1, st.way_ptr[shape + 1]))",
        ("pressed", 2),
    ),
    (placing._find, "or avoid.size", "", ("mixed", 1)),
    (placing._find, "is_listed(only, best) and", "", ("wide+small", 0)),
    (placing._find, "and not is_avoided(avoid, best)", "", ("pressed+small", 1082)),
    (passes._list_by_node, "at[st.node[job]]] = i\n", "at[st.node[job]]] = 0\n", ("pressed", 2)),
    (placing._preempt_unit, "if unit >= 0:", "if False:", "t_rises_where_a_sibling_ran"),
    (
        placing._preempt_unit,
        "wide(FOR_GANG), wide(1), wide(0))",
        "wide(FOR_GANG), low, high)",
        "t_rises_where_a_sibling_ran",
    ),
    (placing._make_room, "and st.level[victim] <= level:", "and True:", "t_rises_for_a_candidate_above"),
    (placing._make_room, "highest = max(highest, st.level[victim])", "highest = 1", "t_rises_for_a_candidate_below"),
    (
        placing._make_room,
        "_preempt_unit(st, victim, job, highest, level)",
        "_preempt_unit(st, victim, job, wide(1), level)",
        "t_rises_for_a_candidate_below",
    ),
    (
        placing._make_room,
        "_preempt_unit(st, victim, job, highest, level)",
        "_preempt_unit(st, victim, job, highest, wide(st.free.shape[0]))",
        "t_rises_for_a_candidate_above",
    ),
    (placing._make_room, "< 0:\n", "< 1:\n", "a_value_that_cannot_hold_a_gang_costs_no_budget"),
    # gangs
    (placing._place_members, "undo(st, mark)", "pass", "a_cordoned_node_stays_closed_when_its_cluster_opens"),
    (
        placing._place_members,
        "total += st.level_weight[hurt]",
        "total += hurt",
        "the_best_value_is_the_one_that_preempts_at_the_lowest_priorities",
    ),
    (placing._place_members, "total += st.level_weight[hurt]", "total = st.level_weight[hurt]", ("pressed", 101)),
    (placing._has_capacity, "room = 0", "return True", "a_value_that_cannot_hold_a_gang_costs_no_budget"),
    (placing._has_capacity, "return True\n    highest", "return False\n    highest", ("pressed", 12)),
    (placing._has_capacity, "room = 0", "room = -1", "a_value_that_cannot_hold_a_gang_costs_no_budget"),
    (placing.place_gang, "hurt < least", "hurt <= least", "of_equal_values_the_first_is_taken"),
    (placing.place_gang, "hurt < least", "False", "the_best_value_is_the_one_that_preempts_at_the_lowest_priorities"),
    (
        placing.place_gang,
        "hurt == 0 or hurt == EXHAUSTED",
        "hurt == EXHAUSTED",
        "a_value_that_cannot_hold_a_gang_costs_no_budget",
    ),
    (placing.place_gang, "undo(st, mark)", "pass", "the_best_value_is_the_one_that_preempts_at_the_lowest_priorities"),
    (placing.place_unit, "undo(st, mark)", "pass", ("pressed", 29)),
    (placing.return_unit, "undo(st, mark)", "pass", ("pressed", 0)),
    # rooms
    (rooms.top_level, "if st.class_fixed[st.class_of[st.shape[job]]]:", "if False:", ("pressed", 14)),
    (rooms.place, "if st.cluster_left[cluster] == 0:", "if False:", ("pressed", 33)),
    (rooms.evict, "wide(1), st.level[job]", "wide(0), st.level[job]", "a_gang_that_needs_preemption"),
    (rooms.has_returned, "if not st.always[node]:", "if True:", ("pressed", 146)),
    (rooms.has_returned, "st.need[shape, r] > 0 and ", "", ("mixed", 58)),
    (
        rooms.has_returned,
        "st.free[check_level, node, r]",
        "st.free[st.free.shape[0] - 1, node, r]",
        "the_repair_goes_by_level_between_queues",
    ),
    (rooms.has_returned, "PLACED if st.fresh[job] else BOUND", "BOUND", ("pressed", 3)),
    (rooms.preempt, "st.counters[FAIR_LEFT] -= 1", "pass", "the_budget_ends_inside_a_gang"),
    (rooms.preempt, "note_freed(st, st.node[job], low, high)", "pass", "t_rises_for_a_candidate_above"),
    (rooms.undo, "st.counters[FAIR_LEFT] += 1", "pass", ("pressed", 40)),
    (rooms.undo, "st.counters[TAIL] = st.evicted_at.size", "pass", ("pressed+walk", 90)),
    (rooms.undo, "set_cluster(st, cluster, wide(1))", "pass", "t_after_a_cluster_opens_again"),
    (
        rooms.undo,
        "set_cluster(st, cluster, wide(1))\n            note_freed(st, node, wide(1), wide(0))",
        "set_cluster(st, cluster, wide(1))",
        "t_after_an_undone_placement",
    ),
    (rooms.set_cluster, "touch(st, level, node)", "pass", ("pressed", 33)),
    (rooms.set_cluster, "forget(st)", "pass", ("pressed", 33)),
    (rooms.set_cluster, "note_freed(st, node, wide(1), wide(0))", "pass", "t_after_a_cluster_opens_again"),
]
MUTATIONS = mutations(ROWS)
