//! The checksums that S3 knows, computed while bytes pass.

mod md5;
mod together;

use self::md5::Md5;
use self::together::Member;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// An algorithm of
/// [S3's checksums](https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME; full-object only.
    Crc64Nvme,
    /// SHA-1; composite only in uploads of parts.
    Sha1,
    /// SHA-256; composite only in uploads of parts.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// `crc32` and so on: what stands behind `x-amz-checksum-`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64Nvme => "crc64nvme",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// From its name in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Length of a digest in bytes.
    pub fn digest_length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// A digest from its header's base64, when it has the right length.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        let value = BASE64_STANDARD.decode(text.trim()).ok()?;
        (value.len() == self.digest_length()).then_some(value)
    }

    /// The digest of bytes whose pieces have these digests and lengths, in order; `None`
    /// for what is no CRC, and for no pieces.
    pub fn combine(self, pieces: &[(Vec<u8>, u64)]) -> Option<Vec<u8>> {
        let algorithm = match self {
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Sha1 | Self::Sha256 => return None,
        };
        let number = |digest: &[u8]| digest.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        let mut pieces = pieces.iter();
        let (first, _) = pieces.next()?;
        let combined = pieces.fold(number(first), |combined, (digest, length)| {
            crc_fast::checksum_combine(algorithm, combined, number(digest), *length)
        });
        Some(combined.to_be_bytes().into_iter().skip(8 - self.digest_length()).collect())
    }

    /// The digest of some bytes.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }
}

/// A running checksum.
pub enum Hasher {
    /// One of the CRCs.
    Crc(crc_fast::Digest, usize),
    /// SHA-1.
    Sha1(Sha1),
    /// SHA-256.
    Sha256(Sha256),
}

impl Hasher {
    /// Starts one.
    pub fn new(algorithm: Algorithm) -> Self {
        use crc_fast::Digest;
        match algorithm {
            Algorithm::Crc32 => Self::Crc(Digest::new(CrcAlgorithm::Crc32IsoHdlc), 4),
            Algorithm::Crc32c => Self::Crc(Digest::new(CrcAlgorithm::Crc32Iscsi), 4),
            Algorithm::Crc64Nvme => Self::Crc(Digest::new(CrcAlgorithm::Crc64Nvme), 8),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(digest, _) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    /// The digest, big endian.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc(digest, length) => digest.finalize().to_be_bytes().into_iter().skip(8 - length).collect(),
            Self::Sha1(digest) => digest.finalize().to_vec(),
            Self::Sha256(digest) => digest.finalize().to_vec(),
        }
    }
}

/// MD5 and whatever else an upload needs, side by side.
pub struct Hashers {
    md5: Md5,
    others: Vec<(Algorithm, Hasher)>,
    /// It is one of the bodies that are looked at together.
    member: Option<Member>,
}

/// What [`Hashers`] end with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Of all bytes.
    pub md5: [u8; 16],
    /// In the order that they were asked for.
    pub others: Vec<(Algorithm, Vec<u8>)>,
}

impl Hashers {
    /// MD5 and these.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let others = algorithms.iter().map(|algorithm| (*algorithm, Hasher::new(*algorithm))).collect();
        Self { md5: Md5::new(), others, member: None }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        for (_, hasher) in &mut self.others {
            hasher.update(bytes);
        }
    }

    /// Takes the next bytes, beside those of other bodies, which takes less time than one body after the other. Needs a
    /// tokio runtime. `None` when whoever computed it broke.
    pub async fn update_together(self, pieces: Vec<Bytes>) -> Option<Self> {
        let Self { md5, mut others, member } = self;
        let member = member.unwrap_or_else(Member::join);
        for (_, hasher) in &mut others {
            pieces.iter().for_each(|bytes| hasher.update(bytes));
        }
        let md5 = together::update(md5, pieces, &member).await?;
        Some(Self { md5, others, member: Some(member) })
    }

    /// All digests.
    pub fn finish(self) -> Digests {
        let others = self.others.into_iter().map(|(algorithm, hasher)| (algorithm, hasher.finish())).collect();
        Digests { md5: self.md5.finish(), others }
    }
}

/// A digest as S3's headers have it.
pub fn encode(digest: &[u8]) -> String {
    BASE64_STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::md5::Md5;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn the_check_values_of_the_catalogue_hold() {
        let check = |algorithm: Algorithm| hex::encode(algorithm.digest(b"123456789"));
        assert_eq!(check(Algorithm::Crc32), "cbf43926");
        assert_eq!(check(Algorithm::Crc32c), "e3069283");
        assert_eq!(check(Algorithm::Crc64Nvme), "ae8b14860a799888");
        assert_eq!(check(Algorithm::Sha1), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
    }

    #[test]
    fn crcs_of_pieces_combine() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let pieces = [&b"12345"[..], b"", b"6789"].map(|piece| (algorithm.digest(piece), piece.len() as u64));
            assert_eq!(algorithm.combine(&pieces), Some(algorithm.digest(b"123456789")));
        }
        assert_eq!(Algorithm::Sha1.combine(&[]), None);
    }

    proptest! {
        #[test]
        fn where_bytes_are_cut_says_nothing(pieces in vec(vec(any::<u8>(), 0..100), 0..8)) {
            let whole = pieces.concat();
            let mut hashers = Hashers::new(&Algorithm::ALL);
            pieces.iter().for_each(|piece| hashers.update(piece));
            let digests = hashers.finish();
            prop_assert_eq!(digests.md5, <[u8; 16]>::from(Md5::digest(&whole)));
            for (algorithm, digest) in digests.others {
                prop_assert_eq!(&digest, &algorithm.digest(&whole), "{:?}", algorithm);
                prop_assert_eq!(digest.len(), algorithm.digest_length());
                let parts: Vec<_> = pieces.iter().map(|piece| (algorithm.digest(piece), piece.len() as u64)).collect();
                if let Some(combined) = algorithm.combine(&parts) {
                    prop_assert_eq!(combined, digest, "{:?} combined", algorithm);
                }
            }
        }

        #[test]
        fn a_digest_survives_its_header_and_nothing_else_is_one(bytes in vec(any::<u8>(), 0..40), text in "[A-Za-z0-9+/=]{0,50}") {
            for algorithm in Algorithm::ALL {
                let read = algorithm.decode(&encode(&bytes));
                prop_assert_eq!(read, (bytes.len() == algorithm.digest_length()).then(|| bytes.clone()));
                if let Some(digest) = algorithm.decode(&text) {
                    prop_assert_eq!(digest.len(), algorithm.digest_length());
                }
                prop_assert_eq!(Algorithm::parse(&algorithm.name().to_ascii_uppercase()), Some(algorithm));
            }
        }
    }
}
