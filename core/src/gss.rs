//! RPCSEC_GSS (RFC 2203): how it wraps the bodies of messages.

use crate::rpc::{Auth, RPCSEC_GSS, word};

/// How RPCSEC_GSS wraps a body (RFC 2203 section 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gss {
    #[default]
    Bare,
    Integrity,
    /// Encrypted, or the context's own messages.
    Opaque,
}

impl Gss {
    pub fn of(cred: &Auth<'_>) -> Gss {
        const DATA: u32 = 0;
        const NONE: u32 = 1;
        const INTEGRITY: u32 = 2;
        if cred.flavor != RPCSEC_GSS {
            return Gss::Bare;
        }
        match (word(cred.body, 4), word(cred.body, 12)) {
            (Some(DATA), Some(NONE)) => Gss::Bare,
            (Some(DATA), Some(INTEGRITY)) => Gss::Integrity,
            _ => Gss::Opaque,
        }
    }

    /// The arguments or results inside a body of `length` bytes, and their length.
    pub fn open(self, body: &[u8], length: usize) -> Option<(&[u8], usize)> {
        match self {
            Gss::Bare => Some((body, length)),
            Gss::Opaque => None,
            Gss::Integrity => {
                let inner = (word(body, 0)? as usize).checked_sub(4)?;
                let data = body.get(8..)?;
                Some((data.get(..inner).unwrap_or(data), inner))
            }
        }
    }
}
