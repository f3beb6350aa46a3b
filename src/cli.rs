//! Commands that speak to a gateway that runs already.
//!
//! I own: the client's side of the operators' door. I may call: `config` (for the environment). I never touch a store,
//! and never show a token.

pub mod sessions;
