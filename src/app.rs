//! Build → run → stop: the one place that names a concrete store, cache, client
//! and server, and starts the work that goes on beside requests.

use crate::adapter::Adapters;
use crate::cache::Limits;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::keys::Keys;
use crate::deliver::Deliverer;
use crate::hiring::Hiring;
use crate::http::auth::Tokens;
use crate::http::{Document, Methods, State, edge, routes};
use crate::ingest::Ingest;
use crate::notify::Notifier;
use crate::outbound::Outbound;
use crate::poll::Poller;
use crate::reporting::{self, Published, watch::Watching};
use crate::routing::Router;
use crate::store::ids::Ids;
use crate::store::seals::note::verifier;
use crate::store::{Opening, Store, StoreError};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use aws_lc_rs::signature::KeyPair;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::SwaggerUi;

/// How often due work is looked for when nothing wakes the loops.
const LOOK: Duration = Duration::from_millis(500);
/// How often what the log tells of those who look for work is folded.
const FOLD: Duration = Duration::from_secs(1);
/// How often what is added to cells is folded into them.
pub const FOLD_CELLS: Duration = Duration::from_secs(15);
/// How long `/readyz` says no before the listener closes.
const DRAIN: Duration = Duration::from_millis(300);

/// Everything that a gateway is built from.
pub struct Parts {
    pub config: Config,
    pub keys: Arc<Keys>,
    pub clock: Clock,
    pub ids: Arc<Ids>,
    /// Run the work beside requests; tests do it by hand.
    pub background: bool,
}

/// A built and listening gateway.
pub struct Gateway {
    pub state: Data<State>,
    pub address: SocketAddr,
    deliverer: Deliverer,
    notifier: Notifier,
    poller: Poller,
    server: actix_web::dev::ServerHandle,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    loops: Vec<tokio::task::JoinHandle<()>>,
}

/// Runs a future with what the server and its loops need around it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    actix_web::rt::System::new().block_on(future)
}

/// The recorder of this process, installed once.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().set_buckets(&[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]);
            let recorder = recorder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
            let handle = recorder.handle();
            // Fails only where something else records already; then /metrics is empty.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
}

/// The adapters of this configuration: those compiled in, then the folder's.
pub fn adapters(config: &Config) -> Result<Adapters, String> {
    let told = |problems: Vec<crate::adapter::Problem>| problems.iter().map(|p| p.to_string()).collect::<Vec<_>>().join("\n");
    let mut adapters = Adapters::builtin().map_err(told)?;
    if !config.adapters.dir.is_empty() {
        adapters.with_dir(std::path::Path::new(&config.adapters.dir)).map_err(told)?;
    }
    Ok(adapters)
}

impl Gateway {
    /// Opens the store, binds the listener, starts the server and the loops.
    pub async fn start(parts: Parts) -> Result<Self, String> {
        let Parts { config, keys, clock, ids, background } = parts;
        let adapters = Arc::new(adapters(&config)?);
        crate::domain::normalize::warm();
        let limits = Arc::new(Limits::new(&config)?);
        let (url, readers, store_keys, store_ids) = (config.store.url.clone(), config.store.readers, keys.clone(), ids.clone());
        let stale_months = config.report.stale_months;
        let open = move || Store::open(Opening { url: &url, readers, keys: store_keys, ids: store_ids, stale_months, serve: true });
        let store = tokio::task::spawn_blocking(open).await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let people = store.count_anew(clock.now()).await.map_err(|e| e.to_string())?;
        if people > 0 {
            tracing::info!(people, "people with hires were counted anew, under other rules than before");
        }
        let listener = std::net::TcpListener::bind(&config.http.listen).map_err(|e| format!("{}: {e}", config.http.listen))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let outbound = Arc::new(Outbound::new(&config));
        let ingest = Ingest::new(store.clone(), limits.clone(), &config);
        let lines = |p: Vec<crate::config::Problem>| p.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let base = config.public_url(address);
        let notifier = Notifier::new(store.clone(), outbound.clone(), clock.clone(), ids.clone(), &base, &config).map_err(lines)?;
        let poller = Poller::new(&ingest, outbound.clone(), &adapters, clock.clone(), ids.clone(), &config)?;
        let key = |r: &crate::config::notify::RepliesConfig| {
            let key = r.key().map_err(|problem| problem.to_string())?;
            Ok::<_, String>((r.name.clone(), key))
        };
        let gateways = config.notify.replies.iter().map(key).collect::<Result<_, _>>()?;
        let state = Data::new(State {
            tokens: Tokens::new(&keys, &config.token.issuer, config.token.lifetime),
            router: Arc::new(Router::new(store.clone(), &config)),
            ingest,
            hiring: Hiring { store: store.clone(), slice: config.ingest.slice },
            outbound: outbound.clone(),
            metrics: metrics_handle(),
            published: Published::default(),
            seal_verifier: verifier(&config.seal.origin, keys.seal.pair().public_key().as_ref()),
            public_url: base,
            draining: false.into(),
            gateways,
            store: store.clone(),
            config: Arc::new(config),
            clock: clock.clone(),
            adapters,
            limits,
        });
        state.router.catch_up().await.map_err(|e| e.to_string())?;
        poller.begin().await.map_err(|e| e.to_string())?;
        let server = serve(state.clone(), listener).map_err(|e| e.to_string())?;
        let handle = server.handle();
        let mut loops = Vec::new();
        if !state.config.http.metrics_listen.is_empty() {
            let counted = serve_metrics(state.clone()).map_err(|e| format!("{}: {e}", state.config.http.metrics_listen))?;
            loops.push(tokio::task::spawn_local(async move {
                if let Err(e) = counted.await {
                    tracing::error!(error = %e, "metrics are no longer served");
                }
            }));
        }
        let deliverer = Deliverer::new(store, outbound, clock, ids, &state.config);
        let mut gateway =
            Self { state, address, deliverer, notifier, poller, server: handle, serving: tokio::task::spawn_local(server), loops };
        if background {
            gateway.start_loops();
        }
        Ok(gateway)
    }

