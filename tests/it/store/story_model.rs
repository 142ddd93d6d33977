//! Postings, offers, seats and hires against a small reference, over very many short
//! random stories that happen side by side, so that they share commits as callers do.

use super::*;
use crate::harness::{a_posting, on_every_engine};
use OfferState::{Accepted, Declined, Expired, Hired, NotSelected, Offered, Seen, Waitlisted, Withdrawn};
use doorstep::domain::posting::Status;
use doorstep::store::readers::Readers;
use std::collections::HashMap;

on_every_engine![any_story_ends_as_the_reference_says];

const POSTINGS: usize = 2;
const PEOPLE: usize = 3;
const ROUNDS: usize = 14;
/// Some rounds, so that who was promoted, or offered work, can answer in a later one.
const HELD: Duration = Duration::from_secs(100 * 3600);
const ANSWERED: Duration = Duration::from_secs(200 * 3600);
/// Reports of one round lie on another day than those of the last.
const ROUND: Duration = Duration::from_secs(25 * 3600);

/// One offer, as the reference knows it.
#[derive(Clone, Copy)]
struct Told {
    id: OfferId,
    state: OfferState,
    promoted: bool,
    expires: Moment,
    turn: usize,
}

/// A hire: whether it started, and is over.
#[derive(Clone, Copy, Default)]
struct Work {
    started: bool,
    over: bool,
}

type Transitions = HashMap<(OfferState, OfferState), usize>;

/// The rules, told once more in the plainest way.
struct Story {
    ids: [PostingId; POSTINGS],
    sources: [String; POSTINGS],
    people: [(WorkerId, u32); PEOPLE],
    total: [usize; POSTINGS],
    closed: [bool; POSTINGS],
    offers: [[Option<Told>; PEOPLE]; POSTINGS],
    hires: [[Option<Work>; PEOPLE]; POSTINGS],
    looking: [bool; PEOPLE],
    turns: usize,
    moved: Transitions,
    told: Vec<String>,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Act {
    Offer,
    See,
    Accept,
    Decline,
    Report(HireStatus),
    Openings(usize),
    Close,
    Push,
}

impl Story {
    fn holds(&self, p: usize, w: usize) -> bool {
        self.offers[p][w].is_some_and(|o| o.state.seated() || (o.promoted && o.state.unanswered()))
    }

    fn taken(&self, p: usize) -> usize {
        (0..PEOPLE).filter(|w| self.holds(p, *w)).count()
    }

    fn openings(&self, p: usize) -> usize {
        self.total[p].max(self.taken(p))
    }

    fn status(&self, p: usize) -> Status {
        match (self.closed[p], self.taken(p) >= self.total[p]) {
            (true, _) => Status::Closed,
            (_, true) => Status::Filled,
            _ => Status::Open,
        }
    }

    fn set(&mut self, p: usize, w: usize, state: OfferState) {
        let o = self.offers[p][w].as_mut().expect("an offer of this story");
        if o.state != state {
            *self.moved.entry((o.state, state)).or_default() += 1;
            o.state = state;
        }
    }

    /// Holds free seats for those who wait, first come first served.
    fn settle(&mut self, p: usize, now: Moment) {
        while !self.closed[p] && self.taken(p) < self.openings(p) {
            let waiting = (0..PEOPLE).filter(|w| self.offers[p][*w].is_some_and(|o| o.state == Waitlisted));
            let Some(first) = waiting.min_by_key(|w| self.offers[p][*w].map(|o| o.turn)) else { return };
            self.set(p, first, Offered);
            let o = self.offers[p][first].as_mut().expect("who waits has an offer");
            (o.promoted, o.expires) = (true, now.plus(HELD));
        }
    }

