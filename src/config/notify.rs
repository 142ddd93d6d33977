//! Channels to workers: over which gateway a message goes out, and whose replies are
//! taken in. No secret stands here: each is named by a variable or a file.

use super::feeds::secret;
use super::tables::{Tables, is_plain};
use super::{Problem, span};
use crate::domain::quiet::QuietHours;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyConfig {
    pub per_day: u32,
    pub quiet_from: String,
    pub quiet_until: String,
    #[serde(deserialize_with = "span")]
    pub collect: Duration,
    pub parallel: usize,
    pub tries: u32,
    #[serde(deserialize_with = "span")]
    pub retry_first: Duration,
    #[serde(deserialize_with = "span")]
    pub retry_most: Duration,
    pub wrong_codes: u32,
    /// Written as `[[notify.channel]]`, in the order in which they are tried.
    pub channel: Vec<ChannelConfig>,
    /// Written as `[[notify.replies]]`.
    pub replies: Vec<RepliesConfig>,
}

/// One `[[notify.channel]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// What it is called in attempts and logs.
    pub name: String,
    pub kind: ChannelKind,
    #[serde(default)]
    pub medium: Medium,
    #[serde(default)]
    pub method: Option<String>,
    /// A template, as are the headers and the body.
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: Option<String>,
    /// An expression over `status`, `body` and `json`.
    #[serde(default)]
    pub success: Option<String>,
    #[serde(default)]
    pub secret: Option<SecretPlace>,
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// An HTTP gateway for short messages or calls, asked by a template.
    Http,
    /// Signed after Standard Webhooks.
    Webhook,
    /// A file for each message.
    Spool,
}

/// What arrives at the worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    #[default]
    Sms,
    /// Read aloud.
    Voice,
}

/// One `[[notify.replies]]`: a gateway that hands in what workers reply.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepliesConfig {
    pub name: String,
    pub secret: SecretPlace,
}

/// Where a secret stands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretPlace {
    env: Option<String>,
    file: Option<PathBuf>,
}

impl SecretPlace {
    /// The secret; the error names what is missing, never what it holds.
    pub fn read(&self) -> Result<String, String> {
        secret(&self.env, &self.file)
    }

    /// The key behind a `whsec_…` of Standard Webhooks, at least 24 bytes.
    pub fn signing_key(&self) -> Result<Vec<u8>, String> {
        use base64::Engine as _;
        let text = self.read()?;
        let key = base64::engine::general_purpose::STANDARD.decode(text.trim_start_matches("whsec_"));
        key.ok().filter(|k| k.len() >= 24).ok_or_else(|| "the secret is no base64 of at least 24 bytes, with or without whsec_".to_owned())
    }

    fn placed(&self) -> bool {
        self.env.is_some() != self.file.is_some()
    }
}

impl RepliesConfig {
    /// The key that this gateway signs with.
    pub fn key(&self) -> Result<Vec<u8>, Problem> {
        let named = |e| Problem { place: format!("notify.replies {:?}", self.name), detail: format!("secret: {e}") };
        self.secret.signing_key().map_err(named)
    }
}

impl NotifyConfig {
    pub fn quiet(&self) -> Option<QuietHours> {
        QuietHours::parse(&self.quiet_from, &self.quiet_until)
    }
}

impl Medium {
    pub fn code(self) -> &'static str {
        match self {
            Medium::Sms => "sms",
            Medium::Voice => "voice",
        }
    }
}

pub(super) const CHANNELS: Tables =
    Tables { what: "notify.channel", required: &[("name", "'n'"), ("kind", "'spool'")], called: &["name"], missing: &[] };
pub(super) const REPLIES: Tables =
    Tables { what: "notify.replies", required: &[("name", "'n'"), ("secret", "{ env = 'E' }")], called: &["name"], missing: &[] };

