//! A gateway for each test: on a port of its own, over a store of its own, with a
//! clock that is moved by hand and ids from a seed. Nothing runs beside the
//! requests: `settle` does what is due.
//!
//! Promises: a test that ends without [`App::finish`], or leaves due work behind,
//! fails.
//! Start at: [`spawn`].

mod actors;
mod drafts;
mod engine;
pub mod memory;
pub mod source;

pub use actors::{Called, Caller, Office, Platform, Posting, Worker};
pub use drafts::{Person, PostingDraft, a_posting, in_region};
pub(crate) use engine::on_every_engine;
pub use engine::{Engine, Place, backend};

use doorstep::app::{Gateway, Parts};
use doorstep::clock::Clock;
use doorstep::config::Config;
use doorstep::config::keys::Keys;
use doorstep::deliver::Deliverer;
use doorstep::domain::client::Role;
use doorstep::domain::region::Region;
use doorstep::domain::time::Moment;
use doorstep::http::State;
use doorstep::http::sink::Sink;
use doorstep::ingest::Ingest;
use doorstep::poll::Poller;
use doorstep::store::clients::NewClient;
use doorstep::store::ids::Ids;
use doorstep::store::work::Kind;
use doorstep::store::{Opening, Store};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// When tests begin: noon in Beijing, in the middle of a month.
pub fn noon() -> Moment {
    Moment::parse("2020-06-15T12:00:00+08:00").expect("a time of RFC 3339")
}

/// Fresh keys.
pub fn keys() -> Arc<Keys> {
    Arc::new(Keys::parse(&Keys::fresh()).unwrap_or_else(|faults| panic!("{faults:?}")))
}

/// A gateway under test, with a receiver of webhooks beside it.
pub struct App {
    gateway: Option<Gateway>,
    pub clock: Clock,
    pub keys: Arc<Keys>,
    /// The same as a file has them.
    secrets: String,
    pub sink: Arc<Sink>,
    pub sink_address: SocketAddr,
    http: reqwest::Client,
    url: String,
    config: Config,
    /// How often it was started.
    starts: u64,
    // Dropped last: the gateway still holds the store.
    _place: Place,
}

/// A gateway on SQLite.
pub async fn spawn() -> App {
    spawn_on(Engine::Sqlite).await
}

/// A gateway on this engine.
pub async fn spawn_on(engine: Engine) -> App {
    spawn_with(engine, |_| {}).await
}

/// A gateway on this engine whose settings differ.
pub async fn spawn_with(engine: Engine, set: impl FnOnce(&mut Config)) -> App {
    let place = Place::new(engine);
    let (sink, sink_address, _) = Sink::start().expect("a free port on the loopback");
    let mut config = Config::defaults();
    config.store.url = place.url.clone();
    config.store.readers = 2;
    config.http.listen = "127.0.0.1:0".to_owned();
    config.http.workers = 1;
    config.deliver.timeout = Duration::from_secs(5);
    config.outbound.allow = vec![sink_address.to_string()];
    // Limits count real time; what tests them sets its own.
    let l = &mut config.limits;
    (l.requests, l.requests_burst, l.anonymous, l.anonymous_burst) = (100_000, 100_000, 100_000, 100_000);
    set(&mut config);
    let (clock, secrets) = (Clock::manual(noon()), Keys::fresh());
    let keys = Arc::new(Keys::parse(&secrets).unwrap_or_else(|faults| panic!("{faults:?}")));
    let parts =
        Parts { config: config.clone(), keys: keys.clone(), clock: clock.clone(), ids: Arc::new(Ids::seeded(1)), background: false };
    let gateway = Gateway::start(parts).await.unwrap_or_else(|e| panic!("the gateway does not start: {e}"));
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("an HTTP client");
    let url = format!("http://{}", gateway.address);
    App { gateway: Some(gateway), clock, keys, secrets, sink, sink_address, http, url, config, starts: 1, _place: place }
}

