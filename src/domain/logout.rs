//! Logouts that a provider announces: who is gone, and what is remembered of it.
//!
//! I own: [`LogoutNotice`], [`Departed`], [`Mark`]. I may call: `identity`, `time`. I never end anything myself, and
//! never hold a notice that was not verified: only an identity provider makes one.

use super::identity::{Issuer, Subject};
use super::time::Timestamp;
use std::time::Duration;

/// How long the mark of an ending lives: longer than any login that was being redeemed at that moment may take.
pub const MARK_KEPT: Duration = Duration::from_secs(600);

/// A verified logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutNotice {
    /// Who says it.
    pub issuer: Issuer,
    /// Who is gone.
    pub departed: Departed,
    /// The name of the token (`jti`), unique at its issuer.
    pub id: String,
    /// From when on the token is refused for its age.
    pub good_until: Timestamp,
}

/// Who is gone, as far as the provider says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departed {
    /// Whoever stands on this one session of the provider (`sid` alone).
    ProviderSession(String),
    /// This person, wherever they are signed in (`sub` alone).
    Person(Subject),
    /// This person, where they stand on this session of the provider (both).
    PersonInProviderSession(Subject, String),
}

impl LogoutNotice {
    /// The mark that keeps this token from being heard twice.
    pub fn mark(&self) -> Mark<'_> {
        Mark::Notice(&self.issuer, &self.id)
    }

    /// The mark that keeps those who are gone from coming in by a login that has begun before.
    pub fn not_before(&self) -> Mark<'_> {
        match &self.departed {
            Departed::ProviderSession(sid) => Mark::ProviderSession(&self.issuer, sid),
            Departed::Person(subject) => Mark::Person(&self.issuer, subject),
            Departed::PersonInProviderSession(subject, sid) => {
                Mark::PersonInProviderSession(&self.issuer, subject, sid)
            }
        }
    }
}

/// What a moment is remembered for in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark<'m> {
    /// All sessions of a person ended.
    Person(&'m Issuer, &'m Subject),
    /// All sessions on one session of the provider ended.
    ProviderSession(&'m Issuer, &'m str),
    /// All sessions of a person on one session of the provider ended.
    PersonInProviderSession(&'m Issuer, &'m Subject, &'m str),
    /// A logout token was heard to the end.
    Notice(&'m Issuer, &'m str),
}

impl<'m> Mark<'m> {
    /// Every mark that a session of this person, on this session of the provider, has to be younger than.
    pub fn not_before(issuer: &'m Issuer, subject: &'m Subject, provider_sid: Option<&'m str>) -> Vec<Self> {
        let mut marks = vec![Self::Person(issuer, subject)];
        if let Some(sid) = provider_sid {
            marks.push(Self::ProviderSession(issuer, sid));
            marks.push(Self::PersonInProviderSession(issuer, subject, sid));
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::session;

    #[test]
    fn r85_a_session_looks_for_the_mark_of_every_notice_that_means_it() {
        let session = session();
        let (issuer, subject) = (session.identity.issuer.clone(), session.identity.subject.clone());
        let sid = session.provider_sid.clone().unwrap();
        let marks = Mark::not_before(&issuer, &subject, Some(&sid));
        for departed in [
            Departed::Person(subject.clone()),
            Departed::ProviderSession(sid.clone()),
            Departed::PersonInProviderSession(subject.clone(), sid.clone()),
        ] {
            let good_until = Timestamp::from_unix_seconds(0);
            let notice = LogoutNotice { issuer: issuer.clone(), departed, id: "1".into(), good_until };
            assert!(marks.contains(&notice.not_before()));
            assert!(!marks.contains(&notice.mark()));
        }
        assert_eq!(Mark::not_before(&issuer, &subject, None).len(), 1);
    }
}
