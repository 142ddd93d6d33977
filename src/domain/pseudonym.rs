//! Under which name a platform knows a person: the person's id under a permutation
//! whose key is the platform's alone.
//!
//! Promises: nobody without the key finds the person behind a name, tells whether names
//! at two platforms are one person's, or makes a name that stands for somebody but by a
//! guess, which names one of a million people once in 2^102 tries; two people never have
//! one name; the same key, platform and person give the same name for good.
//! Does not: keep the key, or know whom a platform has been told of.
//!
//! The permutation: ten rounds of a Feistel network, as FF1 of NIST SP 800-38G has, over
//! the 122 bits of a UUIDv4 that are free, so that a name is a UUIDv4 as well, which is
//! what an id of a person is promised to look like. Each round is a block of AES-128
//! (FIPS 197) over the round's number and one half. The key of a platform is
//! HKDF-Expand (RFC 5869 §2.3, SHA-256) of the one key with `pseudonym`, a zero byte and
//! the platform's name as `info`.

use super::id::{Pseudonym, WorkerId, v4};
use aws_lc_rs::cipher::{AES_128, EncryptingKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use uuid::Uuid;

const ROUNDS: u64 = 10;
/// Bits of a half.
const HALF: u32 = 61;
const MASK: u128 = (1 << HALF) - 1;

/// The key from which those of all platforms come. It shows nothing of itself and is
/// overwritten when it is dropped.
pub struct PseudonymKey(Prk);

impl PseudonymKey {
    /// From 32 random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Prk::new_less_safe(HKDF_SHA256, bytes))
    }

    /// The names of people towards a platform, or whoever else knows them by one.
    pub fn towards(&self, whom: &str) -> Names {
        let info = [b"pseudonym\0".as_slice(), whom.as_bytes()];
        let key = self.0.expand(&info, &AES_128).expect("16 bytes are fewer than 255 hashes (RFC 5869 §2.3)");
        Names(EncryptingKey::ecb(key.into()).expect("AES-128 has this mode, and the key is 16 bytes"))
    }
}

/// The names of people towards one platform.
pub struct Names(EncryptingKey);

impl Names {
    /// The name of a person.
    pub fn name(&self, worker: WorkerId) -> Pseudonym {
        let halves = (0..ROUNDS).fold(halves(worker.uuid()), |(left, right), n| (right, left ^ self.round(n, right)));
        Pseudonym::new(joined(halves))
    }

    /// The person of whom this is the name, if there is one; none where no name looks
    /// like it.
    pub fn worker(&self, name: Pseudonym) -> Option<WorkerId> {
        if v4(name.uuid().as_u128()) != name.uuid() {
            return None;
        }
        let halves = (0..ROUNDS).rev().fold(halves(name.uuid()), |(left, right), n| (right ^ self.round(n, left), left));
        Some(WorkerId::new(joined(halves)))
    }

    fn round(&self, n: u64, half: u128) -> u128 {
        u128::from_be_bytes(self.block(((u128::from(n) << 64) | half).to_be_bytes())) & MASK
    }

    /// One block of the cipher.
    fn block(&self, mut bytes: [u8; 16]) -> [u8; 16] {
        self.0.encrypt(&mut bytes).expect("16 bytes are a whole block");
        bytes
    }
}

/// The free bits of a UUIDv4 in two halves: all but the version, bits 76 to 79, and the
/// variant, bits 62 and 63 (RFC 9562 §5.4).
fn halves(uuid: Uuid) -> (u128, u128) {
    let bits = uuid.as_u128();
    let free = ((bits >> 80) << 74) | (((bits >> 64) & 0xfff) << 62) | (bits & ((1 << 62) - 1));
    (free >> HALF, free & MASK)
}

