//! An OpenID provider: the one that signs people in at the demo, and the honest half of the tests' hostile one.
//!
//! I own: the protocol as a provider has to speak it. [`keys`], [`token`], [`metadata`], [`form`], [`client`],
//! [`authorization`] and [`codes`] are the core, without I/O and without a clock of their own; the tests put their
//! scripts on top of it (`tests/it/house/provider`), the demo its pages (`server`). I may call: `keyring`, `ports`. I
//! never stand in front of anything real: one client, made-up people, one password for all of them.

pub mod authorization;
pub mod back_channel;
pub mod client;
pub mod codes;
pub mod form;
pub mod keys;
pub mod metadata;
pub mod people;
pub mod token;

mod end_session;
mod pages;
mod server;
mod sessions;
mod sign_in;
mod tokens;

pub use server::{Idp, application};

/// A request that a provider turns down at its token endpoint (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The registered error code.
    pub error: &'static str,
    /// The rule that was broken, in words.
    pub why: &'static str,
}
