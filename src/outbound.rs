//! The one door through which the gateway calls others: scheme and port list,
//! every spelling of an address checked, the resolved address pinned, no proxy of
//! the environment, no redirects, bounded answers.
//!
//! reqwest's own resolver hook never sees IP literals, so the parsed host is checked
//! here first; names are looked up by [`Names`], which hands the client addresses that
//! were checked. A connection is used again for as long as it is kept.

mod address;

use crate::config::Config;
use crate::config::feeds::SecretHeader;
use crate::domain::time::Moment;
use crate::inflate::{InflateError, inflate};
use address::public;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Idle connections that are kept to each host, and for how long.
const IDLE: (usize, Duration) = (64, Duration::from_secs(30));
/// Redirects of a fetch that are followed.
const REDIRECTS: usize = 3;
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read before it is left.
const ANSWER_MAX: usize = 16 * 1024;
/// Ports that may be called where the operator says nothing else.
const PORTS: [u16; 2] = [443, 8443];

/// Why a call was not made or not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// This address may not be called.
    Forbidden(&'static str),
    /// The name has no address.
    Unresolved,
    Timeout,
    /// The connection failed.
    Connect(String),
    /// The answer broke off, or is not what it says it is.
    Broken(&'static str),
    TooLarge,
    Redirects,
}

impl std::error::Error for CallError {}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallError::Forbidden(why) => write!(f, "forbidden: {why}"),
            CallError::Unresolved => f.write_str("the name has no address"),
            CallError::Timeout => f.write_str("no answer in time"),
            CallError::Connect(why) => write!(f, "no connection: {why}"),
            CallError::Broken(why) => write!(f, "the answer {why}"),
            CallError::TooLarge => f.write_str("the answer is larger than poll.max_body"),
            CallError::Redirects => f.write_str("it leads on too often"),
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    pub retry_after: Option<RetryAfter>,
    /// At most 16 KB of it.
    pub body: Vec<u8>,
}

/// A request to somebody's gateway. No part of it is shown in an error.
pub struct Call {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// When to come again (RFC 9110 §10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    In(Duration),
    At(Moment),
}

impl RetryAfter {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Some(RetryAfter::In(Duration::from_secs(seconds)));
        }
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(RetryAfter::At(Moment::from_ms(at.as_millisecond())))
    }

    /// How long from now.
    pub fn from(self, now: Moment) -> Duration {
        match self {
            RetryAfter::In(span) => span,
            RetryAfter::At(at) => Duration::from_millis(u64::try_from(at.ms() - now.ms()).unwrap_or(0)),
        }
    }
}

/// A request for a feed.
pub struct Fetch<'a> {
    pub url: &'a str,
    pub headers: Vec<(&'static str, String)>,
    /// Goes to the origin of `url` alone, and not back to it by way of another.
    pub secret: Option<SecretHeader>,
    /// For the whole answer, and for each part of it.
    pub timeout: Duration,
    pub idle: Duration,
    /// Bytes, counted decoded.
    pub max_body: usize,
}

/// Where a page of a feed leads on to.
pub struct Lead<'a> {
    /// The feed's own address.
    pub feed: &'a str,
    /// Other origins that its pages may have.
    pub origins: &'a [String],
    /// The page's.
    pub page: &'a str,
    pub to: To<'a>,
}

/// See [`Lead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// A reference against the page's address.
    Link(&'a str),
    /// That address with a query parameter.
    Param(&'a str, &'a str),
}

/// An answer to a [`Fetch`].
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Where it came from in the end.
    pub url: String,
    pub status: u16,
    pub retry_after: Option<RetryAfter>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub content_type: Option<String>,
    /// The `Link` headers (RFC 8288).
    pub links: Vec<String>,
    /// Inflated; empty unless the status is 200.
    pub body: Vec<u8>,
    /// The protocol says where the body ends, so that it cannot have been cut
    /// unseen.
    pub whole: bool,
}

/// Makes calls within the rules.
pub struct Outbound {
    /// `host:port` that may be called whatever their address, http too.
    allow: HashSet<String>,
    timeout: Duration,
    /// Connects to public addresses only.
    strict: reqwest::Client,
    /// For what the operator allowed by name.
    allowed: reqwest::Client,
}

/// Looks up the addresses of a name, each of which may be called.
struct Names {
    any: bool,
}

