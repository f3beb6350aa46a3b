//! The configuration, read again while the gateway serves.
//!
//! I own: [`Reloader`]: what is applied, what needs a restart, and how that is told; and [`follow`], which waits for
//! SIGHUP and for files that change (`files`). I may call: `config`, `furnish`, `inbound` (the desk in force), `ports`. I
//! never apply half a configuration: another desk is made whole, and takes the place of the old one in one step.
//!
//! Requests, streams and tunnels that are under way go on with the desk that they began with; sessions are not part of
//! it at all.

mod files;
pub(super) mod keys;

use crate::app::StartError;
use crate::app::furnish::{Adapters, Furniture, House};
use crate::config::fixed::Fixed;
use crate::config::problem::Problems;
use crate::config::sources::{Reading, Sources};
use crate::config::{Reload, Settings};
use crate::inbound::Current;
use crate::inbound::admin::AdminToken;
use crate::ports::Entry;
use files::Files;
use keys::Keys;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force, but for these keys.
    Applied {
        /// The keys that have changed and are read at the start alone.
        needs_restart: Vec<&'static str>,
    },
    /// It has mistakes; nothing has changed.
    Refused,
    /// Nothing that it is read from has changed.
    Unchanged,
}

impl Outcome {
    fn code(&self) -> &'static str {
        match self {
            Self::Applied { .. } => "applied",
            Self::Refused => "refused",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Who asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Somebody, who wants an answer in any case.
    Signal,
    /// Something in a folder has changed, perhaps nothing of ours: only news are told.
    Files,
}

/// The gateway as a reload sees it: what lasts, what is in force, and what it was made of.
pub(super) struct Changing {
    house: House,
    current: Arc<Current>,
    /// As they were at the start: that is what runs.
    fixed: Fixed,
    adapters: Mutex<Adapters>,
    keys: Keys,
}

impl Changing {
    pub(super) fn new(
        house: House,
        current: Arc<Current>,
        fixed: Fixed,
        adapters: Adapters,
        keys: Keys,
    ) -> Self {
        Self { house, current, fixed, adapters: Mutex::new(adapters), keys }
    }

    /// Puts these settings in force, but for the keys that it returns.
    fn apply(&self, settings: Settings) -> Result<Vec<&'static str>, StartError> {
        let needs_restart = self.fixed.differences(&Fixed::of(&settings));
        let Settings { server, session, providers, identity, routes, pages, .. } = settings;
        let before = self.current.desk().envelope.clone();
        let new_keys = self.keys.prepare(session.keys, &needs_restart)?;
        let envelope = match &new_keys {
            Some(ring) => before.renewed(ring).ok_or(StartError::Missing("session keys"))?,
            None => before,
        };
        let furniture = Furniture {
            providers,
            identity,
            routes,
            pages,
            admin_token: self.admin_token(server.admin.map(|admin| AdminToken::new(&admin.token))),
            envelope,
        };
        let mut adapters = self.adapters.lock().unwrap_or_else(PoisonError::into_inner);
        let (desk, renewed) = self.house.furnish(furniture, &adapters)?;
        // The last thing that can fail. From here on records are sealed with the new key, and cookies a moment later:
        // each names its own, and either opens under both rings.
        if let Some(ring) = &new_keys {
            self.keys.change(&self.house, ring)?;
        }
        *adapters = renewed;
        self.current.replace(desk);
        Ok(needs_restart)
    }

    /// A door that the new settings do not have stays as it is until the restart, and one that they add is not there
    /// yet.
    fn admin_token(&self, new: Option<AdminToken>) -> Option<AdminToken> {
        let new = new.or_else(|| self.current.desk().admin_token.clone());
        new.filter(|_| self.house.has_counter)
    }
}

/// Reads the configuration again.
pub struct Reloader {
    changing: Arc<Changing>,
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    last: Mutex<Last>,
}

/// The last reading.
struct Last {
    sources: Sources,
    was_refused: bool,
}

