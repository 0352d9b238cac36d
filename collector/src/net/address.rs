//! `host:port` as Go splits it, with Go's error texts.

use std::fmt;

/// A host and a port. The host may be empty (all interfaces) and has no brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing behind the host.
    #[error("address {0}: missing port in address")]
    MissingPort(String),
    /// An IPv6 address without brackets.
    #[error("address {0}: too many colons in address")]
    TooManyColons(String),
    /// `[` without `]`.
    #[error("address {0}: missing ']' in address")]
    MissingBracket(String),
    /// Not a number of 16 bits.
    #[error("invalid port {0:?}")]
    Port(String),
}

impl HostPort {
    /// Splits `host:port` or `[v6]:port`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or_else(|| AddressError::MissingBracket(text.to_owned()))?;
            let port = tail.strip_prefix(':').ok_or_else(|| AddressError::MissingPort(text.to_owned()))?;
            (host, port)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::MissingPort(text.to_owned()))?;
            if host.contains(':') {
                return Err(AddressError::TooManyColons(text.to_owned()));
            }
            (host, port)
        };
        let port = port.parse().map_err(|_| AddressError::Port(port.to_owned()))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPort;

    fn check(text: &str, expected: &str) {
        let shown = HostPort::parse(text).map(|address| address.to_string()).unwrap_or_else(|error| error.to_string());
        assert_eq!(shown, expected);
    }

    #[test]
    fn splits_as_go() {
        check("localhost:4317", "localhost:4317");
        check(":4317", ":4317");
        check("[::1]:4317", "[::1]:4317");
        check("localhost", "address localhost: missing port in address");
        check("::1:4317", "address ::1:4317: too many colons in address");
        check("[::1:4317", "address [::1:4317: missing ']' in address");
        check("host:abc", "invalid port \"abc\"");
        check("host:70000", "invalid port \"70000\"");
    }
}
