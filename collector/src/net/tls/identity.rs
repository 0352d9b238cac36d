//! The own certificate and key, read again lazily when they are older than `reload_interval`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use component::Clock;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Common, Source};

pub(super) struct Identity {
    certificate: Source,
    key: Source,
    reload: Option<Duration>,
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
    current: Mutex<(Duration, Arc<CertifiedKey>)>,
}

impl Identity {
    /// Nothing if the section names no certificate.
    pub(super) fn load(
        config: &Common,
        provider: &Arc<CryptoProvider>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, String> {
        let Some((certificate, key)) = config.certificate() else { return Ok(None) };
        let first = Arc::new(read(&certificate, &key, provider)?);
        Ok(Some(Self {
            certificate,
            key,
            reload: config.reload_interval(),
            provider: Arc::clone(provider),
            clock: Arc::clone(clock),
            current: Mutex::new((clock.monotonic(), first)),
        }))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        if self.reload.is_some_and(|reload| now.saturating_sub(current.0) >= reload) {
            // Tried once an interval: a bad file must not cost every handshake a read.
            current.0 = now;
            match read(&self.certificate, &self.key, &self.provider) {
                Ok(key) => current.1 = Arc::new(key),
                Err(error) => tracing::warn!(error, "Failed to reload the TLS certificate; the old one stays"),
            }
        }
        Arc::clone(&current.1)
    }
}

fn read(certificate: &Source, key: &Source, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let bad = |error: String| format!("failed to load TLS cert and key: {error}");
    let pem = certificate.read().map_err(bad)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(format!("failed to parse certificate: {error}")))?;
    if chain.is_empty() {
        return Err(bad("failed to find any PEM data in certificate input".to_owned()));
    }
    let pem = key.read().map_err(bad)?;
    let key =
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| bad(format!("failed to parse private key: {error}")))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| bad(error.to_string()))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key.
        f.debug_struct("Identity").field("reload", &self.reload).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
