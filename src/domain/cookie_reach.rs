//! How far the session cookie goes along (R51).
//!
//! I own: [`CookieReach`]. I may call: `origin`. I never write a cookie.

use super::origin::Origin;

/// On which requests browsers send the session cookie. The cookie that binds a sign-in to its browser is never
/// `Strict`: it has to come along when the provider sends the browser back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CookieReach {
    /// `SameSite=Lax`: own requests, and links from elsewhere.
    #[default]
    Lax,
    /// `SameSite=Strict`: own requests alone. Whoever comes from elsewhere lands on a page of ours first, which leads
    /// on from our own origin.
    Strict,
    /// `SameSite=None; Partitioned`: within frames of these origins too, each with a jar of its own.
    Framed(Vec<Origin>),
}

impl CookieReach {
    /// The origins whose pages may frame ours; empty for nobody.
    pub fn parents(&self) -> &[Origin] {
        match self {
            Self::Framed(parents) => parents,
            Self::Lax | Self::Strict => &[],
        }
    }
}
