//! Turns open postings into offers for the workers they suit.
//!
//! Promises: a worker never holds two offers for one posting or its group; there
//! are never more unanswered offers than the free openings times
//! `routing.overbook`; the store's conditional statement decides, the index only
//! proposes.
//! Does not: decide who is eligible (`domain::eligibility`) or in which order
//! (`domain::ranking`), or send anything.
//! Start at: [`Router::route_due`].

mod chunk;
mod explain;
mod kernel;
mod lanes;
mod national;
#[cfg(test)]
mod oracle;
pub mod plain;
mod record;
mod scarcity;
mod search;
mod upkeep;
mod world;

pub use explain::{Condition, Explanation};
pub use kernel::Path;
pub use national::{National, Packed, packed};
pub use scarcity::Scarcity;
pub use search::Scratch;

use crate::config::Config;
use crate::domain::eligibility::{Question, Step, Terms};
use crate::domain::id::PostingId;
use crate::domain::posting::Status;
use crate::domain::ranking::{self, Match};
use crate::domain::region::{Region, focus_set};
use crate::domain::time::Moment;
use crate::domain::worker::Seeker;
use crate::store::postings::Posting;
use crate::store::waves::{Candidate, RoutingState, Wave, WaveTerms};
use crate::store::work::{Kind, Lease};
use crate::store::{Store, StoreError};
use futures_util::StreamExt;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Finds workers for a posting. Readers may ask while the one writer applies.
pub trait Index: Send + Sync {
    /// Takes in everybody, each once; nobody is known before.
    fn load(&self, seekers: Vec<Seeker>);
    /// Takes in the present state of workers.
    fn apply(&self, seekers: Vec<Seeker>);
    /// The best `k` eligible workers of these, best first, without the excluded.
    fn best(&self, of: Of, q: &Question, k: usize, exclude: &[u32], terms: Terms) -> Found;
    /// About how many are eligible: exact where they are fewer than `enough`.
    fn about(&self, q: &Question, enough: usize, terms: Terms) -> u64;
    /// For each step, how many workers pass it and all before.
    fn funnel(&self, q: &Question, terms: Terms) -> [u64; Step::ALL.len()];
    /// Counts an offer that is on its way to the store.
    fn reserve(&self, handles: &[u32]);
    /// Workers known.
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Among whom the best are sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Everybody,
    /// The people of the focus sets.
    Focus,
}

/// What is asked of an index.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub of: Of,
    pub question: &'a Question,
    pub k: usize,
    pub exclude: &'a [u32],
    pub terms: Terms,
}

/// What an index found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Best first.
    pub matches: Vec<Match>,
    /// There is nobody else who is eligible.
    pub exhausted: bool,
}

/// The title of the first of these sets that holds a home.
pub fn focus_title(sets: &[String], home: Region) -> Option<&'static str> {
    sets.iter().filter_map(|name| focus_set(name)).find(|set| set.contains(home)).map(|set| set.title_zh)
}

/// How long a taken posting stays with the node that took it.
pub const LEASE: Duration = Duration::from_secs(30);
/// Postings routed together, scarcest first.
const WINDOW: i64 = 256;
/// Candidates of one transaction: answers wait behind it.
const SLICE: usize = 200;
/// Transactions that wait for the writer at once.
const AHEAD: usize = 2;

/// Routes postings of one store.
pub struct Router {
    store: Store,
    index: Arc<dyn Index>,
    /// The change up to which the index stands; below 0 before the first load.
    position: AtomicI64,
    catching_up: tokio::sync::Mutex<()>,
    focus: Vec<String>,
    /// The share of a wave that goes first to people in focus.
    floor_share: f64,
    terms: WaveTerms,
}

