//! Feeds that are fetched: whose they are, where they stand, and with which secret.

use super::span;
use super::tables::{Tables, is_plain};
use crate::domain::client::Slug;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

/// One `[[feed]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullConfig {
    /// The slug of the platform whose postings they are.
    pub platform: String,
    /// The format.
    pub adapter: String,
    pub url: String,
    #[serde(deserialize_with = "span")]
    pub every: Duration,
    /// Has to be said, if only as `kind = "none"`.
    pub auth: Auth,
    #[serde(default)]
    name: Option<String>,
    /// It says all there is: what is absent is closed.
    #[serde(default)]
    pub complete: bool,
    /// The query parameter for the adapter's cursor, where that is no link.
    #[serde(default)]
    pub cursor_param: Option<String>,
    /// The query parameter for pages counted from 1.
    #[serde(default)]
    pub page_param: Option<String>,
    /// Other origins where its pages may lie; they are asked without the secret.
    #[serde(default)]
    pub page_origins: Vec<String>,
    #[serde(default)]
    pub hold_share: Option<f64>,
}

pub(super) const FEEDS: Tables = Tables {
    what: "feed",
    required: &[("platform", "'p'"), ("adapter", "'a'"), ("url", "'u'"), ("every", "'1h'"), ("auth", "{ kind = 'none' }")],
    called: &["name", "platform"],
    missing: &[("auth", "is missing; a source that asks for nothing is { kind = \"none\" }")],
};

/// How a source knows us. The secrets themselves stand in the environment or in
/// files, so that a configuration can be shown.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    None,
    Bearer { env: Option<String>, file: Option<PathBuf> },
    Basic { user: String, env: Option<String>, file: Option<PathBuf> },
    Header { name: String, env: Option<String>, file: Option<PathBuf> },
}

/// A header that must not be shown.
pub struct SecretHeader {
    pub name: String,
    pub value: String,
}

impl std::fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

impl Auth {
    /// The header that proves who asks; the error names what is missing, never what
    /// it holds.
    pub fn header(&self) -> Result<Option<SecretHeader>, String> {
        use base64::Engine as _;
        let header = |name: &str, value: String| Ok(Some(SecretHeader { name: name.to_owned(), value }));
        match self {
            Auth::None => Ok(None),
            Auth::Bearer { env, file } => header("authorization", format!("Bearer {}", secret(env, file)?)),
            Auth::Basic { user, env, file } => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", secret(env, file)?));
                header("authorization", format!("Basic {pair}"))
            }
            Auth::Header { name, env, file } => header(&name.to_ascii_lowercase(), secret(env, file)?),
        }
    }

    /// The header is one that a request may have beside its own.
    fn named(&self) -> bool {
        let Auth::Header { name, .. } = self else { return true };
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let own = ["host", "connection", "content-length", "transfer-encoding", "accept-encoding", "if-none-match", "if-modified-since"];
        !name.is_empty() && name.bytes().all(token) && !own.contains(&name.to_ascii_lowercase().as_str())
    }

    /// Its name in a configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Auth::None => "none",
            Auth::Bearer { .. } => "bearer",
            Auth::Basic { .. } => "basic",
            Auth::Header { .. } => "header",
        }
    }

    /// Where the secret is said to stand: exactly one place.
    fn placed(&self) -> bool {
        match self {
            Auth::None => true,
            Auth::Bearer { env, file } | Auth::Basic { env, file, .. } | Auth::Header { env, file, .. } => env.is_some() != file.is_some(),
        }
    }
}

