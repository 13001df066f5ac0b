//! The contract on SQLite, and what only SQLite promises.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    reason = "tests"
)]

mod bench;
#[path = "../contract/mod.rs"]
mod contract;
mod listing;
mod only_sqlite;
mod remembered;

use sallyport_metadata::{SqliteOptions, SqliteStore};
use std::time::Duration;
use tempfile::TempDir;

/// A store in a folder of its own, which frees bytes at once.
pub struct Fresh {
    pub folder: TempDir,
    pub store: SqliteStore,
}

pub async fn fresh() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(&folder)).await.unwrap();
    Fresh { folder, store }
}

pub fn options(folder: &TempDir) -> SqliteOptions {
    SqliteOptions { deletion_delay: Duration::ZERO, ..SqliteOptions::new(folder.path()) }
}

macro_rules! contract {
    ($($fact:ident)*) => { $(
        #[tokio::test]
        async fn $fact() {
            let fresh = fresh().await;
            contract::$fact(&fresh.store).await;
        }
    )* };
}

contract! {
    a_bucket_is_created_once
    a_bucket_with_objects_or_writes_stays
    a_bucket_takes_its_uploads_along
    settings_are_changed_on_what_is_there
    attributes_are_changed_of_one_version
    buckets_are_listed_by_owner_and_name
    a_prepared_write_becomes_the_current_version
    an_unprepared_write_does_not_commit
    conditions_are_decided_before_the_bytes_leave
    an_overwrite_frees_what_it_replaced_unless_in_place
    an_exclusive_place_has_one_writer
    a_tried_deletion_keeps_its_place
    a_write_is_for_the_bucket_that_it_was_allowed_in
    a_completion_that_was_given_up_is_taken_over
    a_pending_deletion_of_an_overwritten_place_goes
    versions_stay_and_the_newest_is_current
    a_non_null_version_never_overwrites_the_null_one
    deleting_without_versioning_removes_for_good
    deleting_with_versioning_leaves_a_marker
    a_marker_is_left_on_the_backend_and_freed_with_ours
    nothing_is_left_on_a_backend_that_does_not_show_the_key
    deleting_while_suspended_replaces_the_null_version
    deleting_the_current_version_uncovers_the_next
    a_write_that_is_taken_back_queues_the_abort_of_its_upload
    abandoned_writes_come_in_pages
    an_abandoned_write_is_found
    an_abandoned_write_never_comes_after_a_later_one
    a_rolled_back_write_queues_its_orphan
    an_unheard_write_holds_its_place_while_it_may_still_arrive
    segments_keep_their_order
    tags_are_replaced_and_projected
    a_locator_is_replaced_when_it_is_still_the_old_one
    a_part_replaces_one_of_its_number
    a_completion_takes_the_upload_with_it
    an_aborted_upload_queues_what_it_held
    what_is_forgotten_frees_nothing
    only_a_keys_only_version_is_forgotten
    uploads_are_listed_by_key_then_initiation
    uploads_are_kept_alive
    jobs_are_claimed_once_and_retried
    live_bytes_are_never_due
    a_copy_shares_no_bytes_that_are_being_freed
    bytes_are_known_while_something_refers_to_them
    namespaces_go_to_who_came_first
    a_location_with_objects_keeps_its_target
    versions_are_paged_without_gaps
    what_was_replaced_since_is_not_deleted
    a_version_that_became_current_is_not_deleted_as_noncurrent
    a_marker_that_hides_something_is_not_deleted_as_expired
    a_moved_version_is_the_same_but_for_its_place
    a_version_that_was_replaced_is_not_moved
    a_version_that_was_tagged_on_its_way_shows_its_tags_there
    a_version_does_not_move_where_there_is_no_room
    progress_is_kept_until_the_work_is_done
    everybodys_buckets_are_paged_by_name
    a_bucket_takes_no_more_than_its_quota
    writes_under_way_count_for_a_quota
    a_location_takes_no_more_than_its_limit
    a_protected_version_does_not_go_for_good
    compliance_and_legal_hold_know_no_bypass_but_time
    a_write_from_before_does_not_replace_a_protected_null_version
    an_event_comes_with_its_change_and_not_without
    what_is_told_depends_on_what_a_deletion_left
    tags_lists_and_moves_are_told
    events_wait_by_destination_until_they_are_delivered
    a_key_s_changes_have_ascending_sequencers
}
