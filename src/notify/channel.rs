//! The channels that messages go out by, made from the settings.
//!
//! Promises: what is put into a URL, a header or a body is escaped for it; an error
//! holds nothing of what was sent.

use crate::config::notify::{ChannelConfig, ChannelKind, Medium};
use crate::config::{Config, Problem};
use crate::outbound::{Answered, Call, CallError, Outbound};
use crate::webhook;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// One way to reach a worker.
pub struct Channel {
    pub name: String,
    pub medium: Medium,
    way: Way,
}

enum Way {
    Http { method: &'static str, env: Box<Environment<'static>>, headers: Vec<String>, body: bool, secret: SecretString },
    Webhook { url: String, key: Vec<u8> },
    Spool { folder: PathBuf },
}

/// A message on its way out. It has no `Debug`: the phone stands in it.
pub struct Message<'a> {
    pub id: Uuid,
    pub phone: &'a str,
    pub text: &'a str,
    pub link: &'a str,
    pub code: &'a str,
    /// Seconds since 1970.
    pub at: i64,
}

/// What came of handing a message over.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub sent: bool,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub retry_after: Option<crate::outbound::RetryAfter>,
}

/// The channels of a configuration, or everything that is wrong with them.
pub fn channels(config: &Config, outbound: &Outbound) -> Result<Vec<Channel>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut channels = Vec::new();
    for c in &config.notify.channel {
        let before = problems.len();
        let mut tell = |detail: String| problems.push(Problem { place: format!("notify.channel {:?}", c.name), detail });
        if let Some(channel) = Channel::new(c, &mut tell) {
            channel.check(outbound, &mut tell);
            channels.extend((problems.len() == before).then_some(channel));
        }
    }
    if problems.is_empty() { Ok(channels) } else { Err(problems) }
}

impl Channel {
    fn new(c: &ChannelConfig, tell: &mut impl FnMut(String)) -> Option<Self> {
        let mut read = |read: Result<Vec<u8>, String>| read.map_err(|e| tell(format!("secret: {e}"))).ok();
        let way = match c.kind {
            ChannelKind::Webhook => {
                let key = c.secret.as_ref().map(|s| s.signing_key());
                Way::Webhook { url: c.url.clone().unwrap_or_default(), key: read(key.unwrap_or_else(|| Err("is missing".to_owned())))? }
            }
            ChannelKind::Spool => Way::Spool { folder: c.folder.clone().unwrap_or_default() },
            ChannelKind::Http => {
                let secret = match &c.secret {
                    Some(place) => String::from_utf8(read(place.read().map(String::into_bytes))?).unwrap_or_default(),
                    None => String::new(),
                };
                http(c, secret, tell)?
            }
        };
        Some(Self { name: c.name.clone(), medium: c.medium, way })
    }

