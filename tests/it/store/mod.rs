//! Every fact of the store, on every engine.

mod beside;
mod clients;
mod convergence;
mod counties;
mod county_model;
mod events;
mod hires;
mod log;
mod names;
mod offers;
mod once;
mod postings;
mod sealed;
mod seals;
mod seeking;
mod story_model;
mod webhooks;
mod workers;

use crate::harness::{Engine, Person, Place, PostingDraft, keys, noon};
use doorstep::config::PlatformConfig;
use doorstep::config::keys::Keys;
use doorstep::domain::grounds::Grounds;
use doorstep::domain::hire::{HireStatus, StatusReport};
use doorstep::domain::id::{OfferId, PostingId, WorkerId};
use doorstep::domain::normalize;
use doorstep::domain::offer::OfferState;
use doorstep::domain::region::Region;
use doorstep::domain::time::Moment;
use doorstep::ingest::prepare;
use doorstep::ingest::registry::read_row;
use doorstep::store::answers::{Answerer, Answering, Refusal};
use doorstep::store::hires::{HireTerms, Report, Reported, Subject};
use doorstep::store::ids::Ids;
use doorstep::store::log::Listed;
use doorstep::store::offers::Offer;
use doorstep::store::postings::{Posting, Prepared, Slice, Tally};
use doorstep::store::registry::Registered;
use doorstep::store::waves::{Candidate, Issued, Wave, WaveTerms};
use doorstep::store::{OpenError, Opening, Store};
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// How long somebody promoted has.
const PROMOTED: Duration = Duration::from_secs(24 * 3600);
const COOLDOWN: Duration = Duration::from_secs(6 * 3600);
const PLATFORM: &str = "example";

/// The rules of waves in these tests: as many offers as are asked for.
const TERMS: WaveTerms =
    WaveTerms { overbook: 20.0, wave_max: 600, cap: 3, answer_within: Duration::from_secs(72 * 3600), recheck: Duration::from_secs(600) };

/// A store of its own, with short names for what the tests do to it.
struct Bench {
    store: Store,
    keys: Arc<Keys>,
    place: Place,
}

async fn open_at(url: &str, keys: Arc<Keys>, serve: bool) -> Result<Store, OpenError> {
    let url = url.to_owned();
    let open = move || Store::open(Opening { url: &url, readers: 2, keys, ids: Arc::new(Ids::seeded(7)), stale_months: 3, serve });
    tokio::task::spawn_blocking(open).await.expect("opening does not panic")
}

async fn bench(engine: Engine) -> Bench {
    let (place, keys) = (Place::new(engine), keys());
    let store = open_at(&place.url, keys.clone(), true).await.unwrap_or_else(|e| panic!("{e}"));
    Bench { store, keys, place }
}

fn prepared(draft: &PostingDraft) -> Prepared {
    let record = draft.json();
    let content = normalize::posting(&record, noon().day()).unwrap_or_else(|faults| panic!("{faults:?}"));
    prepare(content, &record)
}

fn accepted(state: &Result<Offer, Refusal>) -> OfferState {
    state.as_ref().unwrap_or_else(|refusal| panic!("{refusal:?}")).state
}

fn status(status: HireStatus, at: &str) -> StatusReport {
    let at = Moment::parse(at).expect("a time");
    StatusReport { status, raw_status: None, at, month: None, monthly_wage: None, work_region: None, reason: None }
}

impl Bench {
    fn slice(&self, drafts: &[PostingDraft]) -> Slice {
        let postings = Arc::new(drafts.iter().map(prepared).collect());
        Slice { platform: PLATFORM.to_owned(), postings, run: None, pull: None, promoted_within: PROMOTED, due: noon(), held: None }
    }

    async fn upsert(&self, drafts: &[PostingDraft], now: Moment) -> Tally {
        self.store.upsert_postings(self.slice(drafts), None, now).await.unwrap().unwrap()
    }

    /// Stores one posting and answers its id.
    async fn post(&self, draft: PostingDraft) -> PostingId {
        self.upsert(std::slice::from_ref(&draft), noon()).await;
        self.find(draft.json()["source_id"].as_str().unwrap()).await.id
    }

    async fn find(&self, source_id: &str) -> Posting {
        let filter = doorstep::store::postings::PostingFilter { source_id: Some(source_id.to_owned()), limit: 10, ..Default::default() };
        let (mut found, total) = self.store.postings(PLATFORM.to_owned(), filter).await.unwrap();
        assert_eq!((found.len(), total), (1, 1), "{source_id}");
        found.remove(0)
    }

