//! Trusted roots: the configured CA, and the system's bundle from where Go looks for it.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Source;

/// Go's list (crypto/x509/root_linux.go); the first that exists counts.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates of `source`, and of the system if `system`.
pub(super) fn load(source: Option<&Source>, system: bool) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(source) = source {
        let pem = source.read().map_err(|error| format!("failed to load CA CertPool: failed to load cert: {error}"))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| format!("failed to parse cert: {error}"))?;
            store.add(certificate).map_err(|error| format!("failed to parse cert: {error}"))?;
        }
        if store.is_empty() {
            return Err("failed to load CA CertPool: failed to parse cert: no certificate found".to_owned());
        }
    }
    if system {
        let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
        let found = named.or_else(|| BUNDLES.iter().map(std::path::PathBuf::from).find(|path| path.exists()));
        // A machine without roots fails at the handshake, as Go does, so that plain-text exporters still start.
        if let Some(path) = found {
            let pem = std::fs::read(&path).map_err(|error| format!("open {}: {error}", path.display()))?;
            // Bundles hold odd certificates; those that do not parse are left out, as Go leaves them out.
            store.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        }
    }
    Ok(store)
}
