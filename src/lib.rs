//! Keycard: a front desk for web apps.
pub mod config;
pub mod domain;
pub mod keyring;
pub mod oidc;
pub mod ports;