    /// What can happen to this pair now.
    fn acts(&self, p: usize, w: usize) -> Vec<Act> {
        let mut acts = match (self.offers[p][w].map(|o| o.state), self.hires[p][w]) {
            (None, _) if self.status(p) == Status::Open && self.looking[w] => vec![Act::Offer; 6],
            (None, _) => vec![],
            (Some(Offered), _) => {
                [vec![Act::See; 2], vec![Act::Accept; 3], vec![Act::Decline, Act::Report(HireStatus::NotSelected)]].concat()
            }
            (Some(Seen), _) => [vec![Act::Accept; 4], vec![Act::Decline, Act::Report(HireStatus::NotSelected)]].concat(),
            (Some(Accepted | Waitlisted), _) => {
                vec![Act::Accept, Act::Decline, Act::Report(HireStatus::NotSelected), Act::Report(HireStatus::Withdrawn)]
            }
            (Some(Hired), Some(Work { over: false, .. })) => {
                vec![Act::Report(HireStatus::Withdrawn), Act::Report(HireStatus::Ended), Act::Report(HireStatus::Active)]
            }
            (Some(Declined), _) => vec![Act::Decline],
            (Some(Expired | NotSelected | Withdrawn | Hired), _) => vec![],
        };
        if self.offers[p][w].is_some() {
            acts.extend([Act::Report(HireStatus::Hired), Act::Report(HireStatus::Onboarded)]);
        }
        acts
    }

    /// What the platform can do to a posting.
    fn posting_acts(&self, p: usize) -> Vec<Act> {
        if self.closed[p] { vec![Act::Push] } else { vec![Act::Openings(1), Act::Openings(1), Act::Openings(2), Act::Close] }
    }

    /// The act's consequences, by the rules.
    fn follows(&mut self, p: usize, w: usize, act: Act, now: Moment) {
        match act {
            Act::Offer => {} // Its id is the store's.
            Act::See => (0..POSTINGS)
                .filter(|p| self.offers[*p][w].is_some_and(|o| o.state == Offered))
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|p| self.set(p, w, Seen)),
            Act::Accept if self.offers[p][w].is_some_and(|o| o.state.unanswered()) => {
                let seat = self.holds(p, w) || self.taken(p) < self.openings(p);
                self.set(p, w, if seat { Accepted } else { Waitlisted });
                self.turns += 1;
                self.offers[p][w].as_mut().expect("an offer").turn = self.turns;
            }
            Act::Accept => {}
            Act::Decline => self.set(p, w, Declined),
            Act::Openings(n) => self.total[p] = n,
            Act::Push => self.closed[p] = false,
            Act::Close => {
                self.closed[p] = true;
                for w in 0..PEOPLE {
                    if self.offers[p][w].is_some_and(|o| o.state.unanswered() || o.state == Waitlisted) {
                        self.set(p, w, Withdrawn);
                    }
                }
            }
            Act::Report(HireStatus::NotSelected) => self.set(p, w, NotSelected),
            Act::Report(HireStatus::Withdrawn | HireStatus::Ended) => {
                let hire = self.hires[p][w].filter(|hire| !hire.over);
                if let Some(hire) = hire {
                    self.hires[p][w] = Some(Work { over: true, ..hire });
                    self.looking[w] |= !(0..POSTINGS).any(|p| self.hires[p][w].is_some_and(|h| h.started && !h.over));
                }
                if matches!(act, Act::Report(HireStatus::Withdrawn)) {
                    self.set(p, w, Withdrawn);
                }
            }
            Act::Report(what) => {
                let hire = self.hires[p][w].filter(|hire| !hire.over).unwrap_or_default();
                let started = hire.started || what != HireStatus::Hired;
                self.hires[p][w] = Some(Work { started, over: false });
                self.set(p, w, Hired);
                let begins = started && !hire.started;
                for other in (0..POSTINGS).filter(|other| *other != p && begins).collect::<Vec<_>>() {
                    if self.offers[other][w].is_some_and(|o| matches!(o.state, Accepted | Waitlisted)) {
                        self.set(other, w, Declined);
                        self.settle(other, now);
                    }
                }
                self.looking[w] &= what == HireStatus::Hired;
            }
        }
        self.settle(p, now);
    }

    fn expires(&mut self, now: Moment) {
        for p in 0..POSTINGS {
            for w in 0..PEOPLE {
                if self.offers[p][w].is_some_and(|o| o.state.unanswered() && o.expires <= now) {
                    self.set(p, w, Expired);
                }
            }
            self.settle(p, now);
        }
    }
}