    /// Starts the work that goes on beside requests.
    pub fn start_loops(&mut self) {
        let (state, deliverer, poller) = (self.state.clone(), self.deliverer.clone(), self.poller.clone());
        let routing = state.clone();
        self.loops.push(tokio::task::spawn_local(repeat(state.store.clone(), move || {
            let state = routing.clone();
            async move { route_and_expire(&state).await }
        })));
        self.loops.push(tokio::task::spawn_local(deliverer.clone().run()));
        self.loops.push(tokio::task::spawn_local(deliverer.tend()));
        let (notifier, forgetting) = (self.notifier.clone(), self.notifier.clone());
        self.loops.push(tokio::task::spawn_local(repeat(state.store.clone(), move || {
            let notifier = notifier.clone();
            async move { notifier.tell_due().await }
        })));
        self.loops.push(tokio::task::spawn_local(poller.run(LOOK)));
        let sealed = state.clone();
        self.loops.push(tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(sealed.config.seal.every).await;
                if let Err(e) = seal(&sealed).await {
                    tracing::error!(error = %e, "the ledger is not sealed");
                }
            }
        }));
        let folded = state.store.clone();
        self.loops.push(tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(FOLD).await;
                if let Err(e) = fold(&folded).await {
                    tracing::warn!(error = %e, "who looks for work is counted later");
                }
            }
        }));
        let added = state.store.clone();
        self.loops.push(tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(FOLD_CELLS).await;
                if let Err(e) = added.fold_additions().await {
                    tracing::warn!(error = %e, "cells are written later");
                }
            }
        }));
        let kept = state.clone();
        self.loops.push(tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(kept.config.routing.snapshot_every).await;
                save_index(&kept).await;
            }
        }));
        self.loops.push(tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(60)).await;
                state.limits.sweep();
                state.metrics.run_upkeep();
                if let Err(e) = state.store.forget_answers(state.clock.now()).await {
                    tracing::warn!(error = %e, "old answers stay a while");
                }
                if let Err(e) = watch(&state).await {
                    tracing::warn!(error = %e, "the day's watch is tried again");
                }
                if let Err(e) = forgetting.forget().await {
                    tracing::warn!(error = %e, "old messages stay a while");
                }
            }
        }));
    }

    /// Does everything that is due, until nothing is, and seals what came of it.
    pub async fn settle(&self) -> Result<(), StoreError> {
        while self.poller.poll_due().await?
            + route_and_expire(&self.state).await?
            + self.deliverer.deliver_due().await?
            + self.notifier.tell_due().await?
            + watch(&self.state).await?
            > 0
        {}
        seal(&self.state).await?;
        self.state.store.fold_seekers().await?;
        self.state.store.fold_additions().await?;
        self.state.router.catch_up().await
    }

    /// Deletes what is older than `deliver.keep`, at once; says how much.
    pub async fn forget(&self) -> Result<u64, StoreError> {
        self.deliverer.forget(Duration::ZERO).await
    }

    /// Runs until a signal or an end of the server, then stops.
    pub async fn run(mut self) -> std::io::Result<()> {
        let stop = async {
            #[cfg(unix)]
            {
                use tokio::signal::unix::{SignalKind, signal};
                let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
                tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            }
            #[cfg(not(unix))]
            tokio::signal::ctrl_c().await?;
            Ok::<_, std::io::Error>(())
        };
        tokio::select! {
            ended = &mut self.serving => return ended.unwrap_or(Ok(())),
            signal = stop => signal?,
        }
        tracing::info!("stopping: no new requests, those under way are finished");
        self.state.draining.store(true, Ordering::Release);
        tokio::time::sleep(DRAIN).await;
        self.stop().await;
        Ok(())
    }

    /// Finishes the requests under way and ends.
    pub async fn stop(self) {
        for one in &self.loops {
            one.abort();
        }
        self.poller.give_back().await;
        self.server.stop(true).await;
        save_index(&self.state).await;
    }
}

