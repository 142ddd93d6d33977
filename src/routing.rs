//! Turns open postings into offers for the workers they suit.
//!
//! Promises: a worker never holds two offers for one posting or its group; there
//! are never more unanswered offers than the free openings times
//! `routing.overbook`; the store's conditional statement decides, the index only
//! proposes.
//! Does not: decide who is eligible (`domain::eligibility`) or in which order
//! (`domain::ranking`), or send anything.
//! Start at: [`Router::route_due`].

mod bounded;
mod chunk;
mod explain;
mod kernel;
mod lanes;
mod national;
#[cfg(test)]
mod oracle;
mod own;
pub mod plain;
mod plan;
mod record;
mod scarcity;
mod search;
mod sequence;
mod snapshot;
mod start;
mod tidy;
mod upkeep;
mod window;
mod world;

pub use explain::{Condition, Explanation};
pub use kernel::Path;
pub use national::{National, Packed, packed};
pub use scarcity::Scarcity;
pub use search::Scratch;
pub use snapshot::{Mark, SnapshotFault, read as read_snapshot, write as write_snapshot};

use crate::config::Config;
use crate::domain::eligibility::{Question, Step, Terms};
use crate::domain::id::PostingId;
use crate::domain::posting::Status;
use crate::domain::ranking::{self, Match};
use crate::domain::region::{FocusSet, Region, focus_set};
use crate::domain::time::Moment;
use crate::domain::worker::Seeker;
use crate::store::postings::Posting;
use crate::store::wants::Wants;
use crate::store::waves::{RoutingState, Wanted, Wave, WaveTerms};
use crate::store::work::{Kind, Lease};
use crate::store::workers::Stale;
use crate::store::{Store, StoreError};
use arc_swap::ArcSwap;
use own::Own;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;
#[cfg(test)]
use window::best_with_floor;
use window::{Choosing, Slices, Wanting};

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
/// Postings routed together, scarcest first: a nation's batch is one window.
const WINDOW: i64 = 10_000;
/// While such a window is being routed, so many others come before its next part.
const BETWEEN: i64 = 64;
/// Offers of one part.
const PART: u64 = 2_500;
/// Postings read at once.
const READ: usize = 500;
/// Transactions that are chosen before they are made.
const AHEAD: usize = 2;

/// Routes postings of one store.
pub struct Router {
    store: Store,
    index: ArcSwap<National>,
    /// The change up to which the index stands; below 0 before the first load.
    position: AtomicI64,
    catching_up: tokio::sync::Mutex<()>,
    /// What is left of a large window, scarcest first.
    waiting: tokio::sync::Mutex<VecDeque<Wanting>>,
    /// The waves that this node made.
    own: Own,
    /// Offers were counted in the index that may not have been made.
    unsettled: AtomicBool,
    /// Where the index is kept, the change up to which the file stands, and whether
    /// the index came from it.
    snapshot: Option<PathBuf>,
    saved: AtomicI64,
    restored: AtomicBool,
    sets: Vec<String>,
    focus: Vec<&'static FocusSet>,
    /// The share of a wave that goes first to people in focus.
    floor_share: f64,
    terms: WaveTerms,
}

