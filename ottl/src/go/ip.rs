//! Go's `net.ParseIP` and `net.ParseCIDR`.

use std::net::{IpAddr, Ipv4Addr};

/// `net.ParseIP`: an IPv4 or IPv6 address without a zone. An IPv4 address mapped into IPv6 is an IPv4 address.
pub fn parse(text: &[u8]) -> Option<IpAddr> {
    // Rust and Go agree: no leading zeros in IPv4 parts, no zone here.
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// A network: an address and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// `net.ParseCIDR`: `192.0.2.0/24`, `2001:db8::/32`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (address, bits) = std::str::from_utf8(text).ok()?.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix_bits: u32 = bits.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        (prefix_bits <= width).then_some(Network { address, prefix_bits })
    }

    /// Whether an address as [`parse`] gives it lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => self.covers(v4_bits(network), v4_bits(address)),
            (IpAddr::V6(network), IpAddr::V6(address)) => self.covers(u128::from(network), u128::from(address)),
            // A network written as ::ffff:192.0.2.0/120 holds IPv4 addresses, because Go compares their short forms.
            (IpAddr::V6(network), IpAddr::V4(address)) => match network.to_ipv4_mapped() {
                Some(network) => match self.prefix_bits.checked_sub(96) {
                    Some(prefix_bits) => {
                        Network { address: IpAddr::V4(network), prefix_bits }.contains(IpAddr::V4(address))
                    }
                    None => false,
                },
                None => false,
            },
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }

    fn covers(&self, network: u128, address: u128) -> bool {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        let ignored = width - self.prefix_bits.min(width);
        // A shift by all 128 bits is not defined; then every bit is ignored.
        network.checked_shr(ignored).unwrap_or(0) == address.checked_shr(ignored).unwrap_or(0)
    }
}

fn v4_bits(address: Ipv4Addr) -> u128 {
    u128::from(u32::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, address: &str, inside: bool) {
        let network = Network::parse(network.as_bytes()).unwrap();
        assert_eq!(network.contains(parse(address.as_bytes()).unwrap()), inside, "{network:?} {address}");
    }

    #[test]
    fn containment() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("::/0", "10.0.0.1", false);
        check("::/0", "2001:db8::1", true);
        check("0.0.0.0/0", "1.2.3.4", true);
        check("2001:db8::/32", "2001:db9::1", false);
    }

    #[test]
    fn what_is_no_address_or_network() {
        for text in ["10.0.0.01", "1.2.3", "", "fe80::1%eth0", " 1.2.3.4"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        for text in ["10.0.0.1", "10.0.0.1/33", "::/129", "10.0.0.0/+8", "10.0.0.0/"] {
            assert_eq!(Network::parse(text.as_bytes()), None, "{text}");
        }
    }
}