/// Without its file a start takes longer, and nothing is lost.
async fn save_index(state: &State) {
    if let Err(why) = state.router.save().await {
        tracing::warn!(why, "the next start reads everybody from the store");
    }
}

/// Folds what there is, and leaves the writer to others most of the time: reports are
/// exact all the same.
async fn fold(store: &Store) -> Result<(), StoreError> {
    let mut begun = Instant::now();
    while store.fold_slice().await?.is_some() {
        tokio::time::sleep(begun.elapsed() * 2).await;
        begun = Instant::now();
    }
    Ok(())
}

async fn seal(state: &State) -> Result<usize, StoreError> {
    state.store.seal(&state.config.seal.origin, state.clock.now()).await
}

/// Does the day's watch once.
async fn watch(state: &State) -> Result<usize, StoreError> {
    let (alert, displaced_for) = (&state.config.alert, state.config.routing.displaced_for);
    reporting::watch::watch(&state.store, &Watching { alert, displaced_for }, state.clock.now()).await
}

async fn route_and_expire(state: &State) -> Result<usize, StoreError> {
    let (now, within) = (state.clock.now(), state.config.offer.promoted_within);
    let expired = async { Ok(state.store.expire_offers(within, now).await? + state.store.expire_postings(within, now).await?) };
    state.store.route_for_freed(crate::routing::LEASE, now).await?;
    let (expired, routed) = tokio::try_join!(expired, state.router.route_due(now))?;
    let tended = state.store.tend_runs(within, now).await?;
    state.router.catch_up().await?;
    Ok(expired + routed + tended)
}

/// Runs `work` again at once while there is some, else at the next commit of this
/// process or after a while.
async fn repeat<W, F>(store: Store, work: W)
where
    W: Fn() -> F,
    F: Future<Output = Result<usize, StoreError>>,
{
    let mut commits = store.commits();
    loop {
        commits.mark_unchanged();
        match work().await {
            Ok(0) => {
                // The channel closes only with the store.
                let _ = tokio::time::timeout(LOOK, commits.changed()).await;
            }
            Ok(_) => {}
            Err(e) => {
                tracing::warn!(error = %e, "work is tried again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn serve(state: Data<State>, listener: std::net::TcpListener) -> std::io::Result<actix_web::dev::Server> {
    let http = state.config.http.clone();
    let server = HttpServer::new(move || {
        let (app, document) =
            App::new().into_utoipa_app().openapi(Document::openapi()).app_data(state.clone()).configure(routes).split_for_parts();
        let methods = Data::new(Methods::of(&document));
        let document = Data::new(document.to_json().unwrap_or_default());
        app.app_data(document.clone())
            .route("/openapi.json", actix_web::web::get().to(openapi))
            .service(actix_web::web::redirect("/docs", "/docs/"))
            .service(SwaggerUi::new("/docs/{_:.*}").config(utoipa_swagger_ui::Config::from("/openapi.json")))
            .configure(crate::http::pages::routes)
            .app_data(methods)
            .default_service(actix_web::web::to(crate::http::no_route))
            .wrap(from_fn(edge::edge))
    });
    let server = if http.workers > 0 { server.workers(http.workers) } else { server };
    Ok(server
        // Else the end of an answer waits for the caller's kernel to confirm what went
        // before it, which puts that off for up to 40 ms.
        .tcp_nodelay(true)
        .max_connections(http.max_connections)
        .client_request_timeout(Duration::from_secs(10))
        .keep_alive(Duration::from_secs(30))
        .shutdown_timeout(20)
        .disable_signals()
        .listen(listener)?
        .run())
}

/// `/metrics` on a listener of its own.
fn serve_metrics(state: Data<State>) -> std::io::Result<actix_web::dev::Server> {
    let address = state.config.http.metrics_listen.clone();
    let server = HttpServer::new(move || App::new().app_data(state.clone()).route("/metrics", actix_web::web::get().to(counted)));
    Ok(server.workers(1).disable_signals().bind(address)?.run())
}

async fn counted(state: Data<State>) -> actix_web::HttpResponse {
    actix_web::HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(crate::http::metrics_text(&state).await)
}

async fn openapi(document: Data<String>) -> actix_web::HttpResponse {
    actix_web::HttpResponse::Ok().content_type("application/json").body(document.get_ref().clone())
}
