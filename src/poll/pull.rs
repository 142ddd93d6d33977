//! One pull of one feed, page by page, from where the last one stopped.

use super::rules::{self, Leads, Next, Verdict};
use super::{Feed, LEASE, Poller, Stop, failed};
use crate::adapter::BodyError;
use crate::ingest::{Batch, BatchError, Ingest, RunPart};
use crate::outbound::{CallError, Fetch, Fetched, Lead, To};
use crate::store::StoreError;
use crate::store::feeds::{Claim, Pulled, UnderWay};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// Rejects of a pull that are kept for the operator.
const REJECTS_KEPT: usize = 20;

/// A pull under way.
pub(super) struct Pull<'a> {
    poller: &'a Poller,
    feed: &'a Feed,
    claim: &'a Claim,
    /// How far it came; with no next address once all its pages are in.
    at: UnderWay,
    fresh: bool,
    /// The page before, to know it again.
    last: Option<Vec<u8>>,
}

impl<'a> Pull<'a> {
    pub fn new(poller: &'a Poller, feed: &'a Feed, claim: &'a Claim) -> Self {
        let now = poller.clock.now();
        // What was read too long ago says nothing of today.
        let young = |at: &UnderWay| at.started_at.plus(poller.config.resume_within) > now;
        let (at, fresh) = match claim.under_way.clone().filter(young) {
            Some(at) => (at, false),
            None => {
                let run = format!("{}{}", prefix(claim), now.ms());
                (UnderWay { run, page: 0, next: feed.config.url.clone(), totals: json!({}), started_at: now }, true)
            }
        };
        Self { poller, feed, claim, at, fresh, last: None }
    }

    /// The pages that are in.
    pub fn pages(&self) -> u32 {
        self.at.page
    }

    /// Ends the run that this pull will not complete.
    pub async fn break_off(&self) -> Result<(), StoreError> {
        if !self.feed.config.complete {
            return Ok(());
        }
        let (platform, run) = (self.feed.config.platform.clone(), self.at.run.clone());
        self.poller.store.break_off_run(platform, run, self.poller.clock.now()).await
    }

    pub async fn run(&mut self) -> Result<Pulled, Stop> {
        let (poller, config) = (self.poller, &self.feed.config);
        if self.fresh && config.complete {
            poller.store.abandon_runs(config.platform.clone(), &prefix(self.claim), poller.clock.now()).await?;
            // The run begins before its source is asked: what others push from now on
            // is not absent because an older answer does not name it.
            self.advance().await?;
            poller.store.open_run(config.platform.clone(), self.at.run.clone(), Vec::new(), poller.clock.now()).await?;
        }
        let mut seen = HashSet::new();
        let mut tags = (None, None);
        while !self.at.next.is_empty() {
            if !seen.insert(self.at.next.clone()) {
                return Err(failed("its pages lead back to one that was read", false));
            }
            if self.at.page >= poller.config.max_pages {
                return Err(failed(format!("it has more than {} pages (poll.max_pages)", poller.config.max_pages), false));
            }
            let Some(fetched) = self.ask().await? else {
                self.break_off().await?;
                return Ok(Pulled::Same);
            };
            let of_page = (fetched.etag.clone(), fetched.last_modified.clone());
            self.at.next = self.take(fetched).await?.unwrap_or_default();
            // Only a feed of one page can say of itself that all of it is the same.
            tags = if self.at.page == 1 { of_page } else { (None, None) };
            if config.complete || !self.at.next.is_empty() {
                self.advance().await?;
            }
        }
        if config.complete {
            self.complete().await?;
        }
        let span = poller.clock.now().ms() - self.at.started_at.ms();
        self.at.totals["pages"] = json!(self.at.page);
        self.at.totals["seconds"] = json!(span as f64 / 1000.0);
        Ok(Pulled::Whole { etag: tags.0, last_modified: tags.1, facts: self.at.totals.take() })
    }

    /// Stores how far it came.
    async fn advance(&self) -> Result<(), Stop> {
        let stored = self.poller.store.advance_feed(self.claim, self.at.clone(), LEASE, self.poller.clock.now()).await?;
        if stored { Ok(()) } else { Err(Stop::Lost) }
    }

