//! Whether sessions in the store need a key that is not configured.
//!
//! I own: that sentence. I may call: `ports`. I never look through the whole store: a check is one look.

use crate::ports::{Clock, KeyCensus, KeyRole, KeyUse};

/// What to add to the finding, as far as one page of the store shows; a store that does not tell adds nothing.
pub(super) async fn missing(census: &dyn KeyCensus, clock: &dyn Clock) -> Option<String> {
    let counted = census.take(Some(1), clock.now()).await.ok()?;
    let missing = counted.keys.into_iter().find(|key| key.role == KeyRole::Missing)?;
    let KeyUse { id, records, .. } = missing;
    Some(format!(
        "; but {records} sessions, at first sight, are sealed with key {id}, which is not in `session.keys`: put it \
         back as the last one"
    ))
}