    /// Tries it on a message that is never sent.
    fn check(&self, outbound: &Outbound, tell: &mut impl FnMut(String)) {
        let message =
            Message { id: Uuid::nil(), phone: "10000000000", text: "\"%&\n示例", link: "https://example.com/w/x", code: "1234", at: 0 };
        match &self.way {
            Way::Spool { folder } => {
                if let Err(e) = std::fs::create_dir_all(folder) {
                    tell(format!("folder: {e}"));
                }
            }
            Way::Webhook { url, .. } => {
                if let Err(e) = outbound.check(url) {
                    tell(format!("url: {e}"));
                }
            }
            Way::Http { .. } => match self.call(&message) {
                Err(why) => tell(why),
                Ok(call) => {
                    if let Err(e) = outbound.check(&call.url) {
                        tell(format!("url: {e}"));
                    }
                    let json = call.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("content-type") && is_json(value));
                    let broken = |body: &String| json && serde_json::from_str::<serde_json::Value>(body).is_err();
                    if call.body.as_ref().is_some_and(broken) {
                        tell("body: is no JSON once it is filled in; a placeholder brings its own quotes".to_owned());
                    }
                }
            },
        }
    }

    fn call(&self, m: &Message<'_>) -> Result<Call, String> {
        let Way::Http { method, env, headers, body, secret } = &self.way else { return Err("has no template".to_owned()) };
        let render = |name: &str| {
            let values = context! { id => m.id.to_string(), phone => m.phone, text => m.text, link => m.link, code => m.code,
            medium => self.medium.code(), secret => secret.expose_secret() };
            // The error may quote what was filled in.
            env.get_template(name).and_then(|t| t.render(values)).map_err(|e| format!("{name}: {}", e.kind()))
        };
        let filled = headers.iter().map(|name| Ok((name.clone(), render(&format!("headers.{name}"))?)));
        Ok(Call {
            method,
            url: render("url")?,
            headers: filled.collect::<Result<_, String>>()?,
            body: if *body { Some(render("body")?) } else { None },
        })
    }

    /// Hands a message over.
    pub async fn send(&self, outbound: &Outbound, m: &Message<'_>) -> Outcome {
        match &self.way {
            Way::Spool { folder } => {
                let (folder, id) = (folder.clone(), m.id);
                let body =
                    json!({"id": id, "medium": self.medium.code(), "phone": m.phone, "text": m.text, "link": m.link, "code": m.code});
                let written = tokio::task::spawn_blocking(move || spool(&folder, id, &body.to_string())).await;
                let error = match written {
                    Ok(Ok(())) => None,
                    Ok(Err(e)) => Some(e.to_string()),
                    Err(_) => Some("the writing thread failed".to_owned()),
                };
                Outcome { sent: error.is_none(), status: None, error, retry_after: None }
            }
            Way::Webhook { url, key } => {
                let id = m.id.to_string();
                let data =
                    json!({"id": id, "medium": self.medium.code(), "phone": m.phone, "text": m.text, "link": m.link, "code": m.code});
                let at = crate::domain::time::Moment::from_ms(m.at * 1000);
                let body = json!({"type": "message.due", "timestamp": at, "data": data}).to_string();
                let headers = [
                    ("webhook-id", id.clone()),
                    ("webhook-timestamp", m.at.to_string()),
                    ("webhook-signature", webhook::signature(key, &id, m.at, &body)),
                ];
                outcome(outbound.post(url, &headers, body).await, |a| (200..300).contains(&a.status))
            }
            Way::Http { env, .. } => match self.call(m) {
                Ok(call) => outcome(outbound.call(call).await, |answered| succeeded(env, answered)),
                Err(error) => Outcome { sent: false, status: None, error: Some(error), retry_after: None },
            },
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// The templates of a channel of kind http.
fn http(c: &ChannelConfig, secret: String, tell: &mut impl FnMut(String)) -> Option<Way> {
    let mut headers = c.headers.clone();
    let typed = |headers: &std::collections::BTreeMap<String, String>| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value.clone())
    };
    if c.body.is_some() && typed(&headers).is_none() {
        headers.insert("content-type".to_owned(), "application/json".to_owned());
    }
    let json = typed(&headers).is_some_and(|t| is_json(&t));
    let form = typed(&headers).is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_debug(false);
    env.set_auto_escape_callback(move |name| match name {
        "url" => AutoEscape::Custom("percent".into()),
        "body" if json => AutoEscape::Json,
        "body" if form => AutoEscape::Custom("percent".into()),
        _ => AutoEscape::None,
    });
    env.set_formatter(escaped);
    let url = c.url.clone().unwrap_or_default();
    let host = url.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if host.is_none_or(|host| host.contains('{')) {
        tell("url: must name its host; placeholders stand in the path and after it".to_owned());
        return None;
    }
    let named = headers.iter().map(|(name, text)| (format!("headers.{name}"), text.clone()));
    let all = [("url".to_owned(), url)].into_iter().chain(named).chain(c.body.clone().map(|body| ("body".to_owned(), body)));
    let mut good = true;
    for (name, text) in all {
        if let Err(e) = env.add_template_owned(name.clone(), text) {
            tell(format!("{name}: {e}"));
            good = false;
        }
    }
    let success = c.success.clone().unwrap_or_else(|| "status >= 200 and status < 300".to_owned());
    if let Err(e) = env.compile_expression(&success) {
        tell(format!("success: {e}"));
        good = false;
    }
    // Kept as a template, so that its text lives as long as the environment.
    let tested = env.add_template_owned("success", format!("{{% if ({success}) %}}yes{{% endif %}}"));
    let method = match c.method.as_deref() {
        Some("GET") => "GET",
        Some("PUT") => "PUT",
        _ => "POST",
    };
    let names = headers.keys().cloned().collect();
    (good && tested.is_ok()).then(|| Way::Http {
        method,
        env: Box::new(env),
        headers: names,
        body: c.body.is_some(),
        secret: secret.into(),
    })
}

