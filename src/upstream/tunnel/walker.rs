//! Where WebSocket frames begin and end.
//!
//! I own: [`Walker`], which reads frame headers and nothing else (RFC 6455 section 5.2), and [`close_frame`]. I may
//! call: nothing. I never look at a payload: extensions such as permessage-deflate pass as they are.

/// The longest frame header: two bytes, a length of eight, a mask of four.
const LONGEST_HEADER: usize = 14;
const OPCODE_CLOSE: u8 = 0x8;

/// Follows the frames of one direction, byte by byte if need be.
#[derive(Debug, Default)]
pub struct Walker {
    place: Place,
    closed: bool,
    data_frames: u64,
}

#[derive(Debug)]
enum Place {
    /// Within a header, of which this much is known.
    Header { bytes: [u8; LONGEST_HEADER], known: usize },
    /// Within a payload, with this much of it to come.
    Payload { left: u64 },
    /// Nobody can tell: what came was no frame.
    Lost,
}

impl Default for Place {
    fn default() -> Self {
        Self::Header { bytes: [0; LONGEST_HEADER], known: 0 }
    }
}

impl Walker {
    /// Takes note of all these bytes.
    pub fn walk(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    /// Takes note of these bytes up to the first place between two frames; how many they are. `None`, and all of them
    /// are taken, when there is no such place among them. Standing at such a place already, it takes none.
    pub fn walk_to_boundary(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        loop {
            if self.is_between_frames() {
                return Some(bytes.len() - rest.len());
            }
            if rest.is_empty() {
                return None;
            }
            rest = self.step(rest);
        }
    }

    /// Whether not a byte of a further frame has been seen: here, and only here, another frame can be put in.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.place, Place::Header { known: 0, .. })
    }

    /// Whether a Close frame has begun: nothing may be put in after it (RFC 6455 section 5.5.1).
    pub fn has_closed(&self) -> bool {
        self.closed
    }

    /// How many frames with data have begun; pings, pongs and closes have none.
    pub fn data_frames(&self) -> u64 {
        self.data_frames
    }

    /// Takes what belongs to the header or payload at hand; the rest.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match &mut self.place {
            Place::Lost => &[],
            Place::Payload { left } => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                if *left == 0 {
                    self.place = Place::default();
                }
                bytes.get(here..).unwrap_or_default()
            }
            Place::Header { bytes: header, known } => {
                let Some((first, rest)) = bytes.split_first() else { return bytes };
                if let Some(slot) = header.get_mut(*known) {
                    *slot = *first;
                }
                *known += 1;
                if *known == header_length(header, *known) {
                    let (opcode, length) = (header[0] & 0x0f, payload_length(header));
                    self.begin(opcode, length);
                }
                rest
            }
        }
    }

    fn begin(&mut self, opcode: u8, length: Option<u64>) {
        match opcode {
            OPCODE_CLOSE => self.closed = true,
            opcode if opcode < OPCODE_CLOSE => self.data_frames += 1,
            _ => {}
        }
        self.place = match length {
            Some(0) => Place::default(),
            Some(left) => Place::Payload { left },
            None => Place::Lost,
        };
    }
}

/// How long a header is, as far as its first `known` bytes tell.
fn header_length(header: &[u8; LONGEST_HEADER], known: usize) -> usize {
    if known < 2 {
        return 2;
    }
    let mask = if header[1] & 0x80 == 0 { 0 } else { 4 };
    mask + match header[1] & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

/// The length that a whole header announces; `None` for one that no frame may have (its highest bit is set).
fn payload_length(header: &[u8; LONGEST_HEADER]) -> Option<u64> {
    let [_, second, a, b, c, d, e, f, g, h, ..] = *header;
    match second & 0x7f {
        126 => Some(u64::from(u16::from_be_bytes([a, b]))),
        127 => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])).filter(|length| length >> 63 == 0),
        short => Some(u64::from(short)),
    }
}