impl Names {
    async fn look_up(name: String, any: bool) -> Result<Vec<SocketAddr>, CallError> {
        let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((name, 0))).await.map_err(|_| CallError::Timeout)?;
        let all: Vec<SocketAddr> = found.map_err(|_| CallError::Unresolved)?.collect();
        if all.is_empty() {
            return Err(CallError::Unresolved);
        }
        if !any && all.iter().any(|a| !public(a.ip())) {
            return Err(CallError::Forbidden("its name leads to an address that is not public"));
        }
        Ok(all)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (name, any) = (name.as_str().to_owned(), self.any);
        Box::pin(async move {
            let all = Names::look_up(name, any).await?;
            Ok(Box::new(all.into_iter()) as Addrs)
        })
    }
}

fn client(any: bool) -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .no_gzip()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE.1)
        .pool_max_idle_per_host(IDLE.0)
        .tcp_nodelay(true)
        .user_agent(concat!("doorstep/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Names { any });
    builder.build().expect("these settings are the same everywhere and a test builds it")
}

impl Outbound {
    pub fn new(config: &Config) -> Self {
        let allow = config.outbound.allow.iter().map(|e| e.trim().to_ascii_lowercase()).collect();
        Self { allow, timeout: config.deliver.timeout, strict: client(false), allowed: client(true) }
    }

    /// Whether this URL may be called at all, as far as its text tells.
    pub fn check(&self, url: &str) -> Result<(), CallError> {
        self.parse(url).map(|_| ())
    }

    /// The host and port of a URL, as one name.
    pub fn host(&self, url: &str) -> String {
        let url = Url::parse(url).ok();
        let port = url.as_ref().and_then(|u| u.port_or_known_default()).unwrap_or_default();
        format!("{}:{port}", url.as_ref().and_then(|u| u.host_str()).unwrap_or_default())
    }

    /// Whether two URLs are of one origin (RFC 6454).
    pub fn same_origin(&self, a: &str, b: &str) -> bool {
        matches!((Url::parse(a), Url::parse(b)), (Ok(a), Ok(b)) if a.origin() == b.origin())
    }

    /// The address that a page of a feed leads on to, which must be of the feed's
    /// origin or of one that the operator named.
    pub fn lead(&self, leads: &Lead<'_>) -> Result<String, CallError> {
        let url = |text: &str| Url::parse(text).map_err(|_| CallError::Broken("leads on to no URL"));
        let next = match leads.to {
            To::Link(reference) => url(leads.page)?.join(reference).map_err(|_| CallError::Broken("leads on to no URL"))?,
            To::Param(param, value) => {
                let mut next = url(leads.page)?;
                let others: Vec<(String, String)> =
                    next.query_pairs().filter(|(name, _)| name != param).map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
                next.query_pairs_mut().clear().extend_pairs(others).append_pair(param, value);
                next
            }
        };
        let allowed = std::iter::once(leads.feed).chain(leads.origins.iter().map(String::as_str));
        if !allowed.filter_map(|o| Url::parse(o).ok()).any(|o| o.origin() == next.origin()) {
            return Err(CallError::Forbidden("the next page is of another origin"));
        }
        self.parse(next.as_str()).map(|_| next.into())
    }

    /// The URL and whether the operator allowed its host and port by name.
    fn parse(&self, text: &str) -> Result<(Url, bool), CallError> {
        use CallError::Forbidden;
        if text.len() > 2000 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Forbidden("the URL is too long or holds spaces"));
        }
        let url = Url::parse(text).map_err(|_| Forbidden("it is no URL"))?;
        let host = url.host_str().ok_or(Forbidden("it has no host"))?.trim_end_matches('.').to_ascii_lowercase();
        let port = url.port_or_known_default().ok_or(Forbidden("it has no port"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Forbidden("it holds a user or a password"));
        }
        if self.allow.contains(&format!("{host}:{port}")) && matches!(url.scheme(), "http" | "https") {
            return Ok((url, true));
        }
        if url.scheme() != "https" {
            return Err(Forbidden("only https is called"));
        }
        if !PORTS.contains(&port) {
            return Err(Forbidden("only the ports 443 and 8443 are called"));
        }
        // `Url` has already read every spelling of an IPv4 literal (RFC 3986 and
        // the WHATWG's octal, hexadecimal and short forms) into the dotted one.
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        match literal {
            Ok(ip) if !public(ip) => Err(Forbidden("its address is not public")),
            Err(_) if !host.contains('.') || host.ends_with(".localhost") || host.ends_with(".local") || host.ends_with(".internal") => {
                Err(Forbidden("its name is local"))
            }
            _ => Ok((url, false)),
        }
    }

    fn client(&self, allowed: bool) -> &reqwest::Client {
        if allowed { &self.allowed } else { &self.strict }
    }

    /// Posts JSON and reads at most 16 KB of the answer.
    pub async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Result<Answered, CallError> {
        let json = ("content-type".to_owned(), "application/json".to_owned());
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let headers = std::iter::once(json).chain(headers).collect();
        self.call(Call { method: "POST", url: url.to_owned(), headers, body: Some(body) }).await
    }

    /// Makes a call, follows no redirect and reads at most 16 KB of the answer.
    pub async fn call(&self, call: Call) -> Result<Answered, CallError> {
        let (url, allowed) = self.parse(&call.url)?;
        let method = reqwest::Method::from_bytes(call.method.as_bytes()).map_err(|_| CallError::Forbidden("it is no method"))?;
        let mut request = self.client(allowed).request(method, url).timeout(self.timeout);
        for (name, value) in &call.headers {
            let no_header = |_| CallError::Broken("cannot be asked for: a header is none");
            let mut value = reqwest::header::HeaderValue::from_str(value).map_err(|e| no_header(e.to_string()))?;
            value.set_sensitive(true);
            let name = reqwest::header::HeaderName::from_bytes(name.as_bytes()).map_err(|e| no_header(e.to_string()))?;
            request = request.header(name, value);
        }
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(of_reqwest)?;
        let retry_after = header(&response, "retry-after").and_then(|t| RetryAfter::parse(&t));
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < ANSWER_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(ANSWER_MAX);
        Ok(Answered { status, retry_after, body })
    }

    /// Fetches a feed: at most three redirects, each checked like the first address.
    pub async fn fetch(&self, fetch: Fetch<'_>) -> Result<Fetched, CallError> {
        match tokio::time::timeout(fetch.timeout, self.follow(&fetch)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(CallError::Timeout),
        }
    }

    async fn follow(&self, fetch: &Fetch<'_>) -> Result<Fetched, CallError> {
        let (mut url, mut allowed) = self.parse(fetch.url)?;
        let first = url.origin();
        let mut at_home = true;
        for _ in 0..=REDIRECTS {
            let mut request = self.client(allowed).get(url.clone()).header("accept-encoding", "gzip, zstd, br").header("accept", "*/*");
            for (name, value) in &fetch.headers {
                request = request.header(*name, value);
            }
            at_home &= url.origin() == first;
            if let Some(secret) = fetch.secret.as_ref().filter(|_| at_home) {
                let mut value = reqwest::header::HeaderValue::from_str(&secret.value)
                    .map_err(|_| CallError::Broken("cannot be asked for: the secret is no header"))?;
                value.set_sensitive(true);
                request = request.header(secret.name.as_str(), value);
            }
            let sent = tokio::time::timeout(fetch.idle, request.send()).await;
            let response = sent.map_err(|_| CallError::Timeout)?.map_err(of_reqwest)?;
            if matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                let to = header(&response, "location").and_then(|to| url.join(&to).ok());
                (url, allowed) = self.parse(to.ok_or(CallError::Broken("leads nowhere"))?.as_str())?;
                continue;
            }
            return read_answer(url, response, fetch).await;
        }
        Err(CallError::Redirects)
    }
}

