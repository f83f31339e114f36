//! What every metadata store must do, as one suite.
//!
//! A store's tests call [`run`] with a way to make an empty store. A case panics when the store behaves otherwise.

mod access;
mod accounts;
mod audit;
mod chunks;
mod credentials;
mod fixture;
mod groups;
mod journal;
mod tags;
mod trees;
mod uploads;

use std::future::Future;
use std::sync::Arc;

pub use fixture::{Fixture, Scale};

use crate::MetadataStore;

/// Runs every case, each on an empty store of its own.
///
/// # Panics
/// When the store breaks its contract.
pub async fn run<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn MetadataStore>>,
{
    accounts::accounts_are_found_by_id_and_address(make().await).await;
    accounts::devices_and_tokens_follow_each_other(make().await).await;
    access::a_device_is_to_be_wiped(make().await).await;
    access::a_link_has_many_tokens_and_loses_all_at_once(make().await).await;
    access::linking_again_voids_every_token(make().await).await;
    access::a_link_has_a_bounded_number_of_tokens(make().await).await;
    access::apps_are_registered_and_forgotten_with_their_links(make().await).await;
    access::a_code_is_taken_once(make().await).await;
    uploads::pieces_follow_one_another(make().await).await;
    uploads::concurrent_pieces_come_in_any_order(make().await).await;
    uploads::uploads_are_forgotten_in_their_time(make().await).await;
    audit::entries_are_read_in_order_and_go_with_age(make().await).await;
    credentials::an_identity_has_one_account(make().await).await;
    credentials::a_link_works_once(make().await).await;
    credentials::codes_of_a_second_factor_are_used_once(make().await).await;
    for case in [Case::Groups, Case::Trees, Case::Journal, Case::Chunks] {
        run_case(case, &make).await;
    }
}

enum Case {
    Groups,
    Trees,
    Journal,
    Chunks,
}

async fn run_case<F, Fut>(case: Case, make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn MetadataStore>>,
{
    let fresh = async || Fixture::new(make().await).await;
    match case {
        Case::Groups => {
            groups::guards_refuse_what_was_not_seen(fresh().await).await;
            groups::names_are_judged_after_the_last_operation(fresh().await).await;
            groups::places_are_checked(fresh().await).await;
            groups::operations_fit_their_node(fresh().await).await;
            groups::the_tree_has_a_depth(fresh().await).await;
            groups::nothing_new_is_lost_with_a_folder(fresh().await).await;
            groups::what_changes_nothing_writes_nothing(fresh().await).await;
            groups::the_trash_gives_back(fresh().await).await;
            groups::the_quota_counts_live_bytes(fresh().await).await;
        }
        Case::Trees => {
            trees::listings_page_by_key(fresh().await).await;
            trees::names_lead_to_what_had_them_last(fresh().await).await;
            trees::names_lead_to_what_had_them_then(fresh().await).await;
            trees::names_that_were_given_up_are_listed(fresh().await).await;
            trees::the_past_can_be_listed(fresh().await).await;
            trees::revisions_are_kept(fresh().await).await;
            tags::tags_stay_with_their_node(fresh().await).await;
        }
        Case::Journal => {
            journal::a_repeated_request_is_applied_once(fresh().await).await;
            journal::an_answer_says_what_it_came_after(fresh().await).await;
            journal::a_commit_of_another_history_is_refused(fresh().await).await;
            journal::positions_say_what_was_written_when(fresh().await).await;
            journal::pages_end_with_their_group(fresh().await).await;
            journal::it_is_read_backwards_by_groups(fresh().await).await;
            journal::foreign_cursors_are_reset(fresh().await).await;
            journal::a_device_that_went_back_is_told(fresh().await).await;
            journal::a_device_that_was_ahead_of_the_server_did_not_go_back(fresh().await).await;
            journal::time_does_not_run_back(fresh().await).await;
        }
        Case::Chunks => {
            chunks::only_granted_chunks_are_committed(fresh().await).await;
            chunks::grants_of_what_is_asked_about_are_extended(fresh().await).await;
            chunks::references_outlive_grants(fresh().await).await;
            chunks::a_wrong_content_hash_is_repaired(fresh().await).await;
        }
    }
}
