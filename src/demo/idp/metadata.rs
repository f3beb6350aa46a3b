//! What a provider says about itself (OpenID Connect Discovery section 3).
//!
//! I own: the paths of the endpoints and the document that names them. I may call: nothing. I never promise what the
//! endpoints do not do.

use serde_json::{Value, json};

/// Where the document is.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The key set.
pub const JWKS: &str = "/jwks";
/// The authorization endpoint.
pub const AUTHORIZE: &str = "/authorize";
/// The token endpoint.
pub const TOKEN: &str = "/token";
/// UserInfo.
pub const USERINFO: &str = "/userinfo";
/// Where a client sends a browser that signs out.
pub const END_SESSION: &str = "/end_session";

/// The document of `issuer`, which signs ID tokens by these algorithms.
pub fn document(issuer: &str, algorithms: &[&str]) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": at(AUTHORIZE),
        "token_endpoint": at(TOKEN),
        "userinfo_endpoint": at(USERINFO),
        "jwks_uri": at(JWKS),
        "end_session_endpoint": at(END_SESSION),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}
