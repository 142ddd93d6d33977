//! Who acts in a test: platforms, offices, workers. Each calls over HTTP only.

use super::{App, Person, PostingDraft};
use doorstep::domain::client::Role;
use doorstep::http::sink::{Arrived, Received};
use futures_util::future::join_all;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// What a call answered.
#[derive(Clone, Debug)]
pub struct Called {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// `null` where the body is no JSON.
    pub json: Value,
}

impl Called {
    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A problem detail of this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let called = self.expect(status);
        assert_eq!(called.header("content-type"), "application/problem+json", "{}", called.text);
        assert_eq!(called.json["code"], code, "{}", called.text);
        assert_eq!(called.json["status"], status);
        assert_eq!(called.json["request_id"], called.header("x-request-id"));
        called
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The body of a problem without what names the request.
    pub fn without_request_id(&self) -> Value {
        let mut body = self.json.clone();
        body.as_object_mut().map(|o| o.remove("request_id"));
        body
    }
}

/// Makes calls with a token, or without.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    url: String,
    pub token: Option<String>,
    /// The client behind the token, where it is one.
    pub client: String,
}

impl Caller {
    pub fn new(http: reqwest::Client, url: &str, token: Option<String>) -> Self {
        Self { http, url: url.to_owned(), token, client: String::new() }
    }

    /// A request to be finished by the caller.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn send(&self, request: RequestBuilder) -> Called {
        let response = request.send().await.unwrap_or_else(|e| panic!("no answer: {e:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap_or_else(|e| panic!("a broken answer: {e:?}"));
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Called { status, headers, text, json }
    }

    pub async fn get(&self, path: &str) -> Called {
        self.send(self.request("GET", path)).await
    }

    pub async fn delete(&self, path: &str) -> Called {
        self.send(self.request("DELETE", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Called {
        self.send(self.request("POST", path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Called {
        self.send(self.request("PATCH", path).json(body)).await
    }

    /// A POST under an idempotency key.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Called {
        self.send(self.request("POST", path).header("idempotency-key", key).json(body)).await
    }

    pub async fn post_bytes(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Called {
        self.send(self.request("POST", path).header("content-type", content_type).body(body)).await
    }
}

impl App {
    /// A platform; `.with_receiver()` gives it a webhook endpoint.
    pub fn platform<'a>(&'a self, name: &'a str) -> PlatformToBe<'a> {
        PlatformToBe { app: self, name, adapter: "canonical", receiver: None }
    }

    /// An office of this region.
    pub async fn office(&self, region: &str) -> Office<'_> {
        let caller = self.client(Role::Office, &format!("office of {region}"), region, "canonical").await;
        Office { app: self, caller }
    }

    /// A worker whom the nation's office registers, with the token of a link.
    pub async fn worker(&self, person: Person) -> Worker<'_> {
        self.workers(vec![person]).await.pop().expect("one was registered")
    }

    /// Workers, registered in one batch.
    pub async fn workers(&self, people: Vec<Person>) -> Vec<Worker<'_>> {
        let office = self.office("000000").await;
        let rows: Vec<Value> = people.iter().map(Person::json).collect();
        let answer = office.register(&rows).await;
        assert_eq!(answer["created"], people.len(), "{answer}");
        let ids: Vec<String> =
            answer["results"].as_array().expect("results").iter().map(|r| r["id"].as_str().expect("an id").to_owned()).collect();
        let mut workers = Vec::with_capacity(ids.len());
        for some in ids.chunks(20) {
            workers.extend(join_all(some.iter().map(|id| office.worker(id))).await);
        }
        workers
    }
}

/// A platform that is made when awaited.
pub struct PlatformToBe<'a> {
    app: &'a App,
    name: &'a str,
    adapter: &'a str,
    receiver: Option<Vec<&'static str>>,
}

impl<'a> PlatformToBe<'a> {
    /// With a webhook endpoint for every event.
    pub fn with_receiver(self) -> Self {
        Self { receiver: Some(Vec::new()), ..self }
    }

    pub fn adapter(self, adapter: &'a str) -> Self {
        Self { adapter, ..self }
    }
}

impl<'a> IntoFuture for PlatformToBe<'a> {
    type Output = Platform<'a>;
    type IntoFuture = Pin<Box<dyn Future<Output = Platform<'a>> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let caller = self.app.client(Role::Platform, self.name, "000000", self.adapter).await;
            let mut platform =
                Platform { app: self.app, name: self.name.to_owned(), caller, endpoint: String::new(), secret: String::new() };
            if let Some(types) = self.receiver {
                let body = json!({"url": platform.hook(), "types": types});
                let made = platform.caller.post("/v1/webhook-endpoints", &body).await.expect(201);
                platform.endpoint = made.json["id"].as_str().expect("an id").to_owned();
                platform.secret = made.json["secret"].as_str().expect("a secret").to_owned();
                self.app.sink.expect(&platform.path(), &platform.secret);
            }
            platform
        })
    }
}

/// A posting as its platform knows it.
#[derive(Clone, Debug)]
pub struct Posting {
    pub id: String,
    pub source_id: String,
}

/// A platform.
pub struct Platform<'a> {
    app: &'a App,
    pub name: String,
    pub caller: Caller,
    /// The endpoint of its receiver, where it has one.
    pub endpoint: String,
    pub secret: String,
}

