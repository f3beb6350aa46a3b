//! The test house: everything that stands around a gateway under test.
//!
//! I own: a clock to be moved by hand, an identity provider told to misbehave, an upstream that records, a browser
//! with honest headers, raw TCP for dishonest ones, and the evidence of all that was said. Each starts on port 0 in
//! threads of its own and stops when dropped. I never judge: tests do.

pub mod browser;
pub mod clock;
pub mod contract;
pub mod cookies;
pub mod doors;
pub mod evidence;
pub mod forward_proxy;
pub mod gateway;
pub mod patience;
pub mod provider;
pub mod raw;
pub mod server;
pub mod setting;
pub mod tls;
pub mod upstream;
