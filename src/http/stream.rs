//! A worker's offers as they change, by server-sent events (HTML Living Standard §9.2).
//!
//! Promises: the first event says how things stand, a further one comes within seconds
//! of a change, and its id is the same as long as nothing changed; a comment keeps quiet
//! lines open. A stream ends by itself after some minutes, and with the server: whoever
//! listens comes again.

use super::State;
use super::problem::Problem;
use crate::domain::id::WorkerId;
use crate::store::StoreError;
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use serde_json::Value;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The longest a stream is held.
const HELD: Duration = Duration::from_secs(600);
/// A line on which nothing came for so long is taken for dead by what lies between.
const QUIET: Duration = Duration::from_secs(15);
/// However much is committed, one stream looks no more often.
const LOOK: Duration = Duration::from_secs(2);

struct Follow<F> {
    state: Data<State>,
    worker: WorkerId,
    tell: F,
    commits: watch::Receiver<u64>,
    began: Instant,
    told: Option<String>,
}

/// Follows a worker's offers; `tell` makes what an event says.
pub async fn follow<F, T>(state: Data<State>, worker: WorkerId, tell: F) -> Result<HttpResponse, Problem>
where
    F: Fn(Data<State>, WorkerId) -> T + 'static,
    T: Future<Output = Result<Value, StoreError>> + 'static,
{
    let commits = state.store.commits();
    let follow = Follow { state, worker, tell, commits, began: Instant::now(), told: None };
    let events = futures_util::stream::unfold(follow, |mut follow| async move {
        let text = follow.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), follow))
    });
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header(("x-accel-buffering", "no"));
    Ok(response.streaming(events))
}

impl<F, T> Follow<F>
where
    F: Fn(Data<State>, WorkerId) -> T,
    T: Future<Output = Result<Value, StoreError>>,
{
    /// The next piece of the stream; none where it ends.
    async fn next(&mut self) -> Option<String> {
        let quiet = Instant::now() + QUIET;
        loop {
            if self.began.elapsed() > HELD || self.state.draining.load(Ordering::Acquire) {
                return None;
            }
            self.commits.mark_unchanged();
            // A store that fails ends the stream; the listener comes again.
            let version = self.state.store.offers_version(self.worker).await.ok()?;
            if self.told.as_ref() != Some(&version) {
                let told = (self.tell)(self.state.clone(), self.worker).await.ok()?;
                let retry = if self.told.is_none() { "retry: 5000\n" } else { "" };
                let event = format!("{retry}event: offers\nid: {version}\ndata: {told}\n\n");
                self.told = Some(version);
                return Some(event);
            }
            if Instant::now() >= quiet {
                return Some(":\n\n".to_owned());
            }
            // The channel closes only with the store.
            let _ = tokio::time::timeout(LOOK * 2, self.commits.changed()).await;
            tokio::time::sleep(LOOK).await;
        }
    }
}
