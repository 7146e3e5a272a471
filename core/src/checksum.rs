//! Internet checksums (RFC 1071) of IPv4 headers, and of the segments and datagrams that RPC's short messages come in.
//!
//! What has a wrong one was not sent so, and no receiver took it. But a wrong one is no proof by itself: network cards complete
//! what they send behind the capture, which finds there the sum of the pseudo-header (Linux's CHECKSUM_PARTIAL), nothing, or
//! rubbish. So a frame is damaged only where its sender's checksums are right else ([`Trust`]).

use std::net::IpAddr;

/// The longest segment or datagram that is summed, with its header: calls and replies that have no bulk data are shorter, and
/// of longer ones the sum of all bytes would cost more than all that is read of them.
pub const MAX_VERIFIED: usize = 640;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const RIGHT: u16 = 0xffff;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sum {
    /// Not all there, too long, or left to the network card.
    #[default]
    Unknown,
    Right,
    Wrong,
}

/// How often a sender's checksums were right and wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust {
    right: u32,
    wrong: u32,
}

impl Trust {
    pub fn right(&mut self, count: u32) {
        self.right = self.right.saturating_add(count);
    }

    /// One more is wrong: whether that tells of damage, since it is rare; None while the sender is not known.
    pub fn is_damage(&mut self) -> Option<bool> {
        /// A sender whose card makes its checksums has none right; damage hits a frame in a thousand, or in a hundred.
        const RARE: u32 = 8;
        /// Who has so many wrong ones first has no others.
        const FEW: u32 = 3;
        let rare = self.right > self.wrong.saturating_mul(RARE);
        self.wrong = self.wrong.saturating_add(1);
        (self.right > 0 || self.wrong > FEW).then_some(rare)
    }
}

/// Of an IPv4 header (RFC 791 section 3.1).
#[inline]
pub fn of_header(header: &[u8]) -> Sum {
    if header.get(10..12) == Some(&[0, 0]) {
        return Sum::Unknown;
    }
    let (words, _) = header.as_chunks::<4>();
    let total: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    if folded(total) == RIGHT { Sum::Right } else { Sum::Wrong }
}

/// Of a TCP segment, a UDP datagram or an ICMP message, all of whose bytes these are.
#[inline]
pub fn of_transport(src: IpAddr, dst: IpAddr, protocol: u8, bytes: &[u8]) -> Sum {
    let (at, pseudo) = match protocol {
        ICMP => (2, 0),
        TCP => (16, pseudo_header(src, dst, protocol, bytes.len())),
        UDP => (6, pseudo_header(src, dst, protocol, bytes.len())),
        _ => (2, pseudo_header(src, dst, protocol, bytes.len())),
    };
    let Some(field) =
        bytes.get(at..at + 2).and_then(|field| field.first_chunk()).map(|field| u16::from_be_bytes(*field))
    else {
        return Sum::Unknown;
    };
    if folded(pseudo + sum(bytes)) == RIGHT {
        Sum::Right
    } else if field == 0 || field == folded(pseudo) {
        Sum::Unknown
    } else {
        Sum::Wrong
    }
}

/// RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1.
fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, length: usize) -> u64 {
    let address = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => sum(&ip.octets()),
    };
    address(src) + address(dst) + u64::from(protocol) + length as u64
}

/// The sum of big-endian words, of which the last may lack a byte, not wholly folded. It is the same in any order of bytes but
/// for that order (RFC 1071 section 2), so eight bytes are added at a time as they stand.
#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let total: u128 = chunks.iter().map(|chunk| u128::from(u64::from_ne_bytes(*chunk))).sum();
    let (word, rest) = rest.as_chunks::<4>();
    let last = match *rest {
        [] => 0,
        [a] => u32::from_ne_bytes([a, 0, 0, 0]),
        [a, b] => u32::from_ne_bytes([a, b, 0, 0]),
        [a, b, c, ..] => u32::from_ne_bytes([a, b, c, 0]),
    };
    let end = word.first().map_or(0, |word| u64::from(u32::from_ne_bytes(*word))) + u64::from(last);
    let halves = (total as u64 & 0xffff_ffff) + (total as u64 >> 32) + (total >> 64) as u64 + end;
    u64::from(u16::from_be(folded(halves)))
}

/// One's complement, of a sum below 2^48.
#[inline]
fn folded(sum: u64) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The example of RFC 1071 section 3.
    #[test]
    fn the_sum_is_that_of_the_rfc() {
        assert_eq!(folded(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        assert_eq!(folded(sum(&[0x12, 0x34, 0x56])), 0x12_34 + 0x56_00);
    }

    #[test]
    fn a_header_is_right_wrong_or_not_summed() {
        let mut header = [0x45, 0, 0, 0x54, 0, 1, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 9];
        assert_eq!(of_header(&header), Sum::Unknown);
        let field = !folded(sum(&header));
        header[10..12].copy_from_slice(&field.to_be_bytes());
        assert_eq!(of_header(&header), Sum::Right);
        header[3] ^= 1;
        assert_eq!(of_header(&header), Sum::Wrong);
    }

    #[test]
    fn what_a_network_card_would_complete_is_not_wrong() {
        let (src, dst) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V6(Ipv6Addr::LOCALHOST));
        for (protocol, at) in [(TCP, 16), (UDP, 6)] {
            let mut bytes = vec![7; 33];
            bytes[at..at + 2].copy_from_slice(&folded(pseudo_header(src, dst, protocol, 33)).to_be_bytes());
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Unknown, "partial");
            bytes[at..at + 2].fill(0);
            let field = !folded(pseudo_header(src, dst, protocol, 33) + sum(&bytes));
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Unknown, "none");
            bytes[at..at + 2].copy_from_slice(&field.to_be_bytes());
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Right);
            bytes[32] ^= 0x40;
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Wrong);
        }
    }

    #[test]
    fn wrong_ones_tell_of_damage_only_while_they_are_rare() {
        let mut trust = Trust::default();
        for _ in 0..3 {
            assert_eq!(trust.is_damage(), None);
        }
        assert_eq!(trust.is_damage(), Some(false), "the card makes them");
        let mut trust = Trust { right: 8, wrong: 1 };
        assert_eq!(trust.is_damage(), Some(false), "a second one in ten");
        let mut trust = Trust { right: 9, wrong: 1 };
        assert_eq!(trust.is_damage(), Some(true), "a second one in eleven");
    }
}
