//! Internet checksums (RFC 1071) of IPv4 headers, and of the segments and datagrams that RPC's short messages come in.
//!
//! What has a wrong one was not sent so, and no receiver took it. But a wrong one is no proof by itself: network cards complete
//! what they send behind the capture, which finds there the sum of the pseudo-header (Linux's CHECKSUM_PARTIAL), nothing, or
//! rubbish. So a frame is damaged only where its sender's checksums are right else ([`Trust`]).

use std::net::{IpAddr, Ipv4Addr};

use crate::protocol::{ICMP, TCP, UDP};

/// The longest segment or datagram that is summed, with its header: calls and replies that have no bulk data are shorter, and
/// of longer ones the sum of all bytes would cost more than all that is read of them.
pub const MAX_VERIFIED: usize = 640;

const ALL_ONES: u64 = 0xffff;

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

/// Of an IPv4 header (RFC 791 section 3.1): its fixed part, and its options, which hardly any has.
#[inline]
pub fn of_header(fixed: &[u8; 20], options: &[u8]) -> Sum {
    let (words, _) = fixed.as_chunks::<4>();
    let total = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    if is_right(if options.is_empty() { total } else { sum(total, options) }) {
        Sum::Right
    } else if fixed[10..12] == [0, 0] {
        Sum::Unknown
    } else {
        Sum::Wrong
    }
}

/// Of a TCP segment, a UDP datagram or an ICMP message, all of whose bytes these are.
#[inline(never)]
pub fn of_transport(src: IpAddr, dst: IpAddr, protocol: u8, bytes: &[u8]) -> Sum {
    let pseudo = if protocol == ICMP { 0 } else { pseudo_header(src, dst, protocol, bytes.len()) };
    if is_right(sum(pseudo, bytes)) { Sum::Right } else { not_right(protocol, pseudo, bytes) }
}

#[cold]
#[inline(never)]
fn not_right(protocol: u8, pseudo: u64, bytes: &[u8]) -> Sum {
    let at = match protocol {
        TCP => 16,
        UDP => 6,
        _ => 2,
    };
    match bytes.get(at..).and_then(|field| field.first_chunk()).map(|field| u64::from(u16::from_ne_bytes(*field))) {
        Some(field) if field != 0 && field % ALL_ONES != pseudo % ALL_ONES => Sum::Wrong,
        _ => Sum::Unknown,
    }
}

/// RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1.
#[inline]
fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, length: usize) -> u64 {
    let rest = u64::from(u16::from(protocol).to_be()) + u64::from((length as u16).to_be());
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let address = |ip: Ipv4Addr| u64::from(u32::from_ne_bytes(ip.octets()));
            address(src) + address(dst) + rest
        }
        _ => [src, dst].iter().fold(rest, |total, ip| match ip {
            IpAddr::V4(ip) => sum(total, &ip.octets()),
            IpAddr::V6(ip) => sum(total, &ip.octets()),
        }),
    }
}

/// A sum of words and their checksum is one of all ones, once it is folded: a multiple of that before.
#[inline]
fn is_right(total: u64) -> bool {
    total.is_multiple_of(ALL_ONES)
}

/// The one's complement sum of words, of which the last may lack a byte, and of `total`: equal to their sum of 16 bits modulo
/// [`ALL_ONES`]. It is the same in any order of bytes but for that order, and in wider words (RFC 1071 section 2), so the bytes
/// are added as they stand, many at a time.
#[inline(always)]
fn sum(total: u64, bytes: &[u8]) -> u64 {
    let (total, bytes) = blocks::<64>(total, bytes);
    let (total, bytes) = blocks::<16>(total, bytes);
    let (mut total, bytes) = blocks::<8>(total, bytes);
    let (words, rest) = bytes.as_chunks::<4>();
    if let Some(word) = words.first() {
        total = around(total.overflowing_add(u64::from(u32::from_ne_bytes(*word))));
    }
    let last = match *rest {
        [] => return total,
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c, ..] => [a, b, c, 0],
    };
    around(total.overflowing_add(u64::from(u32::from_ne_bytes(last))))
}

