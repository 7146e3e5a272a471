//! Internet addresses by number. Loopback addresses carry the domain of their interface, since 127.0.0.1 is another host in
//! another capture.

use std::net::{IpAddr, Ipv4Addr};

use hashbrown::{HashMap, HashSet};

use crate::oddity::Oddities;

/// Addresses known by number. Beyond, in a flood of spoofed ones, all are forgotten, and one seen again gets another number.
pub const MAX_ADDRESSES: usize = 1 << 18;
/// The domain of addresses that are the same everywhere.
pub const EVERYWHERE: u32 = u32::MAX;

/// Addresses with their numbers, in the order of their first sight.
#[derive(Default)]
pub struct Addresses {
    index: HashMap<(IpAddr, u32), u32>,
    new: Vec<(IpAddr, u32)>,
    next: u32,
}

impl Addresses {
    /// The number of an address that was seen before.
    pub fn known(&self, ip: IpAddr, domain: u32) -> Option<u32> {
        self.index.get(&(ip, domain_of(ip, domain))).copied()
    }

    /// The number of an address, a new one if it was not seen before.
    pub fn number(&mut self, ip: IpAddr, domain: u32, oddities: &mut Oddities) -> u32 {
        let own = domain_of(ip, domain);
        if let Some(number) = self.index.get(&(ip, own)) {
            return *number;
        }
        if self.index.len() >= MAX_ADDRESSES {
            oddities.push("addresses-full", MAX_ADDRESSES as u64);
            self.index.clear();
        }
        let number = self.next;
        self.next += 1;
        self.index.insert((ip, own), number);
        self.new.push((ip, own));
        number
    }

    /// Forgets all but these; one that is seen again gets another number.
    pub fn retain(&mut self, used: &HashSet<u32>) {
        self.index.retain(|_, number| used.contains(number));
    }

    /// The addresses that are new since the last call.
    pub fn take_new(&mut self) -> Vec<(IpAddr, u32)> {
        std::mem::take(&mut self.new)
    }
}

/// The domain in which an address seen in `domain` is one host.
fn domain_of(ip: IpAddr, domain: u32) -> u32 {
    if ip.is_loopback() { domain } else { EVERYWHERE }
}

/// An address as a number, IPv4 as mapped into IPv6 (RFC 4291 section 2.5.5.2).
pub fn as_number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => 0xffff_0000_0000 | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// Whether many hosts receive what is sent to this address.
pub fn is_to_many(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_loopback_address_is_one_in_each_domain_and_others_everywhere() {
        let (mut addresses, mut oddities) = (Addresses::default(), Oddities::default());
        let host = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1));
        let seen = [(LOOPBACK, 1), (LOOPBACK, 2), (host, 1), (host, 2), (LOOPBACK, 1)];
        assert_eq!(seen.map(|(ip, domain)| addresses.number(ip, domain, &mut oddities)), [0, 1, 2, 2, 0]);
        assert_eq!(addresses.take_new(), [(LOOPBACK, 1), (LOOPBACK, 2), (host, EVERYWHERE)]);
        assert!(addresses.take_new().is_empty());
        assert_eq!(
            [(LOOPBACK, 2), (LOOPBACK, 3), (host, 3)].map(|(ip, domain)| addresses.known(ip, domain)),
            [Some(1), None, Some(2)]
        );
        addresses.retain(&[2].into_iter().collect());
        assert_eq!(addresses.known(LOOPBACK, 1), None);
        assert_eq!(addresses.number(host, 9, &mut oddities), 2);
        assert_eq!(addresses.number(LOOPBACK, 1, &mut oddities), 3);
    }

    #[test]
    fn many_receive_what_goes_to_a_group_or_to_all() {
        let ips = ["224.0.0.1", "255.255.255.255", "ff02::1", "10.0.0.255", "fe80::1"];
        assert_eq!(ips.map(|ip| ip.parse().is_ok_and(is_to_many)), [true, true, true, false, false]);
    }

    #[test]
    fn an_ipv4_address_is_the_ipv6_address_that_stands_for_it() {
        let [four, six] = ["10.0.0.1", "::ffff:10.0.0.1"].map(|ip| ip.parse().map(as_number));
        assert_eq!(four, six);
        assert_eq!(four, Ok(0xffff_0a00_0001));
    }
}
