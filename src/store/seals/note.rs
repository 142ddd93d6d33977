//! Checkpoints as signed notes (C2SP signed-note and tlog-checkpoint): the origin, the
//! size and the root, a line each; an empty line; the signature of those lines.
//!
//! Promises: what is read was written so, to the byte; a note with more lines or more
//! signatures is read too, as the format allows.

use crate::domain::merkle::Hash;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The signature type of Ed25519 in a key id and before a public key.
const ED25519_TYPE: u8 = 1;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
    /// What is signed, with its last line break.
    text: String,
    /// The key ids and signatures under the origin's name.
    signatures: Vec<Vec<u8>>,
}

/// Why a text is no checkpoint, or not one of this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteFault {
    /// Not origin, size, root, an empty line and signatures.
    Shape,
    /// No signature by this key over these lines.
    Signature,
}

impl std::fmt::Display for NoteFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NoteFault::Shape => "is no checkpoint",
            NoteFault::Signature => "has no valid signature by this key",
        })
    }
}

/// The first four bytes that tell which key a signature is by.
fn key_id(name: &str, public: &[u8]) -> [u8; 4] {
    let digest = Sha256::new().chain_update(name).chain_update([b'\n', ED25519_TYPE]).chain_update(public).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Writes and signs a checkpoint.
pub fn sign(origin: &str, size: u64, root: &Hash, key: &Ed25519KeyPair) -> String {
    let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
    let mut signature = key_id(origin, key.public_key().as_ref()).to_vec();
    signature.extend_from_slice(key.sign(text.as_bytes()).as_ref());
    format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(signature))
}

/// A public key as verifiers of notes take it: `name+id+key`.
pub fn verifier(origin: &str, public: &[u8]) -> String {
    let id: String = key_id(origin, public).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{origin}+{id}+{}", STANDARD.encode([&[ED25519_TYPE], public].concat()))
}

/// The public key in a verifier's text; none where its parts do not belong together.
pub fn read_verifier(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.trim().splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let key = STANDARD.decode(key).ok()?;
    let public = key.strip_prefix(&[ED25519_TYPE]).filter(|public| public.len() == 32)?;
    let wanted: String = key_id(name, public).iter().map(|byte| format!("{byte:02x}")).collect();
    (id == wanted).then(|| public.to_vec())
}

impl Note {
    /// Reads a note; its signature is looked at by [`check`](Self::check).
    pub fn parse(note: &str) -> Result<Self, NoteFault> {
        let end = note.find("\n\n").ok_or(NoteFault::Shape)?;
        let (text, signed) = (&note[..end + 1], &note[end + 2..]);
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or(NoteFault::Shape);
        let (origin, size, root) = (line()?, line()?, line()?);
        let number = size.parse::<u64>().ok().filter(|n| n.to_string() == size).ok_or(NoteFault::Shape)?;
        let root = STANDARD.decode(root).ok().and_then(|bytes| Hash::try_from(bytes).ok()).ok_or(NoteFault::Shape)?;
        let mut signatures = Vec::new();
        for line in signed.lines() {
            let (name, bytes) = line.strip_prefix("\u{2014} ").and_then(|l| l.split_once(' ')).ok_or(NoteFault::Shape)?;
            if name == origin {
                signatures.push(STANDARD.decode(bytes).map_err(|_| NoteFault::Shape)?);
            }
        }
        if origin.is_empty() || origin.contains([' ', '+']) || signed.is_empty() || !note.ends_with('\n') {
            return Err(NoteFault::Shape);
        }
        Ok(Self { origin: origin.to_owned(), size: number, root, text: text.to_owned(), signatures })
    }

    /// Whether this key signed it.
    pub fn check(&self, public: &[u8]) -> Result<(), NoteFault> {
        let (id, key) = (key_id(&self.origin, public), UnparsedPublicKey::new(&ED25519, public));
        let holds = |s: &Vec<u8>| s.strip_prefix(&id).is_some_and(|s| key.verify(self.text.as_bytes(), s).is_ok());
        if self.signatures.iter().any(holds) { Ok(()) } else { Err(NoteFault::Signature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_signed() {
        let (key, root) = (key(7), [9; 32]);
        let text = sign("doorstep", 12, &root, &key);
        let note = Note::parse(&text).unwrap();
        assert_eq!((note.origin.as_str(), note.size, note.root), ("doorstep", 12, root));
        assert_eq!(note.check(key.public_key().as_ref()), Ok(()));
        assert_eq!(note.check(super::tests::key(8).public_key().as_ref()), Err(NoteFault::Signature));
        assert!(text.starts_with("doorstep\n12\nCQkJ") && text.lines().nth(4).unwrap().starts_with("\u{2014} doorstep "));
        // A witness may have signed beside.
        let witnessed = format!("{text}\u{2014} witness {}\n", STANDARD.encode([1; 68]));
        assert_eq!(Note::parse(&witnessed).unwrap().check(key.public_key().as_ref()), Ok(()));
    }

    #[test]
    fn a_changed_checkpoint_is_refused() {
        let key = key(7);
        let text = sign("doorstep", 12, &[9; 32], &key);
        let check = |text: &str| Note::parse(text).and_then(|note| note.check(key.public_key().as_ref()));
        for (was, now) in [("\n12\n", "\n13\n"), ("CQkJ", "CQkK"), ("doorstep\n", "elsewhere\n"), ("\u{2014} doorstep", "\u{2014} other")] {
            assert_eq!(check(&text.replace(was, now)), Err(NoteFault::Signature), "{now}");
        }
        for (was, now) in
            [("\n12\n", "\n012\n"), ("\n12\n", "\n-12\n"), ("\n\n", "\n"), ("CQkJ", "C"), ("\u{2014} ", "- "), ("step\n", "s p\n")]
        {
            assert_eq!(check(&text.replace(was, now)), Err(NoteFault::Shape), "{now}");
        }
        assert_eq!(check(text.trim_end()), Err(NoteFault::Shape));
        assert_eq!(check(""), Err(NoteFault::Shape));
    }

    #[test]
    fn a_verifier_names_one_key() {
        let public = key(7).public_key().as_ref().to_vec();
        let text = verifier("doorstep", &public);
        assert_eq!(read_verifier(&format!("{text}\n")), Some(public));
        assert_eq!(read_verifier(&text.replace("doorstep", "other")), None);
        assert_eq!(read_verifier("doorstep"), None);
    }
}
