//! The ledger as metrics, in the text form of OpenMetrics.
//!
//! I own: [`Metrics`], every name and label of a metric, and the crate prometheus-client. I may call: `ports`. I never
//! take a label from a request: the words come from the configuration and from the source, so their number is bounded.

use crate::ports::{EndingStep, Entry, FeedState, Ledger, Near};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Counts and times since the start of the process.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    open: Gauge,
    cut: Family<EndingLabels, Counter>,
    logins: Family<LoginLabels, Counter>,
    renewals: Family<LoginLabels, Counter>,
    revocations: Family<LoginLabels, Counter>,
    owed: Gauge,
    ended: Family<EndingLabels, Counter>,
    checks: Histogram,
    upstream: Family<RouteLabels, Histogram, fn() -> Histogram>,
    store: Family<CommandLabels, Histogram, fn() -> Histogram>,
    store_errors: Family<CommandLabels, Counter>,
    endings: Family<NearLabels, Counter>,
    breaker_open: Gauge,
    breaker_turns: Family<BreakerLabels, Counter>,
    near: Family<NearLabels, Counter>,
    /// Apart from the others: it is entered on every request, and costs no look-up here.
    near_hits: Counter,
    near_sessions: Gauge,
    near_bytes: Gauge,
    feed_up: Gauge,
    feed_age: Gauge<f64, AtomicU64>,
    reloads: Family<ReloadLabels, Counter>,
    configured: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NearLabels {
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    outcome: &'static str,
    status_class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    provider: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndingLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    command: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let near = Family::<NearLabels, Counter>::default();
        let near_hits = near.get_or_create(&NearLabels { event: near_word(Near::Hit) }).clone();
        let mut all = Self {
            registry: Registry::with_prefix("keycard"),
            requests: Family::default(),
            open: Gauge::default(),
            cut: Family::default(),
            logins: Family::default(),
            renewals: Family::default(),
            revocations: Family::default(),
            owed: Gauge::default(),
            ended: Family::default(),
            checks: short_times(),
            upstream: Family::new_with_constructor(long_times),
            store: Family::new_with_constructor(short_times),
            store_errors: Family::default(),
            endings: Family::default(),
            breaker_open: Gauge::default(),
            breaker_turns: Family::default(),
            near,
            near_hits,
            near_sessions: Gauge::default(),
            near_bytes: Gauge::default(),
            feed_up: Gauge::default(),
            feed_age: Gauge::default(),
            reloads: Family::default(),
            configured: Gauge::default(),
        };
        all.register();
        all
    }

    /// A help text gets its full stop from the crate.
    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that runs", build);
        registry.register(
            "requests",
            "Requests by route, outcome and class of status",
            self.requests.clone(),
        );
        registry.register(
            "open_requests",
            "Requests that are not answered to the end yet",
            self.open.clone(),
        );
        let text = "Connections that were not let in or not waited for any longer, by reason";
        registry.register("connections_cut", text, self.cut.clone());
        registry.register("logins", "Steps of logins by provider and result", self.logins.clone());
        let text = "Attempts to renew the tokens of a session by provider and result";
        registry.register("token_renewals", text, self.renewals.clone());
        let text =
            "Refresh tokens of sessions that have ended, by provider and what became of their revocation";
        registry.register("token_revocations", text, self.revocations.clone());
        let text = "Refresh tokens that wait to be revoked, in the whole store";
        registry.register("token_revocations_owed", text, self.owed.clone());
        registry.register("sessions_ended", "Sessions that have ended, by reason", self.ended.clone());
        let (checks, upstream, store) = (self.checks.clone(), self.upstream.clone(), self.store.clone());
        let seconds = || Unit::Seconds;
        let text = "Time to find out who stands behind a ticket";
        registry.register_with_unit("session_check", text, seconds(), checks);
        let text = "Time until an upstream's response head is there";
        registry.register_with_unit("upstream", text, seconds(), upstream);
        registry.register_with_unit("store", "Time of commands to the session store", seconds(), store);
        let text = "Commands that the session store did not answer, or not with what we write";
        registry.register("store_errors", text, self.store_errors.clone());
        let text =
            "Endings that the session store did not take at once, took later, or had forgotten, by event";
        for step in [EndingStep::Deferred, EndingStep::Written, EndingStep::Forgotten] {
            let _ = self.endings.get_or_create(&NearLabels { event: step_word(step) });
        }
        registry.register("endings_remembered", text, self.endings.clone());
        let text = "Whether the session store is not asked, because it has not answered lately";
        registry.register("store_breaker_open", text, self.breaker_open.clone());
        for to in ["open", "closed"] {
            // There from the start, so that the first outage is a step that an alarm can see.
            let _ = self.breaker_turns.get_or_create(&BreakerLabels { to });
        }
        let text = "How often the session store was given up, and asked again";
        registry.register("store_breaker_transitions", text, self.breaker_turns.clone());
        let text = "What happened in the near cache, by event";
        registry.register("near_cache_events", text, self.near.clone());
        registry.register("near_cache_sessions", "Sessions in the near cache", self.near_sessions.clone());
        let text = "About how much memory the sessions in the near cache take";
        registry.register_with_unit("near_cache", text, Unit::Bytes, self.near_bytes.clone());
        let text = "Whether the session store's feed is heard, and proved within the last second";
        registry.register("feed_up", text, self.feed_up.clone());
        let text = "Age of the last heartbeat that came back on the session store's feed";
        registry.register_with_unit("feed_age", text, seconds(), self.feed_age.clone());
        for result in ["applied", "refused", "unchanged"] {
            // There from the start, so that the first refusal is a step that an alarm can see.
            let _ = self.reloads.get_or_create(&ReloadLabels { result });
        }
        registry.register("config_reloads", "Reloads of the configuration by result", self.reloads.clone());
        let text = "When the configuration that is in force was read, or last found unchanged (Unix time)";
        registry.register("config_success_timestamp_seconds", text, self.configured.clone());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger for Metrics {
    fn enter(&self, entry: Entry<'_>) {
        match entry {
            Entry::Opened => {
                self.open.inc();
            }
            Entry::Closed => {
                self.open.dec();
            }
            Entry::Request { route, outcome, status } => {
                let labels = RequestLabels {
                    route: route.to_owned(),
                    outcome: if outcome.is_empty() { "none" } else { outcome },
                    status_class: status.map_or("none", status_class),
                };
                self.requests.get_or_create(&labels).inc();
            }
            Entry::Cut(reason) => {
                self.cut.get_or_create(&EndingLabels { reason }).inc();
            }
            Entry::Login { provider, result } => {
                let labels = LoginLabels { provider: provider.to_owned(), result };
                self.logins.get_or_create(&labels).inc();
            }
            Entry::Renewal { provider, result } => {
                let labels = LoginLabels { provider: provider.to_owned(), result };
                self.renewals.get_or_create(&labels).inc();
            }
            Entry::Revocation { provider, result } => {
                let labels = LoginLabels { provider: provider.to_owned(), result };
                self.revocations.get_or_create(&labels).inc();
            }
            Entry::Owed(count) => {
                self.owed.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            Entry::Ended(reason) => {
                self.ended.get_or_create(&EndingLabels { reason }).inc();
            }
            Entry::Checked(took) => self.checks.observe(took.as_secs_f64()),
            Entry::Upstream { route, took } => {
                let labels = RouteLabels { route: route.to_owned() };
                self.upstream.get_or_create(&labels).observe(took.as_secs_f64());
            }
            Entry::Store { command, took, answered } => {
                let labels = CommandLabels { command };
                self.store.get_or_create(&labels).observe(took.as_secs_f64());
                if !answered {
                    self.store_errors.get_or_create(&labels).inc();
                }
            }
            Entry::Endings(step) => {
                self.endings.get_or_create(&NearLabels { event: step_word(step) }).inc();
            }
            Entry::Breaker { open } => {
                self.breaker_open.set(i64::from(open));
                let to = if open { "open" } else { "closed" };
                self.breaker_turns.get_or_create(&BreakerLabels { to }).inc();
            }
            Entry::Near(Near::Hit) => {
                self.near_hits.inc();
            }
            Entry::Near(event) => {
                self.near.get_or_create(&NearLabels { event: near_word(event) }).inc();
            }
            Entry::Held { sessions, bytes, feed } => {
                let gauge = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
                self.near_sessions.set(gauge(sessions));
                self.near_bytes.set(gauge(bytes));
                self.feed_up.set(i64::from(matches!(feed, FeedState::Up(_))));
                if let Some(age) = feed.age() {
                    self.feed_age.set(age.as_secs_f64());
                }
            }
            Entry::Configured(at) => {
                self.configured.set(seconds(at.unix_millis()));
            }
            Entry::Reloaded { result, at } => {
                self.reloads.get_or_create(&ReloadLabels { result }).inc();
                if result != "refused" {
                    self.configured.set(seconds(at.unix_millis()));
                }
            }
        }
    }

    fn read(&self) -> String {
        let mut text = String::new();
        // Writing into a string fails only where one of our own metrics is malformed; half a text would mislead.
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}

fn step_word(step: EndingStep) -> &'static str {
    match step {
        EndingStep::Deferred => "deferred",
        EndingStep::Written => "written",
        EndingStep::Forgotten => "forgotten",
    }
}

fn near_word(event: Near) -> &'static str {
    match event {
        Near::Hit => "hit",
        Near::Miss => "miss",
        Near::Doubtful => "doubtful",
        Near::FellBack => "fell-back",
        Near::FillRefused => "fill-refused",
        Near::Invalidated => "invalidated",
        Near::AllInvalidated => "all-invalidated",
        Near::Evicted => "evicted",
        Near::PutBack => "put-back",
    }
}

