//! The bytes of a packet as the link, tunnel and network layers pass them on, cut as they were captured.

/// The captured bytes of a packet, and how many more it had on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketBytes<'a> {
    pub bytes: &'a [u8],
    pub missing: usize,
}

impl<'a> PacketBytes<'a> {
    pub fn wire_len(&self) -> usize {
        self.bytes.len() + self.missing
    }

    /// What follows its first `length` bytes.
    pub fn behind(self, length: usize) -> Option<PacketBytes<'a>> {
        Some(PacketBytes { bytes: self.bytes.get(length..)?, ..self })
    }

    pub fn u16(&self, at: usize) -> Option<u16> {
        self.bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
    }
}
