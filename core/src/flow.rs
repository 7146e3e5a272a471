//! A flow: a TCP connection, or two UDP ports that talk. It keeps two streams, counts what it saw and becomes a row.

use crate::batch::{FlowRow, NO_TIME, flow_flag as flag};
use crate::conversation::Conversation;
use crate::exchange::{Fate, Party, Path};
use crate::matcher::Matcher;
use crate::oddity::Place;
use crate::packets::Packet;
use crate::protocol::{ACK, FIN, PSH, RST, SYN, TCP, URG};
use crate::rpc::{self, Message, Outlet, Record, Sink, UNKNOWN};
use crate::shard::At;
use crate::side::Side;
use crate::tcp::{Arrival, PATIENCE_NS, Segment, Stream};

/// The two ends of a flow, the lower address first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The numbers of the addresses.
    pub address: [u32; 2],
    pub ports: [u16; 2],
    pub transport: u8,
    /// Many hosts receive what is sent there.
    pub to_many: [bool; 2],
}

#[derive(Debug)]
pub struct Flow {
    pub id: u32,
    pub ends: Ends,
    client: Option<usize>,
    pub sides: [Side; 2],
    pub row: FlowRow,
    /// RDMA over TCP, of which nothing is read.
    pub iwarp: bool,
    /// Its SYN came while the connection before was open.
    pub doubtful: bool,
}

impl Flow {
    pub fn new(id: u32, ends: Ends, row: FlowRow) -> Flow {
        Flow { id, ends, client: None, sides: Default::default(), row, iwarp: false, doubtful: false }
    }

    /// The row of a flow of which nothing is known but its first frame.
    pub fn first_row(transport: u8, place: Place) -> FlowRow {
        FlowRow {
            transport,
            first: place.time,
            last: place.time,
            first_capture: place.capture,
            first_frame: place.frame,
            syn_time: NO_TIME,
            syn_last: NO_TIME,
            synack_time: NO_TIME,
            rst_time: NO_TIME,
            icmp_time: NO_TIME,
            prog: UNKNOWN,
            ..FlowRow::default()
        }
    }

    pub fn path(&self, side: usize, at: At) -> Path {
        let Ends { address: [low, high], ports: [low_port, high_port], transport, .. } = self.ends;
        let (low, high) = (Party { address: low, port: low_port }, Party { address: high, port: high_port });
        let (from, to) = if side == 0 { (low, high) } else { (high, low) };
        Path { from, to, transport, flow: self.id, at, side: side as u8 }
    }

    /// Whether a SYN opens no new connection but is a damaged segment of this one, over which RPC goes: with flags or data that a
    /// SYN has not, or with a sequence number where the stream stands before any FIN or RST. One from before all that was
    /// seen of the stream is its own, in a file whose later part comes first.
    #[cold]
    pub fn goes_on(&self, packet: &Packet<'_>, side: usize) -> bool {
        let Some(own) = self.sides.get(side) else { return false };
        let proved = self.sides.iter().any(|side| side.stream.records.proved);
        let odd = packet.tcp_flags & (FIN | RST | PSH | URG) != 0 || packet.length > 0;
        let inside = own.first_seq.is_some_and(|first| packet.seq.wrapping_sub(first).cast_signed() >= 0);
        proved && (odd || (self.is_open() && inside && own.stream.is_near(packet.seq)))
    }

    /// The program of its first call.
    pub fn program(&self) -> Option<u32> {
        (self.row.prog != UNKNOWN).then_some(self.row.prog)
    }

    pub fn has_replies(&self) -> bool {
        self.sides.iter().any(|side| side.replies > 0)
    }

    pub fn frames(&self) -> u32 {
        let [low, high] = &self.sides;
        low.frames.saturating_add(high.frames)
    }

    /// Whether neither side has sent FIN or RST.
    pub fn is_open(&self) -> bool {
        self.sides.iter().all(|side| side.fin == 0 && side.rst == 0)
    }