impl Router {
    pub fn new(store: Store, config: &Config) -> Self {
        let r = &config.routing;
        Self {
            store,
            index: Arc::new(National::new(&r.focus_sets, r.cap)),
            position: AtomicI64::new(-1),
            catching_up: tokio::sync::Mutex::default(),
            focus: r.focus_sets.clone(),
            floor_share: r.floor_share,
            terms: WaveTerms {
                overbook: r.overbook,
                wave_max: r.wave_max,
                cap: r.cap,
                answer_within: config.offer.answer_within,
                recheck: r.recheck,
            },
        }
    }

    fn terms(&self, now: Moment) -> Terms {
        Terms { now: now.ms(), today: now.day(), cap: self.terms.cap }
    }

    /// Brings the index up to the store's last change.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let _one = self.catching_up.lock().await;
        if self.position.load(Ordering::Acquire) < 0 {
            let (seekers, upto) = self.store.all_seekers().await?;
            self.index.load(seekers);
            self.position.store(upto, Ordering::Release);
        }
        loop {
            let from = self.position.load(Ordering::Acquire);
            let changes = self.store.changes_after(from, 5000).await?;
            let Some(last) = changes.last().map(|c| c.seq) else { return Ok(()) };
            let ids: HashSet<_> = changes.iter().filter(|c| c.kind == "worker").map(|c| c.id).collect();
            if !ids.is_empty() {
                self.index.apply(self.store.seekers(ids.into_iter().collect()).await?);
            }
            self.position.store(last, Ordering::Release);
        }
    }

    /// How many changes the index has not seen; none before the first load.
    pub async fn behind(&self) -> Result<Option<i64>, StoreError> {
        let position = self.position.load(Ordering::Acquire);
        Ok(if position < 0 { None } else { Some(self.store.last_change().await? - position) })
    }

    /// Workers in the index.
    pub fn known_workers(&self) -> usize {
        self.index.len()
    }

    /// Routes one window of due postings, scarcest first; says how many.
    pub async fn route_due(&self, now: Moment) -> Result<usize, StoreError> {
        let leases = self.store.take_work(Kind::Route, WINDOW, LEASE, now).await?;
        if leases.is_empty() {
            return Ok(0);
        }
        self.catch_up().await?;
        let ids: Vec<PostingId> = leases.iter().map(|lease| PostingId::new(lease.key)).collect();
        let states = self.store.routing_states(ids, self.terms).await?;
        let waves = self.choose(leases.iter().copied().zip(states).collect(), now).await?;
        let issuing = slices(waves).into_iter().map(|slice| self.store.issue_offers(slice, self.terms, now));
        let mut issuing = futures_util::stream::iter(issuing).buffered(AHEAD);
        while let Some(issued) = issuing.next().await {
            let issued = issued?;
            metrics::counter!("doorstep_offers_total").increment(issued.iter().map(|i| i.offered.len() as u64).sum());
            metrics::counter!("doorstep_offers_refused_total").increment(issued.iter().map(|i| u64::from(i.refused)).sum());
        }
        Ok(leases.len())
    }

    /// Chooses the candidates of a window: scarcest posting first, each choice
    /// counted in the index before the next is made.
    async fn choose(&self, leased: Vec<(Lease, Option<(Posting, RoutingState)>)>, now: Moment) -> Result<Vec<Wave>, StoreError> {
        let (index, focus, terms, floor_share) = (self.index.clone(), self.focus.clone(), self.terms(now), self.floor_share);
        let choose = move || {
            let mut waves = Vec::with_capacity(leased.len());
            let mut asked = Vec::with_capacity(leased.len());
            for (lease, known) in leased {
                let nobody =
                    Wave { posting: PostingId::new(lease.key), lease: Some(lease), candidates: Vec::new(), exhausted: true, more: false };
                match known.and_then(|(posting, state)| Some((routable(&posting, &state)?, state))) {
                    Some((question, state)) => {
                        let scarcity = Scarcity::of(&*index, &question, state.wanted, terms);
                        asked.push((nobody, question, state, scarcity));
                    }
                    None => waves.push(nobody),
                }
            }
            asked.sort_by_key(|(wave, _, _, scarcity)| (*scarcity, wave.posting));
            waves.extend(asked.into_iter().map(|(nobody, q, state, _)| {
                let wanted = state.wanted as usize;
                // A tenth more than wanted, so that a lost race needs no second question.
                let found = best_with_floor(&*index, &q, wanted + wanted.div_ceil(10), floor_share, state.excluded, terms);
                let handles: Vec<u32> = found.matches.iter().take(wanted).map(|m| m.handle).collect();
                index.reserve(&handles);
                let reasons = |m: &Match| ranking::reasons(&q, m, focus_title(&focus, m.home), terms.today);
                let candidates = found.matches.iter().map(|m| Candidate { handle: m.handle, reasons: reasons(m) }).collect();
                Wave { candidates, exhausted: found.exhausted, ..nobody }
            }));
            waves
        };
        tokio::task::spawn_blocking(choose).await.map_err(|e| StoreError::Statement(e.to_string()))
    }

    /// The funnel of a posting, and what has become of its offers.
    pub async fn funnel(&self, id: PostingId, now: Moment) -> Result<Option<([u64; Step::ALL.len()], RoutingState)>, StoreError> {
        self.catch_up().await?;
        let Some((posting, state)) = self.store.routing_state(id, self.terms).await? else { return Ok(None) };
        let (index, terms) = (self.index.clone(), self.terms(now));
        let count = move || question(&posting).map_or([0; Step::ALL.len()], |q| index.funnel(&q, terms));
        let passed = tokio::task::spawn_blocking(count).await.map_err(|e| StoreError::Statement(e.to_string()))?;
        Ok(Some((passed, state)))
    }
}

