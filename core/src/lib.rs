//! Bytes of a capture to columns, in stages: container → link → tunnel → IP → TCP or UDP → RPC record → exchange → XDR.
//! Each stage knows only those before it. No program number, procedure or rule stands in this crate: what a message body
//! means comes in as a layout (see `xdr`).

pub mod batch;
pub mod capture;
pub mod checksum;
pub mod decoder;
pub mod exchange;
pub mod flow;
pub mod front;
pub mod infiniband;
pub mod ip;
pub mod link;
pub mod oddity;
pub mod order;
pub mod rpc;
pub mod select;
pub mod strings;
pub mod tally;
pub mod tcp;
pub mod tunnel;
pub mod xdr;

#[cfg(feature = "python")]
mod binding;
