//! What a test tells the provider to do instead of behaving.
//!
//! I own: [`Script`], [`Canned`], [`Place`]. I never act: `provider` does.

use super::forge::Forge;
use super::refresh::Gate;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// An endpoint of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Discovery,
    Jwks,
    Authorize,
    Token,
    /// The token endpoint, asked for new tokens.
    Refresh,
    /// Where tokens are revoked.
    Revoke,
    UserInfo,
    EndSession,
    /// What nobody may ever call.
    Canary,
    /// Anything else.
    Nowhere,
}

/// An answer that is given whatever was asked.
#[derive(Clone)]
pub enum Canned {
    /// Status, headers, body.
    Reply(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection is closed without a word.
    HangUp,
}

/// Bends a JSON document.
pub type Bend = Arc<dyn Fn(&mut Value) + Send + Sync>;
/// Bends the parameters of the authorization response.
pub type BendPairs = Arc<dyn Fn(&mut Vec<(String, String)>) + Send + Sync>;
/// Makes the ID token.
pub type Make = Arc<dyn Fn(&mut Forge) -> String + Send + Sync>;

/// All of it; the default is to behave.
#[derive(Clone, Default)]
pub struct Script {
    pub id_token: Option<Make>,
    pub discovery: Option<Bend>,
    pub jwks: Option<Bend>,
    pub token: Option<Bend>,
    pub userinfo: Option<Bend>,
    pub callback: Option<BendPairs>,
    /// Bends the answers to a refresh, over `token`.
    pub refreshed: Option<Bend>,
    /// Refresh tokens stay good when they are used, and no new one comes.
    pub keeps_refresh_tokens: bool,
    /// Answers that are ready, and held until somebody opens.
    pub gates: HashMap<Place, Gate>,
    pub canned: HashMap<Place, Canned>,
    /// Codes are redeemed without a look at PKCE.
    pub ignore_pkce: bool,
    /// Claims of the person, over the usual ones, in ID token and UserInfo.
    pub person: Option<Value>,
}
