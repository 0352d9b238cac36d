//! The `resolver` section, with contrib's keys, defaults and texts.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, Visitor};

use super::{dial_address, dns};
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
    k8s: Option<IgnoredAny>,
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
}

impl Source {
    /// The value of the metrics' `resolver` attribute.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Static(_) => "static",
            Self::Dns(_) => "dns",
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
        if self.k8s.is_some() {
            problems
                .add(format!("{path}::k8s"), "the k8s resolver is not supported yet: use dns with a headless Service");
        }
        if self.aws_cloud_map.is_some() {
            problems.add(format!("{path}::aws_cloud_map"), "the aws_cloud_map resolver is not supported: use dns");
        }
        let fixed = self.fixed.as_ref().map(|fixed| fixed.source(&format!("{path}::static"), problems));
        let dns = self.dns.as_ref().map(|dns| dns.source(&format!("{path}::dns"), problems));
        fixed.or(dns)
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