/// Adds all blocks of so many bytes, each in one chain of carries.
#[inline(always)]
fn blocks<const SIZE: usize>(total: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let (blocks, rest) = bytes.as_chunks::<SIZE>();
    let total = blocks.iter().fold(total, |total, block| {
        let (words, _) = block.as_chunks::<8>();
        around(words.iter().fold((total, false), |(total, carry), word| {
            let (total, over) = total.overflowing_add(u64::from_ne_bytes(*word));
            let (total, carried) = total.overflowing_add(u64::from(carry));
            (total, over | carried)
        }))
    });
    (total, rest)
}

/// What was carried out of the highest bit is worth one.
#[inline(always)]
fn around((total, carry): (u64, bool)) -> u64 {
    let (total, carry) = total.overflowing_add(u64::from(carry));
    total + u64::from(carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn folded(total: u64) -> u16 {
        (total % ALL_ONES) as u16
    }

    /// The example of RFC 1071 section 3.
    #[test]
    fn the_sum_is_that_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(folded(sum(0, &bytes)).to_ne_bytes(), [0xdd, 0xf2]);
        assert_eq!(folded(sum(0, &[0x12, 0x34, 0x56])).to_ne_bytes(), [0x12 + 0x56, 0x34]);
    }

    /// Of every length, against one word after the other (RFC 1071 section 4.1), with carries out of every word.
    #[test]
    fn many_bytes_at_a_time_have_the_sum_of_one_word_after_the_other() {
        let mixed: Vec<u8> = (0..200_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8 | 0xc0).collect();
        for data in [&mixed[..], &[0xff; 200], &[0; 200]] {
            for length in 0..data.len() {
                let word = |pair: &[u8]| u64::from(u16::from_ne_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
                let expected = 0xfffe + data[..length].chunks(2).map(word).sum::<u64>();
                assert_eq!(folded(sum(0xfffe, &data[..length])), folded(expected), "{length} bytes");
            }
        }
    }

    #[test]
    fn a_header_is_right_wrong_or_not_summed() {
        for options in [&[][..], &[7, 7, 4, 0, 0, 1, 2, 0]] {
            let mut header = [0x45, 0, 0, 0x54, 0, 1, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 9];
            assert_eq!(of_header(&header, options), Sum::Unknown);
            let field = !folded(sum(sum(0, &header), options));
            header[10..12].copy_from_slice(&field.to_ne_bytes());
            assert_eq!(of_header(&header, options), Sum::Right);
            header[3] ^= 1;
            assert_eq!(of_header(&header, options), Sum::Wrong);
        }
    }

    #[test]
    fn what_a_network_card_would_complete_is_not_wrong() {
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V6(Ipv6Addr::LOCALHOST));
        for ((protocol, at), (src, dst)) in [((TCP, 16), (v4, v4)), ((UDP, 6), (v4, v6))] {
            let mut bytes = vec![7; 33];
            let pseudo = pseudo_header(src, dst, protocol, 33);
            bytes[at..at + 2].copy_from_slice(&folded(pseudo).to_ne_bytes());
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Unknown, "partial");
            bytes[at..at + 2].fill(0);
            let field = !folded(sum(pseudo, &bytes));
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Unknown, "none");
            bytes[at..at + 2].copy_from_slice(&field.to_ne_bytes());
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Right);
            bytes[32] ^= 0x40;
            assert_eq!(of_transport(src, dst, protocol, &bytes), Sum::Wrong);
        }
    }

    /// The sum of TCP's pseudo-header with the addresses 10.0.0.1 and 10.0.0.9 and a length of 33, by hand.
    #[test]
    fn the_pseudo_header_has_addresses_protocol_and_length() {
        let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let expected = (0x0a00 + 0x0001 + 0x0a00 + 0x0009 + 6 + 33_u16).to_be_bytes();
        assert_eq!(folded(pseudo_header(ip(1), ip(9), TCP, 33)).to_ne_bytes(), expected);
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