    /// The next page; none where the source says that nothing has changed.
    async fn ask(&self) -> Result<Option<Fetched>, Stop> {
        let (poller, claim, host) = (self.poller, self.claim, &self.feed.host);
        let stale = claim.read_at.is_none_or(|t| t.plus(poller.config.refresh) <= self.at.started_at);
        let asked = self.at.page == 0 && !stale && (claim.etag.is_some() || claim.last_modified.is_some());
        let fetched = self.fetch(asked).await?;
        match rules::judge(fetched.status, asked) {
            Verdict::Same => {
                poller.hosts.good(host);
                Ok(None)
            }
            Verdict::Take => {
                poller.hosts.good(host);
                Ok(Some(fetched))
            }
            Verdict::Refused { host: of_host } => {
                if !of_host {
                    poller.hosts.good(host);
                }
                let after = fetched.retry_after.map(|r| r.from(poller.clock.now()));
                // A page that is gone is not waited for: the pull begins anew.
                let again = of_host || matches!(fetched.status, 401 | 403);
                Err(Stop::Failed { error: format!("HTTP {}", fetched.status), again, host: of_host, after })
            }
        }
    }

    async fn fetch(&self, asked: bool) -> Result<Fetched, Stop> {
        let (poller, claim, config) = (self.poller, self.claim, &self.feed.config);
        let wait = poller.hosts.ask(&self.feed.host, poller.clock.now()).map_err(Stop::Closed)?;
        tokio::time::sleep(wait).await;
        let mut headers = Vec::new();
        if asked {
            headers.extend(claim.etag.clone().map(|tag| ("if-none-match", tag)));
            headers.extend(claim.last_modified.clone().map(|at| ("if-modified-since", at)));
        }
        let url = self.at.next.as_str();
        let secret = if poller.outbound.same_origin(&config.url, url) {
            config.auth.header().map_err(|e| failed(format!("auth: {e}"), true))?
        } else {
            None
        };
        let (timeout, idle, max_body) = (poller.config.timeout, poller.config.idle, poller.config.max_body);
        let fetched = poller.outbound.fetch(Fetch { url, headers, secret, timeout, idle, max_body }).await;
        fetched.map_err(|e| {
            let host = matches!(e, CallError::Timeout | CallError::Connect(_) | CallError::Unresolved | CallError::Broken(_));
            if !host {
                poller.hosts.good(&self.feed.host);
            }
            Stop::Failed { error: e.to_string(), again: host, host, after: None }
        })
    }

    /// Hands a page to ingest; the address of the next one.
    async fn take(&mut self, fetched: Fetched) -> Result<Option<String>, Stop> {
        let (poller, config) = (self.poller, &self.feed.config);
        if config.complete && !fetched.whole {
            return Err(failed("the answer does not say where it ends, so it may have been cut: no full feed", false));
        }
        let (adapter, kind) = (self.feed.adapter.clone(), fetched.content_type.as_deref());
        let format = kind.and_then(|kind| adapter.format_of(kind));
        let unread = |e: &BodyError| match kind.filter(|_| format.is_none()) {
            Some(kind) => failed(format!("{}: {e} (it calls itself {})", e.code(), essence(kind)), false),
            None => failed(format!("{}: {e}", e.code()), false),
        };
        let (reader, body) = (adapter.clone(), fetched.body);
        let looked = tokio::task::spawn_blocking(move || {
            let records = match format {
                Some(format) => reader.count_as(format, &body),
                None => reader.count(&body),
            };
            (records, reader.cursor(&body), Sha256::digest(&body).to_vec(), body)
        });
        let (records, cursor, print, body) = looked.await.map_err(|_| failed("reading it failed", false))?;
        let records = records.map_err(|e| unread(&e))?;
        if records > 0 && self.last.replace(print.clone()) == Some(print) {
            return Err(failed("a page is the same as the one before it", false));
        }
        let leads = Leads {
            cursor: cursor.as_deref(),
            links: &fetched.links,
            cursor_param: config.cursor_param.as_deref(),
            page_param: config.page_param.as_deref(),
            page: self.at.page + 1,
            records,
        };
        let next = rules::next(&leads).map_err(|e| failed(e, false))?;
        let next = next.map(|next| self.lead(&next, &fetched.url, records)).transpose()?.flatten();
        let run = config.complete.then(|| RunPart { run: self.at.run.clone(), complete: false, expected: None });
        let (platform, pull) = (config.platform.clone(), Some(self.claim.hold.clone()));
        let batch = Batch { platform, adapter, format, body, once: None, dry_run: false, run, pull };
        let answer = match poller.ingest.push(batch, poller.clock.now()).await {
            Ok((answer, _)) => answer.body,
            Err(BatchError::Body(e)) => return Err(unread(&e)),
            Err(e) => return Err(self.refused(e).await),
        };
        self.at.page += 1;
        add(&mut self.at.totals, &answer);
        Ok(next)
    }

