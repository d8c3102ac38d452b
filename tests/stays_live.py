"""Tests that presume instances in memory, and why; see ``tests.hibernating``."""

from __future__ import annotations

__all__ = ["STAYS_LIVE"]

_INSIDE = "it looks at objects in memory, or finds instances live"
_COUNTED = "it counts starts, hooks, thaws or commits, and hibernation adds to them"
_HELD = "it holds the store or a hook at a gate, where a thaw or a hibernation waits"
_ALONE = "it is about an instance whose relatives, or whose owner, are not in memory"
_FAULT = "the fault that it injects would meet the hibernation instead of the turn"
_INLINE = "it is about a call that is handled in the caller's own step"

STAYS_LIVE: dict[str, dict[str, str]] = {
    "tests/supervision/messaging/test_letter_races.py": {
        "test_a_letter_that_is_gone_undoes_the_turn_that_has_handled_it": _COUNTED,
        "test_a_timer_that_replaces_one_which_is_handled_now_is_handled_once": _HELD,
    },
    "tests/pods/test_pod_asleep.py": {
        "test_a_survivor_of_a_pod_knows_where_it_stood": _COUNTED,
        "test_a_node_that_begins_while_its_pod_sleeps_is_its_owners": _ALONE,
        "test_a_survivor_that_leaves_while_its_pod_wakes_comes_back": _HELD,
        "test_a_pod_may_wake_while_its_node_looks_for_it": _HELD,
        "test_who_is_adopted_while_it_looks_for_its_pod_stays_so": _HELD,
    },
    "tests/examples/test_isolation.py": {
        "test_one_key_in_two_partitions_is_two_worlds": _INSIDE,
        "test_the_example_runs_as_a_script": _INSIDE,
    },
    "tests/simulation/test_bench.py": {
        "test_the_last_commit_before_a_crash_is_kept": _COUNTED,
    },
    "tests/simulation/test_machine.py": {
        "test_a_fault_has_the_name_that_sqlite_gives_it": _FAULT,
    },
    "tests/adversarial/test_tenants.py": {
        "runTest": _INSIDE,
    },
    "tests/pods/test_pod_front_door.py": {
        "test_one_key_in_a_thousand_partitions_is_a_thousand_pods": _INSIDE,
    },
    "tests/pods/reconciliation/test_pod_growth.py": {
        "test_what_a_pod_costs_grows_linearly": _COUNTED,
    },
    "tests/pods/reconciliation/test_pod_healing.py": {
        "test_survivors_of_a_quarantined_pod_attach_again": _INSIDE,
        "test_a_crash_loop_of_one_node_ends_in_its_own_quarantine": _INSIDE,
        "test_a_crashed_eager_node_comes_back_by_itself": _INSIDE,
        "test_a_crashed_pod_comes_back_by_itself_with_its_nodes": _INSIDE,
        "test_an_eager_node_that_is_fenced_comes_back": _INSIDE,
        "test_the_owned_nodes_of_a_fenced_node_come_back_with_it": _INSIDE,
    },
    "tests/pods/test_pod_lineage.py": {
        "test_a_node_that_thaws_alone_comes_back_to_its_live_pod": _ALONE,
        "test_stop_in_one_partition_leaves_the_others_live": _INSIDE,
        "test_surviving_children_attach_again": _INSIDE,
        "test_thawing_one_partition_reads_no_row_of_another": _INSIDE,
    },
    "tests/pods/test_pod_mistakes.py": {
        "test_a_foreign_pod_with_the_same_nodes_is_never_healed_or_drawn": _INSIDE,
        "test_two_pod_managers_share_no_children": _INSIDE,
    },
    "tests/pods/reconciliation/test_pod_mutation.py": {
        "test_mutating_one_partition_writes_in_no_other": _COUNTED,
        "test_the_owned_subtree_of_a_removed_node_goes_with_it": _INSIDE,
    },
    "tests/pods/test_pod_nodes.py": {
        "test_an_eager_node_that_was_stopped_stays_down_until_reconcile": _ALONE,
        "test_a_node_that_runs_without_a_parent_is_adopted": _INSIDE,
        "test_what_waited_for_a_failed_node_comes_up_when_it_heals": _INSIDE,
    },
    "tests/pods/test_pod_refs.py": {
        "test_a_foreign_pod_in_a_message_leads_nowhere": _INSIDE,
        "test_a_kept_ref_wakes_its_node_in_its_place": _INSIDE,
        "test_a_node_woken_while_its_pod_sleeps_is_taken_back": _ALONE,
    },
    "tests/pods/reconciliation/test_staged_mutation.py": {
        "test_several_changes_of_one_turn_stand_on_each_other": _COUNTED,
    },
    "tests/supervision/lifecycle/test_crashes.py": {
        "test_a_crash_in_stop_disturbs_no_sibling": _COUNTED,
        "test_a_crash_pins_no_state": _COUNTED,
        "test_a_keyboard_interrupt_goes_through_and_undoes_the_message": _INLINE,
        "test_a_restart_builds_the_agent_from_the_last_turn": _COUNTED,
    },
    "tests/supervision/execution/test_dispatch.py": {
        "test_too_much_mail_of_one_partition_is_refused_and_of_no_other": _INSIDE,
    },
    "tests/supervision/host/test_handles.py": {
        "test_a_host_runs_without_a_policy": _INSIDE,
    },
    "tests/supervision/lifecycle/test_idle.py": {
        "test_a_timeout_of_zero_hibernates_after_every_use": _COUNTED,
        "test_an_idle_instance_hibernates_and_thaws": _INSIDE,
    },
    "tests/supervision/messaging/test_letters.py": {
        "test_a_full_mailbox_leaves_letters_in_the_store": _INSIDE,
        "test_a_turn_that_is_not_saved_sends_nothing": _FAULT,
    },
    "tests/supervision/agents/test_lineage.py": {
        "test_a_child_that_could_not_be_saved_is_still_somebodys_child": _ALONE,
        "test_a_spawned_child_lives_in_the_partition_of_its_parent": _ALONE,
        "test_a_thawed_child_finds_its_parent_again": _ALONE,
        "test_a_tree_never_spans_partitions": _INSIDE,
        "test_an_adopted_child_remembers_its_parent": _ALONE,
        "test_children_survive_the_crash_of_their_parent": _ALONE,
        "test_what_is_stored_can_be_adopted": _ALONE,
    },
    "tests/supervision/host/test_listing.py": {
        "test_counting_and_listing_touch_only_what_they_return": _INSIDE,
        "test_numbers_tell_live_from_hibernated": _INSIDE,
    },
    "tests/supervision/agents/test_mailbox.py": {
        "test_a_send_whose_target_went_into_quarantine_is_logged": _HELD,
        "test_a_turn_that_fails_gives_the_room_back": _FAULT,
        "test_turns_that_send_at_the_same_time_share_the_room": _HELD,
    },
    "tests/supervision/loop/test_metering.py": {
        "test_a_step_that_is_long_by_what_it_asks_is_a_block_of_its_own": _INLINE,
    },
    "tests/supervision/execution/test_offload.py": {
        "test_what_a_thread_writes_after_its_turn_is_not_stored": _ALONE,
    },
    "tests/supervision/lifecycle/test_one_instance.py": {
        "test_who_waits_for_a_commit_is_answered_although_the_instance_was_dropped": (
            _INSIDE
        ),
        "test_a_cancelled_ask_on_the_inline_path_keeps_its_turn": _INLINE,
        "test_a_cancelled_stop_goes_on_without_its_caller": _HELD,
        "test_a_get_during_hibernation_waits_and_thaws_afresh": _HELD,
        "test_incarnations_count_agent_objects": _COUNTED,
    },
    "tests/supervision/lifecycle/test_otp.py": {
        "test_a_tree_stops_from_its_leaves": _COUNTED,
    },
    "tests/supervision/limits/test_policies_in_force.py": {
        "test_what_is_live_goes_on_when_its_tenant_is_removed": _INSIDE,
    },
    "tests/supervision/messaging/test_requests.py": {
        "test_a_reply_of_nothing_is_remembered": _INSIDE,
    },
    "tests/supervision/host/test_shutdown.py": {
        "test_shutdown_ends_at_its_deadline_and_names_the_handler": _INSIDE,
        "test_shutdown_hibernates_everything": _INSIDE,
        "test_shutdown_names_what_it_could_not_save": _FAULT,
    },
    "tests/supervision/lifecycle/test_stopping.py": {
        "test_a_start_hook_whose_state_cannot_be_saved_is_a_failed_start": _COUNTED,
        "test_a_stop_hook_is_a_turn": _COUNTED,
        "test_a_stop_hook_whose_state_cannot_be_saved_is_a_failed_stop": _COUNTED,
        "test_an_interval_save_that_is_fenced_drops_the_instance": _COUNTED,
        "test_an_interval_that_ends_in_mid_turn_saves_after_it": _COUNTED,
        "test_interval_saves_after_the_interval": _COUNTED,
    },
    "tests/supervision/monitoring/test_telemetry_metrics.py": {
        "test_counters_never_fall_while_tenants_come_and_go": _COUNTED,
        "test_every_counter_is_exported_and_described": _COUNTED,
        "test_partitions_past_the_first_are_summed_and_totals_stay_true": _COUNTED,
    },
    "tests/supervision/execution/test_turns.py": {
        "test_a_batch_shares_one_commit": _COUNTED,
        "test_a_stale_save_drops_the_instance_and_get_thaws_afresh": _INSIDE,
        "test_a_turn_that_changed_nothing_writes_nothing": _COUNTED,
        "test_the_sends_of_an_unsaved_turn_never_leave": _FAULT,
    },
}
"""Why a test's instances stay, by file and the name of its function."""
