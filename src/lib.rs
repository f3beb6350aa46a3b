//! Keycard: a front desk for web apps.
//!
//! A request's path, room by room:
//!
//! 1. [`inbound`] reads it raw: host, path, cookies, fetch metadata become facts; what is ambiguous is refused.
//! 2. [`gateway`] finds the route, turns the ticket into a standing (through [`ports`], from [`store`]) and asks
//!    `domain::policy`. Out comes a permit, a login, a challenge or a refusal.
//! 3. [`upstream`] takes the permit, cleans the headers both ways, and streams.
//!
//! [`oidc`] speaks to identity providers, [`keyring`] holds the keys, [`rules`] reads expressions, [`config`] knows what the house was told,
//! [`app`] puts it all together; [`cli`] speaks to it from another process. `ARCHITECTURE.md` draws the ladder that the imports follow.

pub mod domain;

pub mod keyring;
pub mod ports;
pub mod rules;

pub mod gateway;

pub mod config;
pub mod oidc;
pub mod store;
pub mod upstream;

pub mod inbound;
pub mod telemetry;

pub mod cli;

pub mod app;

#[cfg(feature = "demo")]
pub mod demo;
