//! Webhooks after Standard Webhooks 1.0.0: the body, its signature, and when a
//! failed one is sent again.
//!
//! Does not: send anything (`deliver`).

use crate::domain::time::Moment;
use crate::store::endpoints::{Signing, key_pair};
use crate::store::log::Listed;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use std::time::Duration;

/// Every event type there is.
pub const EVENT_TYPES: [&str; 8] = [
    "offer.accepted",
    "offer.withdrawn",
    "hire.tagged",
    "hire.ended",
    "posting.filled",
    "posting.closed",
    "feed.held",
    "endpoint.disabled",
];

/// Waits before the tries after the first: 13 tries over 5 days and more.
const WAITS: [u64; 12] = [5, 30, 120, 600, 1_800, 7_200, 14_400, 28_800, 57_600, 86_400, 86_400, 172_800];

/// The body of a webhook; the same bytes on every try.
pub fn body(event: &Listed) -> String {
    json!({"type": event.kind, "timestamp": event.at, "data": event.data}).to_string()
}

/// What is signed.
fn content(id: &str, timestamp: i64, body: &str) -> String {
    format!("{id}.{timestamp}.{body}")
}

fn mac(secret: &[u8], id: &str, timestamp: i64, body: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(content(id, timestamp, body).as_bytes());
    mac
}

/// `v1,BASE64` with a shared secret, over `id.timestamp.body`.
pub fn signature(secret: &[u8], id: &str, timestamp: i64, body: &str) -> String {
    format!("v1,{}", STANDARD.encode(mac(secret, id, timestamp, body).finalize().into_bytes()))
}

/// `v1a,BASE64` with an Ed25519 key, over the same.
pub fn asymmetric_signature(key: &Ed25519KeyPair, id: &str, timestamp: i64, body: &str) -> String {
    format!("v1a,{}", STANDARD.encode(key.sign(content(id, timestamp, body).as_bytes()).as_ref()))
}

/// Whether this `v1a,…` was made with the private part of a public key in base64.
pub fn verifies(public: &str, signature: &str, id: &str, timestamp: i64, body: &str) -> bool {
    let bytes = |text: &str| STANDARD.decode(text).ok();
    let (Some(public), Some(signature)) = (bytes(public), signature.strip_prefix("v1a,").and_then(bytes)) else { return false };
    UnparsedPublicKey::new(&ED25519, public).verify(content(id, timestamp, body).as_bytes(), &signature).is_ok()
}

/// The secrets and keys of one endpoint, ready to sign.
pub struct Signer {
    secrets: Vec<(Vec<u8>, Option<Moment>)>,
    keys: Vec<(Ed25519KeyPair, Option<Moment>)>,
}

impl Signer {
    pub fn new(signing: &[Signing]) -> Self {
        Self {
            secrets: signing.iter().map(|s| (s.secret.clone(), s.until)).collect(),
            keys: signing.iter().filter_map(|s| s.seed.as_ref().map(|seed| (key_pair(seed), s.until))).collect(),
        }
    }

    /// The value of `webhook-signature`: one for each secret and each key that holds
    /// now, with spaces between.
    pub fn sign(&self, id: &str, at: Moment, body: &str) -> String {
        let timestamp = at.ms() / 1000;
        let holds = |until: &Option<Moment>| until.is_none_or(|until| until > at);
        let secrets = self.secrets.iter().filter(|(_, until)| holds(until)).map(|(secret, _)| signature(secret, id, timestamp, body));
        let keys = self.keys.iter().filter(|(_, until)| holds(until)).map(|(key, _)| asymmetric_signature(key, id, timestamp, body));
        secrets.chain(keys).collect::<Vec<_>>().join(" ")
    }
}

/// Whether one of the signatures of a `webhook-signature` is that of this secret.
pub fn is_signed(secret: &[u8], id: &str, timestamp: i64, body: &str, signatures: &str) -> bool {
    let mac = mac(secret, id, timestamp, body);
    let given = signatures.split(' ').filter_map(|s| STANDARD.decode(s.strip_prefix("v1,")?).ok());
    // Compared in constant time.
    given.into_iter().any(|given| mac.clone().verify_slice(&given).is_ok())
}

