//! Certificates of one server: the options `cert`, `key` and `ca` of its URL name files in PEM.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::dsn::{Dsn, DsnError};

/// What the files hold.
#[derive(Clone, Default)]
pub struct TlsFiles {
    /// The client's certificate, with those that vouch for it, and its key.
    pub client: Option<ClientFiles>,
    /// Authorities to trust.
    pub ca: Option<Vec<u8>>,
}

/// A certificate and its key, which a server asks of its clients.
#[derive(Clone)]
pub struct ClientFiles {
    /// The certificate.
    pub cert: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
}

impl TlsFiles {
    /// Takes the options out of a URL and reads their files; `None` if there is none of them.
    /// `secure` is true if the URL is for TLS.
    ///
    /// # Errors
    /// When a file is missing or is not what its option needs, a certificate has no key, or the URL
    /// is not for TLS.
    pub fn take(dsn: &mut Dsn, secure: bool) -> Result<Option<Self>, DsnError> {
        let cert = read(dsn, "cert", is_certificates)?;
        let key = read(dsn, "key", |pem| PrivateKeyDer::from_pem_slice(pem).is_ok())?;
        let ca = read(dsn, "ca", is_certificates)?;
        let client = match (cert, key) {
            (Some(cert), Some(key)) => Some(ClientFiles { cert, key }),
            (None, None) => None,
            (None, Some(_)) => return Err(DsnError::Missing("cert, the certificate of its key")),
            (Some(_), None) => return Err(DsnError::Missing("key, the key of its cert")),
        };
        if client.is_none() && ca.is_none() {
            return Ok(None);
        }
        if !secure {
            return Err(DsnError::Server(
                "has a file of TLS (cert, key or ca), and its scheme is not for TLS",
            ));
        }
        Ok(Some(Self { client, ca }))
    }
}

fn is_certificates(pem: &[u8]) -> bool {
    let mut all = CertificateDer::pem_slice_iter(pem).peekable();
    all.peek().is_some() && all.all(|certificate| certificate.is_ok())
}

/// Reads the file of an option, which `holds` what the option needs.
fn read(
    dsn: &mut Dsn,
    option: &'static str,
    holds: impl Fn(&[u8]) -> bool,
) -> Result<Option<Vec<u8>>, DsnError> {
    let Some(path) = dsn.option::<String>(option)? else { return Ok(None) };
    let wrong = |problem: String| DsnError::File(option, problem);
    let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if holds(&pem) {
        return Ok(Some(pem));
    }
    let needed = if option == "key" { "private key" } else { "certificate" };
    Err(wrong(format!("holds no {needed} in PEM")))
}
