//! The gateway's secrets: token signing, field encryption, blind index, MACs.
//!
//! Promises: a weak, short, repeated or world-readable secret is refused with a
//! text that says what to do.

use super::Problem;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

/// A 32-byte secret.
pub type Secret = SecretBox<[u8; 32]>;

/// All secrets of an installation.
pub struct Keys {
    /// Signs access tokens: kid and PKCS#8 of an Ed25519 key; the first signs,
    /// the others still verify.
    pub token: Vec<SigningKey>,
    /// Seals identity fields; the key's number stands in each ciphertext.
    pub field: BTreeMap<u8, Secret>,
    /// The number of the key that seals.
    pub field_current: u8,
    /// Computes the blind index.
    pub blind: Secret,
    /// The next one during a rotation.
    pub blind_next: Option<Secret>,
    /// MACs over request bodies, client secrets and links.
    pub mac: Secret,
    /// Signs the checkpoints of the sealed log.
    pub seal: SigningKey,
}

/// An Ed25519 key.
pub struct SigningKey {
    pub kid: String,
    pub pkcs8: SecretBox<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    token: BTreeMap<String, String>,
    /// Which token key signs.
    token_current: String,
    field: BTreeMap<String, String>,
    field_current: u8,
    blind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blind_next: Option<String>,
    mac: String,
    seal: String,
}

impl Keys {
    /// The text of a file of fresh secrets.
    pub fn fresh() -> String {
        let random = || STANDARD.encode(random_bytes::<32>());
        let kid = format!("t-{:08x}", u32::from_be_bytes(random_bytes::<4>()));
        let file = KeyFile {
            token_current: kid.clone(),
            token: BTreeMap::from([(kid, fresh_ed25519())]),
            field: BTreeMap::from([("1".to_owned(), random())]),
            field_current: 1,
            blind: random(),
            blind_next: None,
            mac: random(),
            seal: fresh_ed25519(),
        };
        let body = toml::to_string(&file).expect("a key file holds only texts and numbers");
        format!("# Secrets of a doorstep installation. Whoever has this file can read every identity field.\n{body}")
    }

    /// Writes fresh secrets to a new file that only its owner may read.
    pub fn init(path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(Self::fresh().as_bytes())?;
        file.sync_all()
    }

    /// Reads and checks a file of secrets.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let place = path.display().to_string();
        let problem = |detail: String| vec![Problem { place: place.clone(), detail }];
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let meta = std::fs::metadata(path).map_err(|e| problem(format!("{e}; `doorstep keys init {place}` makes one")))?;
            if meta.permissions().mode() & 0o077 != 0 {
                return Err(problem(format!("others may read it; `chmod 600 {place}`")));
            }
        }
        let text = std::fs::read_to_string(path).map_err(|e| problem(e.to_string()))?;
        Self::parse(&text).map_err(|details| details.into_iter().map(|detail| Problem { place: place.clone(), detail }).collect())
    }

    /// Reads the text of a key file; every fault is told, none with its secret.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        // The parser's own message quotes the line, which is a secret.
        let file: KeyFile = toml::from_str(text).map_err(|e| vec![format!("is no key file: {}", e.message())])?;
        let mut faults = Vec::new();
        let mut seen = HashSet::new();
        let mut secret = |name: &str, text: &str| {
            let bytes = STANDARD.decode(text).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
            let Some(bytes) = bytes else {
                faults.push(format!("{name} is not 32 bytes in base64"));
                return SecretBox::new(Box::new([0; 32]));
            };
            if bytes.iter().collect::<HashSet<_>>().len() < 8 {
                faults.push(format!("{name} is too weak: it repeats a few bytes"));
            }
            if !seen.insert(bytes) {
                faults.push(format!("{name} equals another secret"));
            }
            SecretBox::new(Box::new(bytes))
        };
        let mut field = BTreeMap::new();
        let mut bad_numbers = Vec::new();
        for (number, text) in &file.field {
            match number.parse::<u8>() {
                Ok(n) => drop(field.insert(n, secret(&format!("field.{number}"), text))),
                Err(_) => bad_numbers.push(format!("field.{number}: the key's name must be 0 to 255")),
            }
        }
        let blind = secret("blind", &file.blind);
        let blind_next = file.blind_next.as_deref().map(|t| secret("blind_next", t));
        let mac = secret("mac", &file.mac);
        faults.extend(bad_numbers);
        if !field.contains_key(&file.field_current) {
            faults.push("field_current names no key of [field]".to_owned());
        }
        let mut signing = |name: &str, kid: &str, text: &str| {
            let pkcs8 = STANDARD.decode(text).unwrap_or_default();
            if Ed25519KeyPair::from_pkcs8(&pkcs8).is_err() {
                faults.push(format!("{name} is no Ed25519 key (PKCS#8 in base64)"));
            }
            SigningKey { kid: kid.to_owned(), pkcs8: SecretBox::new(Box::new(pkcs8)) }
        };
        let mut token: Vec<SigningKey> = file.token.iter().map(|(kid, text)| signing(&format!("token.{kid}"), kid, text)).collect();
        let seal = signing("seal", "seal", &file.seal);
        match token.iter().position(|k| k.kid == file.token_current) {
            Some(first) => token.swap(0, first),
            None => faults.push("token_current names no key of [token]".to_owned()),
        }
        if faults.is_empty() {
            Ok(Self { token, field, field_current: file.field_current, blind, blind_next, mac, seal })
        } else {
            Err(faults)
        }
    }
}

impl SigningKey {
    /// The key pair.
    pub fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_pkcs8(self.pkcs8.expose_secret()).expect("checked when the key file was read")
    }
}

/// Fresh randomness of the operating system.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

fn fresh_ed25519() -> String {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("the operating system gives randomness");
    STANDARD.encode(document.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_file_is_read_back_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        Keys::init(&path).unwrap();
        assert!(Keys::load(&path).is_ok());
        assert!(Keys::init(&path).is_err(), "an existing file is never overwritten");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let Err(problems) = Keys::load(&path) else { panic!("a world-readable file was taken") };
            assert!(problems[0].detail.contains("chmod 600"));
        }
    }

    #[test]
    fn weak_and_repeated_secrets_are_refused_and_not_quoted() {
        let fresh = Keys::fresh();
        let mac = fresh.lines().find_map(|l| l.strip_prefix("mac = ")).unwrap().to_owned();
        let blind = fresh.lines().find_map(|l| l.strip_prefix("blind = ")).unwrap().to_owned();
        let told = |text: String| Keys::parse(&text).err().unwrap().join("; ");
        assert!(told(fresh.replace(&mac, &blind)).contains("mac equals another secret"));
        let zeros = format!("\"{}\"", STANDARD.encode([0u8; 32]));
        assert!(told(fresh.replace(&mac, &zeros)).contains("mac is too weak"));
        let short = "\"c2hvcnQ=\"";
        let message = told(fresh.replace(&mac, short));
        assert!(message.contains("mac is not 32 bytes") && !message.contains("c2hvcnQ"));
    }
}
