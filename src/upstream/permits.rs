//! What the control API may have this program dial.
//!
//! Whoever may speak to the control API could otherwise reach through it whatever this machine can reach: above all the
//! link-local addresses at which clouds hand out their machines' credentials. What the author of the configuration wrote
//! is the author's own business, and dialled without a question.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{LazyLock, PoisonError, RwLock};

use thiserror::Error;

use super::{Address, Host};
use crate::spec::{Allowed, Cidr};

/// Where machines are told about themselves, and their secrets: link-local addresses, and the few elsewhere that clouds
/// use for the same. SECURITY.md names them, too.
const METADATA: [&str; 9] = [
    "169.254.0.0/16",
    "fe80::/10",
    "fd00:ec2::/32",
    "fd20:ce::/64",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
];

/// Why something is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// It is where machines are told about themselves.
    #[error(
        "is a link-local or metadata address, which the control API may use only where `allowedUpstreams` lists it"
    )]
    Metadata,
    /// There is a list, and it is not on it.
    #[error("is not among `allowedUpstreams`")]
    NotListed,
}

/// What may be dialled. Shared by everything that dials.
#[derive(Debug, Default)]
pub struct Permits(RwLock<Rules>);

/// What may be dialled, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// None: everything but [`METADATA`].
    listed: Option<Vec<Allowed>>,
    /// What the author of the configuration wrote.
    own: HashSet<Address>,
}

/// Whether the control API may point a route there, so far as can be said before a name is resolved.
pub fn may_name(listed: Option<&[Allowed]>, address: &Address) -> Result<(), Denied> {
    let is_listed = listed.is_some_and(|listed| listed.iter().any(|allowed| allowed.names(address)));
    match &address.host {
        Host::Ip(ip) if !is_listed && is_metadata(*ip) => Err(Denied::Metadata),
        _ if !is_listed && listed.is_some() => Err(Denied::NotListed),
        _ => Ok(()),
    }
}

impl Permits {
    /// From now on this list holds, and these are the author's own too. Gives what held before.
    pub fn open(&self, listed: Option<&[Allowed]>, own: impl IntoIterator<Item = Address>) -> Rules {
        let mut rules = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = rules.clone();
        rules.listed = listed.map(<[Allowed]>::to_vec);
        rules.own.extend(own);
        before
    }

    /// What held before holds again.
    pub fn take_back(&self, before: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = before;
    }

    /// Forgets what is not written anywhere any more.
    pub fn keep(&self, written: &HashSet<Address>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .own
            .retain(|address| written.contains(address));
    }

    /// Those of the addresses of a host that may be dialled; an error when that is none of them.
    pub fn dialled(&self, address: &Address, found: &[IpAddr]) -> Result<Vec<IpAddr>, Denied> {
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let may = |ip: IpAddr| {
            let mut listed = rules.listed.iter().flatten();
            !is_metadata(ip) || listed.any(|allowed| allowed.holds(ip, address.port))
        };
        if rules.own.contains(address) {
            return Ok(found.to_vec());
        }
        let left: Vec<IpAddr> = found.iter().copied().filter(|ip| may(*ip)).collect();
        if left.is_empty() && !found.is_empty() { Err(Denied::Metadata) } else { Ok(left) }
    }
}

fn is_metadata(ip: IpAddr) -> bool {
    static RANGES: LazyLock<Vec<Cidr>> =
        LazyLock::new(|| METADATA.iter().filter_map(|range| range.parse().ok()).collect());
    let holds = |ip| RANGES.iter().any(|range| range.contains(ip));
    holds(ip) || translated(ip).into_iter().flatten().any(|ip| holds(ip.into()))
}

