//! Commands that speak to a gateway that runs already.
//!
//! I own: the client's side of the doors for operators and probes. I may call: `config` (for the environment). I never touch a store,
//! and never show a token.

pub mod health;
pub mod keys;
pub mod sessions;