    async fn posting(&self, id: PostingId) -> Posting {
        self.store.posting(id).await.unwrap().expect("the posting is there")
    }

    async fn register(&self, people: &[Person], now: Moment) -> Vec<Registered> {
        let read = |p: &Person| read_row(p.json().as_object().unwrap(), now.day(), Region::NATION).unwrap_or_else(|f| panic!("{f:?}"));
        self.store
            .register_workers(Arc::new(people.iter().map(|p| self.store.prepare(read(p))).collect()), None, PROMOTED, now)
            .await
            .unwrap()
    }

    /// Registers `n` people of one county.
    async fn people(&self, n: usize) -> Vec<WorkerId> {
        self.people_of("522624", n).await
    }

    async fn people_of(&self, county: &str, n: usize) -> Vec<WorkerId> {
        let people: Vec<Person> = (0..n).map(|_| crate::harness::in_region(county)).collect();
        let id = |r: Registered| match r {
            Registered::Created(id) => id,
            other => panic!("{other:?}"),
        };
        self.register(&people, noon()).await.into_iter().map(id).collect()
    }

    async fn person(&self) -> WorkerId {
        self.people(1).await[0]
    }

    async fn handle(&self, worker: WorkerId) -> u32 {
        self.store.seeker(worker).await.unwrap().expect("registered").handle
    }

    async fn wave(&self, posting: PostingId, workers: &[WorkerId]) -> Wave {
        let mut candidates = Vec::new();
        for worker in workers {
            let grounds = Grounds::parse("1;;0;0;;;").expect("grounds");
            candidates.push(Candidate { handle: self.handle(*worker).await, grounds, reserved: false });
        }
        Wave { posting, lease: None, candidates, exhausted: true, more: false }
    }

    async fn issue(&self, posting: PostingId, workers: &[WorkerId], now: Moment) -> Issued {
        self.issue_wave(self.wave(posting, workers).await, now).await
    }

    async fn issue_wave(&self, wave: Wave, now: Moment) -> Issued {
        self.store.issue_offers(vec![wave], TERMS, now).await.unwrap().remove(0)
    }

    /// Offers a posting to workers; the offers, in their order.
    async fn offer(&self, posting: PostingId, workers: &[WorkerId]) -> Vec<OfferId> {
        let issued = self.issue(posting, workers, noon()).await;
        assert_eq!(issued.offered.len(), workers.len(), "{issued:?}");
        issued.offered.into_iter().map(|(id, _)| id).collect()
    }

    async fn state(&self, offer: OfferId) -> Offer {
        self.store.offer(offer).await.unwrap().expect("the offer is there")
    }

    fn answering(&self, offer: OfferId, worker: WorkerId) -> Answering {
        let by = Answerer::Worker(worker);
        Answering { offer, by, share_contact: true, reason: None, promoted_within: PROMOTED, cooldown: COOLDOWN }
    }

    async fn accept(&self, offer: OfferId, worker: WorkerId, now: Moment) -> Result<Offer, Refusal> {
        self.store.accept_offer(self.answering(offer, worker), now).await.unwrap()
    }

    async fn decline(&self, offer: OfferId, worker: WorkerId, now: Moment) -> Result<Offer, Refusal> {
        self.store.decline_offer(self.answering(offer, worker), now).await.unwrap()
    }

    async fn report(&self, offer: OfferId, report: StatusReport) -> Reported {
        self.report_at(offer, report, noon()).await
    }

    async fn report_at(&self, offer: OfferId, report: StatusReport, now: Moment) -> Reported {
        let terms = HireTerms {
            platform: PLATFORM.to_owned(),
            share: PlatformConfig::default(),
            promoted_within: PROMOTED,
            displaced_for: HOUR * 24 * 365,
        };
        let slice = Arc::new(vec![Report { subject: Subject::Offer(offer), report }]);
        self.store.report_hires(terms, slice, None, now).await.unwrap()[0]
    }

    async fn events(&self) -> Vec<Listed> {
        self.store.events_page(PLATFORM.to_owned(), None, 1000).await.unwrap().unwrap().events
    }

    async fn event_types(&self) -> Vec<String> {
        self.events().await.into_iter().map(|e| e.kind).collect()
    }
}
