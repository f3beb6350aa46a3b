//! What `config/compose.yaml` sets, and the file that the documents put beside it, make a configuration.
//!
//! I own: the names of variables there, and what they lead to. I never start a container: `tests/engine` does.

use keycard::config::environment::{Environment, Variable};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What docs/deployment.md asks for beside the Compose file: a public address, a provider without its secret, routes.
const BESIDE: &str = r#"
[server]
public_url = "https://apps.example.com"
[[provider]]
id = "corp"
issuer = "https://idp.example.com"
client_id = "keycard"
[[route]]
path = "/"
upstream = "http://wiki:80"
access = "signed-in"
"#;

/// The container: its variables, and the secrets that are mounted into it.
struct Container {
    variables: BTreeMap<String, String>,
    secrets: Vec<String>,
}

impl Environment for Container {
    fn var(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn variables(&self, prefix: &str) -> Vec<Variable> {
        let named = self.variables.iter().filter(|(name, _)| name.starts_with(prefix));
        named.map(|(name, value)| Variable { name: name.clone(), value: Some(value.clone()) }).collect()
    }

    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = path.strip_prefix("/run/secrets").ok().and_then(Path::to_str).unwrap_or_default();
        match name {
            _ if !self.secrets.iter().any(|secret| secret == name) => Err(io::ErrorKind::NotFound.into()),
            "keycard.key" => Ok(b"a2V5Y2FyZC10ZXN0LXNlYWxpbmcta2V5LTMyLWJ5dGU=".to_vec()),
            _ => Ok(b"a-secret-of-some-length".to_vec()),
        }
    }

    fn file_mode(&self, _: &Path) -> Option<u32> {
        Some(0o400)
    }
}

/// The lines of one service of the Compose file. Read by indentation: `tests/engine` has Compose run the whole.
fn service(name: &str) -> Vec<String> {
    let text = include_str!("../../config/compose.yaml");
    let head = format!("  {name}:");
    text.lines()
        .skip_while(|line| **line != head)
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| line.trim().to_owned())
        .collect()
}

fn container() -> Container {
    let lines = service("keycard");
    let variables = lines.iter().filter(|line| line.starts_with("KEYCARD__"));
    let variables = variables
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let secrets = lines.iter().find_map(|line| line.strip_prefix("secrets: [")).unwrap();
    let secrets = secrets.trim_end_matches(']').split(", ").map(str::to_owned).collect();
    Container { variables, secrets }
}

#[test]
fn the_variables_of_the_compose_file_complete_a_configuration() {
    let settings = keycard::config::parse("keycard.toml", BESIDE, &container())
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(settings.server.listen.to_string(), "0.0.0.0:8080", "as its port is published");
    assert!(service("keycard").contains(&r#"ports: ["127.0.0.1:8080:8080"]"#.to_owned()));
    assert_eq!(settings.session.store.place(), "redis://redis:6379 under keycard:");
}

#[test]
fn a_secret_that_the_compose_file_does_not_mount_is_a_mistake() {
    for gone in 0..2 {
        let mut container = container();
        let name = container.secrets.remove(gone);
        let problems = keycard::config::parse("keycard.toml", BESIDE, &container).err().unwrap().to_string();
        assert!(problems.contains(&format!("/run/secrets/{name}")), "{problems}");
    }
}
