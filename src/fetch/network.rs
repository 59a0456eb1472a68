//! Which addresses may be called: public ones, and those of networks that an operator listed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that have their first bits in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Where a connection may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// Beside all that is public.
    listed: Vec<Network>,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("is no address with a length, as in 10.0.0.0/8")]
    Form,
    #[error("has bits behind its length: meant is {0}")]
    Bits(Network),
}

/// IPv4 that nobody on the internet has, or that means something else than a host there.
const NOT_PUBLIC_V4: [Network; 17] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    // Link-local: in clouds 169.254.169.254 gives out credentials.
    v4([169, 254, 0, 0], 16),
    // Azure's own service for its machines, at an address that is public elsewhere.
    v4([168, 63, 129, 16], 32),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
];

/// All of IPv6 that is given out: what is outside is loopback, local, multicast, an IPv4 address in another
/// form, or nothing yet.
const GLOBAL_V6: Network = v6([0x2000, 0], 3);

/// What of it is no host on the internet.
const NOT_PUBLIC_V6: [Network; 4] = [
    // Protocols of their own, Teredo and benchmarks among them.
    v6([0x2001, 0], 23),
    v6([0x2001, 0x0db8], 32),
    // 6to4: an IPv4 address in another form.
    v6([0x2002, 0], 16),
    v6([0x3fff, 0], 20),
];

/// Where NAT64 has the IPv4 addresses, in the last 32 bits.
const NAT64: Network = v6([0x0064, 0xff9b], 96);

/// Where clouds give out credentials.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Network {
    Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> Network {
    Network { address: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), prefix }
}

// === impl Network ===

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                self.masked(u128::from(own.to_bits())) == self.masked(u128::from(other.to_bits()))
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                self.masked(own.to_bits()) == self.masked(other.to_bits())
            }
            _ => false,
        }
    }

    fn bits(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Without the bits that its addresses do not share.
    fn masked(&self, address: u128) -> u128 {
        let free = u32::from(self.bits() - self.prefix);
        address.checked_shr(free).unwrap_or(0)
    }

    /// What an operator should know who lists it.
    pub(super) fn risk(&self) -> Option<String> {
        if let Some(address) = METADATA.iter().find(|address| self.contains(**address)) {
            return Some(format!(
                "--fetch-networks {self} has {address}, where clouds give out credentials: list the hosts of the \
                 store instead"
            ));
        }
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        loopback.iter().any(|address| self.contains(*address)).then(|| {
            format!(
                "--fetch-networks {self} lets in this machine itself: whatever listens here can be called, the \
                 admin port too"
            )
        })
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').ok_or(NetworkError::Form)?;
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|c| c.is_ascii_digit()) {
            return Err(NetworkError::Form);
        }
        let prefix: u8 = prefix.parse().map_err(|_| NetworkError::Form)?;
        let network = Self { address, prefix };
        if prefix > network.bits() {
            return Err(NetworkError::Form);
        }
        let first = network.first();
        if first == network { Ok(network) } else { Err(NetworkError::Bits(first)) }
    }
}

