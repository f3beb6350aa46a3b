//! Which of a cluster's 16,384 slots a key lies in.
//!
//! I own: the sum of a key (CRC16, as in Redis's cluster specification), its hash tag, and tags for a wanted slot. I may
//! call: nobody. I never ask a server.

/// How many slots every cluster has.
pub(in crate::store::redis) const SLOTS: u16 = 16_384;

/// How many tags are tried for a slot; each is found after 16,384 on average.
const TRIES: u32 = 1 << 20;

/// The slot of a key.
pub(in crate::store::redis) fn slot(key: &[u8]) -> u16 {
    crc16(hashed(key)) % SLOTS
}

/// A hash tag whose slot is one of these; `None` where there are none.
pub(in crate::store::redis) fn tag_within(wanted: impl Fn(u16) -> bool) -> Option<String> {
    (0..TRIES).map(|number| number.to_string()).find(|tag| wanted(slot(tag.as_bytes())))
}

/// The part of a key that counts: between the first `{` and the next `}`, if there is anything.
fn hashed(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let after = &key[open + 1..];
    match after.iter().position(|byte| *byte == b'}') {
        Some(length @ 1..) => &after[..length],
        _ => key,
    }
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| sum << 8 ^ TABLE[usize::from((sum >> 8) as u8 ^ byte)])
}

/// CRC16 of the XMODEM kind: polynomial 0x1021, nothing reflected.
const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut sum = (at as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [("foo", 12_182), ("bar", 5061), ("", 0)] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        for (key, tag) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo{bar", "foo{bar"),
        ] {
            assert_eq!(slot(key.as_bytes()), crc16(tag.as_bytes()) % SLOTS, "{key}");
        }
    }

    #[test]
    fn every_slot_has_a_tag_and_no_slot_has_none() {
        for wanted in [0, 1, 8191, SLOTS - 1] {
            let tag = tag_within(|slot| slot == wanted).unwrap();
            assert_eq!(slot(format!("keycard:s:beat:{{{tag}}}:x:1").as_bytes()), wanted);
        }
        assert_eq!(tag_within(|_| false), None);
    }
}
