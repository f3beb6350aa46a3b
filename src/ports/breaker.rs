//! Whether the store is asked at all.
//!
//! I own: the trait [`Breaking`]. I may call: nobody. I never say why: that is in the log.

/// A breaker between the house and its store: open, nothing flows.
pub trait Breaking: Send + Sync {
    /// Whether the store is not asked at the moment, because it has not answered lately. Asks nobody.
    fn is_open(&self) -> bool;
}