impl Bench {
    /// One act, to the store and to the reference.
    async fn acts(&self, story: &mut Story, seed: u64, now: Moment) {
        let mut draw = doorstep::domain::ranking::mix(seed);
        let mut below = |n: usize| {
            draw = doorstep::domain::ranking::mix(draw);
            (draw % n as u64) as usize
        };
        let (p, w) = (below(POSTINGS), below(PEOPLE));
        let acts = if below(5) == 0 { story.posting_acts(p) } else { story.acts(p, w) };
        if acts.is_empty() {
            return;
        }
        let act = acts[below(acts.len())];
        story.told.push(format!("{act:?} posting {p} person {w}"));
        let ((worker, handle), offer) = (story.people[w], story.offers[p][w]);
        let late = |told: &Story| told.told.join("\n");
        story.follows(p, w, act, now);
        match act {
            Act::Offer => {
                let grounds = Grounds::parse("1;;0;0;;;").expect("grounds");
                let candidates = vec![Candidate { handle, grounds, reserved: false }];
                let wave = Wave { posting: story.ids[p], lease: None, candidates, exhausted: true, more: false };
                let terms = WaveTerms { answer_within: ANSWERED, ..TERMS };
                let issued = self.store.issue_offers(vec![wave], terms, now).await.unwrap().remove(0);
                let [(id, _)] = issued.offered[..] else { panic!("{issued:?}\n{}", late(story)) };
                story.offers[p][w] = Some(Told { id, state: Offered, promoted: false, expires: now.plus(ANSWERED), turn: 0 });
            }
            Act::See => drop(self.store.mark_seen(worker, now).await.unwrap()),
            Act::Accept | Act::Decline => {
                let answering = Answering { promoted_within: HELD, ..self.answering(offer.expect("an offer").id, worker) };
                let answer = match act {
                    Act::Accept => self.store.accept_offer(answering, now).await,
                    _ => self.store.decline_offer(answering, now).await,
                };
                let answer = answer.unwrap().unwrap_or_else(|refusal| panic!("{refusal:?}\n{}", late(story)));
                assert_eq!(Some(answer.state), story.offers[p][w].map(|o| o.state), "{}", late(story));
            }
            Act::Report(what) => {
                let report = StatusReport { at: now, ..status(what, "2020-06-15") };
                let slice = Arc::new(vec![Report { subject: Subject::Offer(offer.expect("an offer").id), report }]);
                let terms = HireTerms {
                    platform: PLATFORM.to_owned(),
                    share: PlatformConfig::default(),
                    promoted_within: HELD,
                    displaced_for: HOUR,
                };
                let told = self.store.report_hires(terms, slice, None, now).await.unwrap()[0];
                assert!(!matches!(told, Reported::Rejected(_) | Reported::Unchanged(_)), "{told:?}\n{}", late(story));
            }
            Act::Openings(_) | Act::Push => {
                let draft = a_posting().source_id(&story.sources[p]).openings(story.total[p] as u32);
                let slice = Slice { promoted_within: HELD, ..self.slice(&[draft]) };
                self.store.upsert_postings(slice, None, now).await.unwrap().unwrap();
            }
            Act::Close => drop(self.store.close_posting(PLATFORM.to_owned(), story.ids[p], HELD, now).await.unwrap()),
        }
    }

    /// Everything in the store is as the stories say.
    async fn all_agree(&self, reader: &Readers, stories: &[Story]) {
        let offers = reader.read(|s| {
            let rows = s.query("SELECT id, state, promoted FROM offers", &[])?;
            rows.iter().map(|r| Ok((r.uuid(0)?, (r.text(1)?.to_owned(), r.flag(2)?)))).collect::<Result<HashMap<_, _>, _>>()
        });
        let postings = reader.read(|s| {
            let rows = s.query("SELECT id, taken, openings, status FROM postings", &[])?;
            rows.iter().map(|r| Ok((r.uuid(0)?, (r.count(1)?, r.count(2)?, r.text(3)?.to_owned())))).collect::<Result<HashMap<_, _>, _>>()
        });
        let (offers, postings) = (offers.await.unwrap(), postings.await.unwrap());
        let mut made = 0;
        for story in stories {
            let told = || story.told.join("\n");
            for p in 0..POSTINGS {
                let seats = (story.taken(p) as u32, story.openings(p) as u32, story.status(p).code().to_owned());
                assert_eq!(postings.get(&story.ids[p].uuid()), Some(&seats), "posting {p}\n{}", told());
                for o in story.offers[p].iter().flatten() {
                    made += 1;
                    assert_eq!(offers.get(&o.id.uuid()), Some(&(o.state.code().to_owned(), o.promoted)), "posting {p}\n{}", told());
                }
            }
        }
        assert_eq!(made, offers.len(), "no offer is there that nobody made");
    }

