//! What is in force.
//!
//! I own: [`Current`], the one place where a reload takes effect. I may call: nobody. I never hand out a part: whoever
//! asks gets the whole desk, and keeps it for as long as one request lasts.

use super::Desk;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The desk that is in force. One for the whole process, shared by all workers and doors.
pub struct Current(ArcSwap<Desk>);

impl Current {
    /// Begins with this one.
    pub fn new(desk: Desk) -> Self {
        Self(ArcSwap::from_pointee(desk))
    }

    /// The desk as it is now. Ask once per request.
    pub fn desk(&self) -> Arc<Desk> {
        self.0.load_full()
    }

    /// Puts another one in its place, for every request that begins from now on.
    pub fn replace(&self, desk: Desk) {
        self.0.store(Arc::new(desk));
    }
}