    pub fn udp(&mut self, packet: &Packet<'_>, side: usize, outlet: &mut Outlet<'_, Conversation<'_>>) {
        let (length, place) = (packet.length, outlet.place);
        let message = rpc::parse(packet.payload, length);
        if message.is_some_and(|message| self.proves_itself(&message, packet, side, outlet.sink)) {
            let lost = packet.payload.len() < length;
            outlet.sink.record(Record { data: packet.payload, length, lost, doubted: true, end: 0, place });
        } else {
            outlet.sink.confused = true;
        }
        let (own, _) = Flow::sides_from(&mut self.sides, side);
        note_records(own, &mut self.row, outlet);
    }

    /// Whether what may be a message is one: many datagrams have a 0 or a 1 where RPC has its type. A reply without its call is
    /// none where the other side spoke and did not call, or that goes to many.
    #[inline(never)]
    fn proves_itself(&self, message: &Message<'_>, packet: &Packet<'_>, side: usize, sink: &impl Sink) -> bool {
        match message {
            Message::Call(call) => rpc::plausible_call(call, packet.length - packet.payload.len().min(packet.length)),
            Message::Reply(reply) => {
                let called = self.sides.get(1 - side.min(1)).is_none_or(|other| other.calls > 0 || other.frames == 0);
                let to_many = self.ends.to_many.get(1 - side.min(1)).is_some_and(|many| *many);
                let may_be = called && !to_many && rpc::plausible_reply(reply, packet.length);
                may_be || sink.awaits(reply.xid)
            }
        }
    }

    /// The side that sends, and the other one.
    #[inline(always)]
    pub fn sides_from(sides: &mut [Side; 2], side: usize) -> (&mut Side, &mut Side) {
        let [low, high] = sides;
        if side == 0 { (low, high) } else { (high, low) }
    }

    /// Returns whether the frame's data had been captured before.
    #[inline(always)]
    pub fn tcp(&mut self, packet: &Packet<'_>, side: usize, outlet: &mut Outlet<'_, Conversation<'_>>) -> bool {
        let mut twice = false;
        if packet.tcp_flags & SYN != 0 {
            self.handshake(packet, side, outlet.place);
        }
        let Flow { sides, row, .. } = self;
        let (own, other) = Flow::sides_from(sides, side);
        if packet.tcp_flags & ACK != 0 {
            if other.stream.has_skipped(packet.ack) {
                other.loss = Some(outlet.place.time);
            }
            if other.stream.acknowledge(packet.ack) {
                run_out_of_patience(other, row, 1 - side.min(1), outlet);
            }
        }
        if own.stream.has_skipped(packet.seq) {
            own.loss = Some(outlet.place.time);
        }
        if packet.length > 0 {
            let seq = packet.seq.wrapping_add(u32::from(packet.tcp_flags & SYN != 0));
            let segment = Segment { seq, payload: packet.payload, length: packet.length };
            let lost = own.stream.lost_bytes;
            own.unheard_since.get_or_insert(outlet.place.time);
            match own.stream.segment(segment, outlet) {
                Arrival::InOrder => {}
                Arrival::Late => own.out_of_order += 1,
                Arrival::Old if own.had(packet, outlet.place.time) => twice = true,
                Arrival::Old => {
                    own.retransmitted += 1;
                    own.unheard += 1;
                }
            }
            if own.stream.lost_bytes > lost {
                own.loss = Some(outlet.place.time);
            }
            note_records(own, row, outlet);
        }
        if twice {
            row.duplicates += 1;
        } else {
            closing(own, row, packet, outlet.place);
        }
        twice
    }

