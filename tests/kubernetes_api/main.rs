//! What stoop relies on of a Kubernetes API, written once and run on the in-memory API and on a real one.
//!
//! The in-memory API (`stoop::demo::kubernetes`) stands in for a cluster in the demo and in most tests. It may do so
//! because every behaviour here holds on both. The real one is started with the feature `servers`.

mod access;
mod applying;
mod bench;
mod controllers;
mod deletion;
mod eviction;
mod reading;
mod writing;

use bench::Bench;

/// Makes two tests of each behaviour: one on the in-memory API, one on a real cluster.
macro_rules! contract {
    ($($area:ident { $($behaviour:ident,)+ })+) => {
        mod in_memory {
            $($(
                #[tokio::test]
                async fn $behaviour() {
                    crate::$area::$behaviour(crate::Bench::in_memory().await).await;
                }
            )+)+
        }

        #[cfg(feature = "servers")]
        mod real {
            $($(
                #[tokio::test]
                async fn $behaviour() {
                    crate::$area::$behaviour(crate::Bench::real().await).await;
                }
            )+)+
        }
    };
}

contract! {
    access {
        the_version_can_be_read,
        an_unknown_kind_is_not_found,
        an_access_review_tells_what_the_asker_may_do,
        whoever_has_no_permission_is_refused,
    }
    applying {
        what_is_not_there_is_created_whatever_version_was_said,
        what_is_not_there_is_not_created_for_a_uid,
        an_apply_with_a_stale_resource_version_is_a_conflict,
        an_apply_with_a_wrong_uid_is_refused,
        what_is_applied_is_merged_and_its_lists_are_replaced,
        an_empty_list_is_left_out,
        what_is_applied_twice_keeps_its_resource_version,
        an_apply_in_a_dry_run_creates_nothing,
        what_belongs_to_a_pod_goes_with_it,
    }
    controllers {
        a_pod_runs_on_a_node_with_a_container_id,
        a_deployments_pod_is_replaced_under_a_new_name_and_uid,
        a_stateful_sets_pod_is_replaced_under_the_same_name_and_a_new_uid,
        a_deployment_counts_its_ready_pods,
        what_a_deployment_made_goes_with_it,
        a_pod_that_is_not_selected_any_more_is_let_go_replaced_and_taken_in_again,
    }
    deletion {
        a_wrong_uid_is_a_conflict,
        a_wrong_resource_version_is_a_conflict,
        a_missing_pod_is_not_found,
        the_right_uid_deletes_an_unscheduled_pod_at_once,
        a_dry_run_deletes_nothing,
        a_wrong_uid_is_a_conflict_in_a_dry_run_too,
        a_scheduled_pod_is_terminating_for_its_grace_period,
        a_grace_period_can_only_be_shortened,
        a_grace_period_of_zero_removes_a_terminating_pod,
        a_terminating_pod_on_a_live_node_goes,
        a_deleted_config_map_is_told_by_a_status,
    }
    eviction {
        an_eviction_deletes_the_pod,
        a_stale_uid_is_refused,
        a_stale_eviction_uses_up_the_budget,
        an_exhausted_budget_refuses,
        two_budgets_are_an_error,
        an_eviction_in_a_dry_run_changes_nothing,
        an_eviction_of_a_missing_pod_is_not_found,
        an_eviction_of_another_name_is_a_bad_request,
        kubes_own_evict_loses_the_preconditions,
    }
    reading {
        pods_are_found_by_node,
        pods_are_found_by_name_in_every_namespace,
        pods_are_found_by_labels,
        a_list_comes_in_pages,
        an_unknown_field_is_a_bad_request,
        the_metadata_alone_can_be_read,
        events_are_found_by_what_they_are_about,
    }
    writing {
        creating_gives_an_identity_that_the_client_cannot_choose,
        a_name_is_generated_from_its_prefix,
        a_name_is_taken_once,
        a_missing_namespace_is_not_found,
        an_invalid_object_is_refused,
        a_wrong_type_is_a_bad_request,
        a_dry_run_creates_nothing,
        a_patch_with_the_right_uid_is_applied,
        a_patch_with_a_wrong_uid_is_invalid,
        a_patch_with_a_stale_resource_version_is_a_conflict,
        a_patch_of_a_missing_object_is_not_found,
        a_patch_in_a_dry_run_changes_nothing,
        a_patch_that_changes_nothing_keeps_the_resource_version,
        the_status_is_written_on_its_own,
        a_json_patch_whose_test_fails_is_invalid,
        a_replacement_with_a_wrong_uid_is_a_conflict,
        a_replacement_with_a_stale_resource_version_is_a_conflict,
        an_event_can_be_recorded_once_under_its_name,
    }
}
