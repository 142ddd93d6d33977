//! The one door through which the gateway calls others: scheme and port list,
//! every spelling of an address checked, the resolved address pinned, no proxy of
//! the environment, no redirects, bounded answers.
//!
//! reqwest's own resolver hook never sees IP literals, so the parsed host is
//! checked here first, and the client is told which addresses to use.

use crate::config::Config;
use reqwest::Url;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

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
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallError::Forbidden(why) => write!(f, "forbidden: {why}"),
            CallError::Unresolved => f.write_str("the name has no address"),
            CallError::Timeout => f.write_str("no answer in time"),
            CallError::Connect(why) => write!(f, "no connection: {why}"),
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    /// Seconds of a Retry-After header.
    pub retry_after: Option<Duration>,
}

/// Makes calls within the rules.
pub struct Outbound {
    /// `host:port` that may be called whatever their address, http too.
    allow: HashSet<String>,
    timeout: Duration,
}

impl Outbound {
    pub fn new(config: &Config) -> Self {
        let allow = config.outbound.allow.iter().map(|e| e.trim().to_ascii_lowercase()).collect();
        Self { allow, timeout: config.deliver.timeout }
    }

    /// Whether this URL may be called at all, as far as its text tells.
    pub fn check(&self, url: &str) -> Result<(), CallError> {
        self.parse(url).map(|_| ())
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

    /// The addresses of a host, each of which may be called.
    async fn resolve(&self, url: &Url, allowed: bool) -> Result<Vec<SocketAddr>, CallError> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(443);
        let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((host, port))).await.map_err(|_| CallError::Timeout)?;
        let all: Vec<SocketAddr> = found.map_err(|_| CallError::Unresolved)?.collect();
        if all.is_empty() {
            return Err(CallError::Unresolved);
        }
        if !allowed && all.iter().any(|a| !public(a.ip())) {
            return Err(CallError::Forbidden("its name leads to an address that is not public"));
        }
        Ok(all)
    }

    /// Posts a body and reads at most 16 KB of the answer.
    pub async fn post(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Result<Answered, CallError> {
        let (url, allowed) = self.parse(url)?;
        let addresses = self.resolve(&url, allowed).await?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(self.timeout)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("doorstep/", env!("CARGO_PKG_VERSION")))
            .resolve_to_addrs(&host, &addresses)
            .build()
            .map_err(|e| CallError::Connect(why(&e)))?;
        let mut request = client.post(url).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(of_reqwest)?;
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        let status = response.status().as_u16();
        let mut read = 0;
        while read < ANSWER_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(Answered { status, retry_after })
    }
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
        let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| CallError::Forbidden("it is no method"))?;
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        let response = request.send().await.map_err(of_reqwest)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(of_reqwest)?.to_vec();
        Ok(ApiAnswer { status, body })
    }
}

fn of_reqwest(e: reqwest::Error) -> CallError {
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

/// An address of the public internet, whatever form it comes in (IANA special
/// registries for IPv4 and IPv6).
pub fn public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => public_v4(v4),
        IpAddr::V6(v6) => public_v6(v6),
    }
}

fn public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

fn public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let embedded = |hi: u16, lo: u16| Ipv4Addr::from((u32::from(hi) << 16) | u32::from(lo));
    match s {
        // Mapped, compatible and translated IPv4 (RFC 4291 §2.5.5, RFC 2765).
        [0, 0, 0, 0, 0, 0xffff, hi, lo] | [0, 0, 0, 0, 0xffff, 0, hi, lo] => public_v4(embedded(hi, lo)),
        [0, 0, 0, 0, 0, 0, ..] => false,
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => public_v4(embedded(hi, lo)),
        [0x64, 0xff9b, 1, ..] => false,
        [0x2002, hi, lo, ..] => public_v4(embedded(hi, lo)),
        // Teredo, benchmarking, ORCHID, documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [first, ..] => (0x2000..0x4000).contains(&first) && first != 0x3fff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbound(allow: &[&str]) -> Outbound {
        Outbound { allow: allow.iter().map(|a| a.to_string()).collect(), timeout: CONNECT }
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
}
