//! `server.reload`.
//!
//! I own: that key. I may call: `cursor`. I never listen to a signal.

use crate::config::Reload;
use crate::config::cursor::{Reported, Section};
use crate::config::keys::{Key, Kind};

/// The key. The default waits to be told: a file that is saved halfway through an edit must not be what goes live.
pub(super) const RELOAD: Key = Key::with_default(
    "reload",
    Kind::Choice(&["signal", "watch", "off"]),
    r#""signal""#,
    r#"When routes, access rules, providers, pages and secrets are read again, without a restart: "signal" (at SIGHUP), "watch" (also when the configuration or a file that it points at changes, as in Kubernetes) or "off"."#,
);

pub(super) fn read(section: &mut Section<'_>) -> Result<Reload, Reported> {
    section.or("reload", Reload::Signal, |entry| {
        entry.choice(&[("signal", Reload::Signal), ("watch", Reload::Watch), ("off", Reload::Off)])
    })
}