fn header(response: &reqwest::Response, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

async fn read_answer(url: Url, mut response: reqwest::Response, fetch: &Fetch<'_>) -> Result<Fetched, CallError> {
    let chunked = header(&response, "transfer-encoding").is_some_and(|t| t.to_ascii_lowercase().contains("chunked"));
    let whole = chunked || header(&response, "content-length").is_some() || response.version() >= reqwest::Version::HTTP_2;
    let mut fetched = Fetched {
        url: url.into(),
        status: response.status().as_u16(),
        retry_after: header(&response, "retry-after").and_then(|t| RetryAfter::parse(&t)),
        etag: header(&response, "etag"),
        last_modified: header(&response, "last-modified"),
        content_type: header(&response, "content-type"),
        links: response.headers().get_all("link").iter().filter_map(|v| v.to_str().ok()).map(str::to_owned).collect(),
        body: Vec::new(),
        whole,
    };
    if fetched.status != 200 {
        return Ok(fetched);
    }
    let coding = header(&response, "content-encoding").map(|t| t.trim().to_ascii_lowercase()).filter(|t| !t.is_empty() && t != "identity");
    let mut body = Vec::new();
    loop {
        let part = tokio::time::timeout(fetch.idle, response.chunk()).await.map_err(|_| CallError::Timeout)?;
        let Some(part) = part.map_err(|e| if e.is_timeout() { CallError::Timeout } else { CallError::Broken("breaks off") })? else {
            break;
        };
        if body.len() + part.len() > fetch.max_body {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    let most = fetch.max_body;
    // A file that is kept compressed is inflated, too.
    let coding = coding.or_else(|| body.starts_with(&[0x1f, 0x8b]).then(|| "gzip".to_owned()));
    fetched.body = match coding {
        None => body,
        Some(coding) => {
            let inflated = tokio::task::spawn_blocking(move || inflate(&coding, &body, most)).await;
            inflated.map_err(|_| CallError::Broken("cannot be inflated"))?.map_err(|e| match e {
                InflateError::TooLarge => CallError::TooLarge,
                InflateError::Unknown => CallError::Broken("has a content coding that was not asked for"),
                InflateError::Broken => CallError::Broken("is not what its content coding says"),
            })?
        }
    };
    Ok(fetched)
}

/// A client of the gateway's own API, for the demonstration.
#[derive(Clone)]
pub struct ApiClient {
    client: reqwest::Client,
    base: String,
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct ApiAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl ApiAnswer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl ApiClient {
    /// A client of the server at `http://ADDRESS`.
    pub fn new(address: SocketAddr) -> Result<Self, CallError> {
        let client = reqwest::Client::builder().no_proxy().build().map_err(|e| CallError::Connect(why(&e)))?;
        Ok(Self { client, base: format!("http://{address}") })
    }

    /// Calls with a bearer token and a body of a content type, where given.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<(&str, Vec<u8>)>) -> Result<ApiAnswer, CallError> {
        let response = self.send(method, path, token, body).await?;
        let status = response.status().as_u16();
        Ok(ApiAnswer { status, body: response.bytes().await.map_err(of_reqwest)?.into() })
    }

    /// Reads what stands there and lets go of it as it comes: its status and length.
    pub async fn pass_over(&self, path: &str, token: Option<&str>) -> Result<(u16, usize), CallError> {
        let (mut response, mut length) = (self.send("GET", path, token, None).await?, 0);
        while let Some(piece) = response.chunk().await.map_err(of_reqwest)? {
            length += piece.len();
        }
        Ok((response.status().as_u16(), length))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<reqwest::Response, CallError> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| CallError::Forbidden("it is no method"))?;
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        request.send().await.map_err(of_reqwest)
    }
}

fn of_reqwest(e: reqwest::Error) -> CallError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&e);
    while let Some(inner) = cause {
        // What `Names` said, through the layers of the client.
        if let Some(told) = inner.downcast_ref::<CallError>() {
            return told.clone();
        }
        cause = inner.source();
    }
    if e.is_timeout() { CallError::Timeout } else { CallError::Connect(why(&e)) }
}

