//! [MD5](https://www.rfc-editor.org/rfc/rfc1321) of several bodies side by side.
//!
//! Each block of a message needs the one before, so that a processor does one addition after the other. Blocks of
//! different messages need nothing of each other: with one message in each lane of a vector, which the compiler
//! makes of arrays, four take little longer than one.

use bytes::Bytes;
use std::slice::Iter;

/// Messages that go side by side. Every 64-bit processor has vectors of four words.
pub(super) const LANES: usize = 4;
/// Bytes of a block.
const BLOCK: usize = 64;
/// Where in a message's last block its length begins.
const LENGTH: usize = BLOCK - 8;

/// One word of each message.
type Words<const N: usize> = [u32; N];
/// The state of each message.
type State<const N: usize> = [Words<N>; 4];

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
#[rustfmt::skip]
const SINES: [[u32; 16]; 4] = [
    [
        0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
        0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    ],
    [
        0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
        0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    ],
    [
        0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
        0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    ],
    [
        0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
        0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
    ],
];

/// The MD5 of a message so far.
#[derive(Debug, Clone)]
pub(super) struct Md5 {
    state: [u32; 4],
    /// The beginning of a block that is not there whole.
    rest: [u8; BLOCK],
    /// Bytes so far.
    length: u64,
}

impl Md5 {
    pub(super) fn new() -> Self {
        Self { state: START, rest: [0; BLOCK], length: 0 }
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let mut message = Message { md5: self, pieces: [].iter(), now: bytes };
        while let Some(blocks) = message.whole_blocks() {
            let blocks = blocks.bytes();
            message.md5.compress(blocks);
        }
    }

    /// The digest.
    pub(super) fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8).to_le_bytes();
        let rest = self.rest_length();
        let zeros = (LENGTH + BLOCK - 1 - rest) % BLOCK;
        self.update(&[0x80]);
        self.update([0; BLOCK].get(..zeros).unwrap_or_default());
        self.update(&bits);
        let [a, b, c, d] = self.state.map(u32::to_le_bytes);
        let mut digest = [0; 16];
        for (place, byte) in digest.iter_mut().zip([a, b, c, d].as_flattened()) {
            *place = *byte;
        }
        digest
    }

    fn rest_length(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }

    fn compress(&mut self, blocks: &[u8]) {
        let mut state = self.state.map(|word| [word]);
        compress(&mut state, [blocks], blocks.len() / BLOCK);
        self.state = state.map(|[word]| word);
    }
}

/// Takes the next bytes of up to [`LANES`] messages, each in its pieces, side by side as far as they go.
pub(super) fn update_all(messages: &mut [(Md5, Vec<Bytes>)]) {
    let mut messages: Vec<Message<'_>> =
        messages.iter_mut().map(|(md5, pieces)| Message { md5, pieces: pieces.iter(), now: &[] }).collect();
    let mut blocks: Vec<Option<Blocks<'_>>> = messages.iter_mut().map(Message::whole_blocks).collect();
    loop {
        let lengths = blocks.iter().flatten().map(|blocks| blocks.bytes().len());
        let (going, least) = (lengths.clone().count(), lengths.min().unwrap_or_default());
        let alone = if going == 1 { blocks.iter().position(Option::is_some) } else { None };
        if going == 0 {
            return;
        }
        if let Some((message, Some(blocks))) = alone.and_then(|at| messages.get_mut(at).zip(blocks.get(at))) {
            message.md5.compress(blocks.bytes());
        } else {
            side_by_side(&mut messages, &blocks, least / BLOCK);
        }
        for (message, blocks) in messages.iter_mut().zip(&mut blocks) {
            *blocks = blocks.take().and_then(|blocks| blocks.without(least)).or_else(|| message.whole_blocks());
        }
    }
}

/// Compresses as many blocks of each of several messages. Lanes without a message do what the first one does.
fn side_by_side(messages: &mut [Message<'_>], blocks: &[Option<Blocks<'_>>], count: usize) {
    let Some(first) = blocks.iter().flatten().next() else { return };
    let mut state: State<LANES> = START.map(|word| [word; LANES]);
    let mut bytes = [first.bytes(); LANES];
    let going = || blocks.iter().enumerate().filter_map(|(at, blocks)| Some((at, blocks.as_ref()?)));
    for ((lane, bytes), (at, blocks)) in bytes.iter_mut().enumerate().zip(going()) {
        *bytes = blocks.bytes();
        let known = messages.get(at).map(|message| message.md5.state).unwrap_or_default();
        for (words, word) in state.iter_mut().zip(known) {
            words.iter_mut().skip(lane).take(1).for_each(|place| *place = word);
        }
    }
    compress(&mut state, bytes, count);
    for (lane, (at, _)) in going().enumerate() {
        let Some(message) = messages.get_mut(at) else { continue };
        for (word, words) in message.md5.state.iter_mut().zip(&state) {
            *word = words.get(lane).copied().unwrap_or_default();
        }
    }
}

/// A message and what comes of it next.
struct Message<'a> {
    md5: &'a mut Md5,
    pieces: Iter<'a, Bytes>,
    now: &'a [u8],
}

