//! The gateway from the browser's side: one binary for all end-to-end tests.
//!
//! I own: nothing; `it/house` has the fixtures, and each file beside it one topic, its tests named after the rows of
//! the conformance checklist that they defend. I never sleep: time is moved by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::type_complexity,
    reason = "a fixture that does not work has to fail its test at once, and clippy spares only #[test] functions; \
              the coverage table is printed; tables of rows are tuples"
)]

mod it {
    mod access;
    mod access_log;
    mod authorization_response;
    mod backchannel;
    mod binary;
    mod breaker;
    mod check;
    mod contract;
    mod cookies;
    mod cors;
    mod coverage;
    mod cross_site;
    mod csrf;
    mod deployment;
    mod documents;
    mod end_all;
    mod endpoints;
    mod events;
    mod files;
    mod frontchannel;
    mod house;
    mod house_self;
    mod id_token;
    mod identity;
    mod keeping;
    mod keys;
    mod legacy;
    mod lifetime;
    mod login;
    mod misuse;
    mod moving;
    mod near;
    mod open_redirects;
    mod operating;
    mod outage;
    mod own_sessions;
    mod provider_tls;
    mod proxying;
    mod reach;
    mod refresh;
    mod reload;
    mod revocations;
    mod rotation;
    mod sentry;
    mod session_cap;
    mod slow_heads;
    mod stopping;
    mod stores;
    mod streams;
    mod websockets;
}
