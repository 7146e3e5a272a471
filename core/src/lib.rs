//! Bytes of a capture to columns, in stages: container → link → tunnel → IP → TCP or UDP → RPC record → exchange → XDR.
//! Each stage knows only the one before it. No program number, procedure or rule stands in this crate.

pub mod capture;
pub mod ip;
pub mod link;
pub mod oddity;
pub mod tunnel;
