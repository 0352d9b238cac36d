//! The `tls` section (spec of upstream's configtls).

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::{Duration, Problems, Secret};

/// Where PEM text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, read at start and, for certificates, after `reload_interval`.
    File(PathBuf),
    /// Text in the configuration.
    Pem(Secret),
}

impl Source {
    /// The PEM bytes.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Pem(text) => Ok(text.reveal().as_bytes().to_vec()),
            Self::File(path) => std::fs::read(path).map_err(|error| format!("open {}: {error}", path.display())),
        }
    }
}

/// Keys that servers and clients share.
#[derive(Clone, Debug, Default)]
pub struct Common {
    ca_file: String,
    ca_pem: Secret,
    cert_file: String,
    cert_pem: Secret,
    key_file: String,
    key_pem: Secret,
    /// Trust the system's roots too when a CA is given.
    pub include_system_ca_certs_pool: bool,
    min_version: String,
    max_version: String,
    cipher_suites: Vec<String>,
    curve_preferences: Vec<String>,
    reload_interval: Duration,
    tpm: Option<IgnoredAny>,
}

/// The shared keys are listed in both sections: serde's `flatten` would lose the key paths of mistakes.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$key_doc:meta])* $key:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$key_doc])* pub $key: $type,)*
            ca_file: String,
            ca_pem: Secret,
            cert_file: String,
            cert_pem: Secret,
            key_file: String,
            key_pem: Secret,
            include_system_ca_certs_pool: bool,
            min_version: String,
            max_version: String,
            cipher_suites: Vec<String>,
            curve_preferences: Vec<String>,
            reload_interval: Duration,
            tpm: Option<IgnoredAny>,
        }

        impl $name {
            /// The keys that servers and clients share.
            #[must_use]
            pub fn common(&self) -> Common {
                Common {
                    ca_file: self.ca_file.clone(),
                    ca_pem: self.ca_pem.clone(),
                    cert_file: self.cert_file.clone(),
                    cert_pem: self.cert_pem.clone(),
                    key_file: self.key_file.clone(),
                    key_pem: self.key_pem.clone(),
                    include_system_ca_certs_pool: self.include_system_ca_certs_pool,
                    min_version: self.min_version.clone(),
                    max_version: self.max_version.clone(),
                    cipher_suites: self.cipher_suites.clone(),
                    curve_preferences: self.curve_preferences.clone(),
                    reload_interval: self.reload_interval,
                    tpm: self.tpm,
                }
            }
        }
    };
}

section! {
    /// The `tls` section of a client.
    Client {
        /// Plain text, unless a CA is given.
        insecure: bool,
        /// Accept any certificate.
        insecure_skip_verify: bool,
        /// The name to check instead of the host.
        server_name_override: String,
    }
}

impl Client {
    /// A section with these files; an empty path is none.
    #[must_use]
    pub fn of_files(insecure: bool, ca_file: String, cert_file: String, key_file: String) -> Self {
        Self { insecure, ca_file, cert_file, key_file, ..Self::default() }
    }
}

section! {
    /// The `tls` section of a server.
    Server {
        /// Clients must show a certificate that this CA signed.
        client_ca_file: String,
        /// Refused if true.
        client_ca_file_reload: bool,
    }
}

impl Common {
    /// The CA, if one is given.
    #[must_use]
    pub fn ca(&self) -> Option<Source> {
        source(&self.ca_file, &self.ca_pem)
    }

    pub(super) fn reload_interval(&self) -> Option<std::time::Duration> {
        self.reload_interval.positive()
    }

    /// Lowest and highest version as written; empty is the default.
    pub(super) fn versions(&self) -> (&str, &str) {
        (&self.min_version, &self.max_version)
    }

    /// Certificate and key, if both are given.
    pub(super) fn certificate(&self) -> Option<(Source, Source)> {
        source(&self.cert_file, &self.cert_pem).zip(source(&self.key_file, &self.key_pem))
    }

    /// The cryptography, cut to the configured TLS 1.2 suites. As in Go, TLS 1.3 suites are not configurable.
    pub(super) fn provider(&self) -> Result<Arc<CryptoProvider>, String> {
        let mut provider = rustls::crypto::ring::default_provider();
        if self.cipher_suites.is_empty() {
            return Ok(Arc::new(provider));
        }
        for name in &self.cipher_suites {
            if !provider.cipher_suites.iter().any(|suite| suite.suite().as_str() == Some(name)) {
                return Err(format!("invalid TLS cipher suite: {name:?}"));
            }
        }
        provider.cipher_suites.retain(|suite| {
            suite.tls13().is_some()
                || self.cipher_suites.iter().any(|name| suite.suite().as_str() == Some(name.as_str()))
        });
        Ok(Arc::new(provider))
    }

    fn check(&self, path: &str, problems: &mut Problems) {
        let mut both = |file: &str, pem: &Secret, what: &str| {
            if !file.is_empty() && !pem.is_empty() {
                problems.add(path, format!("provide either a {what} file or the PEM-encoded string, but not both"));
            }
        };
        both(&self.ca_file, &self.ca_pem, "CA");
        both(&self.cert_file, &self.cert_pem, "certificate");
        both(&self.key_file, &self.key_pem, "key");
        let certificate = source(&self.cert_file, &self.cert_pem).is_some();
        if certificate != source(&self.key_file, &self.key_pem).is_some() {
            problems.add(
                path,
                "TLS configuration must include both certificate and key (CertFile/CertPem and KeyFile/KeyPem)",
            );
        }
        if let Err(error) = super::versions(self) {
            problems.add(path, error);
        }
        if let Err(error) = self.provider() {
            problems.add(path, error);
        }
        if self.reload_interval.is_negative() {
            problems.add(format!("{path}::reload_interval"), "must not be negative");
        }
        if !self.curve_preferences.is_empty() {
            problems.add(format!("{path}::curve_preferences"), "curve_preferences is not supported");
        }
        if self.tpm.is_some() {
            problems.add(format!("{path}::tpm"), "TPM keys are not supported");
        }
    }
}

impl Client {
    /// True for plain text: asked for, and no CA given.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.insecure && self.common().ca().is_none()
    }

    /// Reports every mistake.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        self.common().check(path, problems);
    }
}

impl Server {
    pub(super) fn client_ca(&self) -> Option<Source> {
        source(&self.client_ca_file, &Secret::default())
    }

    /// Reports every mistake.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        self.common().check(path, problems);
        if self.common().certificate().is_none() {
            problems.add(path, "TLS configuration must include both certificate and key for server connections");
        }
        if self.client_ca_file_reload {
            problems.add(format!("{path}::client_ca_file_reload"), "reloading the client CA is not supported");
        }
    }
}

fn source(file: &str, pem: &Secret) -> Option<Source> {
    if !file.is_empty() {
        return Some(Source::File(file.into()));
    }
    if pem.is_empty() { None } else { Some(Source::Pem(pem.clone())) }
}
