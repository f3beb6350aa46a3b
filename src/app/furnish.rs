//! The desk, furnished: at the start, and again at each reload.
//!
//! I own: which part of the settings lasts as long as the process ([`House`]) and which a reload replaces
//! ([`Furniture`]). I may call: `config`, `gateway`, `inbound`, `oidc`, `upstream`. I never touch what is in force: I
//! make another desk, whole, or none.

use crate::app::StartError;
use crate::config::{PageSettings, ProviderSettings};
use crate::domain::identity::IdentityRule;
use crate::domain::origin::Origins;
use crate::domain::path::CanonicalPath;
use crate::domain::route::RouteTable;
use crate::domain::session::Limits;
use crate::gateway::ending::Endings;
use crate::gateway::live::Live;
use crate::gateway::refresh::Refreshes;
use crate::gateway::{Gateway, Providers};
use crate::inbound::admin::AdminToken;
use crate::inbound::throttle::Throttle;
use crate::inbound::{Branding, CookieNames, Desk, EnvelopeKeys, Pages};
use crate::keyring::KeyRing;
use crate::oidc::OidcProvider;
use crate::ports::{Clock, IdentityProvider, Ledger, SessionStore, Transfer};
use crate::upstream::rules::HeaderRules;
use ipnet::IpNet;
use std::sync::Arc;

/// What lasts: sessions, keys, and who waits for an ending survive every reload.
pub(super) struct House {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) live: Arc<Live>,
    pub(super) refreshes: Arc<Refreshes>,
    pub(super) endings: Arc<Endings>,
    pub(super) transfer: Arc<dyn Transfer>,
    pub(super) limits: Limits,
    pub(super) prefix: CanonicalPath,
    pub(super) origins: Origins,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) cookies: CookieNames,
    /// Whether there is a door for operators.
    pub(super) has_counter: bool,
}

/// What is replaced.
pub(super) struct Furniture {
    pub(super) providers: Vec<ProviderSettings>,
    pub(super) identity: IdentityRule,
    pub(super) routes: RouteTable,
    pub(super) pages: PageSettings,
    /// `None` where it stays as it was.
    pub(super) admin_token: Option<AdminToken>,
    /// Of the keys that are, or are about to be, in force.
    pub(super) envelope: EnvelopeKeys,
}

/// The providers of one desk, as those that a reload finds again.
pub(super) type Adapters = Vec<Arc<OidcProvider>>;

impl House {
    /// A desk with this furniture. A provider that was there `before` keeps what it knows.
    ///
    /// # Errors
    /// See [`StartError`]; nothing has changed then.
    pub(super) fn furnish(
        &self,
        furniture: Furniture,
        before: &[Arc<OidcProvider>],
    ) -> Result<(Desk, Adapters), StartError> {
        let Furniture { providers, identity, routes, pages, admin_token, envelope } = furniture;
        let PageSettings { folder: _, templates, name, logo, accent, footer } = pages;
        // Whose pages may frame ours.
        let parents = self.cookies.reach.parents().iter().map(|parent| parent.as_str().to_owned()).collect();
        let pages = Pages::new(Branding { name, logo, accent, footer, parents, templates })?;
        let mut adapters = Adapters::new();
        for settings in providers {
            let id = settings.id.clone();
            let adapter = match before.iter().find(|adapter| *adapter.id() == id) {
                Some(adapter) => adapter.renewed(settings, identity.clone()),
                None => OidcProvider::new(settings, identity.clone(), Arc::clone(&self.clock)),
            };
            let adapter = adapter.map_err(|error| StartError::Provider(id.as_str().to_owned(), error))?;
            adapters.push(Arc::new(adapter));
        }
        let ports = adapters.iter().map(|adapter| {
            let port: Arc<dyn IdentityProvider> = Arc::clone(adapter) as _;
            (adapter.id().clone(), port)
        });
        let providers = Providers::new(ports.collect()).ok_or(StartError::Missing("provider"))?;
        let cookies = self.cookies.clone();
        let rules = HeaderRules::new(&routes, &[cookies.session.clone(), cookies.binding.clone()]);
        let gateway = Gateway {
            clock: Arc::clone(&self.clock),
            store: Arc::clone(&self.store),
            keys: Arc::clone(&self.keys),
            providers,
            routes,
            limits: self.limits,
            prefix: self.prefix.clone(),
            ledger: Arc::clone(&self.ledger),
            live: Arc::clone(&self.live),
            refreshes: Arc::clone(&self.refreshes),
            endings: Arc::clone(&self.endings),
            transfer: Arc::clone(&self.transfer),
        };
        let desk = Desk {
            gateway: Arc::new(gateway),
            origins: self.origins.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            throttle: Arc::clone(&self.throttle),
            cookies,
            envelope,
            identity,
            pages,
            rules: Arc::new(rules),
            admin_token,
        };
        Ok((desk, adapters))
    }
}