pub(super) fn secret(env: &Option<String>, file: &Option<PathBuf>) -> Result<String, String> {
    let text = match (env, file) {
        (Some(name), _) => std::env::var(name).map_err(|_| format!("the environment has no {name}"))?,
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?,
        (None, None) => return Err("no secret is named".to_owned()),
    };
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_control) {
        Err("the secret is empty or no single line".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

impl PullConfig {
    /// What it is called in lists, logs and runs.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}-{}", self.platform, self.adapter))
    }
}

/// Tells everything that is wrong with what the feeds say.
pub(super) fn check(feeds: &[PullConfig], must: &mut impl FnMut(bool, &str, &str)) {
    let mut names = HashSet::new();
    let mut whole: HashSet<&str> = HashSet::new();
    for feed in feeds {
        let name = feed.name();
        let place = format!("feed {name:?}");
        must(names.insert(name.clone()), &place, "is there twice; give one of them a `name`");
        must(is_plain(&name), &place, "must be called by 1 to 40 of a-z, A-Z, 0-9, - and _; give it a `name`");
        must(Slug::parse(&feed.platform).is_some(), &place, "platform is no platform's name");
        must(feed.every >= Duration::from_secs(10), &place, "every must be at least 10s");
        must(feed.auth.placed(), &place, "auth needs either `env` or `file`");
        must(feed.auth.named(), &place, "auth must name a header of its own, such as X-Api-Key");
        must(feed.hold_share.is_none_or(|s| (0.0..=1.0).contains(&s)), &place, "hold_share must be 0 to 1");
        must(feed.cursor_param.is_none() || feed.page_param.is_none(), &place, "has cursor_param or page_param, not both");
        let alone = !feed.complete || whole.insert(&feed.platform);
        must(alone, &place, "is a second complete feed of its platform: each would close what only the other has");
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load_file as load;

    const FEED: &str = "platform = 'meituan'\nadapter = 'rss'\nurl = 'https://example.com/a'\nevery = '15m'\nauth = { kind = 'none' }\n";

    #[test]
    fn feeds_are_tables_of_their_own_and_stand_beside_the_setting() {
        let config = load(&format!("[[feed]]\n{FEED}[[feed]]\n{FEED}name = 'second'\ncomplete = true\n")).unwrap();
        let names: Vec<String> = config.feed.pull.iter().map(|f| f.name()).collect();
        assert_eq!((names, config.feed.hold_share), (vec!["meituan-rss".to_owned(), "second".to_owned()], 0.2));
        let config = load(&format!("[feed]\nhold_share = 0.1\n[[feed.pull]]\n{FEED}")).unwrap();
        assert_eq!((config.feed.pull.len(), config.feed.hold_share), (1, 0.1));
    }

    #[test]
    fn what_is_wrong_with_a_feed_is_told_with_its_name() {
        let told = load(&format!("[[feed]]\n{FEED}[[feed]]\n{FEED}")).unwrap_err();
        assert!(told[0].contains("meituan-rss") && told[0].contains("twice"), "{told:?}");
        let told = load(&format!("[[feed]]\n{}", FEED.replace("15m", "1s").replace("'none'", "'bearer'"))).unwrap_err();
        assert_eq!(told.len(), 2, "{told:?}");
        let told = load(&format!("[[feed]]\n{}", FEED.replace("auth = { kind = 'none' }\n", ""))).unwrap_err();
        assert!(told[0].contains("auth"), "leaving it out must be spelled: {told:?}");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_where() {
        let wrong = "platform = 'meituan'\nadapter = 7\nevery = 'often'\nevry = '1m'\nauth = { kind = 'guess' }\n";
        let told = load(&format!("[routing]\ncap = 0\n[[feed.pull]]\n{FEED}\n[[feed.pull]]\n{wrong}")).unwrap_err();
        for place in [
            "feed 2 (meituan): url: is missing",
            "(meituan): adapter:",
            "(meituan): every: \"often\"",
            ": evry: unknown field",
            ": auth: unknown variant",
            "routing.cap:",
        ] {
            assert!(told.iter().any(|t| t.contains(place)), "{place}: {told:?}");
        }
        assert_eq!(told.len(), 6, "{told:?}");
        assert_eq!(load("feed = ['a']\n").unwrap_err(), ["feed 1: must be a table of its own: [[feed]]"]);
        let two = format!("[[feed]]\n{FEED}complete = true\n[[feed]]\n{FEED}complete = true\nname = 'b'\n");
        assert!(load(&two).unwrap_err()[0].contains("second complete feed"));
        let header = FEED.replace("{ kind = 'none' }", "{ kind = 'header', name = 'Host', env = 'E' }");
        assert!(load(&format!("[[feed]]\n{header}")).unwrap_err()[0].contains("header of its own"));
        let long = format!("[[feed]]\n{FEED}name = '{}'\n", "n".repeat(41));
        assert!(load(&long).unwrap_err()[0].contains("1 to 40"));
    }
}