    #[cold]
    fn handshake(&mut self, packet: &Packet<'_>, side: usize, place: Place) {
        let Some(own) = self.sides.get_mut(side) else { return };
        if own.isn.is_none() {
            own.isn = Some(packet.seq);
            if !own.stream.begun() {
                own.stream = Stream::new(Some(packet.seq.wrapping_add(1)));
                own.stream.doubtful = self.doubtful;
            }
        }
        let row = &mut self.row;
        if packet.tcp_flags & ACK != 0 {
            self.client = self.client.or(Some(1 - side.min(1)));
            if row.synack == 0 {
                (row.synack_frame, row.synack_time) = (place.frame, place.time);
            }
            row.synack = row.synack.saturating_add(1);
        } else {
            self.client = self.client.or(Some(side));
            if row.syn == 0 {
                (row.syn_frame, row.syn_time) = (place.frame, place.time);
            }
            row.syn = row.syn.saturating_add(1);
            row.syn_last = row.syn_last.max(place.time);
        }
    }

    /// No more is to come: what waits for holes goes on without them.
    pub fn finish_streams(&mut self, at: At, room: &mut usize, matcher: &mut Matcher) {
        let place = matcher.oddities.place;
        for side in 0..2 {
            let path = self.path(side, at);
            let Some(own) = self.sides.get_mut(side) else { continue };
            let mut sink = Conversation::new(matcher, path);
            let lost = own.stream.lost_bytes;
            let outlet = &mut Outlet { sink: &mut sink, room, place };
            own.stream.give_up_all(outlet);
            own.stream.lose(own.stream.unseen());
            if own.stream.lost_bytes > lost {
                own.loss = Some(own.last);
            }
            note_records(own, &mut self.row, outlet);
            *room += own.stream.records.release();
        }
    }

    /// Whether this SYN opens another connection than the one that is known.
    pub fn is_new_connection(&self, packet: &Packet<'_>, side: usize, time: i64) -> bool {
        let Some(own) = self.sides.get(side) else { return false };
        match (own.isn, own.first_seq) {
            (Some(isn), _) => isn != packet.seq,
            // A SYN written a little late comes before the first frame seen, be it the FIN of a short connection; else that
            // frame was of an older connection.
            (None, Some(first)) => {
                let begin = packet.seq.wrapping_add(1);
                let near =
                    first.wrapping_sub(begin) <= u32::from(u16::MAX) && own.first_data.is_none_or(|data| data == begin);
                let at_once = time.saturating_sub(self.row.first).saturating_abs() <= PATIENCE_NS;
                first != begin && !(near && at_once)
            }
            (None, None) => false,
        }
    }

    /// What is known of the connection to a call that the side of `path` sent; `damage`: when frames between these hosts were
    /// damaged last.
    pub fn fate(&self, path: &Path, damage: Option<i64>) -> Option<Fate> {
        let client = self.sides.get(usize::from(path.side))?;
        let server = self.sides.get(1 - usize::from(path.side.min(1)))?;
        let ended = self.row.flags & (flag::SUPERSEDED | flag::EVICTED) != 0;
        let unsynchronised = self.row.transport == TCP && server.bytes > 0 && !server.stream.records.synchronised();
        let unseen = server.stream.unseen() > 0;
        Some(Fate {
            reply_side_frames: server.frames,
            reply_side_last: server.last,
            reply_side_loss: if unseen {
                Some(client.last)
            } else if unsynchronised {
                Some(server.last)
            } else {
                server.loss
            },
            reply_side_damage: server.damage.max(damage),
            died: ended || client.rst + server.rst + client.fin + server.fin > 0,
            acked: client.stream.acked,
        })
    }

