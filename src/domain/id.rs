//! Identifiers: each a UUID with a type of its own, so that an offer's id cannot
//! be handed where a posting's is wanted.
//!
//! All are UUIDv7 (time-ordered, so inserts append in both engines) except
//! [`WorkerId`], which is random, since the id of a person must not tell when they
//! were registered, and [`Pseudonym`], which is made of it (`domain::pseudonym`).

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The UUIDv7 of RFC 9562 §5.7 for this millisecond and this randomness.
pub fn v7(unix_ms: i64, random: u128) -> Uuid {
    let bytes = random.to_be_bytes();
    let mut tail = [0u8; 10];
    tail.copy_from_slice(&bytes[6..]);
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(unix_ms).unwrap_or(0), &tail).into_uuid()
}

/// A UUIDv7 above this one, of the same millisecond, by a step that this randomness
/// chooses; none where there is none above it.
pub fn v7_after(last: Uuid, random: u128) -> Option<Uuid> {
    // 12 bits above the variant and 62 below it are free.
    let bits = last.as_u128();
    let free = (((bits >> 64) & 0xfff) << 62) | (bits & ((1 << 62) - 1));
    let next = free + 1 + (random & u128::from(u32::MAX));
    (next >> 74 == 0).then(|| {
        let kept = bits & !((0xfff << 64) | ((1 << 62) - 1));
        Uuid::from_u128(kept | ((next >> 62) << 64) | (next & ((1 << 62) - 1)))
    })
}

/// The millisecond of a UUIDv7.
pub fn ms_of(v7: Uuid) -> u64 {
    (v7.as_u128() >> 80) as u64
}

/// The random UUIDv4 of RFC 9562 §5.4 from this randomness.
pub fn v4(random: u128) -> Uuid {
    uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
}

// A macro, since a generic `Id<T>` would show its marker type in every error and
// could not have a doc line of its own for each kind.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that was made for this kind of thing.
            pub fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Reads the hyphenated lower- or upper-case form only.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(Self)
            }

            /// The number behind it.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    )*};
}

ids! {
    /// A posting of a platform.
    PostingId;
    /// An offer of one posting to one worker.
    OfferId;
    /// A hire: one person taken on by one platform.
    HireId;
    /// A person, found by blind index whoever registered them. Never leaves
    /// towards a platform: see [`Pseudonym`].
    WorkerId;
    /// A worker as one platform knows them; looks like a random UUID.
    Pseudonym;
    /// An event of the list that platforms read.
    EventId;
    /// A webhook endpoint.
    EndpointId;
    /// A pushed batch.
    BatchId;
    /// A client: platform, office or admin.
    ClientId;
    /// Something that needs a person.
    AlertId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v7_id_sorts_by_its_millisecond() {
        let (a, b) = (v7(1_600_000_000_000, u128::MAX), v7(1_600_000_000_001, 0));
        assert!(a < b);
        assert_eq!(a.get_version_num(), 7);
        assert_eq!(v4(7).get_version_num(), 4);
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = PostingId::new(v7(1, 2));
        assert_eq!(PostingId::parse(&id.to_string()), Some(id));
        assert_eq!(PostingId::parse(&id.uuid().simple().to_string()), None);
        assert_eq!(PostingId::parse("../../etc/passwd"), None);
    }
}
