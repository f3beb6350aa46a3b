//! The configuration of the demo's gateway, as anybody would write it.
//!
//! I own: the text. I may call: nothing but the ports. I never use a key that an operator does not have.

use super::doors::Ports;
use std::path::Path;

/// Where sessions live. The one line to change when there is a store that outlives the process; `store_path` is then
/// written too.
const STORE: &str = "embedded";

/// Whether sessions are still there after a restart.
pub(super) const SURVIVES_RESTART: bool = !matches!(STORE.as_bytes(), b"memory");

/// The id of the gateway at the demo's provider.
pub(super) const CLIENT_ID: &str = "keycard-demo";

/// Where the gateway hears of sign-outs at the provider, as it is registered there.
pub(super) const LOGOUT_PATH: &str = "/bff/backchannel-logout";

/// The name of the file in the demo's folder with the token for operators.
pub(super) const ADMIN_TOKEN_FILE: &str = "admin-token";

/// The file, ready for `config::parse` and, without a change, for `keycard serve`.
pub(super) fn text(ports: Ports, issuer: &str, home: &str, client_secret: &str, folder: &Path) -> String {
    let apps = format!("http://127.0.0.1:{}", ports.apps);
    // A TOML literal has no escapes; a path with a quote in it is not worth a demo.
    let store_path = if SURVIVES_RESTART {
        format!("store_path = '{}'\n", folder.join("store").display())
    } else {
        String::new()
    };
    let admin_token = folder.join(ADMIN_TOKEN_FILE);
    format!(
        r#"# The gateway of `keycard demo`, written at its start. Not a word of it is special.

[server]
listen = "127.0.0.1:{gateway}"
public_url = "{home}"
workers = 2
drain_timeout = "1s"
# For `keycard sessions`.
admin_listen = "127.0.0.1:{admin}"
admin_token = {{ file = '{admin_token}' }}

[session]
store = "{STORE}"
{store_path}
[[provider]]
id = "demo"
issuer = "{issuer}"
client_id = "{CLIENT_ID}"
client_secret = "{client_secret}"

[identity]
user_id = "preferred_username"
roles = ["roles"]

# The single-page app: everybody may load it. It asks /bff/user who is there.
[[route]]
path = "/"
upstream = "{apps}"
access = "public"

# An app that believes headers.
[[route]]
path = "/legacy/"
upstream = "{apps}"
access = "signed-in"
identity_headers = "remote-user"

# An API that wants a bearer token, and only from teachers.
[[route]]
path = "/api/"
upstream = "{apps}"
access = {{ roles = ["teacher"] }}
token = "access"

# Server-sent events.
[[route]]
path = "/events-demo"
upstream = "{apps}"
access = "signed-in"

# A WebSocket: closed with 4401 when the session ends.
[[route]]
path = "/chat"
upstream = "{apps}"
access = "signed-in"
identity_headers = "remote-user"
websocket = true

[log]
format = "human"
level = "warn"
"#,
        gateway = ports.gateway,
        admin = ports.admin,
        admin_token = admin_token.display(),
    )
}
