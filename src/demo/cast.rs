//! Who plays: platforms with their shipped samples, an office, workers by link.
//! Each speaks only through the API.

use super::Stage;
use crate::domain::client::Role;
use crate::domain::id::WorkerId;
use crate::domain::region::Region;
use crate::store::clients::NewClient;
use serde_json::{Value, json};

/// The platforms of the story and the adapters they send.
pub const PLATFORMS: [&str; 6] = ["meituan", "wuba-daojia", "didi", "cainiao", "ai-bean", "schema-org"];

/// A client with its secret.
#[derive(Clone, Debug)]
pub struct Player {
    pub name: String,
    pub id: String,
    pub secret: String,
}

impl Stage {
    /// Makes a client as `doorstep client add` does.
    pub async fn add(&self, role: Role, name: &str, region: Region, adapter: &str) -> Result<Player, String> {
        let new = NewClient { role, name: name.to_owned(), region, adapter: adapter.to_owned() };
        let (id, secret) = self.gateway.state.store.add_client(new, self.clock.now()).await.map_err(|e| e.to_string())?;
        Ok(Player { name: name.to_owned(), id: id.to_string(), secret })
    }

    /// A fresh access token; they are short, and the story moves the clock.
    pub async fn token(&self, player: &Player) -> Result<String, String> {
        self.grant(&format!("grant_type=client_credentials&client_id={}&client_secret={}", player.id, player.secret)).await
    }

    /// A worker's token by their link.
    pub async fn token_of_link(&self, link: &str) -> Result<String, String> {
        self.grant(&format!("grant_type=link&link={link}")).await
    }

    async fn grant(&self, form: &str) -> Result<String, String> {
        let body = Some(("application/x-www-form-urlencoded", form.as_bytes().to_vec()));
        let answer = self.api.call("POST", "/oauth/token", None, body).await.map_err(|e| e.to_string())?;
        let token = answer.json()["access_token"].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("no token: {}", answer.json()))
    }

    /// Calls the API; any other status than the wanted is an error.
    pub async fn call(&self, token: &str, method: &str, path: &str, body: Option<&Value>, wanted: u16) -> Result<Value, String> {
        let body = body.map(|b| ("application/json", b.to_string().into_bytes()));
        let answer = self.api.call(method, path, Some(token), body).await.map_err(|e| e.to_string())?;
        if answer.status != wanted {
            return Err(format!("{method} {path} answered {} instead of {wanted}: {}", answer.status, answer.json()));
        }
        Ok(answer.json())
    }

    /// Sends a body as a file of some type is sent.
    pub async fn send(&self, token: &str, path: &str, kind: &str, body: Vec<u8>) -> Result<Value, String> {
        let answer = self.api.call("POST", path, Some(token), Some((kind, body))).await.map_err(|e| e.to_string())?;
        if answer.status != 200 {
            return Err(format!("POST {path} answered {}: {}", answer.status, answer.json()));
        }
        Ok(answer.json())
    }

    /// All items of a list, page by page.
    pub async fn all(&self, token: &str, path: &str) -> Result<Vec<Value>, String> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = self.call(token, "GET", &format!("{path}{joint}limit=200&cursor={cursor}"), None, 200).await?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return Ok(items),
            }
        }
    }

    /// All of a platform's events.
    pub async fn events(&self, token: &str) -> Result<Vec<Value>, String> {
        let mut events = Vec::new();
        let mut after = "0".to_owned();
        loop {
            let page = self.call(token, "GET", &format!("/v1/events?limit=1000&after={after}"), None, 200).await?;
            let next = page["next"].as_str().unwrap_or_default().to_owned();
            events.extend(page["events"].as_array().cloned().unwrap_or_default());
            if next == after {
                return Ok(events);
            }
            after = next;
        }
    }

    /// A worker's token, as the link in their message gives it.
    pub async fn worker_token(&self, office: &str, worker: &str) -> Result<String, String> {
        let link = self.call(office, "POST", &format!("/v1/workers/{worker}/link"), Some(&json!({})), 201).await?;
        self.token_of_link(link["token"].as_str().unwrap_or_default()).await
    }
}

/// How a worker answers, from who they are: six of ten say yes, two no, the rest
/// do not answer. The same seed, the same answers.
pub fn answer_of(worker: &str, seed: u64) -> Answer {
    let number = WorkerId::parse(worker).map_or(0, |id| id.uuid().as_u64_pair().1);
    match crate::domain::ranking::mix(number ^ seed) % 10 {
        0..=5 => Answer::Yes,
        6..=7 => Answer::No,
        _ => Answer::Silence,
    }
}

/// See [`answer_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Silence,
}