fn joined((left, right): (u128, u128)) -> Uuid {
    let free = (left << HALF) | right;
    v4(((free >> 74) << 80) | (((free >> 62) & 0xfff) << 64) | (free & ((1 << 62) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::cipher::UnboundCipherKey;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn counted<const N: usize>() -> [u8; N] {
        std::array::from_fn(|n| n as u8)
    }

    fn key() -> PseudonymKey {
        PseudonymKey::new(&counted())
    }

    #[test]
    fn a_block_is_that_of_fips_197() {
        // Appendix C.1.
        let names = Names(EncryptingKey::ecb(UnboundCipherKey::new(&AES_128, &counted::<16>()).unwrap()).unwrap());
        let block = names.block(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes());
        assert_eq!(u128::from_be_bytes(block), 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a);
    }

    /// Names that platforms keep hang on this. The expected ones come from a program of
    /// its own, which shares no code with this one.
    #[test]
    fn names_stay_what_they_are() {
        let check = |whom: &str, expected: &str| {
            let (worker, name) = (WorkerId::parse("919108f7-52d1-4320-9bac-f847db4148a8").unwrap(), Pseudonym::parse(expected));
            assert_eq!(Some(key().towards(whom).name(worker)), name, "{whom}");
        };
        check("meituan", "b4098a90-2df6-4726-ab69-b03d135ebd60");
        check("office:520000", "e36ee969-ee2a-497f-aac7-6ed8e2969a14");
    }

    #[test]
    fn what_does_not_look_like_a_name_is_nobodys() {
        let names = key().towards("p");
        let name = names.name(WorkerId::new(v4(7))).uuid().as_u128();
        for bit in [62, 63, 76, 77, 78, 79] {
            assert_eq!(names.worker(Pseudonym::new(Uuid::from_u128(name ^ (1 << bit)))), None, "bit {bit}");
        }
        assert_eq!(names.worker(Pseudonym::new(Uuid::nil())), None);
        assert_eq!(names.worker(Pseudonym::new(Uuid::max())), None);
    }

    /// Ids that count up give names in which every bit is as good as thrown, and so is
    /// what one bit of the id changes.
    #[test]
    fn names_show_nothing_of_what_ids_have_in_common() {
        const N: u128 = 4096;
        let names = key().towards("p");
        let of = |n: u128| names.name(WorkerId::new(v4(n))).uuid().as_u128();
        let even = |numbers: &[u128], what: &str| {
            for bit in (0..128).filter(|bit| !matches!(bit, 62 | 63 | 76..=79)) {
                let ones = numbers.iter().filter(|n| *n >> bit & 1 == 1).count();
                // Six standard deviations of a fair coin on each side.
                assert!((2048 - 192..=2048 + 192).contains(&ones), "{what}: bit {bit} is set in {ones} of {N}");
            }
        };
        let all: Vec<u128> = (0..N).map(of).collect();
        even(&all, "names");
        even(&(0..N).map(|n| of(n) ^ of(n ^ (1 << 100))).collect::<Vec<_>>(), "names of ids that differ in a high bit");
        even(&(0..N).map(|n| of(n) ^ of(n ^ (1 << 20))).collect::<Vec<_>>(), "names of ids that differ in a low bit");
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), N as usize);
    }

    proptest! {
        #[test]
        fn a_name_leads_back_to_its_person_at_its_platform_alone(key: [u8; 32], id: u128, whom in "[a-z][a-z0-9-]{0,20}") {
            let (key, worker) = (PseudonymKey::new(&key), WorkerId::new(v4(id)));
            let names = key.towards(&whom);
            let name = names.name(worker);
            prop_assert_eq!(v4(name.uuid().as_u128()), name.uuid(), "it is a UUIDv4");
            prop_assert_ne!(name.uuid(), worker.uuid());
            prop_assert_eq!(names.worker(name), Some(worker));
            let person = names.worker(Pseudonym::new(worker.uuid())).unwrap();
            prop_assert_eq!(names.name(person).uuid(), worker.uuid(), "the other way round, too");
            let other = key.towards(&format!("{whom}x"));
            prop_assert_ne!(other.name(worker), name);
            prop_assert_ne!(other.worker(name), Some(worker));
        }
    }
}
