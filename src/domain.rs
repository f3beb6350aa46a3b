//! The vocabulary and the rules, and nothing else.
//!
//! I own: every type that crosses a room, and every decision that can be made from values alone.
//! I may call: `std`, `http` (methods and header names), `url`, `ipnet`, `secrecy`, `subtle`, `thiserror`.
//! I never: wait, read a clock, draw a random number, open anything, or know a wire format.

pub mod access;
pub mod algorithm;
pub mod cap;
pub mod claim;
pub mod cookie_reach;
pub mod cors;
pub mod csrf;
pub mod door;
pub mod ending;
pub mod files;
pub mod identity;
pub mod identity_header;
pub mod keep;
pub mod legacy;
pub mod login;
pub mod logout;
pub mod origin;
pub mod path;
pub mod policy;
pub mod rate;
pub mod renewal;
pub mod request;
pub mod return_to;
pub mod route;
pub mod secret;
pub mod session;
pub mod time;
pub mod websocket;