impl Network {
    /// The same with no bits behind its length.
    fn first(&self) -> Self {
        let free = u32::from(self.bits() - self.prefix);
        let cleared = |bits: u128| self.masked(bits).checked_shl(free).unwrap_or(0);
        let address = match self.address {
            IpAddr::V4(own) => Ipv4Addr::from_bits(cleared(own.to_bits().into()) as u32).into(),
            IpAddr::V6(own) => Ipv6Addr::from_bits(cleared(own.to_bits())).into(),
        };
        Self { address, ..*self }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

// === impl Networks ===

impl Networks {
    pub fn new(listed: Vec<Network>) -> Self {
        Self { listed }
    }

    /// Whether a connection may go to `address`.
    pub fn allow(&self, address: IpAddr) -> bool {
        if is_public(address) {
            return true;
        }
        if !self.listed.iter().any(|network| network.contains(address)) {
            return false;
        }
        // Behind NAT64 it is the IPv4 address that is called.
        match address {
            IpAddr::V6(v6) if NAT64.contains(address) => {
                self.allow(Ipv4Addr::from_bits(v6.to_bits() as u32).into())
            }
            _ => true,
        }
    }
}

/// Whether anybody on the internet could have it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(_) => {
            GLOBAL_V6.contains(address)
                && !NOT_PUBLIC_V6.iter().any(|network| network.contains(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(listed: &[&str]) -> Networks {
        Networks::new(listed.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn allowed(networks: &Networks, addresses: &[&str]) -> Vec<bool> {
        addresses.iter().map(|text| networks.allow(text.parse().unwrap())).collect()
    }

    /// The first and the last address of each range that is no host on the internet.
    const HIDDEN: [&str; 62] = [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.100.100.200",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.192",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::1",
        // IPv4 in other forms: compatible, mapped, translated, NAT64, 6to4, Teredo.
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "2001::1",
        "2001:0:ffff::1",
        "2001:2::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2001:db8:ffff::1",
        "3fff::1",
        "3fff:fff::1",
        "100::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "ffff:ffff::1",
    ];

    /// Their neighbours, and hosts that there are.
    const PUBLIC: [&str; 24] = [
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700::1111",
        "2a00:1450::1",
        "2003::1",
    ];

    #[test]
    fn only_hosts_of_the_internet_are_called() {
        let none = networks(&[]);
        for address in HIDDEN {
            assert_eq!(allowed(&none, &[address]), [false], "{address}");
        }
        for address in PUBLIC {
            assert_eq!(allowed(&none, &[address]), [true], "{address}");
        }
    }

    #[test]
    fn a_listed_network_is_let_in_and_nothing_beside_it() {
        let own = networks(&["10.1.0.0/16", "fd12:3456::/32", "192.168.7.9/32"]);
        let addresses = ["10.1.0.0", "10.1.255.255", "192.168.7.9", "fd12:3456::1", "8.8.8.8"];
        assert_eq!(allowed(&own, &addresses), [true; 5]);
        let addresses = ["10.0.255.255", "10.2.0.0", "192.168.7.8", "fd12:3457::", "127.0.0.1"];
        assert_eq!(allowed(&own, &addresses), [false; 5]);
        // Another form of the same address is another address.
        assert_eq!(allowed(&own, &["::ffff:10.1.0.1", "::10.1.0.1"]), [false; 2]);
        let all = networks(&["0.0.0.0/0", "::/0"]);
        assert_eq!(allowed(&all, &["127.0.0.1", "::1", "ff02::1"]), [true; 3]);
    }

    #[test]
    fn behind_nat64_the_inner_address_counts() {
        let own = networks(&["64:ff9b::/96", "10.0.0.0/8"]);
        let addresses = ["64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1"];
        assert_eq!(allowed(&own, &addresses), [true; 2]);
        let addresses = ["64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254"];
        assert_eq!(allowed(&own, &addresses), [false; 2]);
    }

    #[test]
    fn networks_are_written_with_their_length() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "192.168.1.1/32", "fd00::/8", "::/0", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for text in
            ["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/+8", "/8", ""]
        {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Form), "{text}");
        }
        let wrong = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert_eq!(wrong.to_string(), "has bits behind its length: meant is 10.0.0.0/8");
    }

    #[test]
    fn networks_that_give_out_credentials_are_told() {
        let risk = |text: &str| text.parse::<Network>().unwrap().risk().unwrap_or_default();
        for text in ["169.254.0.0/16", "0.0.0.0/0", "fd00::/8", "::/0"] {
            assert!(risk(text).contains("credentials"), "{text}");
        }
        for text in ["127.0.0.0/8", "::1/128"] {
            assert!(risk(text).contains("this machine itself"), "{text}");
        }
        assert_eq!(risk("10.0.0.0/8"), "");
    }
}
