//! TLS of servers and clients: the collector's `tls` section turned into rustls configurations.
//!
//! Spoken are TLS 1.2 and 1.3. What rustls cannot do (older versions, choice of curves, TPM keys) is refused, not
//! ignored. System roots are read from the files that Go reads.

mod config;
mod identity;
mod roots;
#[cfg(test)]
mod tests;
mod verify;

use std::io;
use std::sync::Arc;

use component::Clock;
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

pub use config::{Client, Common, Server, Source};

use super::Stream;
use identity::Identity;

/// Turns accepted connections into TLS ones.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl Acceptor {
    /// Loads certificates and keys. `alpn` in order of preference.
    pub fn load(config: &Server, alpn: &[&str], clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let common = config.common();
        let provider = common.provider()?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(&common)?)
            .map_err(|error| failed(&error))?;
        let builder = match config.client_ca() {
            None => builder.with_no_client_auth(),
            Some(source) => {
                let pool = roots::load(Some(&source), false).map_err(|error| failed(&error))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(pool), Arc::clone(&provider))
                    .build()
                    .map_err(|error| failed(&error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let identity = Identity::load(&common, &provider, clock).map_err(|error| failed(&error))?;
        let identity = identity.ok_or_else(|| failed(&"missing certificate"))?;
        let mut server = builder.with_cert_resolver(Arc::new(identity));
        server.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self(TlsAcceptor::from(Arc::new(server))))
    }

    /// Does the handshake.
    pub async fn accept(&self, stream: Stream) -> io::Result<Stream> {
        let stream = self.0.accept(stream).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

/// Turns opened connections into TLS ones.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    name_override: Option<ServerName<'static>>,
}

impl Connector {
    /// Loads roots, certificate and key.
    pub fn load(config: &Client, alpn: &[&str], clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let common = config.common();
        let provider = common.provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions(&common)?)
            .map_err(|error| failed(&error))?;
        let builder = if config.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verify::AcceptAny::new(&provider)))
        } else {
            let source = common.ca();
            let system = source.is_none() || common.include_system_ca_certs_pool;
            builder.with_root_certificates(roots::load(source.as_ref(), system).map_err(|error| failed(&error))?)
        };
        let identity = Identity::load(&common, &provider, clock).map_err(|error| failed(&error))?;
        let mut client = match identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(identity)),
            None => builder.with_no_client_auth(),
        };
        client.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name_override = match config.server_name_override.as_str() {
            "" => None,
            name => Some(ServerName::try_from(name.to_owned()).map_err(|error| failed(&error))?),
        };
        Ok(Self { tls: TlsConnector::from(Arc::new(client)), name_override })
    }

    /// Does the handshake with the server called `host`.
    pub async fn connect(&self, host: &str, stream: Stream) -> io::Result<Stream> {
        let name = match &self.name_override {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        let stream = self.tls.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
    }
}

fn failed(error: &dyn std::fmt::Display) -> String {
    format!("failed to load TLS config: {error}")
}

fn versions(config: &Common) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let parse = |key: &str, text: &str| match text {
        "" => Ok(None),
        "1.2" => Ok(Some(2)),
        "1.3" => Ok(Some(3)),
        "1.0" | "1.1" if key == "min_version" => Err(format!("TLS {key} {text:?} is not offered here: use \"1.2\"")),
        "1.0" | "1.1" => Err(format!("TLS {key} {text:?} is not offered here: TLS 1.2 and 1.3 are")),
        other => Err(format!("invalid TLS {key}: unsupported TLS version: {other:?}")),
    };
    let (lowest, highest) = config.versions();
    let lowest = parse("min_version", lowest)?.unwrap_or(2);
    let highest = parse("max_version", highest)?.unwrap_or(3);
    if lowest > highest {
        return Err("invalid TLS configuration: min_version cannot be greater than max_version".to_owned());
    }
    let all: [(u8, &'static SupportedProtocolVersion); 2] = [(2, &TLS12), (3, &TLS13)];
    Ok(all.into_iter().filter(|(number, _)| (lowest..=highest).contains(number)).map(|(_, version)| version).collect())
}