/// A Close frame as a server sends it (RFC 6455 section 5.5.1). What of `reason` does not fit into a control frame is
/// left out, so it has to be ASCII.
pub fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    debug_assert!(reason.is_ascii());
    let reason = reason.get(..reason.len().min(123)).unwrap_or_default();
    let length = u8::try_from(reason.len() + 2).unwrap_or(2);
    let mut frame = vec![0x80 | OPCODE_CLOSE, length];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame with this opcode and payload, masked or not.
    fn frame(opcode: u8, payload: &[u8], masked: bool) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            short @ 0..=125 => frame.push(mask_bit | u8::try_from(short).unwrap()),
            middle @ 126..=0xffff => {
                frame.push(mask_bit | 126);
                frame.extend_from_slice(&u16::try_from(middle).unwrap().to_be_bytes());
            }
            long => {
                frame.push(mask_bit | 127);
                frame.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend_from_slice(&[1, 2, 3, 4]);
        }
        frame.extend_from_slice(payload);
        frame
    }

    fn a_frame() -> impl Strategy<Value = Vec<u8>> {
        let length = prop_oneof![Just(0), 1_usize..126, 126_usize..300, 65_530_usize..65_600];
        (prop_oneof![Just(0_u8), Just(1), Just(2), Just(9), Just(10)], length, any::<bool>())
            .prop_map(|(opcode, length, masked)| frame(opcode, &vec![0x88; length], masked))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the frames and wherever the bytes are cut, the walker stands between frames exactly where they meet.
        #[test]
        fn r65_boundaries_are_where_frames_meet(
            frames in proptest::collection::vec(a_frame(), 1..8),
            cuts in proptest::collection::vec(1_usize..9000, 1..40),
        ) {
            let stream = frames.concat();
            let mut ends: Vec<usize> = Vec::new();
            for frame in &frames {
                ends.push(ends.last().copied().unwrap_or(0) + frame.len());
            }
            let (mut walker, mut at, mut cut) = (Walker::default(), 0, cuts.iter().cycle());
            while at < stream.len() {
                let next = (at + cut.next().unwrap()).min(stream.len());
                walker.walk(&stream[at..next]);
                at = next;
                prop_assert_eq!(walker.is_between_frames(), ends.contains(&at));
            }
            prop_assert!(!walker.has_closed());
        }

        /// From anywhere within a frame, the next boundary is its end.
        #[test]
        fn r65_the_next_boundary_is_the_end_of_this_frame(one in a_frame(), two in a_frame(), cut in 1_usize..9000) {
            let cut = cut.min(one.len());
            let stream = [one.as_slice(), two.as_slice()].concat();
            let mut walker = Walker::default();
            walker.walk(&stream[..cut]);
            prop_assert_eq!(walker.walk_to_boundary(&stream[cut..]), Some(one.len() - cut));
        }

        /// No bytes make it panic.
        #[test]
        fn any_bytes_are_walked(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            Walker::default().walk(&bytes);
        }
    }

    #[test]
    fn a_close_frame_is_noticed_and_data_frames_are_counted() {
        let mut walker = Walker::default();
        walker.walk(&[frame(1, b"hello", true), frame(9, b"", true), frame(0, b"", true)].concat());
        assert_eq!((walker.data_frames(), walker.has_closed()), (2, false));
        walker.walk(&close_frame(4401, "session ended"));
        assert!(walker.has_closed() && walker.is_between_frames());
    }

    #[test]
    fn a_length_that_no_frame_may_have_leaves_no_boundary() {
        let mut walker = Walker::default();
        walker.walk(&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(walker.walk_to_boundary(&[0; 64]), None);
        assert!(!walker.is_between_frames());
    }

    #[test]
    fn a_close_frame_is_a_whole_control_frame() {
        assert_eq!(
            close_frame(4401, "session ended"),
            [&[0x88, 15, 0x11, 0x31], &b"session ended"[..]].concat()
        );
        assert_eq!(close_frame(1001, &"x".repeat(500)).len(), 2 + 125);
    }
}
