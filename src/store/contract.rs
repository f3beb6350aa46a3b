//! What every store owes, tested on each of them (style rule 32).
//!
//! I own: the list of what is tested, and what its tests begin with. Everything goes through the port but for the tests that
//! play a thief or a forger (`secrecy`, mostly), who have the backend in their hands.

use crate::domain::secret::{AccessToken, RefreshToken};
use crate::domain::session::tests::session;
use crate::domain::session::{Session, SessionKey, Ticket};
use crate::keyring::{new_ticket, session_key};
use crate::ports::{SessionStore, StoreError};
use crate::store::contract::house::{House, NOW};
use crate::store::record::tests::everything;
use std::sync::Arc;

mod census;
mod endings;
pub(in crate::store) mod house;
mod leases;
mod listing;
mod marks;
mod records;
mod secrecy;
mod transfer;

async fn signed_in(store: &Arc<dyn SessionStore>, session: &Session) -> (Ticket, SessionKey) {
    let ticket = new_ticket().unwrap();
    store.create(&ticket, session, NOW).await.unwrap();
    let key = session_key(&ticket);
    (ticket, key)
}

async fn read(store: &Arc<dyn SessionStore>, ticket: &Ticket) -> Option<String> {
    store.load(ticket, NOW).await.unwrap().map(|live| everything(&live.session))
}

async fn is_unreadable(store: &Arc<dyn SessionStore>, ticket: &Ticket) -> bool {
    matches!(store.load(ticket, NOW).await, Err(StoreError::Unreadable(_)))
}

fn renewed(token: &str) -> Session {
    let mut session = session();
    session.tokens.access = AccessToken::new(format!("{token}-access"));
    session.tokens.refresh = Some(RefreshToken::new(format!("{token}-refresh")));
    session
}

use census::*;
use endings::*;
use leases::*;
use listing::*;
use marks::*;
use records::*;
use secrecy::*;
use transfer::*;

macro_rules! on_every_store {
    ($($name:ident,)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::memory()).await;
            })*
        }

        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::embedded()).await;
            })*
        }

        mod near {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::near()).await;
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::redis()).await;
            })*
        }

        mod cluster {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::cluster()).await;
            })*
        }

        mod sentinel {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::House::sentinel()).await;
            })*
        }
    };
}

on_every_store! {
    r48_a_session_comes_back_as_it_went_in,
    r82_an_unknown_ticket_is_a_miss_and_not_an_error,
    r49_a_ticket_is_never_given_twice,
    a34_values_swapped_between_keys_do_not_open,
    a34_an_old_value_under_a_new_version_does_not_open,
    a34_no_changed_byte_opens,
    r88_an_update_is_compare_and_set,
    r88_an_update_never_brings_a_session_back,
    r56_removal_removes_the_record_and_what_leads_to_it,
    r47_last_seen_is_kept_apart_from_the_record,
    r4_a_login_is_taken_once,
    r56_sessions_are_found_by_person_and_by_provider_session,
    r44_a_dump_of_the_store_says_nothing,
    r44_the_private_part_needs_the_ticket_besides_the_keys,
    r44_rotated_keys_open_what_the_old_one_sealed,
    r44_a_key_is_needed_as_long_as_a_session_began_with_it,
    r44_a_key_that_is_missing_is_told_with_what_it_has_sealed,
    a_census_walks_through_all_pages_or_stops_early,
    r44_a_store_seals_with_a_new_key_from_one_moment_to_the_next,
    operators_see_every_session_and_no_secret,
    what_does_not_open_is_listed_without_a_word,
    r85_an_index_entry_lives_as_long_as_its_record,
    r85_a_mark_keeps_its_latest_moment_and_its_longest_life,
    r85_a_login_and_a_logout_at_once_leave_no_session,
    one_session_is_shown_by_its_key,
    r45_a_lease_has_one_holder,
    r45_of_many_at_once_one_gets_the_lease,
    r45_a_lease_that_nobody_gives_back_ends_by_itself,
    r56_a_debt_is_given_to_one_and_comes_back_when_its_lease_is_over,
    r56_a_debt_names_what_its_record_held_and_its_record_goes_in_that_version_only,
    r56_a_token_is_needed_as_long_as_anybody_stands_on_it,
    r56_without_a_sid_what_was_replaced_is_spared_for_any_session_of_the_person,
    r56_a_debt_waits_for_its_key_for_a_day,
    r44_a_debt_is_noise_without_the_keys,
    a_moment_for_everybody_is_kept_and_only_moves_on,
    r44_sessions_move_out_and_open_where_they_arrive,
    r44_sessions_move_in_and_open_with_the_same_cookie,
    r88_what_is_there_and_no_older_stays_as_it_is,
    r85_nobody_comes_back_who_is_over,
    r85_whoever_was_sent_home_with_everybody_comes_back_in_no_store,
    r44_a_file_needs_the_keys_that_it_was_made_with,
    a_file_that_is_cut_off_is_noticed_and_can_follow_whole,
}
