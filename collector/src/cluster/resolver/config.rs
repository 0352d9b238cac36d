//! The `resolver` section, with contrib's keys, defaults and texts.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, Visitor};

use super::{dial_address, dns, k8s};
use crate::config::{Duration, Problems, optional};
use crate::net::address::HostPort;

/// The section as written: one of its keys is to be given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    #[serde(rename = "static", deserialize_with = "optional::unless_given")]
    fixed: Option<Static>,
    #[serde(deserialize_with = "optional::unless_given")]
    dns: Option<Dns>,
    #[serde(deserialize_with = "optional::unless_given")]
    k8s: Option<K8s>,
    aws_cloud_map: Option<IgnoredAny>,
}

/// `static`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Static {
    hostnames: Vec<String>,
}

/// `dns`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Dns {
    hostname: String,
    port: Port,
    interval: Duration,
    timeout: Duration,
}

/// `k8s`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct K8s {
    service: String,
    ports: Vec<i64>,
    timeout: Duration,
    return_hostnames: bool,
}

/// A port as text or as a number. The Go collector takes only text and refuses the number that articles show.
#[derive(Clone, Debug, Default)]
struct Port(String);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl Visitor<'_> for PortVisitor {
    type Value = Port;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
        Ok(Port(text.to_owned()))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Port, E> {
        Ok(Port(number.to_string()))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Port, E> {
        Ok(Port(number.to_string()))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Port, E> {
        Ok(Port::default())
    }
}

/// Where members come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A fixed list.
    Static(Vec<String>),
    /// All addresses of a name.
    Dns(dns::Dns),
    /// The ready endpoints of a Kubernetes Service.
    K8s(k8s::Service),
}

impl Source {
    /// The value of the metrics' `resolver` attribute.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::Dns(_) => "dns",
            Self::K8s(_) => "k8s",
        }
    }
}

impl Config {
    /// The one source that is configured. Every mistake goes to `problems`.
    pub fn source(&self, path: &str, problems: &mut Problems) -> Option<Source> {
        let given = [self.fixed.is_some(), self.dns.is_some(), self.k8s.is_some(), self.aws_cloud_map.is_some()];
        match given.iter().filter(|given| **given).count() {
            0 => problems.add(path, "no resolvers specified for the exporter"),
            1 => {}
            _ => problems.add(path, "only one resolver should be specified"),
        }
        if self.aws_cloud_map.is_some() {
            problems
                .add(format!("{path}::aws_cloud_map"), "the aws_cloud_map resolver is not supported: use dns or k8s");
        }
        let fixed = self.fixed.as_ref().map(|fixed| fixed.source(&format!("{path}::static"), problems));
        let dns = self.dns.as_ref().map(|dns| dns.source(&format!("{path}::dns"), problems));
        let k8s = self.k8s.as_ref().and_then(|k8s| k8s.source(&format!("{path}::k8s"), problems));
        fixed.or(dns).or(k8s)
    }
}

impl Static {
    fn source(&self, path: &str, problems: &mut Problems) -> Source {
        if self.hostnames.is_empty() {
            problems.add(path, "no endpoints specified for the static resolver");
        }
        for (index, hostname) in self.hostnames.iter().enumerate() {
            if let Err(error) = HostPort::parse(&dial_address(hostname)) {
                problems.add(format!("{path}::hostnames[{index}]"), error.to_string());
            } else if hostname.is_empty() || hostname.starts_with(':') {
                problems.add(format!("{path}::hostnames[{index}]"), "a host name or address is expected");
            }
        }
        Source::Static(self.hostnames.clone())
    }
}

impl Dns {
    fn source(&self, path: &str, problems: &mut Problems) -> Source {
        if self.hostname.is_empty() {
            problems.add(path, "no hostname specified to resolve the backends");
        }
        let port = match self.port.0.as_str() {
            "" => None,
            text => {
                let port = text.parse::<u16>().ok().filter(|port| *port > 0);
                if port.is_none() {
                    problems.add(format!("{path}::port"), format!("invalid port {text:?}"));
                }
                port
            }
        };
        for (key, duration) in [("interval", self.interval), ("timeout", self.timeout)] {
            if duration.is_negative() {
                problems.add(format!("{path}::{key}"), "must not be negative");
            }
        }
        Source::Dns(dns::Dns {
            hostname: self.hostname.clone(),
            port,
            interval: self.interval.positive().unwrap_or(dns::INTERVAL),
            timeout: self.timeout.positive().unwrap_or(dns::TIMEOUT),
        })
    }
}

impl K8s {
    fn source(&self, path: &str, problems: &mut Problems) -> Option<Source> {
        let mut ports = Vec::new();
        for (index, port) in self.ports.iter().enumerate() {
            match u16::try_from(*port).ok().filter(|port| *port > 0) {
                Some(port) => ports.push(port),
                None => problems.add(format!("{path}::ports[{index}]"), format!("invalid port {port}")),
            }
        }
        if self.timeout.is_negative() {
            problems.add(format!("{path}::timeout"), "must not be negative");
        }
        let (name, namespace) = match k8s::Service::parse(&self.service) {
            Ok(named) => named,
            Err(error) => {
                problems.add(format!("{path}::service"), error);
                return None;
            }
        };
        Some(Source::K8s(k8s::Service {
            name,
            namespace,
            ports,
            timeout: self.timeout.positive().unwrap_or(k8s::TIMEOUT),
            return_hostnames: self.return_hostnames,
        }))
    }
}