    async fn stories(&self, n: usize) -> Vec<Story> {
        let titled = |story: usize, p: usize| format!("S-{story}-{p}");
        let drafts: Vec<PostingDraft> = (0..n)
            .flat_map(|story| {
                (0..POSTINGS).map(move |p| a_posting().source_id(&titled(story, p)).with("title", titled(story, p).into()).openings(1))
            })
            .collect();
        let mut people = Vec::new();
        for _ in (0..n * PEOPLE).step_by(5_000) {
            people.extend(self.people(5_000.min(n * PEOPLE - people.len())).await);
        }
        for slice in drafts.chunks(500) {
            self.upsert(slice, noon()).await;
        }
        let reader = self.reader().await;
        let ids = reader.read(|s| {
            let rows = s.query("SELECT source_id, id FROM postings", &[])?;
            rows.iter().map(|r| Ok((r.text(0)?.to_owned(), PostingId::new(r.uuid(1)?)))).collect::<Result<HashMap<_, _>, _>>()
        });
        let handles = reader.read(|s| {
            let rows = s.query("SELECT id, handle FROM workers", &[])?;
            rows.iter().map(|r| Ok((r.uuid(0)?, r.count(1)?))).collect::<Result<HashMap<_, _>, _>>()
        });
        let (ids, handles) = (ids.await.unwrap(), handles.await.unwrap());
        let story = |story: usize| Story {
            ids: std::array::from_fn(|p| ids[&titled(story, p)]),
            sources: std::array::from_fn(|p| titled(story, p)),
            people: std::array::from_fn(|w| (people[story * PEOPLE + w], handles[&people[story * PEOPLE + w].uuid()])),
            total: [1; POSTINGS],
            closed: [false; POSTINGS],
            offers: [[None; PEOPLE]; POSTINGS],
            hires: [[None; PEOPLE]; POSTINGS],
            looking: [true; PEOPLE],
            turns: 0,
            moved: HashMap::new(),
            told: vec![format!("story {story}")],
        };
        (0..n).map(story).collect()
    }

    async fn reader(&self) -> Readers {
        let url = self.place.url.clone();
        let open = move || Readers::start(doorstep::store::engine_of(&url).unwrap(), 1).unwrap();
        tokio::task::spawn_blocking(open).await.unwrap()
    }
}

async fn any_story_ends_as_the_reference_says(engine: Engine) {
    // The same code decides on both engines; what differs is how it is kept apart.
    let n = match engine {
        Engine::Sqlite => 20_000,
        Engine::Postgres => 1_000,
    };
    let b = bench(engine).await;
    let (mut stories, reader) = (b.stories(n).await, b.reader().await);
    let mut now = noon();
    for round in 0..ROUNDS as u64 {
        now = now.plus(ROUND);
        while b.store.expire_offers(HELD, now).await.unwrap() > 0 {}
        stories.iter_mut().for_each(|story| story.expires(now));
        let acts = stories.iter_mut().zip(0..).map(|(story, at)| b.acts(story, at * ROUNDS as u64 + round, now));
        futures_util::future::join_all(acts).await;
        b.all_agree(&reader, &stories).await;
    }
    let mut moved = Transitions::new();
    for (change, times) in stories.iter().flat_map(|story| &story.moved) {
        *moved.entry(*change).or_default() += times;
    }
    let mut kinds = 0;
    for from in OfferState::ALL {
        for to in OfferState::ALL.into_iter().filter(|to| *to != from) {
            let times = moved.get(&(from, to)).copied().unwrap_or(0);
            let can = possible(from, to);
            assert!(times == 0 || can, "{from:?} became {to:?}");
            assert!(times >= n / 200 || !can, "{from:?} became {to:?} {times} times");
            kinds += usize::from(can);
        }
    }
    println!("{n} stories of {ROUNDS} rounds, each of {kinds} transitions at least {} times", moved.values().min().unwrap());
}

/// Whether some event leads from one state to the other, by the gateway's own table.
fn possible(from: OfferState, to: OfferState) -> bool {
    use doorstep::domain::offer::OfferEvent as E;
    let events =
        [E::See, E::Accept { seat: true }, E::Accept { seat: false }, E::Decline, E::Expire, E::Withdraw, E::Promote, E::Hire, E::Reject];
    events.into_iter().any(|event| from.next(event) == Ok(to))
}