/// Blocks that are there whole.
enum Blocks<'a> {
    /// One that came in more than one piece.
    Joined([u8; BLOCK]),
    /// Within a piece.
    Many(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The next blocks that are there whole, which counts them as done. What remains in the end is kept for later.
    fn whole_blocks(&mut self) -> Option<Blocks<'a>> {
        loop {
            if self.now.is_empty() {
                self.now = self.pieces.next()?;
                continue;
            }
            let begun = self.md5.rest_length();
            if begun == 0 && self.now.len() >= BLOCK {
                let (whole, rest) = self.now.split_at(self.now.len() / BLOCK * BLOCK);
                self.now = rest;
                self.md5.length += whole.len() as u64;
                return Some(Blocks::Many(whole));
            }
            let (taken, rest) = self.now.split_at(self.now.len().min(BLOCK - begun));
            self.now = rest;
            self.md5.length += taken.len() as u64;
            for (place, byte) in self.md5.rest.iter_mut().skip(begun).zip(taken) {
                *place = *byte;
            }
            if begun + taken.len() == BLOCK {
                return Some(Blocks::Joined(self.md5.rest));
            }
        }
    }
}

impl Blocks<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Joined(block) => block,
            Self::Many(blocks) => blocks,
        }
    }

    /// What is left after the first `length` bytes; `None` when nothing is.
    fn without(self, length: usize) -> Option<Self> {
        match self {
            Self::Joined(_) => None,
            Self::Many(blocks) => blocks.get(length..).filter(|rest| !rest.is_empty()).map(Self::Many),
        }
    }
}

/// Takes `count` blocks of each message, which have that many at least.
#[expect(clippy::indexing_slicing, reason = "a block has 16 words, and every array as many words as there are lanes")]
fn compress<const N: usize>(state: &mut State<N>, messages: [&[u8]; N], count: usize) {
    let mut blocks = messages.map(|message| message.as_chunks::<BLOCK>().0.iter());
    for _ in 0..count {
        let mut words = [[0; N]; 16];
        for (lane, blocks) in blocks.iter_mut().enumerate() {
            let Some(block) = blocks.next() else { return };
            for (words, word) in words.iter_mut().zip(block.as_chunks::<4>().0) {
                words[lane] = u32::from_le_bytes(*word);
            }
        }
        let before = *state;
        let [mut a, mut b, mut c, mut d] = before;
        macro_rules! steps {
            ($round:literal, $mix:expr, $($step:literal)*) => { $(
                let word = match $round { 0 => $step, 1 => (5 * $step + 1) % 16, 2 => (3 * $step + 5) % 16, _ => 7 * $step % 16 };
                let mut next = [0; N];
                for lane in 0..N {
                    let known = a[lane].wrapping_add(SINES[$round][$step].wrapping_add(words[word][lane]));
                    let sum: u32 = $mix(known, b[lane], c[lane], d[lane]);
                    next[lane] = b[lane].wrapping_add(sum.rotate_left(SHIFTS[$round][$step % 4]));
                }
                (a, b, c, d) = (d, next, b, c);
            )* };
        }
        // The newest word is `b`: what can be done before it is there stands before it. Of the two halves of the second
        // round's function no bit is in both, so that they can be added one by one.
        steps!(0, |known: u32, b: u32, c: u32, d: u32| known.wrapping_add(d ^ (b & (c ^ d))),
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        steps!(1, |known: u32, b: u32, c: u32, d: u32| known.wrapping_add(c & !d).wrapping_add(b & d),
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        steps!(2, |known: u32, b: u32, c: u32, d: u32| known.wrapping_add(b ^ c ^ d),
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        steps!(3, |known: u32, b: u32, c: u32, d: u32| known.wrapping_add(c ^ (b | !d)),
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for (words, (before, now)) in state.iter_mut().zip(before.iter().zip([a, b, c, d])) {
            for lane in 0..N {
                words[lane] = before[lane].wrapping_add(now[lane]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::md5::Digest as _;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What the library of everybody says.
    fn expected(bytes: &[u8]) -> [u8; 16] {
        ::md5::Md5::digest(bytes).into()
    }

    fn digest(bytes: &[u8]) -> [u8; 16] {
        let mut md5 = Md5::new();
        md5.update(bytes);
        md5.finish()
    }

    /// See [RFC 1321, A.5](https://www.rfc-editor.org/rfc/rfc1321#appendix-A.5).
    #[test]
    fn the_test_suite_of_the_rfc_holds() {
        let cases = [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ];
        for (message, digest) in cases {
            assert_eq!(hex::encode(self::digest(message.as_bytes())), digest);
        }
    }

    #[test]
    fn every_length_of_the_last_block_is_right() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * BLOCK).collect();
        for length in 0..bytes.len() {
            assert_eq!(digest(&bytes[..length]), expected(&bytes[..length]), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn messages_side_by_side_are_what_they_are_alone(
            messages in vec(vec(vec(vec(any::<u8>(), 0..300), 0..4), 0..4), 0..=LANES),
        ) {
            let turns = messages.iter().map(Vec::len).max().unwrap_or_default();
            let mut running: Vec<_> = messages.iter().map(|_| (Md5::new(), Vec::new())).collect();
            for turn in 0..turns {
                for ((_, pieces), message) in running.iter_mut().zip(&messages) {
                    let these = message.get(turn).into_iter().flatten();
                    *pieces = these.map(|piece| Bytes::from(piece.clone())).collect();
                }
                update_all(&mut running);
            }
            for ((md5, _), message) in running.into_iter().zip(&messages) {
                prop_assert_eq!(md5.finish(), expected(&message.iter().flatten().flatten().copied().collect::<Vec<_>>()));
            }
        }
    }
}
