//! A certificate authority of the tests' own.
//!
//! I own: [`Authority`], made by the `openssl` command in a directory that goes when I go. I never hand out a private
//! key except inside a server's configuration.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Keys that are drawn quickly.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// An authority that nobody trusts unless told to.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let authority = Self { folder: TempDir::new().unwrap() };
        let ca =
            ["req", "-x509", "-days", "2", "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.pem"];
        authority.openssl(&[ca.as_slice(), &KEY].concat());
        authority
    }

    /// The file for `ca_file`.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server that proves to be `name`, such as `DNS:localhost`.
    pub fn server(&self, name: &str) -> Arc<ServerConfig> {
        let path = |file: &str| self.folder.path().join(file);
        std::fs::write(path("leaf.ext"), format!("subjectAltName={name}\n")).unwrap();
        let leaf = ["req", "-new", "-subj", "/CN=provider", "-keyout", "key.pem", "-out", "leaf.csr"];
        self.openssl(&[leaf.as_slice(), &KEY].concat());
        let by =
            ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "leaf.ext"];
        self.openssl(&[&["x509", "-req", "-in", "leaf.csr", "-out", "cert.pem"], by.as_slice()].concat());
        let chain = vec![CertificateDer::from_pem_file(path("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(path("key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }

    fn openssl(&self, arguments: &[&str]) {
        let status = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("this test needs openssl");
        assert!(status.success(), "openssl {arguments:?}");
    }
}