impl Platform<'_> {
    /// The path of its receiver.
    pub fn path(&self) -> String {
        format!("/hooks/{}", self.name)
    }

    /// The address of its receiver.
    pub fn hook(&self) -> String {
        format!("http://{}{}", self.app.sink_address, self.path())
    }

    pub async fn publish(&self, draft: PostingDraft) -> Posting {
        let source_id = draft.json()["source_id"].as_str().expect("a source_id").to_owned();
        let answer = self.caller.post("/v1/postings", &json!([draft.json()])).await.expect(200).json;
        assert_eq!(answer["rejected"], json!([]), "{answer}");
        let id = self.id_of(&source_id).await;
        Posting { id, source_id }
    }

    pub async fn id_of(&self, source_id: &str) -> String {
        let listed = self.caller.get(&format!("/v1/postings?source_id={source_id}")).await.expect(200).json;
        assert_eq!(listed["total"], 1, "{listed}");
        listed["items"][0]["id"].as_str().expect("an id").to_owned()
    }

    pub async fn push(&self, body: impl Into<reqwest::Body>, content_type: &str) -> Called {
        self.caller.post_bytes("/v1/postings", content_type, body).await
    }

    pub async fn posting(&self, posting: &Posting) -> Value {
        self.caller.get(&format!("/v1/postings/{}", posting.id)).await.expect(200).json
    }

    /// Reports of hires, and what became of each.
    pub async fn reports(&self, reports: Value) -> Vec<Value> {
        let answer = self.caller.post("/v1/hires", &reports).await.expect(200).json;
        answer["results"].as_array().expect("results").clone()
    }

    /// One report, and what became of it.
    pub async fn report(&self, report: Value) -> Value {
        self.reports(report).await.remove(0)
    }

    /// Its offers of a posting.
    pub async fn offers(&self, posting: &Posting) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.caller.get(&format!("/v1/offers?posting={}&limit=200&cursor={cursor}", posting.id)).await.expect(200).json;
            all.extend(page["items"].as_array().expect("items").clone());
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return all,
            }
        }
    }

    /// Every event of its list.
    pub async fn events(&self) -> Vec<Value> {
        let answer = self.caller.get("/v1/events?limit=1000").await.expect(200).json;
        answer["events"].as_array().expect("events").clone()
    }

    /// The types of its events, in order.
    pub async fn event_types(&self) -> Vec<String> {
        self.events().await.iter().map(|e| e["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// Something that is an event: a posting is closed.
    pub async fn closes_a_posting(&self) {
        let posting = self.publish(super::a_posting()).await;
        self.caller.delete(&format!("/v1/postings/{}", posting.id)).await.expect(204);
    }

    /// Every call to its receiver, whatever it was answered.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.app.sink.arrived().into_iter().filter(|a| a.path == self.path()).collect()
    }

    /// The path of its endpoint in the API.
    pub fn endpoint_path(&self) -> String {
        format!("/v1/webhook-endpoints/{}", self.endpoint)
    }

    /// Everything that its receiver got.
    pub fn all_received(&self) -> Vec<Received> {
        self.app.sink.received().into_iter().filter(|r| r.path == self.path()).collect()
    }

    /// The one webhook of this type that its receiver got.
    pub fn received(&self, kind: &str) -> Received {
        let mut found: Vec<Received> = self.all_received().into_iter().filter(|r| r.body["type"] == kind).collect();
        assert_eq!(found.len(), 1, "webhooks of type {kind}: {found:?}");
        found.remove(0)
    }
}

/// A poverty office.
pub struct Office<'a> {
    app: &'a App,
    pub caller: Caller,
}

impl<'a> Office<'a> {
    /// Registry rows as JSON; what was answered.
    pub async fn register(&self, rows: &[Value]) -> Value {
        self.caller.post("/v1/workers", &json!(rows)).await.expect(200).json
    }

    /// A registered worker, with a link and its token.
    pub async fn worker(&self, id: &str) -> Worker<'a> {
        let link = self.caller.post(&format!("/v1/workers/{id}/link"), &json!({})).await.expect(201).json;
        let link = link["token"].as_str().expect("a token").to_owned();
        let token = self.app.token(&[("grant_type", "link"), ("link", &link)]).await;
        Worker { app: self.app, id: id.to_owned(), caller: self.app.bearing(&token), link }
    }

    pub async fn report(&self, query: &str) -> Value {
        self.caller.get(&format!("/v1/reports/employment?{query}")).await.expect(200).json
    }
}

/// A worker with a link.
pub struct Worker<'a> {
    app: &'a App,
    pub id: String,
    pub caller: Caller,
    pub link: String,
}

impl Worker<'_> {
    /// Their offers, newest first.
    pub async fn offers(&self) -> Vec<Value> {
        let answer = self.caller.get("/v1/me/offers").await.expect(200).json;
        answer["items"].as_array().expect("items").clone()
    }

    /// Their offer of a posting, which must be there.
    pub async fn offer_for(&self, posting: &Posting) -> Value {
        let offers = self.offers().await;
        let found = offers.iter().find(|o| o["posting"]["id"] == posting.id.as_str());
        found.unwrap_or_else(|| panic!("no offer of {posting:?} among {offers:?}")).clone()
    }

    pub async fn accept(&self, offer: &str) -> Called {
        self.caller.post(&format!("/v1/me/offers/{offer}/accept"), &json!({})).await
    }

    pub async fn decline(&self, offer: &str) -> Called {
        self.caller.post(&format!("/v1/me/offers/{offer}/decline"), &json!({})).await
    }

    /// Waits for the offer to come and says yes; the offer's id.
    pub async fn accepts_offer_for(&self, posting: &Posting) -> String {
        self.app.settle().await;
        let offer = self.offer_for(posting).await["id"].as_str().expect("an id").to_owned();
        self.accept(&offer).await.expect(200);
        offer
    }
}