impl App {
    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("present until the test has finished")
    }

    /// Lets the gateway do by itself, from now on, what else tests do by hand.
    pub fn start_loops(&mut self) {
        self.gateway.as_mut().expect("present until the test has finished").start_loops();
    }

    /// Stops the gateway and starts it again over the same store, with other settings.
    pub async fn restart_with(&mut self, set: impl FnOnce(&mut Config)) {
        self.gateway.take().expect("running").stop().await;
        set(&mut self.config);
        self.start_again().await;
    }

    /// The same, but what the gateway would write of its index at its end is lost, as
    /// when it is killed.
    pub async fn restart_without_saving(&mut self) {
        let file = self.config.routing.snapshot.clone();
        let kept = std::fs::read(&file).ok();
        self.gateway.take().expect("running").stop().await;
        match kept {
            Some(kept) => std::fs::write(&file, kept).expect("written"),
            None => drop(std::fs::remove_file(&file)),
        }
        self.start_again().await;
    }

    async fn start_again(&mut self) {
        self.starts += 1;
        self.gateway = Some(self.start().await);
        self.url = format!("http://{}", self.gateway().address);
    }

    async fn start(&self) -> Gateway {
        let mut told = String::new();
        for _ in 0..100 {
            let (clock, ids) = (self.clock.clone(), Arc::new(Ids::seeded(self.starts)));
            let parts = Parts { config: self.config.clone(), keys: self.keys.clone(), clock, ids, background: false };
            match Gateway::start(parts).await {
                Ok(gateway) => return gateway,
                // The store's file is free once the last thread of the old one has ended.
                Err(e) => told = e,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the gateway does not start again: {told}")
    }

    /// Runs statements as somebody with full access to the database.
    pub fn run_sql(&self, sql: &str) {
        self._place.run_sql(sql);
    }

    /// The database file of an embedded store.
    pub fn file(&self) -> std::path::PathBuf {
        self._place.file()
    }

    /// Its secrets in a file beside the embedded store, for a command on the same store.
    pub fn keys_file(&self) -> std::path::PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file().with_file_name("keys.toml");
        std::fs::write(&path, &self.secrets).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its owner's alone");
        path
    }

    /// Another process that pulls for the same store.
    pub async fn another_poller(&self) -> Poller {
        let (url, keys, ids) = (self.config.store.url.clone(), self.keys.clone(), Arc::new(Ids::seeded(99)));
        let of = ids.clone();
        let open = move || Store::open(Opening { url: &url, readers: 1, keys, ids: of, stale_months: 3, serve: false });
        let store = tokio::task::spawn_blocking(open).await.expect("a thread").unwrap_or_else(|e| panic!("{e}"));
        let ingest = Ingest { store, ..self.state().ingest.clone() };
        let outbound = self.state().outbound.clone();
        Poller::new(&ingest, outbound, &self.state().adapters, self.clock.clone(), ids, &self.config).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Another process that delivers for the same store.
    pub async fn another_deliverer(&self) -> Deliverer {
        let (url, keys, ids) = (self.config.store.url.clone(), self.keys.clone(), Arc::new(Ids::seeded(98)));
        let of = ids.clone();
        let open = move || Store::open(Opening { url: &url, readers: 1, keys, ids: of, stale_months: 3, serve: false });
        let store = tokio::task::spawn_blocking(open).await.expect("a thread").unwrap_or_else(|e| panic!("{e}"));
        Deliverer::new(store, self.state().outbound.clone(), self.clock.clone(), ids, &self.config)
    }

    /// Forgets what is older than `deliver.keep`.
    pub async fn forget(&self) {
        self.gateway().forget().await.unwrap_or_else(|e| panic!("nothing is forgotten: {e}"));
    }

    pub fn state(&self) -> &State {
        &self.gateway().state
    }

    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Moves the clock on.
    pub fn pass(&self, span: Duration) {
        self.clock.set(self.now().plus(span));
    }

    pub fn pass_hours(&self, hours: u64) {
        self.pass(Duration::from_secs(hours * 3600));
    }

    /// Runs every due piece of work, then returns.
    pub async fn settle(&self) {
        self.gateway().settle().await.unwrap_or_else(|e| panic!("work that was due failed: {e}"));
    }

    /// A caller without a token.
    pub fn anonymous(&self) -> Caller {
        Caller::new(self.http.clone(), &self.url, None)
    }

    /// A caller with this token, whatever it is.
    pub fn bearing(&self, token: &str) -> Caller {
        Caller::new(self.http.clone(), &self.url, Some(token.to_owned()))
    }

    /// A client of this role with its token.
    pub async fn client(&self, role: Role, name: &str, region: &str, adapter: &str) -> Caller {
        let region = Region::parse(region).expect("a division");
        let new = NewClient { role, name: name.to_owned(), region, adapter: adapter.to_owned() };
        let (id, secret) = self.state().store.add_client(new, self.now()).await.expect("a client is added");
        let form = [("grant_type", "client_credentials"), ("client_id", &id.to_string()), ("client_secret", &secret)];
        let mut caller = self.bearing(&self.token(&form).await);
        caller.client = id.to_string();
        caller
    }

    /// An access token for this form.
    pub async fn token(&self, form: &[(&str, &str)]) -> String {
        let answer = self.anonymous().send(self.anonymous().request("POST", "/oauth/token").form(form)).await.expect(200);
        answer.json["access_token"].as_str().expect("a token").to_owned()
    }

    /// An administrator.
    pub async fn admin(&self) -> Caller {
        self.client(Role::Admin, "the administrator", "000000", "canonical").await
    }

    /// Checks that nothing is due any more, and stops.
    pub async fn finish(mut self) {
        let (store, now) = (self.state().store.clone(), self.now());
        let (routing, _) = store.work_due(Kind::Route, now).await.expect("the store answers");
        let (seeking, _) = store.work_due(Kind::Seek, now).await.expect("the store answers");
        let (_, next) = store.delivery_counts().await.expect("the store answers");
        let within = self.state().config.offer.promoted_within;
        let expired = store.expire_offers(within, now).await.expect("the store answers");
        let closed = store.expire_postings(within, now).await.expect("the store answers");
        let due_webhooks = usize::from(next.is_some_and(|t| t <= now));
        let left = [
            ("postings to route", routing as usize),
            ("somebody to be offered work", seeking as usize),
            ("webhooks", due_webhooks),
            ("offers to expire", expired),
            ("postings to expire", closed),
        ];
        let recount = store.recount().await.expect("the store answers");
        assert_eq!(recount.differences, Vec::<String>::new(), "facts, ledger, accounts and cells come to the same");
        let left: Vec<_> = left.into_iter().filter(|(_, n)| *n > 0).collect();
        let gateway = self.gateway.take().expect("finished once");
        gateway.stop().await;
        assert!(left.is_empty(), "the test leaves due work behind: {left:?}");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if self.gateway.is_some() && !std::thread::panicking() {
            panic!("a test ends with `app.finish().await`, which checks that no work is left");
        }
    }
}