/// The innermost cause, without the URL.
fn why(e: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(allow: &[&str]) -> Outbound {
        Outbound { allow: allow.iter().map(|a| a.to_string()).collect(), timeout: CONNECT, strict: client(false), allowed: client(true) }
    }

    #[test]
    fn every_spelling_of_an_inner_address_is_forbidden() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "localhost",
            "localhost.",
            "foo.localhost",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0",
            "[fe80::1]",
            "[fc00::1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2001:db8::1]",
            "[::]",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "①②⑦.⓪.⓪.①",
            "printer",
            "db.internal",
            "[::127.0.0.1]",
            "240.0.0.1",
        ] {
            let url = format!("https://{host}/hook");
            assert!(matches!(outbound(&[]).check(&url), Err(CallError::Forbidden(_))), "{url}");
        }
    }

    #[test]
    fn scheme_port_and_user_are_checked() {
        for url in [
            "http://example.com/",
            "ftp://example.com/",
            "https://example.com:22/",
            "https://user@example.com/",
            "https://a b/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(outbound(&[]).check(url).is_err(), "{url}");
        }
        assert_eq!(outbound(&[]).check("https://example.com/hook"), Ok(()));
        assert_eq!(outbound(&[]).check("https://8.8.8.8:8443/hook"), Ok(()));
    }

    #[test]
    fn the_operators_list_opens_exactly_what_it_names() {
        let o = outbound(&["127.0.0.1:9000"]);
        assert_eq!(o.check("http://127.0.0.1:9000/x"), Ok(()));
        assert!(o.check("http://127.0.0.1:9001/x").is_err());
        assert!(o.check("http://localhost:9000/x").is_err());
        assert!(o.check("gopher://127.0.0.1:9000/x").is_err());
    }

    #[tokio::test]
    async fn a_forbidden_literal_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let denied = outbound(&[]).post(&format!("https://127.0.0.1:{port}/"), &[], String::new()).await;
        assert!(matches!(denied, Err(CallError::Forbidden(_))));
        let none = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(none.is_err(), "nobody connected");
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        // As the client meets it once the text of a URL has passed.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let refused = of_reqwest(client(false).get(url).send().await.unwrap_err());
        assert_eq!(refused, CallError::Forbidden("its name leads to an address that is not public"));
        let none = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(none.is_err(), "nobody connected");
    }
}