/// Writes a value as the place wants it.
fn escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match state.auto_escape() {
        AutoEscape::Custom(_) if value.kind() != ValueKind::Undefined => {
            let text = value.to_string();
            for byte in text.bytes() {
                let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
                let written = if plain { write!(out, "{}", char::from(byte)) } else { write!(out, "%{byte:02X}") };
                written.map_err(|_| Error::from(ErrorKind::WriteFailure))?;
            }
            Ok(())
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// Whether the gateway's answer is what the operator calls a success.
fn succeeded(env: &Environment<'_>, answered: &Answered) -> bool {
    let body = String::from_utf8_lossy(&answered.body);
    let json: Option<serde_json::Value> = serde_json::from_str(&body).ok();
    let values = context! { status => answered.status, body => body, json => Serde(json) };
    // What cannot be tested, a field that is not there, is no success.
    env.get_template("success").and_then(|t| t.render(values)).is_ok_and(|said| said == "yes")
}

fn outcome(answer: Result<Answered, CallError>, good: impl FnOnce(&Answered) -> bool) -> Outcome {
    match answer {
        Ok(a) => {
            let sent = good(&a);
            let error = (!sent).then(|| "the gateway did not take it".to_owned());
            Outcome { sent, status: Some(a.status), error, retry_after: a.retry_after }
        }
        Err(e) => Outcome { sent: false, status: None, error: Some(e.to_string()), retry_after: None },
    }
}

/// Writes a file that is there whole or not at all, named by the message alone.
fn spool(folder: &Path, id: Uuid, body: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let (begun, done) = (folder.join(format!(".{id}.part")), folder.join(format!("{id}.json")));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&begun)?;
    file.write_all(body.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(begun, done)
}

/// When a message is tried again after `tries` failures before this one; `jitter`, 0 to
/// 255, spreads the tries by up to a fifth.
pub fn retry_after(first: Duration, most: Duration, tries: u32, jitter: u8) -> Duration {
    let wait = first.saturating_mul(1u32.checked_shl(tries).unwrap_or(u32::MAX)).min(most);
    wait + wait.mul_f64(f64::from(jitter) / 255.0 / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Result<Channel, Vec<String>> {
        let mut config = Config::defaults();
        config.notify.channel = vec![toml::from_str(&format!("name = 'c'\nkind = 'http'\n{text}")).unwrap()];
        let made = channels(&config, &Outbound::new(&config)).map(|mut all| all.remove(0));
        made.map_err(|problems| problems.into_iter().map(|p| p.detail).collect())
    }

    const MESSAGE: Message<'_> = Message { id: Uuid::nil(), phone: "+100", text: "a \"b\"&去", link: "l", code: "1234", at: 0 };

    #[test]
    fn what_is_filled_in_is_escaped_for_its_place() {
        let json =
            made("url = 'https://example.com/{{ phone }}?t={{ text }}'\nbody = '{\"t\": {{ text }}}'").unwrap_or_else(|e| panic!("{e:?}"));
        let call = json.call(&MESSAGE).unwrap();
        assert_eq!(call.url, "https://example.com/%2B100?t=a%20%22b%22%26%E5%8E%BB");
        let body: serde_json::Value = serde_json::from_str(&call.body.unwrap()).unwrap();
        assert_eq!(body["t"], MESSAGE.text);
        let form = "url = 'https://example.com/'\nheaders = { Content-Type = 'application/x-www-form-urlencoded' }\nbody = 'm={{ phone }}&c={{ code }}'";
        assert_eq!(made(form).unwrap_or_else(|e| panic!("{e:?}")).call(&MESSAGE).unwrap().body.unwrap(), "m=%2B100&c=1234");
    }

    #[test]
    fn what_cannot_be_sent_is_told_before_it_is() {
        for (text, told) in [
            ("url = 'https://{{ phone }}/'", "must name its host"),
            ("url = 'https://10.0.0.1/'", "forbidden"),
            ("url = 'https://example.com/{{ name }}'", "url: undefined"),
            ("url = 'https://example.com/'\nbody = '{\"t\": \"{{ text }}\"}'", "no JSON"),
            ("url = 'https://example.com/'\nbody = '{{ text'", "body: "),
            ("url = 'https://example.com/'\nsuccess = 'status =='", "success: "),
            ("url = 'https://example.com/'\nheaders = { X = '{{ nobody }}' }", "headers.X: "),
        ] {
            let problems = made(text).err().unwrap_or_default();
            assert!(problems.iter().any(|p| p.contains(told)), "{text}: {problems:?}");
        }
    }

    #[test]
    fn success_is_what_the_operator_calls_so() {
        let check = |test: &str, status: u16, body: &str| {
            let channel = made(&format!("url = 'https://example.com/'\n{test}")).unwrap_or_else(|e| panic!("{e:?}"));
            let Way::Http { env, .. } = &channel.way else { panic!("no template") };
            succeeded(env, &Answered { status, retry_after: None, body: body.into() })
        };
        assert!(check("", 204, "") && !check("", 302, "") && !check("", 500, ""));
        let code = "success = \"status == 200 and json.code == 0\"";
        assert!(check(code, 200, "{\"code\": 0}"));
        for (status, body) in [(200, "{\"code\": 1}"), (200, "{}"), (200, "broken"), (500, "{\"code\": 0}")] {
            assert!(!check(code, status, body), "{status} {body}");
        }
        assert!(check("success = \"'OK' in body\"", 200, "OK:1"));
    }

    #[test]
    fn waits_double_up_to_the_most_and_spread() {
        let wait = |tries, jitter| retry_after(Duration::from_secs(60), Duration::from_secs(600), tries, jitter).as_secs();
        assert_eq!([wait(0, 0), wait(1, 0), wait(3, 0), wait(4, 0), wait(40, 0)], [60, 120, 480, 600, 600]);
        assert_eq!(wait(0, 255), 72);
    }
}