    /// The address of the next page; none where this was the last.
    fn lead(&self, next: &Next, page: &str, records: usize) -> Result<Option<String>, Stop> {
        // A link is read against where the page came from in the end (RFC 3986 §5.1.3).
        let (page, to) = match next {
            Next::Link(link) => (page, To::Link(link)),
            Next::Param(name, value) => (self.at.next.as_str(), To::Param(name, value)),
        };
        let lead = Lead { feed: &self.feed.config.url, origins: &self.feed.config.page_origins, page, to };
        let found = self.poller.outbound.lead(&lead).map_err(|e| failed(e.to_string(), false))?;
        let own = matches!(next, Next::Param(..)) && found == self.at.next;
        Ok(if rules::at_end(own, records).map_err(|e| failed(e, false))? { None } else { Some(found) })
    }

    /// Closes what the pull did not name, now that all its pages are in.
    async fn complete(&mut self) -> Result<(), Stop> {
        let (poller, config) = (self.poller, &self.feed.config);
        let Ingest { hold_share, .. } = poller.ingest;
        let count = |name: &str| self.at.totals[name].as_u64().unwrap_or(0);
        let share = rules::share(config.hold_share.unwrap_or(hold_share), count("received"), count("unnamed"));
        let answer = match poller.ingest.complete(config.platform.clone(), self.at.run.clone(), share, poller.clock.now()).await {
            Ok(answer) => answer,
            Err(e) => return Err(self.refused(e).await),
        };
        self.at.totals["closed"] = json!(count("closed") + answer["closed"].as_u64().unwrap_or(0));
        let mut held = answer["held"].clone();
        // Its platform reads the list of what would be closed; here the count is enough.
        held.as_object_mut().map(|held| held.remove("diff"));
        self.at.totals["held"] = held;
        Ok(())
    }

    /// Why something was not taken in.
    async fn refused(&self, e: BatchError) -> Stop {
        match e {
            BatchError::Store(e) => Stop::Store(e),
            BatchError::RunEnded => match self.poller.store.hold_feed(self.claim, LEASE, self.poller.clock.now()).await {
                Ok(true) => failed("its run was ended by somebody else", false),
                Ok(false) => Stop::Lost,
                Err(e) => Stop::Store(e),
            },
            _ => failed("it could not be taken in", true),
        }
    }
}

/// What the names of a feed's runs begin with.
fn prefix(claim: &Claim) -> String {
    format!("{}@", claim.hold.name)
}

/// A content type without its parameters, as far as it may be shown.
fn essence(kind: &str) -> String {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.chars().filter(|c| c.is_ascii_graphic()).take(60).collect()
}

/// Adds a page's answer to what the pull came to so far.
fn add(totals: &mut Value, answer: &Value) {
    for name in ["received", "created", "updated", "unchanged", "closed", "skipped"] {
        totals[name] = json!(totals[name].as_u64().unwrap_or(0) + answer[name].as_u64().unwrap_or(0));
    }
    let rejected = answer["rejected"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The whole record could not be read, so that nobody knows which one it was.
    let unnamed = rejected.iter().filter(|r| r["source_id"].is_null() && r["pointer"] == "").count();
    for (name, n) in [("rejected", rejected.len()), ("unnamed", unnamed)] {
        totals[name] = json!(totals[name].as_u64().unwrap_or(0) + n as u64);
    }
    let mut kept = totals["rejects"].as_array().cloned().unwrap_or_default();
    kept.extend(rejected.iter().take(REJECTS_KEPT.saturating_sub(kept.len())).cloned());
    totals["rejects"] = json!(kept);
    totals["held"] = Value::Null;
}
