//! How many sessions a person may have: looked after by each login that has just written its own.
//!
//! I own: [`Gateway::mind_the_cap`]. I may call: `domain`, `ports`, and `gateway::ending` for every end. I never count
//! before the login's own index entry is written, so of two logins at once at least the later one sees both; and I never
//! count the session that this login takes the place of.

use super::Gateway;
use crate::domain::cap::{Cap, Surplus};
use crate::domain::ending::Ending;
use crate::domain::session::{Session, SessionKey};
use crate::domain::time::Timestamp;
use crate::ports::{Listed, StoreError};

/// Whether a login may stay, and whom it has to end for that.
pub(super) struct Minded {
    pub(super) stays: bool,
    over: Vec<Listed>,
}

impl Gateway {
    /// Judges a login by all that its person has; ends nobody yet. `replaced` are those that it takes the place of.
    ///
    /// # Errors
    /// [`StoreError`]: then nobody knows whether it may stay.
    pub(super) async fn mind_the_cap(
        &self,
        own: &SessionKey,
        session: &Session,
        replaced: &[Option<SessionKey>],
        now: Timestamp,
    ) -> Result<Minded, StoreError> {
        let Some(cap) = self.endings.cap else { return Ok(Minded { stays: true, over: Vec::new() }) };
        let identity = &session.identity;
        let mut theirs = Vec::new();
        for key in self.store.of_subject(&identity.issuer, &identity.subject, now).await? {
            if let Some(listed) = self.store.glance(&key, now).await? {
                theirs.push(listed);
            }
        }
        let cleared = self.cleared(now).await?;
        let superseded: Vec<SessionKey> =
            theirs.iter().filter_map(|listed| listed.summary.as_ref()?.supersedes).collect();
        theirs.retain(|listed| {
            let leaves = superseded.contains(&listed.key) || replaced.contains(&Some(listed.key));
            let in_force = |summary| self.in_force(summary, listed.last_seen, cleared, now).is_some();
            let stands = listed.summary.as_ref().is_some_and(in_force);
            stands && !leaves
        });
        let Surplus { stays, end } = judged(&cap, &theirs, own);
        theirs.retain(|listed| end.contains(&listed.key));
        Ok(Minded { stays, over: theirs })
    }

    /// Ends those who are one too many.
    ///
    /// # Errors
    /// [`StoreError`]: some of them may have ended by then.
    pub(super) async fn end_surplus(&self, minded: &Minded, now: Timestamp) -> Result<(), StoreError> {
        for listed in &minded.over {
            self.end_listed(listed, Ending::Cap, now).await?;
        }
        Ok(())
    }
}

fn judged(cap: &Cap, theirs: &[Listed], own: &SessionKey) -> Surplus {
    let began = |listed: &Listed| Some((listed.summary.as_ref()?.started, listed.key));
    cap.judge(theirs.iter().filter_map(began).collect(), own)
}
