//! Figures and how they are written.
//!
//! I own: medians, spreads and the lines that `benches/run` gathers into its table: they begin with `=`.

use std::fmt::Display;

/// What several rounds have given.
pub struct Samples(Vec<f64>);

impl Samples {
    /// In any order.
    pub fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The one below which this part of them lies.
    pub fn quantile(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (part * last as f64).round() as usize;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The middle, and where eight of ten lie.
    pub fn with_spread(&self, digits: usize) -> String {
        let (low, high) = (self.quantile(0.1), self.quantile(0.9));
        format!("{:.digits$} ({low:.digits$} to {high:.digits$})", self.median())
    }
}

/// A line of the table: what, how much, and what was asked for.
pub fn figure(what: &str, value: impl Display, wanted: &str, holds: bool) {
    println!("= {what} | {value} | {wanted} | {}", if holds { "yes" } else { "NO" });
}

/// A line of the table for which nothing was asked.
pub fn note(what: &str, value: impl Display) {
    println!("= {what} | {value} | | ");
}
