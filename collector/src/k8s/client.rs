//! How to reach the API server: contrib's keys (`auth_type`, `context`), and a client made from them.
//!
//! A client connects when it is first used; whether the server answers is the watch's question.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::Deserialize;

/// `auth_type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum AuthType {
    /// No credentials, and the server's certificate is not verified.
    #[serde(rename = "none")]
    None,
    /// The service account of the pod.
    #[default]
    #[serde(rename = "serviceAccount")]
    ServiceAccount,
    /// `$KUBECONFIG` or `~/.kube/config`.
    #[serde(rename = "kubeConfig")]
    KubeConfig,
    /// Upstream names it and crashes when it is used.
    #[serde(rename = "tls")]
    Tls,
}

/// How to reach the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Where credentials come from.
    pub auth_type: AuthType,
    /// The context of a kubeconfig; empty is its current one.
    pub context: String,
}

/// Longest silence of a connection attempt.
const CONNECT: Duration = Duration::from_secs(30);

impl Access {
    /// What is wrong with it at validation.
    pub fn check(&self) -> Result<(), &'static str> {
        match self.auth_type {
            AuthType::Tls => Err("auth_type tls is not supported; use serviceAccount in a pod, kubeConfig elsewhere"),
            AuthType::None | AuthType::ServiceAccount | AuthType::KubeConfig => Ok(()),
        }
    }

    /// A client with these credentials. The error says what to do about it.
    pub async fn client(&self) -> Result<Client, String> {
        let mut config = match self.auth_type {
            AuthType::KubeConfig => self.kubeconfig().await?,
            AuthType::ServiceAccount => in_cluster().and_then(|_| {
                Config::incluster().map_err(|error| {
                    format!(
                        "unable to load the service account of this pod: {error}; does the pod have \
                         automountServiceAccountToken: false?"
                    )
                })
            })?,
            AuthType::None | AuthType::Tls => {
                let mut config = Config::new(in_cluster()?);
                config.accept_invalid_certs = true;
                config
            }
        };
        config.connect_timeout = Some(CONNECT);
        // As upstream: the API server is near, whatever proxy the environment names for the world outside.
        config.proxy_url = None;
        Client::try_from(config).map_err(|error| format!("unable to make a Kubernetes client: {error}"))
    }

    async fn kubeconfig(&self) -> Result<Config, String> {
        let context = Some(self.context.clone()).filter(|context| !context.is_empty());
        let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
        let failed = |error: &dyn std::fmt::Display| {
            format!(
                "error connecting to k8s with auth_type=kubeConfig: {error}; set KUBECONFIG or write ~/.kube/config"
            )
        };
        let file = Kubeconfig::read().map_err(|error| failed(&error))?;
        Config::from_custom_kubeconfig(file, &options).await.map_err(|error| failed(&error))
    }
}

fn in_cluster() -> Result<http::Uri, String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(host), Some(port)) = (variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")) else {
        return Err("unable to load k8s config, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined: \
                    this is not a pod. Outside a cluster set auth_type: kubeConfig"
            .to_owned());
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let address = format!("https://{host}:{port}");
    address.parse().map_err(|error| format!("{address} is not the address of an API server: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn outside_a_cluster_the_error_says_what_to_do() {
        // Tests may run in a pod.
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            return;
        }
        let error = Access::default().client().await.err().unwrap();
        assert!(error.contains("set auth_type: kubeConfig"), "{error}");
    }

    #[test]
    fn tls_is_refused() {
        assert!(Access { auth_type: AuthType::Tls, ..Access::default() }.check().is_err());
        assert!(Access::default().check().is_ok());
    }
}
