//! The same over a real Redis: replicas with feeds of their own, and what can befall the server.
//!
//! I own: [`RealShelf`]. I may call: everything in this room. I never tell anybody of a change: the server does.

use crate::config::{KeySource, StoreSettings};
use crate::keyring::KeyRing;
use crate::ports::SessionStore;
use crate::store::breaker::Spared;
use crate::store::contract::house::{fresh_prefix, keys, ring};
use crate::store::near::Near;
use crate::store::redis::server::Server;
use crate::store::tests::Beside;
use crate::store::tests::stack::{Around, Stack};
use crate::store::{Opened, open};
use redis::{cmd, pipe};
use std::sync::Arc;
use std::time::Duration;

/// A server of one's own.
pub(crate) struct RealShelf {
    server: Server,
    prefix: String,
    keys: Arc<KeyRing>,
}

/// All keys, with what is in them and how long they live.
pub(crate) type Copy = Arc<Vec<(Vec<u8>, Vec<u8>, i64)>>;

impl RealShelf {
    pub(crate) fn start() -> Self {
        Self { server: Server::start(None), prefix: fresh_prefix(), keys: ring(&[1]) }
    }

    /// Forgets everything: what was there is under another prefix.
    pub(crate) fn begin_anew(&mut self) {
        self.prefix = fresh_prefix();
    }

    pub(crate) fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys)
    }

    /// Another replica, whose connections live on the runtime that this is called on.
    pub(crate) async fn open(&self, around: Around) -> (Arc<dyn SessionStore>, Beside) {
        let mut settings = self.server.settings(&self.prefix);
        settings.timeout = Duration::from_millis(500);
        let opened = open(&StoreSettings::Redis(settings), KeySource::Given(keys(&[1])), true).await;
        let Opened { store, feed, outbox, clearing, transfer, .. } = opened.unwrap();
        let feed = feed.unwrap();
        let (stack, ()) = Stack::over(store, around, |store, parts| (Near::new(store, feed, parts), ()));
        let clearing = Arc::new(Spared::new(clearing, stack.breaker));
        (stack.endings, Beside { outbox, clearing, transfer })
    }

    pub(crate) fn freeze(&self) {
        self.server.freeze();
    }

    pub(crate) fn thaw(&self) {
        self.server.thaw();
    }

    /// Cuts every connection.
    pub(crate) async fn cut(&self) {
        let mut kill = cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal");
        self.server.say::<()>(&kill).await;
    }

    /// What is in it now.
    pub(crate) async fn copy(&self) -> Copy {
        let keys: Vec<Vec<u8>> = self.server.say(cmd("KEYS").arg(format!("{}*", self.prefix))).await;
        let mut commands = pipe();
        for key in &keys {
            commands.cmd("DUMP").arg(key).cmd("PTTL").arg(key);
        }
        let found: Vec<(Option<Vec<u8>>, i64)> = self.server.say_all(&commands).await;
        let both = keys.into_iter().zip(found);
        Arc::new(both.filter_map(|(key, (value, life))| Some((key, value?, life))).collect())
    }

    /// Every connection is cut, and what answers from now on has what was in it then; nobody is told.
    pub(crate) async fn fail_over_to(&self, copy: &Copy) {
        let mut commands = pipe();
        commands.atomic();
        commands.cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").ignore();
        commands.cmd("FLUSHALL").ignore();
        for (key, value, life) in copy.iter() {
            commands.cmd("RESTORE").arg(key).arg((*life).max(0)).arg(value).ignore();
        }
        self.server.say_all::<()>(&commands).await;
    }
}