impl Reloader {
    pub(super) fn new(
        changing: Arc<Changing>,
        sources: Sources,
        read: Box<dyn Fn() -> Reading + Send + Sync>,
    ) -> Self {
        Self { changing, read, last: Mutex::new(Last { sources, was_refused: false }) }
    }

    /// Reads the configuration, applies it if it has no mistakes, and tells what came of it: in the log, and in the
    /// ledger. Reads files and blocks meanwhile; one at a time.
    pub fn reload(&self, trigger: Trigger) -> Outcome {
        let mut last = self.last();
        let Reading { settings, sources } = (self.read)();
        if sources == last.sources {
            if trigger == Trigger::Files {
                return if last.was_refused { Outcome::Refused } else { Outcome::Unchanged };
            }
            if !last.was_refused {
                tracing::info!("the configuration was read again: nothing has changed");
                return self.enter(Outcome::Unchanged);
            }
        }
        let applied = match settings {
            Ok(settings) => self.changing.apply(settings).map_err(|error| vec![error.to_string()]),
            Err(problems) => Err(told(&problems)),
        };
        *last = Last { sources, was_refused: applied.is_err() };
        self.enter(match applied {
            Ok(needs_restart) => {
                tracing::info!("the configuration was read again and is in force");
                if !needs_restart.is_empty() {
                    tracing::warn!("needs a restart: {}", needs_restart.join(", "));
                }
                Outcome::Applied { needs_restart }
            }
            Err(mistakes) => {
                for mistake in mistakes {
                    tracing::error!("{mistake}");
                }
                tracing::error!(
                    "the configuration was read again and is refused; the old one stays in force"
                );
                Outcome::Refused
            }
        })
    }

    fn enter(&self, outcome: Outcome) -> Outcome {
        let house = &self.changing.house;
        house.ledger.enter(Entry::Reloaded { result: outcome.code(), at: house.clock.now() });
        outcome
    }

    fn files(&self) -> Vec<PathBuf> {
        self.last().sources.files().map(PathBuf::from).collect()
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mistakes as `keycard check` prints them.
fn told(problems: &Problems) -> Vec<String> {
    problems.texts().chain([problems.summary()]).collect()
}

/// Begins to listen for SIGHUP; from here on it does not end the process any more.
///
/// # Errors
/// When the system has no such signal to give.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reloads whenever it is time to, and never completes.
pub async fn follow(reloader: Arc<Reloader>, when: Reload, mut hangups: Signal) {
    let mut files = match when {
        Reload::Watch => Some(Files::watch(&reloader.files())),
        Reload::Signal | Reload::Off => None,
    };
    if files.is_some() {
        // What has changed between the start and the watch.
        once(&reloader, Trigger::Files).await;
    }
    loop {
        let trigger = tokio::select! {
            _ = hangups.recv() => Trigger::Signal,
            () = changed(&files) => Trigger::Files,
        };
        if when == Reload::Off {
            tracing::warn!("SIGHUP: nothing is read again, `server.reload` is \"off\"");
            continue;
        }
        // First the watch, then the reading: what changes in between is told.
        if let Some(files) = &mut files {
            files.watch_again(&reloader.files());
        }
        once(&reloader, trigger).await;
        // It may point at files in other folders now, which nobody watched while it was read.
        if let Some(files) = &mut files
            && files.watch_again(&reloader.files())
        {
            once(&reloader, Trigger::Files).await;
        }
    }
}

/// On a thread that may block.
async fn once(reloader: &Arc<Reloader>, trigger: Trigger) {
    let reloader = Arc::clone(reloader);
    if let Err(error) = tokio::task::spawn_blocking(move || reloader.reload(trigger)).await {
        tracing::error!(%error, "a reload was lost; the old configuration stays in force");
    }
}

async fn changed(files: &Option<Files>) {
    match files {
        Some(files) => files.changed().await,
        None => std::future::pending().await,
    }
}
