//! Named points between two commands to Redis, at which a test may stop a process for good.
//!
//! I own: [`point`], which is nothing at all outside tests. I may call: nothing. I never stop a process that was not
//! started to be stopped.

/// A point between two commands. The names are listed with the test that stops there (`tests/crash`).
#[cfg(not(test))]
#[expect(clippy::unused_async, reason = "in tests it may wait for ever")]
pub(super) async fn point(_name: &'static str) {}

/// The same, for tests: says that it was reached, and goes no further where the test said so.
#[cfg(test)]
pub(super) async fn point(name: &'static str) {
    super::tests::crash::reached(name).await;
}