    pub fn row(&self) -> FlowRow {
        let guess = || {
            let [low, high] = &self.sides;
            match (low.calls + high.replies).cmp(&(high.calls + low.replies)) {
                std::cmp::Ordering::Greater => 0,
                std::cmp::Ordering::Less => 1,
                // `client` of the row holds the first sender until now.
                std::cmp::Ordering::Equal => self.row.client as usize,
            }
        };
        let client = self.client.unwrap_or_else(guess).min(1);
        let [low, high] = &self.sides;
        let (c, s) = if client == 0 { (low, high) } else { (high, low) };
        let path = self.path(client, At::default());
        let rpc = c.calls + c.replies + s.calls + s.replies > 0;
        let (c_unheard, s_unheard) = (c.unheard_until(c.last), s.unheard_until(s.last));
        FlowRow {
            flow: self.id,
            client: path.from.address,
            client_port: path.from.port,
            server: path.to.address,
            server_port: path.to.port,
            c_frames: c.frames,
            c_bytes: c.bytes,
            c_retransmitted: c.retransmitted,
            c_out_of_order: c.out_of_order,
            c_lost_bytes: c.stream.lost_bytes,
            c_cut_frames: c.cut_frames,
            c_damaged: c.damaged,
            c_fin: c.fin,
            c_rst: c.rst,
            c_calls: c.calls,
            c_replies: c.replies,
            c_last: if c.frames > 0 { c.last } else { NO_TIME },
            c_seq: c.first_seq.unwrap_or_default(),
            c_unheard: c_unheard.again,
            c_unheard_first: c_unheard.first,
            c_unheard_last: c_unheard.last,
            s_frames: s.frames,
            s_bytes: s.bytes,
            s_retransmitted: s.retransmitted,
            s_out_of_order: s.out_of_order,
            s_lost_bytes: s.stream.lost_bytes,
            s_cut_frames: s.cut_frames,
            s_damaged: s.damaged,
            s_fin: s.fin,
            s_rst: s.rst,
            s_calls: s.calls,
            s_replies: s.replies,
            s_last: if s.frames > 0 { s.last } else { NO_TIME },
            s_seq: s.first_seq.unwrap_or_default(),
            s_unheard: s_unheard.again,
            s_unheard_first: s_unheard.first,
            s_unheard_last: s_unheard.last,
            flags: self.row.flags | if rpc { flag::RPC } else { 0 },
            ..self.row
        }
    }
}

/// The stream of the other side, in which something waits: its records go the other way.
#[cold]
fn run_out_of_patience(
    acknowledged: &mut Side,
    row: &mut FlowRow,
    side: usize,
    outlet: &mut Outlet<'_, Conversation<'_>>,
) {
    let forth = outlet.sink.path;
    outlet.sink.path = Path { from: forth.to, to: forth.from, side: side as u8, ..forth };
    let lost = acknowledged.stream.lost_bytes;
    acknowledged.stream.run_out_of_patience(outlet);
    if acknowledged.stream.lost_bytes > lost {
        acknowledged.loss = Some(outlet.place.time);
    }
    outlet.sink.path = forth;
    note_records(acknowledged, row, outlet);
}

/// What the records of one side were.
#[inline]
fn note_records(own: &mut Side, row: &mut FlowRow, outlet: &mut Outlet<'_, Conversation<'_>>) {
    own.calls += std::mem::take(&mut outlet.sink.calls);
    own.replies += std::mem::take(&mut outlet.sink.replies);
    let lost_step = std::mem::take(&mut own.stream.records.confused);
    own.damaged += u32::from(lost_step);
    if std::mem::take(&mut outlet.sink.confused) || lost_step {
        own.note_damage(outlet.place.time);
    }
    if row.prog == UNKNOWN {
        row.prog = outlet.sink.prog;
    }
}

#[inline]
fn closing(own: &mut Side, row: &mut FlowRow, packet: &Packet<'_>, place: Place) {
    if packet.ip_id != 0 {
        own.newest_id = Some(packet.ip_id as u16);
    }
    if packet.length > 0 {
        own.newest_time = place.time;
    }
    if packet.tcp_flags & (FIN | RST) != 0 {
        ending(own, row, packet, place);
    }
}

#[cold]
fn ending(own: &mut Side, row: &mut FlowRow, packet: &Packet<'_>, place: Place) {
    if packet.tcp_flags & FIN != 0 {
        own.fin = own.fin.saturating_add(1);
    }
    if packet.tcp_flags & RST != 0 {
        own.rst = own.rst.saturating_add(1);
        if row.rst_frame == 0 {
            (row.rst_capture, row.rst_frame, row.rst_time) = (place.capture, place.frame, place.time);
        }
    }
}