/// The IPv4 addresses that a translator on the way may make of it: NAT64, with the prefix that all know, or with one of any
/// length that is for local use (RFC 6052 says where it then stands), and 6to4. One that is mapped is its IPv4 address
/// already for a range.
fn translated(ip: IpAddr) -> Option<[Ipv4Addr; 4]> {
    let IpAddr::V6(ip) = ip else { return None };
    let all = ip.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| all[place]));
    let last = at([12, 13, 14, 15]);
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some([last; 4]),
        [0x64, 0xff9b, 1, ..] => Some([at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), last]),
        [0x2002, ..] => Some([at([2, 3, 4, 5]); 4]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn list(items: &[&str]) -> Vec<Allowed> {
        items.iter().map(|item| item.parse().unwrap()).collect()
    }

    const HIDDEN: [&str; 20] = [
        "169.254.169.254:80",
        "169.254.0.1:1",
        "[::ffff:169.254.169.254]:80",
        "[fe80::1]:80",
        "[febf::1]:80",
        "[fd00:ec2::254]:80",
        "[fd20:ce::254]:80",
        "100.100.100.200:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[64:ff9b::6464:64c8]:80",
        "[64:ff9b:1:2::a9fe:a9fe]:80",
        "[64:ff9b:1:a9fe:a9:fe00::]:80",
        "[64:ff9b:1:2a9:fe:a9fe::]:80",
        "[64:ff9b:1:2:a9:fea9:fe00::]:80",
        "[2002:a9fe:a9fe::1]:80",
        "168.63.129.16:80",
        "[::ffff:168.63.129.16]:80",
        "192.0.0.192:80",
        "[fd00:c1::a9fe:a9fe]:80",
        "[fd00:42::42]:80",
    ];

    #[test]
    fn every_range_is_one() {
        for range in METADATA {
            assert!(range.parse::<Cidr>().is_ok(), "{range}");
        }
    }

    #[test]
    fn without_a_list_everything_may_be_named_but_metadata() {
        for text in HIDDEN {
            assert_eq!(may_name(None, &address(text)), Err(Denied::Metadata), "{text}");
        }
        let elsewhere = ["169.253.255.255:80", "10.0.0.1:80", "[fec0::1]:80", "[fd00:ec3::1]:80"];
        let translated = ["[64:ff9b::a00:1]:80", "[2002:a00:1::1]:80", "[64:ff9b:2::a9fe:a9fe]:80"];
        for text in elsewhere.into_iter().chain(translated).chain(["db.internal:1"]) {
            assert_eq!(may_name(None, &address(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn with_a_list_only_what_is_on_it_may_be_named() {
        let listed = list(&["10.0.0.0/8:5432", "db.internal", "169.254.169.254:80"]);
        let named = |text: &str| may_name(Some(&listed), &address(text));
        assert_eq!(
            [named("10.0.0.1:5432"), named("db.internal:1"), named("169.254.169.254:80")],
            [Ok(()); 3]
        );
        assert_eq!(named("10.0.0.1:80"), Err(Denied::NotListed));
        assert_eq!(named("other.internal:1"), Err(Denied::NotListed));
        assert_eq!(named("169.254.169.254:81"), Err(Denied::Metadata));
        assert_eq!(may_name(Some(&[]), &address("127.0.0.1:1")), Err(Denied::NotListed));
    }

    #[test]
    fn a_name_that_turns_out_to_lead_there_is_not_dialled_there() {
        let permits = Permits::default();
        let [inside, outside] = [IpAddr::from([169, 254, 169, 254]), IpAddr::from([10, 0, 0, 1])];
        let name = address("db.internal:80");
        assert_eq!(permits.dialled(&name, &[inside, outside]), Ok(vec![outside]));
        assert_eq!(permits.dialled(&name, &[inside]), Err(Denied::Metadata));
        assert_eq!(permits.dialled(&name, &[]), Ok(vec![]));
        // To list the name does not open what it may lead to; to list the address does.
        permits.open(Some(&list(&["db.internal"])), []);
        assert_eq!(permits.dialled(&name, &[inside]), Err(Denied::Metadata));
        permits.open(Some(&list(&["db.internal", "169.254.0.0/16:80"])), []);
        assert_eq!(permits.dialled(&name, &[inside]), Ok(vec![inside]));
        assert_eq!(permits.dialled(&address("db.internal:81"), &[inside]), Err(Denied::Metadata));
    }

    #[test]
    fn what_the_author_wrote_is_dialled_for_as_long_as_it_is_written() {
        let permits = Permits::default();
        let (own, inside) = (address("metadata.internal:80"), IpAddr::from([169, 254, 169, 254]));
        permits.open(None, [own.clone()]);
        assert_eq!(permits.dialled(&own, &[inside]), Ok(vec![inside]));
        permits.open(None, []);
        assert_eq!(permits.dialled(&own, &[inside]), Ok(vec![inside]), "it is still written");
        permits.keep(&HashSet::new());
        assert_eq!(permits.dialled(&own, &[inside]), Err(Denied::Metadata));
    }
}