/// Tells everything that is wrong with what is said of messages.
pub(super) fn check(n: &NotifyConfig, must: &mut impl FnMut(bool, &str, &str)) {
    must((1..=100).contains(&n.per_day), "notify.per_day", "must be 1 to 100");
    must(n.quiet().is_some(), "notify.quiet_from", "and notify.quiet_until must be times of day such as 21:30");
    must(n.collect <= Duration::from_secs(24 * 3600), "notify.collect", "must be at most 24h");
    must((1..=256).contains(&n.parallel), "notify.parallel", "must be 1 to 256");
    must((1..=20).contains(&n.tries), "notify.tries", "must be 1 to 20");
    must(!n.retry_first.is_zero() && n.retry_first <= n.retry_most, "notify.retry_first", "must be above 0 and at most notify.retry_most");
    must((1..=1000).contains(&n.wrong_codes), "notify.wrong_codes", "must be 1 to 1000");
    let mut names = HashSet::new();
    for c in &n.channel {
        let place = format!("notify.channel {:?}", c.name);
        must(is_plain(&c.name), &place, "must be called by 1 to 40 of a-z, A-Z, 0-9, - and _");
        must(names.insert(&c.name), &place, "is there twice");
        let (http, spool) = (c.kind == ChannelKind::Http, c.kind == ChannelKind::Spool);
        must(spool != c.url.is_some(), &place, if spool { "a spool has no url" } else { "url is missing" });
        must(spool == c.folder.is_some(), &place, if spool { "folder is missing" } else { "has no folder: only a spool does" });
        let template = c.method.is_some() || !c.headers.is_empty() || c.body.is_some() || c.success.is_some();
        must(http || !template, &place, "method, headers, body and success are settings of kind http");
        must(c.kind != ChannelKind::Webhook || c.secret.is_some(), &place, "secret is missing: a webhook is signed");
        must(!spool || c.secret.is_none(), &place, "a spool has no secret");
        must(c.secret.as_ref().is_none_or(SecretPlace::placed), &place, "secret needs either `env` or `file`");
        let method = c.method.as_deref().unwrap_or("POST");
        must(matches!(method, "GET" | "POST" | "PUT"), &place, "method must be GET, POST or PUT");
    }
    let mut names = HashSet::new();
    for r in &n.replies {
        let place = format!("notify.replies {:?}", r.name);
        must(is_plain(&r.name), &place, "must be called by 1 to 40 of a-z, A-Z, 0-9, - and _");
        must(names.insert(&r.name), &place, "is there twice");
        must(r.secret.placed(), &place, "secret needs either `env` or `file`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::tests::load_file as load;

    #[test]
    fn channels_and_gateways_are_tables_of_their_own() {
        assert!(Config::defaults().notify.channel.is_empty(), "nothing is sent unless somebody says how");
        let config = load(
            "[notify]\nper_day = 2\n[[notify.channel]]\nname = 'sms'\nkind = 'http'\nurl = 'https://example.com/'\nsecret = { env = 'K' }\n
             [[notify.channel]]\nname = 'call'\nkind = 'webhook'\nmedium = 'voice'\nurl = 'https://example.com/'\nsecret = { file = '/k' }\n
             [[notify.channel]]\nname = 'test'\nkind = 'spool'\nfolder = 'spool'\n[[notify.replies]]\nname = 'sms'\nsecret = { env = 'R' }\n",
        )
        .unwrap();
        let kinds: Vec<_> = config.notify.channel.iter().map(|c| (c.kind, c.medium)).collect();
        use ChannelKind::*;
        assert_eq!(kinds, [(Http, Medium::Sms), (Webhook, Medium::Voice), (Spool, Medium::Sms)]);
        assert_eq!((config.notify.per_day, config.notify.replies.len()), (2, 1));
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_where() {
        let told = load(
            "[notify]\nper_day = 0\nquiet_from = 'late'\n[[notify.channel]]\nname = 'sms'\nkind = 'pigeon'\nurl = 3\ntext = 'x'\n
             [[notify.channel]]\nkind = 'spool'\n[[notify.replies]]\nname = 'g'\n",
        )
        .unwrap_err();
        for place in [
            "notify.channel 1 (sms): kind: unknown variant",
            "notify.channel 1 (sms): url: invalid type",
            "notify.channel 1 (sms): text: unknown field",
            "notify.channel 2: name: is missing",
            "notify.replies 1 (g): secret: is missing",
            "notify.per_day: must be 1 to 100",
            "notify.quiet_from: ",
        ] {
            assert!(told.iter().any(|t| t.starts_with(place)), "{place}: {told:?}");
        }
        let told = load(
            "[[notify.channel]]\nname = 'a'\nkind = 'webhook'\nbody = 'x'\n[[notify.channel]]\nname = 'a'\nkind = 'spool'\nurl = 'u'\nsecret = { env = 'E', file = 'F' }\n
             [[notify.channel]]\nname = 'b b'\nkind = 'http'\nmethod = 'DELETE'\nfolder = 'f'\n",
        )
        .unwrap_err();
        assert_eq!(told.len(), 12, "{told:#?}");
        assert_eq!(load("[notify]\nchannel = ['a']\n").unwrap_err(), ["notify.channel 1: must be a table of its own: [[notify.channel]]"]);
    }

    #[test]
    fn a_secret_is_read_from_its_place_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let place = SecretPlace { env: None, file: Some(file.clone()) };
        assert!(place.read().is_err());
        std::fs::write(&file, "whsec_c2hvcnQ=\n").unwrap();
        let told = place.signing_key().unwrap_err();
        assert!(told.contains("24 bytes") && !told.contains("c2hvcnQ"), "{told}");
        std::fs::write(&file, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        assert_eq!(place.signing_key().unwrap().len(), 24);
    }
}
