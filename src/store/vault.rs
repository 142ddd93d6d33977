//! Sealing of identity fields, the blind index, and MACs.
//!
//! A sealed field is: format (1) · key number (1) · nonce (24) · XChaCha20-Poly1305
//! ciphertext and tag (draft-irtf-cfrg-xchacha-03), with table, row and column as
//! associated data, so that a ciphertext moved to another place does not open.

use super::engine::StoreError;
use super::ids::Ids;
use crate::config::keys::{Keys, Secret};
use crate::domain::person::IdNumber;
use aws_lc_rs::signature::Ed25519KeyPair;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;
use std::sync::Arc;
use uuid::Uuid;

const FORMAT: u8 = 1;
const NONCE: usize = 24;

/// Where a sealed field stands.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub table: &'a str,
    pub row: Uuid,
    pub column: &'a str,
}

/// Holds the keys; everything it makes is useless without them.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<Keys>,
}

impl Vault {
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys }
    }

    fn cipher(&self, number: u8) -> Option<XChaCha20Poly1305> {
        self.keys.field.get(&number).map(|k| XChaCha20Poly1305::new(k.expose_secret().into()))
    }

    /// Seals a text for one place.
    pub fn seal(&self, place: Place<'_>, text: &str, ids: &Ids) -> Vec<u8> {
        let number = self.keys.field_current;
        let nonce = ids.bytes::<NONCE>();
        let cipher = self.cipher(number).expect("the current field key was found when the key file was read");
        let aad = associated(place);
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: text.as_bytes(), aad: &aad })
            .expect("a field is far below the cipher's limit of 256 GiB");
        [&[FORMAT, number][..], &nonce, &sealed].concat()
    }

    /// Opens what [`seal`](Self::seal) made for the same place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<String, StoreError> {
        let broken = || StoreError::Corrupt(format!("{}.{} of row {} does not open", place.table, place.column, place.row));
        let (&[format, number], rest) = sealed.split_first_chunk::<2>().ok_or_else(broken)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let cipher = self.cipher(number).filter(|_| format == FORMAT).ok_or_else(broken)?;
        let aad = associated(place);
        let bytes = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: &aad }).map_err(|_| broken())?;
        String::from_utf8(bytes).map_err(|_| broken())
    }

    /// Whether this was sealed with the key that seals now.
    pub fn is_of_present_key(&self, sealed: &[u8]) -> bool {
        sealed.get(1) == Some(&self.keys.field_current)
    }

    /// The blind index of an id number under the present key.
    pub fn blind(&self, id: &IdNumber) -> Vec<u8> {
        mac(&self.keys.blind, "id-number", id.expose().as_bytes()).to_vec()
    }

    /// The same under the next key, while one is being introduced.
    pub fn blind_next(&self, id: &IdNumber) -> Option<Vec<u8>> {
        self.keys.blind_next.as_ref().map(|k| mac(k, "id-number", id.expose().as_bytes()).to_vec())
    }

    /// The key that signs checkpoints of the sealed log.
    pub fn seal_key(&self) -> Ed25519KeyPair {
        self.keys.seal.pair()
    }

    /// By which a platform's own id of a person is found again. What platforms use for
    /// one may be a telephone number, so it is not kept itself.
    pub fn platform_worker(&self, platform: &str, id: &str) -> [u8; 32] {
        mac(&self.keys.mac, "platform-worker", format!("{platform}\0{id}").as_bytes())
    }

    /// A MAC for one purpose, so that two purposes never share a value.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        mac(&self.keys.mac, purpose, bytes)
    }
}

fn mac(key: &Secret, purpose: &str, bytes: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose_secret()).expect("HMAC takes a key of any length");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

fn associated(place: Place<'_>) -> Vec<u8> {
    [place.table.as_bytes(), &[0], place.row.as_bytes(), place.column.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault::new(Arc::new(Keys::parse(&Keys::fresh()).unwrap_or_else(|e| panic!("{e:?}"))))
    }

    #[test]
    fn a_sealed_field_opens_only_in_its_own_place() {
        let (vault, ids) = (vault(), Ids::seeded(1));
        let place = Place { table: "workers", row: ids.v4(), column: "name" };
        let sealed = vault.seal(place, "测试甲", &ids);
        assert_eq!(vault.open(place, &sealed).unwrap(), "测试甲");
        assert!(vault.open(Place { column: "phone", ..place }, &sealed).is_err());
        assert!(vault.open(Place { row: ids.v4(), ..place }, &sealed).is_err());
        assert_ne!(sealed, vault.seal(place, "测试甲", &ids), "two seals of one text do not look alike");
    }

    #[test]
    fn a_flipped_bit_or_a_cut_end_is_noticed() {
        let (vault, ids) = (vault(), Ids::seeded(2));
        let place = Place { table: "workers", row: ids.v4(), column: "name" };
        let sealed = vault.seal(place, "测试甲", &ids);
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(vault.open(place, &bad).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(vault.open(place, &sealed[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn a_blind_index_is_stable_and_depends_on_the_key() {
        let id = IdNumber::parse("11010519491231002X", jiff::civil::date(2020, 1, 1)).unwrap();
        let (a, b) = (vault(), vault());
        assert_eq!(a.blind(&id), a.blind(&id));
        assert_ne!(a.blind(&id), b.blind(&id));
        assert_eq!(a.blind_next(&id), None);
    }
}
