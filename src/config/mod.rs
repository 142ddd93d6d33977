//! Settings: `config/default.toml` ← a file ← the environment.
//!
//! Promises: every problem of a configuration is told at once, each with the
//! place it comes from; a name that is not in default.toml is a problem.
//! Start at: [`Config::load`].

pub mod feeds;
pub mod keys;
pub mod notify;
mod tables;

use feeds::PullConfig;
use notify::NotifyConfig;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("../../config/default.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub store: StoreConfig,
    pub cache: CacheConfig,
    pub keys: KeysConfig,
    pub clock: ClockConfig,
    pub http: HttpConfig,
    pub token: TokenConfig,
    pub limits: LimitsConfig,
    pub ingest: IngestConfig,
    pub feed: FeedConfig,
    pub roster: RosterConfig,
    pub routing: RoutingConfig,
    pub offer: OfferConfig,
    pub deliver: DeliverConfig,
    pub notify: NotifyConfig,
    pub poll: PollConfig,
    pub outbound: OutboundConfig,
    pub report: ReportConfig,
    pub seal: SealConfig,
    pub alert: AlertConfig,
    pub access: AccessConfig,
    pub adapters: AdaptersConfig,
    pub platform: BTreeMap<String, PlatformConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    pub url: String,
    pub readers: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    pub url: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    pub file: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockConfig {
    pub now: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    pub listen: String,
    pub public_url: String,
    pub metrics_listen: String,
    pub workers: usize,
    pub max_connections: usize,
    pub max_body: usize,
    #[serde(deserialize_with = "span")]
    pub body_timeout: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    pub issuer: String,
    #[serde(deserialize_with = "span")]
    pub lifetime: Duration,
    #[serde(deserialize_with = "span")]
    pub link_lifetime: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub requests: u32,
    pub requests_burst: u32,
    pub records: u32,
    pub records_burst: u32,
    pub anonymous: u32,
    pub anonymous_burst: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestConfig {
    pub slice: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterConfig {
    pub min_lines: usize,
    pub per_day: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    pub hold_share: f64,
    /// Written as `[[feed]]`.
    pub pull: Vec<PullConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollConfig {
    pub parallel: usize,
    pub max_body: usize,
    #[serde(deserialize_with = "span")]
    pub timeout: Duration,
    #[serde(deserialize_with = "span")]
    pub idle: Duration,
    #[serde(deserialize_with = "span")]
    pub host_interval: Duration,
    pub max_pages: u32,
    #[serde(deserialize_with = "span")]
    pub refresh: Duration,
    #[serde(deserialize_with = "span")]
    pub resume_within: Duration,
    #[serde(deserialize_with = "span")]
    pub retry_first: Duration,
    #[serde(deserialize_with = "span")]
    pub retry_most: Duration,
    pub breaker_failures: u32,
    #[serde(deserialize_with = "span")]
    pub breaker_open: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingConfig {
    pub overbook: f64,
    pub wave_max: u32,
    pub cap: u32,
    #[serde(deserialize_with = "span")]
    pub window: Duration,
    #[serde(deserialize_with = "span")]
    pub recheck: Duration,
    #[serde(deserialize_with = "span")]
    pub cooldown: Duration,
    #[serde(deserialize_with = "span")]
    pub displaced_for: Duration,
    pub focus_sets: Vec<String>,
    pub floor_share: f64,
    /// `auto`, `none` or a path.
    pub snapshot: String,
    #[serde(deserialize_with = "span")]
    pub snapshot_every: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferConfig {
    #[serde(deserialize_with = "span")]
    pub answer_within: Duration,
    #[serde(deserialize_with = "span")]
    pub promoted_within: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverConfig {
    pub parallel: usize,
    pub per_endpoint: usize,
    pub breaker_failures: u32,
    #[serde(deserialize_with = "span")]
    pub breaker_pause: Duration,
    #[serde(deserialize_with = "span")]
    pub keep: Duration,
    #[serde(deserialize_with = "span")]
    pub timeout: Duration,
    #[serde(deserialize_with = "span")]
    pub disable_after: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundConfig {
    pub allow: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportConfig {
    pub stale_months: u32,
    pub min_cell: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealConfig {
    pub origin: String,
    #[serde(deserialize_with = "span")]
    pub every: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertConfig {
    #[serde(deserialize_with = "span")]
    pub silent_after: Duration,
    pub drop_share: f64,
    pub drop_min: u64,
    #[serde(deserialize_with = "span")]
    pub displaced_after: Duration,
    pub unconfirmed_share: f64,
    pub unconfirmed_min: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessConfig {
    pub reveals_per_day: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptersConfig {
    pub dir: String,
}

/// What one platform's section may say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformConfig {
    /// The tags that leave towards this platform; none: all.
    #[serde(default)]
    pub share: Option<Vec<String>>,
    #[serde(default)]
    pub home_region: HomeDetail,
}

/// How fine a home region leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HomeDetail {
    /// The code of the county's parent.
    #[default]
    Prefecture,
    County,
}

/// Something wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: String,
    pub detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.detail)
    }
}

impl Config {
    /// The compiled-in settings.
    pub fn defaults() -> Self {
        toml::from_str(DEFAULTS).expect("config/default.toml is compiled in and a test reads it")
    }

    /// Reads the defaults, then the file, then the environment.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Vec<Problem>> {
        let mut table: Table = DEFAULTS.parse().expect("config/default.toml is compiled in and a test reads it");
        let mut problems = Vec::new();
        if let Some(path) = file {
            let place = path.display().to_string();
            match std::fs::read_to_string(path).map_err(|e| e.to_string()).and_then(|t| t.parse::<Table>().map_err(|e| e.to_string())) {
                Ok(own) => lay_over(&mut table, own, &place, "", &mut problems),
                Err(detail) => problems.push(Problem { place, detail }),
            }
        }
        for (name, value) in environment {
            if let Some(path) = name.strip_prefix("DOORSTEP_").filter(|p| p.contains("__")) {
                set_from_environment(&mut table, &name, path, &value, &mut problems);
            }
        }
        let pulls =
            table.get_mut("feed").and_then(Value::as_table_mut).and_then(|feed| feed.insert("pull".to_owned(), Value::Array(Vec::new())));
        let pulls = feeds::FEEDS.read(pulls.and_then(|p| p.as_array().cloned()).unwrap_or_default(), &mut problems);
        let mut written = |name: &str| {
            let notify = table.get_mut("notify").and_then(Value::as_table_mut);
            let list = notify.and_then(|notify| notify.insert(name.to_owned(), Value::Array(Vec::new())));
            list.and_then(|list| list.as_array().cloned()).unwrap_or_default()
        };
        let channels = notify::CHANNELS.read(written("channel"), &mut problems);
        let replies = notify::REPLIES.read(written("replies"), &mut problems);
        match Value::Table(table).try_into::<Config>() {
            Ok(mut config) => {
                config.feed.pull = pulls;
                (config.notify.channel, config.notify.replies) = (channels, replies);
                config.check(&mut problems);
                if problems.is_empty() { Ok(config) } else { Err(problems) }
            }
            Err(e) => {
                problems.push(Problem { place: "configuration".to_owned(), detail: e.to_string().trim().to_owned() });
                Err(problems)
            }
        }
    }

    /// What one platform's section says, or its defaults.
    pub fn platform(&self, name: &str) -> PlatformConfig {
        self.platform.get(name).cloned().unwrap_or_default()
    }

    /// Where links and documents begin.
    pub fn public_url(&self, bound: std::net::SocketAddr) -> String {
        if self.http.public_url.is_empty() { format!("http://{bound}") } else { self.http.public_url.trim_end_matches('/').to_owned() }
    }

    fn check(&self, problems: &mut Vec<Problem>) {
        let mut must = |holds: bool, place: &str, detail: &str| {
            if !holds {
                problems.push(Problem { place: place.to_owned(), detail: detail.to_owned() });
            }
        };
        let known = |prefixes: &[&str], url: &str| prefixes.iter().any(|p| url.starts_with(p));
        must(
            known(&["sqlite://", "postgres://", "postgresql://"], &self.store.url),
            "store.url",
            "must begin with sqlite:// or postgres://",
        );
        must((1..=64).contains(&self.store.readers), "store.readers", "must be 1 to 64");
        must(known(&["memory:", "redis://"], &self.cache.url), "cache.url", "must be memory: or redis://…");
        must(self.http.listen.parse::<std::net::SocketAddr>().is_ok(), "http.listen", "must be ADDRESS:PORT");
        let metrics = &self.http.metrics_listen;
        must(metrics.is_empty() || metrics.parse::<std::net::SocketAddr>().is_ok(), "http.metrics_listen", "must be ADDRESS:PORT or empty");
        must(self.http.max_body >= 1024, "http.max_body", "must be at least 1024");
        must((1..=3600).contains(&self.token.lifetime.as_secs()), "token.lifetime", "must be 1s to 1h");
        must(self.limits.requests > 0 && self.limits.requests_burst > 0, "limits.requests", "and its burst must be above 0");
        must(self.limits.records > 0 && self.limits.records_burst > 0, "limits.records", "and its burst must be above 0");
        must(self.limits.anonymous > 0 && self.limits.anonymous_burst > 0, "limits.anonymous", "and its burst must be above 0");
        must((1..=500).contains(&self.ingest.slice), "ingest.slice", "must be 1 to 500");
        must(self.roster.min_lines >= 1, "roster.min_lines", "must be at least 1");
        must(self.roster.per_day >= 1, "roster.per_day", "must be at least 1");
        must((0.0..=1.0).contains(&self.feed.hold_share), "feed.hold_share", "must be 0 to 1");
        must((1.0..=100.0).contains(&self.routing.overbook), "routing.overbook", "must be 1 to 100");
        must((1..=600).contains(&self.routing.wave_max), "routing.wave_max", "must be 1 to 600");
        must((1..=100).contains(&self.routing.cap), "routing.cap", "must be 1 to 100");
        must(self.routing.window <= Duration::from_secs(60), "routing.window", "must be 0s to 60s");
        must((0.0..=1.0).contains(&self.routing.floor_share), "routing.floor_share", "must be 0 to 1");
        must(self.routing.snapshot_every >= Duration::from_secs(1), "routing.snapshot_every", "must be at least 1s");
        for name in &self.routing.focus_sets {
            must(crate::domain::region::focus_set(name).is_some(), "routing.focus_sets", &format!("there is no set {name:?}"));
        }
        let name = &self.seal.origin;
        let plain = !name.is_empty() && name.len() <= 200 && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
        must(plain, "seal.origin", "must be a name of at most 200 bytes without blanks and +");
        must(self.seal.every >= Duration::from_secs(1), "seal.every", "must be at least 1s");
        must((1..=24).contains(&self.report.stale_months), "report.stale_months", "must be 1 to 24");
        must((0.0..=1.0).contains(&self.alert.drop_share), "alert.drop_share", "must be 0 to 1");
        must((0.0..=1.0).contains(&self.alert.unconfirmed_share), "alert.unconfirmed_share", "must be 0 to 1");
        must(!self.alert.silent_after.is_zero(), "alert.silent_after", "must be above 0");
        must(!self.alert.displaced_after.is_zero(), "alert.displaced_after", "must be above 0");
        must((1..=1024).contains(&self.deliver.parallel), "deliver.parallel", "must be 1 to 1024");
        must((1..=64).contains(&self.deliver.per_endpoint), "deliver.per_endpoint", "must be 1 to 64");
        must(self.deliver.breaker_failures >= 1, "deliver.breaker_failures", "must be at least 1");
        must((1..=300).contains(&self.deliver.timeout.as_secs()), "deliver.timeout", "must be 1s to 5m");
        let keep = self.deliver.keep;
        must(keep.is_zero() || keep >= Duration::from_secs(3600), "deliver.keep", "must be 0s, which is for ever, or at least 1h");
        let clock = &self.clock.now;
        must(clock.is_empty() || crate::domain::time::Moment::parse(clock).is_some(), "clock.now", "must be a time of RFC 3339");
        for entry in &self.outbound.allow {
            let port = entry.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok());
            must(port.is_some(), "outbound.allow", &format!("{entry:?} is no host:port"));
        }
        must(self.poll.parallel <= 64, "poll.parallel", "must be 0 to 64");
        must(self.poll.max_body >= 1024, "poll.max_body", "must be at least 1024");
        must(self.poll.max_pages >= 1, "poll.max_pages", "must be at least 1");
        let p = &self.poll;
        for (span, place) in [
            (p.timeout, "poll.timeout"),
            (p.idle, "poll.idle"),
            (p.retry_first, "poll.retry_first"),
            (p.retry_most, "poll.retry_most"),
            (p.breaker_open, "poll.breaker_open"),
        ] {
            must(!span.is_zero(), place, "must be above 0");
        }
        must(p.breaker_failures >= 1, "poll.breaker_failures", "must be at least 1");
        feeds::check(&self.feed.pull, &mut must);
        notify::check(&self.notify, &mut must);
        for name in self.platform.keys() {
            must(crate::domain::client::Slug::parse(name).is_some(), "platform", &format!("{name:?} is no platform's name"));
        }
    }
}

/// Puts the values of `own` over those of `base`; a name that `base` does not
/// have is a problem, except below `platform`.
fn lay_over(base: &mut Table, own: Table, file: &str, path: &str, problems: &mut Vec<Problem>) {
    for (name, value) in own {
        // `[[feed]]` is short for `[[feed.pull]]`.
        let value = match value {
            Value::Array(pulls) if path.is_empty() && name == "feed" => {
                Value::Table(Table::from_iter([("pull".to_owned(), Value::Array(pulls))]))
            }
            value => value,
        };
        let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (base.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(own)) => lay_over(inner, own, file, &here, problems),
            (Some(old), value) if old.same_type(&value) || (old.is_float() && value.is_integer()) => {
                *old = as_float_where(old.is_float(), value)
            }
            (Some(old), value) => {
                let detail = format!("must be a {}, not a {}", old.type_str(), value.type_str());
                problems.push(Problem { place: format!("{file}: {here}"), detail });
            }
            (None, value) if path == "platform" || path.starts_with("platform.") => {
                base.insert(name, value);
            }
            (None, _) => problems.push(Problem { place: format!("{file}: {here}"), detail: "there is no such setting".to_owned() }),
        }
    }
}

fn as_float_where(float: bool, value: Value) -> Value {
    match value {
        Value::Integer(n) if float => Value::Float(n as f64),
        other => other,
    }
}

fn set_from_environment(table: &mut Table, variable: &str, path: &str, text: &str, problems: &mut Vec<Problem>) {
    let names: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
    let problem = |detail: String| Problem { place: variable.to_owned(), detail };
    let Some((last, sections)) = names.split_last() else { return };
    let mut at = table;
    for section in sections {
        let free = sections[0] == "platform";
        if free && !at.contains_key(section) {
            at.insert(section.clone(), Value::Table(Table::new()));
        }
        match at.get_mut(section) {
            Some(Value::Table(inner)) => at = inner,
            _ => return problems.push(problem(format!("there is no section {section:?}"))),
        }
    }
    let list = || Value::Array(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| Value::String(t.to_owned())).collect());
    let value = match at.get(last) {
        Some(Value::String(_)) => Some(Value::String(text.to_owned())),
        Some(Value::Integer(_)) => text.trim().parse().ok().map(Value::Integer),
        Some(Value::Float(_)) => text.trim().parse().ok().map(Value::Float),
        Some(Value::Boolean(_)) => text.trim().parse().ok().map(Value::Boolean),
        Some(Value::Array(_)) => Some(list()),
        None if sections[0] == "platform" => Some(if last == "share" { list() } else { Value::String(text.to_owned()) }),
        _ => return problems.push(problem(format!("there is no setting {last:?}"))),
    };
    match value {
        Some(value) => drop(at.insert(last.clone(), value)),
        None => problems.push(problem("is no value of the right type".to_owned())),
    }
}

pub(crate) fn span<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    parse_span(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no duration such as 30s, 5m or 72h")))
}

/// Reads `250ms`, `30s`, `5m`, `72h`, `7d`.
pub fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let n: u64 = text[..digits].parse().ok()?;
    let seconds = |factor: u64| n.checked_mul(factor).map(Duration::from_secs);
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(n)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file of this text makes of the settings, or everything wrong with it.
    pub fn load_file(text: &str) -> Result<Config, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file), std::iter::empty()).map_err(|p| p.iter().map(|p| p.to_string()).collect())
    }

    fn load(environment: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
        Config::load(None, environment.iter().map(|(n, v)| (n.to_string(), v.to_string())))
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = load(&[]).unwrap();
        assert_eq!(config.offer.answer_within, Duration::from_secs(72 * 3600));
        assert_eq!(Config::defaults().routing.cap, 3);
    }

    #[test]
    fn the_environment_wins_and_reads_each_type() {
        let config = load(&[
            ("DOORSTEP_ROUTING__OVERBOOK", "20"),
            ("DOORSTEP_OUTBOUND__ALLOW", "127.0.0.1:9000, localhost:9001"),
            ("DOORSTEP_OFFER__ANSWER_WITHIN", "5m"),
            ("DOORSTEP_PLATFORM__MEITUAN__HOME_REGION", "county"),
            ("DOORSTEP_PLATFORM__MEITUAN__SHARE", "flow,focus"),
        ])
        .unwrap();
        assert_eq!(config.routing.overbook, 20.0);
        assert_eq!(config.outbound.allow, ["127.0.0.1:9000", "localhost:9001"]);
        assert_eq!(config.offer.answer_within, Duration::from_secs(300));
        assert_eq!(config.platform("meituan").home_region, HomeDetail::County);
        assert_eq!(config.platform("meituan").share.unwrap(), ["flow", "focus"]);
        assert_eq!(config.platform("didi").home_region, HomeDetail::Prefecture);
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let problems =
            load(&[("DOORSTEP_ROUTING__CAPP", "1"), ("DOORSTEP_HTTP__LISTEN", "here"), ("DOORSTEP_LIMITS__REQUESTS", "many")]).unwrap_err();
        let places: Vec<&str> = problems.iter().map(|p| p.place.as_str()).collect();
        assert_eq!(places, ["DOORSTEP_ROUTING__CAPP", "DOORSTEP_LIMITS__REQUESTS", "http.listen"]);
    }

    #[test]
    fn a_window_is_at_most_a_minute() {
        assert_eq!(load(&[]).unwrap().routing.window, Duration::ZERO);
        assert_eq!(load(&[("DOORSTEP_ROUTING__WINDOW", "60s")]).unwrap().routing.window, Duration::from_secs(60));
        for long in ["61s", "60001ms", "2m"] {
            let problems = load(&[("DOORSTEP_ROUTING__WINDOW", long)]).unwrap_err();
            assert_eq!(problems[0].to_string(), "routing.window: must be 0s to 60s");
        }
    }

    #[test]
    fn a_file_with_an_unknown_name_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, "[routing]\noverbok = 2\ncap = \"3\"\n").unwrap();
        let problems = Config::load(Some(&file), std::iter::empty()).unwrap_err();
        let told: Vec<String> = problems.iter().map(|p| p.to_string()).collect();
        assert!(told[0].contains("routing.cap: must be a integer, not a string"), "{told:?}");
        assert!(told[1].contains("routing.overbok: there is no such setting"), "{told:?}");
    }
}