impl Router {
    pub fn new(store: Store, config: &Config) -> Self {
        let r = &config.routing;
        Self {
            store,
            index: ArcSwap::from_pointee(National::new(&r.focus_sets, r.cap)),
            position: AtomicI64::new(-1),
            catching_up: tokio::sync::Mutex::default(),
            waiting: tokio::sync::Mutex::default(),
            own: Own::default(),
            unsettled: false.into(),
            snapshot: start::place(config),
            saved: 0.into(),
            restored: false.into(),
            sets: r.focus_sets.clone(),
            focus: r.focus_sets.iter().filter_map(|name| focus_set(name)).collect(),
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

    fn index(&self) -> Arc<National> {
        self.index.load_full()
    }

    /// Brings the index up to the store's last change.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let _one = self.catching_up.lock().await;
        if self.position.load(Ordering::Acquire) < 0 {
            self.load().await?;
        }
        loop {
            let from = self.position.load(Ordering::Acquire);
            let changes = self.store.changes_after(from, 5000).await?;
            let Some(last) = changes.last().map(|c| c.seq) else { break };
            let ids: HashSet<Uuid> = changes.iter().filter(|c| c.kind == "worker").map(|c| c.id).collect();
            let waves = changes.iter().filter(|c| c.kind == "wave" && !self.own.is_one(c.id)).map(|c| (c.id, c.version)).collect();
            self.read_again(Stale { ids: ids.into_iter().collect(), waves, handles: Vec::new() }).await?;
            self.position.store(last, Ordering::Release);
        }
        let handles = self.own.miscounted();
        let read = self.read_again(Stale { handles: handles.clone(), ..Stale::default() }).await;
        if read.is_err() {
            self.own.miscount(handles);
        }
        read
    }

    /// Brings the index up to the store where it may be wrong.
    async fn read_again(&self, stale: Stale) -> Result<(), StoreError> {
        if stale.ids.is_empty() && stale.handles.is_empty() && stale.waves.is_empty() {
            return Ok(());
        }
        self.index().apply(self.store.seekers(stale).await?);
        Ok(())
    }

    /// How many changes the index has not seen; none before the first load.
    pub async fn behind(&self) -> Result<Option<i64>, StoreError> {
        let position = self.position.load(Ordering::Acquire);
        Ok(if position < 0 { None } else { Some(self.store.last_change().await? - position) })
    }

    /// Workers in the index.
    pub fn known_workers(&self) -> usize {
        self.index().len()
    }

    /// Routes due postings, scarcest first; says how many. Of a large window one part
    /// is routed, and what has become due meanwhile comes between: call it again until
    /// it says none.
    pub async fn route_due(&self, now: Moment) -> Result<usize, StoreError> {
        let mut waiting = self.waiting.lock().await;
        if waiting.is_empty() {
            *waiting = self.take(WINDOW, now).await?.into();
        }
        let chosen = window::part(&mut waiting, PART);
        if chosen.is_empty() {
            return Ok(0);
        }
        let routed = chosen.len();
        // While their offers are made, what comes next is read.
        let most = if waiting.is_empty() { WINDOW } else { BETWEEN };
        let (offered, next) = tokio::join!(self.offer(chosen, now), self.take(most, now));
        next?.into_iter().rev().for_each(|one| waiting.push_front(one));
        offered.map(|()| routed)
    }

    /// Takes due postings, and reads what they ask for.
    async fn take(&self, most: i64, now: Moment) -> Result<Vec<Wanting>, StoreError> {
        let leases = self.store.take_work(Kind::Route, most, LEASE, now).await?;
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.catch_up().await?;
        self.ask(leases, now).await
    }

    /// Reads what postings ask for, and puts them into the order in which they choose.
    async fn ask(&self, leases: Vec<Lease>, now: Moment) -> Result<Vec<Wanting>, StoreError> {
        let mut asked = Vec::with_capacity(leases.len());
        for some in leases.chunks(READ) {
            let ids: Vec<PostingId> = some.iter().map(|lease| PostingId::new(lease.key)).collect();
            let wanted = self.store.wanted_offers(ids, self.terms).await?;
            asked.extend(some.iter().zip(wanted).map(|(lease, known)| match known {
                Some(wanted) => Wanting::new(*lease, routable(&wanted), wanted.wants, wanted.excluded),
                None => Wanting::new(*lease, None, Wants::default(), Vec::new()),
            }));
        }
        let wanted: u64 = asked.iter().map(|a| u64::from(a.wanted)).sum();
        if wanted > PART {
            // A thousand offers a second, should the store be slow.
            let long = LEASE + Duration::from_millis(wanted);
            self.store.keep_work(leases, now.plus(long)).await?;
        }
        let (index, terms) = (self.index(), self.terms(now));
        off(move || window::scarcest_first(asked, &*index, terms)).await
    }

    /// Chooses candidates and makes their offers, the one beside the other.
    async fn offer(&self, chosen: Vec<Wanting>, now: Moment) -> Result<(), StoreError> {
        let (index, focus, terms, floor_share) = (self.index(), self.focus.clone(), self.terms(now), self.floor_share);
        let (made, mut slices) = tokio::sync::mpsc::channel(AHEAD);
        self.unsettled.store(true, Ordering::Release);
        let choosing = off(move || {
            let choosing = Choosing { index: &*index, focus: &focus, floor_share, terms };
            let mut cut = Slices::default();
            // Nobody takes them only where an offer before them failed.
            let mut hand_out = |slice| drop(made.blocking_send(slice));
            chosen.into_iter().for_each(|asked| cut.add(choosing.wave(asked), &mut hand_out));
            hand_out(cut.rest());
        });
        // One at a time: whoever answers an offer waits behind it.
        let issue = async {
            while let Some(slice) = slices.recv().await {
                self.issue(slice, now).await?;
            }
            Ok(())
        };
        tokio::try_join!(choosing, issue)?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// Makes the offers of one transaction, and notes whom the index counts wrongly
    /// after it.
    async fn issue(&self, slice: Vec<Wave>, now: Moment) -> Result<(), StoreError> {
        let reserved: Vec<u32> = slice.iter().flat_map(|w| &w.candidates).filter(|c| c.reserved).map(|c| c.handle).collect();
        let postings: Vec<Uuid> = slice.iter().map(|wave| wave.posting.uuid()).collect();
        self.own.expect(&postings);
        let issued = self.store.issue_offers(slice, self.terms, now).await;
        let Ok(issued) = issued else {
            self.own.forget(postings.into_iter());
            self.own.miscount(reserved);
            return issued.map(drop);
        };
        self.own.forget(postings.into_iter().zip(&issued).filter(|(_, i)| i.offered.is_empty()).map(|(posting, _)| posting));
        let offered = issued.iter().flat_map(|i| &i.offered).map(|(_, handle)| *handle);
        let refused: Vec<u32> = issued.iter().flat_map(|i| &i.refused).copied().collect();
        metrics::counter!("doorstep_offers_total").increment(offered.clone().count() as u64);
        metrics::counter!("doorstep_offers_refused_total").increment(refused.len() as u64);
        let mut balance: HashMap<u32, i64> = HashMap::with_capacity(reserved.len());
        reserved.into_iter().for_each(|handle| *balance.entry(handle).or_default() += 1);
        offered.for_each(|handle| *balance.entry(handle).or_default() -= 1);
        self.own.miscount(balance.into_iter().filter(|(_, n)| *n != 0).map(|(handle, _)| handle).chain(refused).collect());
        Ok(())
    }

    /// The funnel of a posting, and what has become of its offers.
    pub async fn funnel(&self, id: PostingId, now: Moment) -> Result<Option<([u64; Step::ALL.len()], RoutingState)>, StoreError> {
        self.catch_up().await?;
        let Some((posting, state)) = self.store.routing_state(id, self.terms).await? else { return Ok(None) };
        let (index, terms) = (self.index(), self.terms(now));
        let count = move || question(&posting).map_or([0; Step::ALL.len()], |q| index.funnel(&q, terms));
        let passed = tokio::task::spawn_blocking(count).await.map_err(|e| StoreError::Statement(e.to_string()))?;
        Ok(Some((passed, state)))
    }
}

/// Runs what takes a while on a thread that may be busy.
async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Statement(e.to_string()))
}

fn question(posting: &Posting) -> Option<Question> {
    // The seed follows from what the posting is called, so that a replay breaks
    // ties as the first run did.
    let name = posting.platform.bytes().chain([0]).chain(posting.content.source_id.bytes());
    Question::of(&posting.content, name.fold(0, |seed, byte| ranking::mix(seed ^ u64::from(byte))))
}

/// The question of a posting that is open, wants offers and may be routed.
fn routable(wanted: &Wanted) -> Option<Question> {
    let posting = &wanted.posting;
    (posting.status == Status::Open && wanted.wants.offers > 0 && !posting.held).then(|| question(posting)).flatten()
}
