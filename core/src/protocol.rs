//! Protocols over IP by number (https://www.iana.org/assignments/protocol-numbers), and the flags of TCP (RFC 9293 section 3.1).

pub const ICMP: u8 = 1;
pub const IPIP: u8 = 4;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const IPV6_IN_IP: u8 = 41;
pub const GRE: u8 = 47;
pub const ICMPV6: u8 = 58;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
pub const URG: u8 = 32;
