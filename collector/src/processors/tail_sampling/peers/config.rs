//! `peers`: where this instance listens for the others, what it is called, and how it finds them.

use std::time::Duration;

use serde::Deserialize;

use crate::cluster::resolver;
use crate::cluster::ring::Version;
use crate::config::{self, Problems, optional};
use crate::net::address::HostPort;
use crate::net::listen::{Place, Transport};
use crate::net::tls;

const GRACE: Duration = Duration::from_secs(10);
const MIN_GRACE: Duration = Duration::from_secs(2);

/// The section as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in super::super) struct LowPeers {
    endpoint: String,
    name: String,
    port: Option<u16>,
    resolver: resolver::Config,
    ring_version: Version,
    grace: config::Duration,
    shutdown_timeout: config::Duration,
    debug_endpoint: Option<String>,
    #[serde(deserialize_with = "optional::unless_given")]
    tls: Option<tls::Server>,
    #[serde(deserialize_with = "optional::unless_given")]
    client_tls: Option<tls::Client>,
}

/// The section as meant.
#[derive(Clone, Debug)]
pub(in super::super) struct PeersConfig {
    /// Where the others reach this instance.
    pub(super) place: Place,
    /// This instance, as resolvers name it.
    pub(super) name: String,
    /// The port that the others listen on, whatever port the resolver's texts have.
    pub(super) port: Option<u16>,
    own_port: u16,
    pub(super) source: resolver::Source,
    pub(super) ring_version: Version,
    /// How long a decision waits for an instance that does not answer.
    pub(super) grace: Duration,
    /// How long a stopping instance waits for decisions on what it holds; none for `decision_wait` and twice the grace.
    pub(super) shutdown_timeout: Option<Duration>,
    /// Where a page shows the ring and the others, if anywhere.
    pub(super) debug: Option<Place>,
    pub(super) tls: Option<tls::Server>,
    pub(super) client_tls: Option<tls::Client>,
}

impl PeersConfig {
    pub(in super::super) fn parse(low: LowPeers, path: &str, problems: &mut Problems) -> Option<Self> {
        let before = problems.list().len();
        let place = match Place::parse(Transport::Tcp, &low.endpoint) {
            Ok(place) => Some(place),
            Err(error) => {
                problems.add(format!("{path}::endpoint"), format!("where to listen for other instances: {error}"));
                None
            }
        };
        if low.name.is_empty() {
            problems.add(
                format!("{path}::name"),
                "must say how the resolver names this instance, for example ${env:POD_IP}",
            );
        }
        let source = low.resolver.source(&format!("{path}::resolver"), problems);
        let grace = low.grace.positive().unwrap_or(GRACE);
        if grace < MIN_GRACE || low.grace.is_negative() {
            problems.add(format!("{path}::grace"), "must be at least 2s");
        }
        if let Some(tls) = &low.tls {
            tls.check(&format!("{path}::tls"), problems);
        }
        if let Some(tls) = &low.client_tls {
            tls.check(&format!("{path}::client_tls"), problems);
        }
        match (&low.tls, &low.client_tls) {
            (Some(_), None) => problems.add(
                format!("{path}::client_tls"),
                "is needed with tls: this instance connects to the others too, and has to check their certificates",
            ),
            (None, Some(_)) => problems
                .add(format!("{path}::tls"), "is needed with client_tls: the others connect to this instance too"),
            _ => {}
        }
        let debug = low.debug_endpoint.as_deref().and_then(|endpoint| match Place::parse(Transport::Tcp, endpoint) {
            Ok(place) => Some(place),
            Err(error) => {
                problems.add(format!("{path}::debug_endpoint"), format!("where to show the page of peers: {error}"));
                None
            }
        });
        let own_port = match &place {
            Some(Place::Tcp(_, address)) => address.port,
            _ => 0,
        };
        (problems.list().len() == before).then_some(())?;
        Some(Self {
            place: place?,
            name: low.name,
            port: low.port,
            own_port,
            source: source?,
            ring_version: low.ring_version,
            grace,
            shutdown_timeout: low.shutdown_timeout.positive(),
            debug,
            tls: low.tls,
            client_tls: low.client_tls,
        })
    }

    /// True if only instances with a certificate can connect.
    pub(super) fn knows_its_peers(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| !tls.client_ca_file.is_empty())
    }

    /// Where to connect for a member. The resolver's text may carry a port that is not the peers': that of the gateways'
    /// ring. Then `port` says where they listen.
    pub(super) fn dial(&self, member: &str) -> Option<HostPort> {
        let (host, own) = match HostPort::parse(member) {
            Ok(address) => (address.host, Some(address.port)),
            Err(_) => (member.trim_start_matches('[').trim_end_matches(']').to_owned(), None),
        };
        let port = self.port.or(own).unwrap_or(self.own_port);
        (!host.is_empty()).then_some(HostPort { host, port })
    }
}
