//! Files of certificates.
//!
//! I own: the check that a file holds PEM certificates (RFC 7468). I may call: `cursor`. I never judge a certificate:
//! that is for whoever trusts it.

use crate::config::cursor::{Entry, Reported};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Reads the file that the entry names; it must hold at least one certificate, and every one well-formed.
pub(super) fn certificates(entry: &Entry<'_>) -> Result<Vec<u8>, Reported> {
    let path = Path::new(entry.text()?);
    let content = entry.environment().read_file(path).map_err(|error| {
        entry.wrong(
            format_args!("names the file {path:?}, which cannot be read: {error}"),
            "check the path, and that this user may read the file",
        )
    })?;
    if !holds_certificates(&content) {
        return Err(entry.wrong(
            format_args!("names the file {path:?}, which holds no PEM certificate"),
            format!("it must have a block `{BEGIN}`; convert DER with `openssl x509 -inform der`"),
        ));
    }
    Ok(content)
}

fn holds_certificates(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    let blocks: Vec<&str> = text.split(BEGIN).skip(1).collect();
    !blocks.is_empty() && blocks.iter().all(|block| is_certificate(block))
}

fn is_certificate(block: &str) -> bool {
    let Some((body, _)) = block.split_once(END) else { return false };
    let body: String = body.split_whitespace().collect();
    !body.is_empty() && STANDARD.decode(body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_block_is_asked_for() {
        for (content, expected) in [
            ("-----BEGIN CERTIFICATE-----\nTUlJ\nQg==\n-----END CERTIFICATE-----\n", true),
            ("# my CA\n-----BEGIN CERTIFICATE-----\r\nTUlJ\r\n-----END CERTIFICATE-----", true),
            ("", false),
            ("-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----", false),
            ("-----BEGIN CERTIFICATE-----\nTUlJ\n", false),
            ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----", false),
            ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", false),
        ] {
            assert_eq!(holds_certificates(content.as_bytes()), expected, "{content}");
        }
    }
}
