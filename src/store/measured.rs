//! Any store, with every command entered into the ledger.
//!
//! I own: [`Measured`], a decorator. I may call: `ports`, `around`. I never change an answer, and never enter anything
//! but the command's name, its time, and whether there was an answer.

use crate::ports::{Answer, Entry, Ledger, SessionStore};
use crate::store::around::{Around, Command};
use std::sync::Arc;
use tokio::time::Instant;

/// A store and the ledger that its commands are entered into.
pub struct Measured {
    store: Arc<dyn SessionStore>,
    ledger: Arc<dyn Ledger>,
}

impl Measured {
    /// Around `store`.
    pub fn new(store: Arc<dyn SessionStore>, ledger: Arc<dyn Ledger>) -> Self {
        Self { store, ledger }
    }
}

impl Around for Measured {
    fn inside(&self) -> &dyn SessionStore {
        self.store.as_ref()
    }

    fn pass<'a, T: Send + 'a>(
        &'a self,
        command: Command,
        ask: impl FnOnce(&'a dyn SessionStore) -> Answer<'a, T>,
    ) -> Answer<'a, T> {
        let call = ask(self.inside());
        Box::pin(async move {
            let began = Instant::now();
            let answer = call.await;
            let (command, took) = (word(command), began.elapsed());
            self.ledger.enter(Entry::Store { command, took, answered: answer.is_ok() });
            answer
        })
    }
}

/// The command in the ledger.
fn word(command: Command) -> &'static str {
    match command {
        Command::Create => "create",
        // The same to a store: it is its cache that a reload goes past, and that is no command.
        Command::Load | Command::Reload => "load",
        Command::Update => "update",
        Command::Restore => "restore",
        Command::Touch => "touch",
        Command::Remove => "remove",
        Command::OfSubject => "of_subject",
        Command::OfProviderSid => "of_provider_sid",
        Command::TakeOnce => "take_once",
        Command::Lease => "lease",
        Command::Release => "release",
        Command::Glance => "glance",
        Command::Mark => "mark",
        Command::Marked => "marked",
        Command::List => "list",
        Command::Ping => "ping",
    }
}