fn seconds(millis: u64) -> f64 {
    Duration::from_millis(millis).as_secs_f64()
}

fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// From a look into memory to a store that is about to time out.
fn short_times() -> Histogram {
    Histogram::new([
        0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0,
    ])
}

/// From a file on the next machine to the longest report.
fn long_times() -> Histogram {
    Histogram::new([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn the_text_is_openmetrics_and_has_every_name() {
        let metrics = Metrics::new();
        let took = Duration::from_millis(3);
        for entry in [
            Entry::Opened,
            Entry::Opened,
            Entry::Closed,
            Entry::Request { route: "/wiki/", outcome: "forwarded", status: Some(204) },
            Entry::Login { provider: "corp", result: "signed-in" },
            Entry::Ended("by-user"),
            Entry::Revocation { provider: "corp", result: "revoked" },
            Entry::Owed(3),
            Entry::Cut("write-stall"),
            Entry::Checked(took),
            Entry::Upstream { route: "/wiki/", took },
            Entry::Store { command: "load", took, answered: false },
            Entry::Breaker { open: true },
            Entry::Near(Near::Hit),
            Entry::Near(Near::Doubtful),
            Entry::Held { sessions: 3, bytes: 6000, feed: FeedState::Up(Duration::from_millis(250)) },
            Entry::Configured(Timestamp::from_unix_millis(1_000)),
            Entry::Reloaded { result: "applied", at: Timestamp::from_unix_millis(2_500) },
            Entry::Reloaded { result: "refused", at: Timestamp::from_unix_millis(9_000) },
        ] {
            metrics.enter(entry);
        }
        let text = metrics.read();
        for line in [
            &format!("keycard_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
            "keycard_open_requests 1",
            "keycard_requests_total{route=\"/wiki/\",outcome=\"forwarded\",status_class=\"2xx\"} 1",
            "keycard_logins_total{provider=\"corp\",result=\"signed-in\"} 1",
            "keycard_sessions_ended_total{reason=\"by-user\"} 1",
            "keycard_token_revocations_total{provider=\"corp\",result=\"revoked\"} 1",
            "keycard_token_revocations_owed 3",
            "keycard_connections_cut_total{reason=\"write-stall\"} 1",
            "keycard_session_check_seconds_count 1",
            "keycard_upstream_seconds_bucket{le=\"0.005\",route=\"/wiki/\"} 1",
            "keycard_store_seconds_count{command=\"load\"} 1",
            "keycard_store_errors_total{command=\"load\"} 1",
            "keycard_near_cache_events_total{event=\"hit\"} 1",
            "keycard_near_cache_events_total{event=\"doubtful\"} 1",
            "keycard_store_breaker_open 1",
            "keycard_store_breaker_transitions_total{to=\"open\"} 1",
            "keycard_store_breaker_transitions_total{to=\"closed\"} 0",
            "keycard_near_cache_sessions 3",
            "keycard_near_cache_bytes 6000",
            "keycard_feed_up 1",
            "keycard_feed_age_seconds 0.25",
            "keycard_config_reloads_total{result=\"applied\"} 1",
            "keycard_config_reloads_total{result=\"refused\"} 1",
            "keycard_config_success_timestamp_seconds 2.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn words_that_need_it_are_escaped() {
        let metrics = Metrics::new();
        metrics.enter(Entry::Request { route: "a\"b\\c\n", outcome: "", status: Some(599) });
        let expected = "{route=\"a\\\"b\\\\c\\n\",outcome=\"none\",status_class=\"5xx\"} 1";
        assert!(metrics.read().contains(expected), "{}", metrics.read());
    }
}
