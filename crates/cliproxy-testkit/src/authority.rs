//! A certificate authority of the test's own, for servers that speak TLS on loopback.
//!
//! Keys and certificates are made when a test runs, so none lies in the repository and none expires.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Signs certificates for `localhost` and `127.0.0.1`.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    directory: tempfile::TempDir,
}

/// A server's certificate and key, as PEM files.
pub struct ServerFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority that nobody trusts yet.
    #[expect(clippy::new_without_default, reason = "making keys is work, not a default")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let authority = Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            directory: tempfile::tempdir().expect("a directory"),
        };
        super::write(&authority.file(), &authority.pem);
        authority
    }

    /// Its certificate as a PEM file, for `SSL_CERT_FILE`.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// Its certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn server(&self) -> (String, String) {
        self.server_until(None)
    }

    /// One that ends at the start of a year, or not within a life.
    fn server_until(&self, year: Option<i32>) -> (String, String) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names).expect("names");
        if let Some(year) = year {
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        }
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }

    /// Files for a server that reads its certificate from disk; they live as long as the authority.
    pub fn server_files(&self) -> ServerFiles {
        self.server_files_until(None)
    }

    /// The same with a certificate that ends at the start of this year.
    pub fn server_files_until(&self, year: Option<i32>) -> ServerFiles {
        let (certificate, key) = self.server_until(year);
        let at = |name: &str| -> PathBuf { Path::join(self.directory.path(), name) };
        let files = ServerFiles { certificate: at("server.pem"), key: at("server.key") };
        super::write(&files.certificate, &certificate);
        super::write(&files.key, &key);
        files
    }

    /// Accepts TLS and offers the protocols of `alpn`.
    pub fn acceptor(&self, alpn: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.server();
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("certificate and key fit");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
