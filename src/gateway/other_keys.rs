//! A cookie that another gateway has signed, with keys that are missing here.
//!
//! I own: whether such a cookie stands in the way of its request. I may call: `domain`, `ports`. I never take its ticket
//! for a session, whatever the store says of it.

use super::{Gateway, GatewayError};
use crate::domain::request::RequestFacts;
use crate::domain::route::Access;
use crate::domain::session::Ticket;

impl Gateway {
    /// Whether a request with these facts is about somebody's session at all. Public routes never touch the store.
    pub fn asks_for_session(&self, facts: &RequestFacts) -> bool {
        let route = self.routes.find(&facts.origin, &facts.path);
        route.is_some_and(|route| route.access != Access::Public)
    }

    /// Asks the store itself, past any memory, for a ticket under a foreign signature. Nothing there, or something that
    /// our keys open: then the signature is a forgery, or as old as its key.
    ///
    /// # Errors
    /// [`GatewayError::Store`]: there is a record, and its key is missing here; or nobody can say.
    pub async fn must_be_readable(&self, ticket: &Ticket) -> Result<(), GatewayError> {
        self.store.reload(ticket, self.clock.now()).await?;
        Ok(())
    }
}
