//! The doors beside the public one: for probes and for operators.
//!
//! I own: what a [`TestGateway`] of an operating plan is asked there. I never judge an answer: tests do.

use super::gateway::{ADMIN_TOKEN, TestGateway};
use super::raw::{Answer, send};

impl TestGateway {
    /// What a probe is answered.
    pub fn probe(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        send(self.health.unwrap(), request.as_bytes()).expect("no answer")
    }

    /// A metric by its name, with its labels if it has any; 0 where there is no such line.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.probe("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// What an operator is answered.
    pub fn operate(&self, method: &str, target: &str) -> Answer {
        self.operate_with(ADMIN_TOKEN, method, target)
    }

    /// What somebody is answered who shows this token.
    pub fn operate_with(&self, token: &str, method: &str, target: &str) -> Answer {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        send(self.admin.unwrap(), request.as_bytes()).expect("no answer")
    }
}