/// When to try again after `tries` failures; none once it was tried often enough.
/// `jitter`, 0 to 255, spreads the tries by up to a fifth; a Retry-After is kept
/// if it is later and below a day.
pub fn retry_at(now: Moment, tries: i64, jitter: u8, retry_after: Option<Duration>) -> Option<Moment> {
    let wait = Duration::from_secs(*WAITS.get(usize::try_from(tries).ok()?)?);
    let spread = wait.mul_f64(f64::from(jitter) / 255.0 / 5.0);
    let asked = retry_after.map_or(Duration::ZERO, |d| d.min(Duration::from_secs(86_400)));
    Some(now.plus((wait + spread).max(asked)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::KeyPair;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = "{\"test\": 2432232314}";

    #[test]
    fn the_signature_is_that_of_the_standards_own_example() {
        // The example of the Standard Webhooks specification and its libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(signature(&secret, ID, 1_614_265_330, BODY), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_public_key_verifies_the_asymmetric_signature_and_no_other_body() {
        let key = key_pair(&[7; 32]);
        let signed = asymmetric_signature(&key, ID, 1_614_265_330, BODY);
        let public = STANDARD.encode(key.public_key());
        assert!(verifies(&public, &signed, ID, 1_614_265_330, BODY));
        assert!(!verifies(&public, &signed, ID, 1_614_265_331, BODY));
        assert!(!verifies(&public, &signed, ID, 1_614_265_330, "{}"));
        let other = STANDARD.encode(key_pair(&[8; 32]).public_key());
        assert!(!verifies(&other, &signed, ID, 1_614_265_330, BODY));
    }

    #[test]
    fn what_was_rotated_away_signs_until_its_time_is_over() {
        let until = Moment::from_ms(1000);
        let signing =
            [Signing { secret: vec![1], seed: Some([1; 32]), until: None }, Signing { secret: vec![2], seed: None, until: Some(until) }];
        let signer = Signer::new(&signing);
        let kinds = |at: i64| {
            let signed = signer.sign(ID, Moment::from_ms(at), BODY);
            signed.split(' ').map(|s| s.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kinds(999), ["v1", "v1", "v1a"]);
        assert_eq!(kinds(1000), ["v1", "v1a"]);
    }

    #[test]
    fn a_signature_holds_for_its_id_time_body_and_secret_alone() {
        let (secret, other) = (vec![7; 32], vec![8; 32]);
        let signed = format!("v1,AAAA v2,x {} v1a,y", signature(&secret, "id", 5, "{}"));
        assert!(is_signed(&secret, "id", 5, "{}", &signed));
        for (key, id, at, body, signed) in [
            (&other, "id", 5, "{}", signed.as_str()),
            (&secret, "ID", 5, "{}", &signed),
            (&secret, "id", 6, "{}", &signed),
            (&secret, "id", 5, "{ }", &signed),
            (&secret, "id", 5, "{}", ""),
            (&secret, "id", 5, "{}", &signed.replace("v1,", "v1")),
        ] {
            assert!(!is_signed(key, id, at, body, signed), "{id} {at} {body} {signed}");
        }
    }

    #[test]
    fn tries_spread_over_more_than_four_days_and_the_first_comes_within_ten_seconds() {
        let now = Moment::from_ms(0);
        assert!(retry_at(now, 0, 255, None).unwrap().ms() <= 10_000);
        let total: i64 = (0..).map_while(|t| retry_at(now, t, 0, None)).map(|m| m.ms()).sum();
        assert!(total >= 96 * 3_600_000, "{total}");
        assert_eq!(retry_at(now, 12, 0, None), None);
        assert_eq!(retry_at(now, 0, 0, Some(Duration::from_secs(60))).unwrap().ms(), 60_000);
    }
}