/// Cuts waves into transactions of at most [`SLICE`] candidates, in their order; a
/// large wave into parts.
fn slices(waves: Vec<Wave>) -> Vec<Vec<Wave>> {
    let mut slices = vec![Vec::new()];
    let mut room = SLICE;
    for wave in waves {
        let Wave { posting, lease, mut candidates, exhausted, .. } = wave;
        loop {
            let rest = candidates.split_off(candidates.len().min(room));
            // A wave without candidates is work for the store as well.
            room -= candidates.len().max(1);
            let more = !rest.is_empty();
            slices
                .last_mut()
                .into_iter()
                .for_each(|slice| slice.push(Wave { posting, lease, candidates: std::mem::take(&mut candidates), exhausted, more }));
            if room == 0 {
                slices.push(Vec::new());
                room = SLICE;
            }
            if !more {
                break;
            }
            candidates = rest;
        }
    }
    slices.retain(|slice| !slice.is_empty());
    slices
}

/// The best of those in focus for a share of the wave, then the best of the rest;
/// all in their order.
fn best_with_floor(index: &dyn Index, q: &Question, k: usize, share: f64, mut excluded: Vec<u32>, terms: Terms) -> Found {
    let floor = ((k as f64 * share).ceil() as usize).min(k);
    let first = if floor > 0 { index.best(Of::Focus, q, floor, &excluded, terms).matches } else { Vec::new() };
    excluded.extend(first.iter().map(|m| m.handle));
    let mut found = index.best(Of::Everybody, q, k - first.len(), &excluded, terms);
    found.matches.extend(first);
    found.matches.sort_unstable_by_key(|m| (m.key, m.handle));
    found
}

fn question(posting: &Posting) -> Option<Question> {
    // The seed follows from what the posting is called, so that a replay breaks
    // ties as the first run did.
    let name = posting.platform.bytes().chain([0]).chain(posting.content.source_id.bytes());
    Question::of(&posting.content, name.fold(0, |seed, byte| ranking::mix(seed ^ u64::from(byte))))
}

/// The question of a posting that is open, wants offers and may be routed.
fn routable(posting: &Posting, state: &RoutingState) -> Option<Question> {
    (posting.status == Status::Open && state.wanted > 0 && !posting.held).then(|| question(posting)).flatten()
}
