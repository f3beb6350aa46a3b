//! The ends that a session can come to.
//!
//! I own: [`Ending`]. I may call: nothing. I never end anything myself; `gateway::ending` is the door.

/// Why a session ends: one code for logs, audit and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The person signed out.
    ByUser,
    /// A new login of the same browser took its place.
    Replaced,
    /// Another person signed in at the same browser.
    PersonChanged,
    /// The provider said that the person is gone.
    ByProvider,
    /// An operator ended it.
    ByOperator,
    /// The provider takes its refresh token no longer: whatever it stood on there is over (R46).
    RefreshRefused,
    /// With new tokens the provider vouched for somebody else, or for another sign-in (R20).
    RefreshRejected,
    /// The person signed in once more than `session.max_per_user` allows.
    Cap,
}

impl Ending {
    /// The word for logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::ByUser => "by-user",
            Self::Replaced => "replaced",
            Self::PersonChanged => "person-changed",
            Self::ByProvider => "by-provider",
            Self::ByOperator => "by-operator",
            Self::RefreshRefused => "refresh-refused",
            Self::RefreshRejected => "refresh-rejected",
            Self::Cap => "cap",
        }
    }
}
