//! A posting whose seats are counted by county against a small reference, over long
//! random stories: offers, answers, hires, give-backs, cuts, moves, time.

use super::counties::{COUNTIES, county, in_counties};
use super::*;
use crate::harness::on_every_engine;
use OfferState::{Accepted, Declined, Expired, Hired, NotSelected, Offered, Waitlisted, Withdrawn};
use doorstep::domain::posting::Status;
use serde_json::{Value, json};

on_every_engine![any_story_ends_as_the_reference_says];

/// People of a story, and what happens in it.
const PEOPLE: usize = 40;
const STEPS: usize = 150;
const WAVES: WaveTerms = WaveTerms { overbook: 2.5, ..TERMS };

/// Draws small numbers from one seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = doorstep::domain::ranking::mix(self.0);
        (self.0 % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Somebody as the reference knows them.
struct Figure {
    id: WorkerId,
    handle: u32,
    person: Person,
    home: usize,
    erased: bool,
    offer: Option<OfferId>,
    state: Option<OfferState>,
    promoted: bool,
    expires: Moment,
    /// Where the seat counts that they hold.
    seat: Option<usize>,
    /// Their turn in the waitlist.
    turn: Option<usize>,
    /// When the platform said so.
    hired: Option<Moment>,
}

/// The rules, told once more in the plainest way.
struct Reference {
    draft: PostingDraft,
    total: usize,
    each: Option<usize>,
    targets: Vec<usize>,
    figures: Vec<Figure>,
    turns: usize,
    now: Moment,
}

impl Reference {
    fn taken(&self) -> usize {
        self.figures.iter().filter(|f| f.seat.is_some()).count()
    }

    fn taken_of(&self, county: usize) -> usize {
        self.figures.iter().filter(|f| f.seat == Some(county)).count()
    }

    fn seat_for(&self, county: usize) -> bool {
        self.taken() < self.total && self.each.is_none_or(|each| self.taken_of(county) < each)
    }

    fn status(&self) -> Status {
        let counties = self.each.is_some_and(|each| self.targets.iter().all(|c| self.taken_of(*c) >= each));
        if self.taken() >= self.total || counties { Status::Filled } else { Status::Open }
    }

    /// Who of these people gets an offer in a wave, by the rules of waves.
    fn wave(&self, people: &[usize]) -> Vec<usize> {
        let most = |free: usize| (free as f64 * WAVES.overbook).ceil() as usize;
        let each = self.each.unwrap_or(usize::MAX >> 16);
        let most_of = |county: usize| most(each.max(self.taken_of(county)) - self.taken_of(county));
        let live = |county: usize| self.figures.iter().filter(|f| f.state == Some(Offered) && !f.promoted && f.home == county).count();
        // Offers to people of a full county are no offers that could become seats.
        let useful: usize = (0..COUNTIES.len()).map(|c| live(c).min(most_of(c))).sum();
        let mut left: Vec<usize> = (0..COUNTIES.len()).map(|c| most_of(c).saturating_sub(live(c))).collect();
        if self.each.is_some() {
            (0..COUNTIES.len()).filter(|c| !self.targets.contains(c)).for_each(|c| left[c] = 0);
        }
        let all = left.iter().fold(0usize, |sum, n| sum.saturating_add(*n));
        let offers = most(self.total.max(self.taken()) - self.taken()).saturating_sub(useful).min(all);
        let mut chosen = Vec::new();
        for n in people.iter().copied() {
            let wanted = &mut left[self.figures[n].home];
            if self.status() == Status::Open && chosen.len() < offers && *wanted > 0 {
                *wanted -= 1;
                chosen.push(n);
            }
        }
        chosen
    }

    /// Holds free seats for those who wait, first come first served.
    fn settle(&mut self) {
        loop {
            let waiting = (0..PEOPLE).filter(|n| self.figures[*n].turn.is_some() && self.seat_for(self.figures[*n].home));
            let Some(first) = waiting.min_by_key(|n| self.figures[*n].turn) else { return };
            let expires = self.now.plus(PROMOTED);
            let f = &mut self.figures[first];
            (f.state, f.promoted, f.expires, f.seat, f.turn) = (Some(OfferState::Offered), true, expires, Some(f.home), None);
        }
    }

    fn ends(&mut self, n: usize, state: OfferState) {
        let f = &mut self.figures[n];
        (f.state, f.seat, f.turn) = (Some(state), None, None);
    }

    fn is(&self, n: usize, states: &[OfferState]) -> bool {
        self.figures[n].state.is_some_and(|s| states.contains(&s))
    }

    fn accepts(&mut self, n: usize) {
        let (free, turn) = (self.seat_for(self.figures[n].home), self.turns + 1);
        let f = &mut self.figures[n];
        match (f.seat, free) {
            (None, false) => (f.state, f.turn, self.turns) = (Some(OfferState::Waitlisted), Some(turn), turn),
            (seat, _) => (f.state, f.seat) = (Some(OfferState::Accepted), seat.or(Some(f.home))),
        }
    }

    fn record(&self) -> PostingDraft {
        let targets: Vec<&str> = self.targets.iter().map(|c| COUNTIES[*c]).collect();
        let draft = self.draft.clone().with("target_regions", json!(targets)).openings(self.total as u32);
        draft.with("openings_per_county", self.each.map_or(Value::Null, |each| json!(each)))
    }
}

/// A report of this moment.
fn dated(what: HireStatus, at: Moment) -> StatusReport {
    StatusReport { at, ..status(what, "2020-06-15") }
}

impl Bench {
    /// One thing happens, to the store and to the reference.
    async fn happens(&self, id: PostingId, r: &mut Reference, draw: &mut Draw) -> String {
        let event = draw.below(24);
        let suits = |r: &Reference, n: usize| match event {
            0..=3 => r.figures[n].offer.is_none(),
            4..=10 => r.is(n, &[Offered]),
            11..=13 => r.is(n, &[Offered, Accepted, Waitlisted]),
            14 => r.figures[n].offer.is_some() && r.figures[n].hired.is_none() && !r.is(n, &[Withdrawn]),
            15 => r.is(n, &[Hired, Accepted, Waitlisted]),
            16 => r.is(n, &[Hired]),
            17 => r.is(n, &[Offered, Accepted, Waitlisted]),
            _ => true,
        };
        let some: Vec<usize> = (0..PEOPLE).filter(|n| !r.figures[*n].erased && suits(r, *n)).collect();
        if some.is_empty() {
            return "nothing".to_owned();
        }
        let n = some[draw.below(some.len())];
        let (who, offer) = (r.figures[n].id, r.figures[n].offer);
        match event {
            0..=3 => {
                let fresh = &some[..some.len().min(6)];
                let workers: Vec<WorkerId> = fresh.iter().map(|n| r.figures[*n].id).collect();
                let expected = r.wave(fresh);
                let wave = self.wave(id, &workers).await;
                let issued = self.store.issue_offers(vec![wave], WAVES, r.now).await.unwrap().remove(0);
                let who = |handle: u32| r.figures.iter().position(|f| f.handle == handle).expect("somebody of this story");
                assert_eq!(issued.offered.iter().map(|(_, handle)| who(*handle)).collect::<Vec<_>>(), expected);
                for (n, (offer, _)) in expected.iter().zip(&issued.offered) {
                    let expires = r.now.plus(WAVES.answer_within);
                    let f = &mut r.figures[*n];
                    (f.offer, f.state, f.expires) = (Some(*offer), Some(Offered), expires);
                }
                format!("offers to {fresh:?}: {expected:?}")
            }
            4..=10 => {
                let answer = self.accept(offer.unwrap(), who, r.now).await;
                if r.figures[n].expires <= r.now {
                    assert_eq!(answer.unwrap_err(), Refusal::Over(Expired));
                    r.ends(n, Expired);
                } else {
                    r.accepts(n);
                    assert_eq!(Some(answer.unwrap().state), r.figures[n].state);
                }
                r.settle();
                format!("{n} accepts")
            }
            11..=13 => {
                let late = r.is(n, &[Offered]) && r.figures[n].expires <= r.now;
                assert_eq!(self.decline(offer.unwrap(), who, r.now).await.is_err(), late);
                r.ends(n, if late { Expired } else { Declined });
                r.settle();
                format!("{n} declines")
            }
            14 => {
                let told = self.report_at(offer.unwrap(), dated(HireStatus::Hired, r.now), r.now).await;
                assert!(matches!(told, Reported::Created(_)), "{told:?}");
                let now = r.now;
                let f = &mut r.figures[n];
                (f.hired, f.state, f.seat, f.turn) = (Some(now), Some(Hired), f.seat.or(Some(f.home)), None);
                r.settle();
                format!("{n} is hired")
            }
            15 => {
                self.report_at(offer.unwrap(), dated(HireStatus::Withdrawn, r.figures[n].hired.unwrap_or(r.now)), r.now).await;
                r.ends(n, Withdrawn);
                r.settle();
                format!("{n} is withdrawn")
            }
            16 => {
                self.report_at(offer.unwrap(), dated(HireStatus::Ended, r.figures[n].hired.unwrap_or(r.now)), r.now).await;
                format!("the hire of {n} ends")
            }
            17 => {
                self.report_at(offer.unwrap(), dated(HireStatus::NotSelected, r.figures[n].hired.unwrap_or(r.now)), r.now).await;
                r.ends(n, NotSelected);
                r.settle();
                format!("{n} is not selected")
            }
            18..=19 => {
                (r.total, r.each) = (1 + draw.below(14), (!draw.one_in(6)).then(|| 1 + draw.below(4)));
                r.targets = (0..COUNTIES.len()).filter(|_| !draw.one_in(3)).collect();
                if r.targets.is_empty() {
                    r.targets.push(0);
                }
                self.upsert(&[r.record()], r.now).await;
                r.settle();
                format!("{} in all, {:?} of each of {:?}", r.total, r.each, r.targets)
            }
            20..=21 => {
                let to = (r.figures[n].home + 1 + draw.below(COUNTIES.len() - 1)) % COUNTIES.len();
                let moved = r.figures[n].person.clone().with("home_region", json!(COUNTIES[to]));
                assert!(matches!(self.register(&[moved], r.now).await[0], Registered::Updated(_)));
                r.figures[n].home = to;
                r.settle();
                format!("{n} moves to {to}")
            }
            22 if draw.one_in(2) => {
                r.now = r.now.plus(HOUR * 13);
                self.store.expire_offers(PROMOTED, r.now).await.unwrap();
                for n in 0..PEOPLE {
                    if r.is(n, &[Offered]) && r.figures[n].expires <= r.now {
                        r.ends(n, Expired);
                    }
                }
                r.settle();
                "time passes".to_owned()
            }
            23 if draw.one_in(6) => {
                self.store.erase_worker(who, PROMOTED, r.now).await.unwrap();
                r.figures[n].erased = true;
                if r.is(n, &[Offered, Accepted, Waitlisted]) {
                    r.ends(n, Withdrawn);
                    r.settle();
                }
                format!("{n} is erased")
            }
            23 if draw.one_in(15) => {
                self.store.close_posting(PLATFORM.to_owned(), id, PROMOTED, r.now).await.unwrap();
                for n in 0..PEOPLE {
                    if r.is(n, &[Offered, Waitlisted]) {
                        r.ends(n, Withdrawn);
                    }
                }
                self.upsert(&[r.record()], r.now).await;
                "closed, and open again".to_owned()
            }
            _ => "nothing".to_owned(),
        }
    }

    async fn agrees(&self, id: PostingId, r: &Reference, story: &[String]) {
        let told = || story.join("\n");
        for (n, f) in r.figures.iter().enumerate() {
            let Some(offer) = f.offer else { continue };
            let offer = self.state(offer).await;
            assert_eq!((Some(offer.state), offer.promoted), (f.state, f.promoted), "{n}\n{}", told());
        }
        let posting = self.posting(id).await;
        let (taken, openings) = (r.taken() as u32, r.total.max(r.taken()) as u32);
        assert_eq!((posting.seats.taken, posting.seats.openings), (taken, openings), "{}", told());
        assert_eq!(posting.status, r.status(), "{}", told());
        let Some(each) = r.each else {
            return assert_eq!(self.store.county_seats(id).await.unwrap(), [], "{}", told());
        };
        let seen = self.store.county_seats(id).await.unwrap();
        for (c, code) in COUNTIES.into_iter().enumerate() {
            let row = seen.iter().find(|row| row.region == county(code));
            let taken = r.taken_of(c);
            let expected = (taken > 0).then(|| (each.max(taken) as u32, taken as u32));
            assert_eq!(row.map(|row| (row.openings, row.taken)), expected, "{code}\n{}", told());
        }
        self.counts_agree(id).await;
    }
}

async fn any_story_ends_as_the_reference_says(engine: Engine) {
    let b = bench(engine).await;
    let (mut waited, mut seen) = (0, [0; 7]);
    for seed in 1..=6u64 {
        let mut draw = Draw(seed);
        let draft = in_counties(&COUNTIES[..3], 2);
        let mut figures = Vec::new();
        for n in 0..PEOPLE {
            let home = n % COUNTIES.len();
            let (id, person) = b.somebody(COUNTIES[home]).await;
            figures.push(Figure {
                id,
                handle: b.handle(id).await,
                person,
                home,
                erased: false,
                offer: None,
                state: None,
                promoted: false,
                expires: noon(),
                seat: None,
                turn: None,
                hired: None,
            });
        }
        let mut r = Reference { draft, total: 5, each: Some(2), targets: vec![0, 1, 2], figures, turns: 0, now: noon() };
        let id = b.post(r.record()).await;
        let mut story = vec![format!("seed {seed}")];
        for _ in 0..STEPS {
            story.push(b.happens(id, &mut r, &mut draw).await);
            b.agrees(id, &r, &story).await;
        }
        for (n, what) in ["accepts", "declines", "moves", "in all", "withdrawn", "is hired", "time passes"].into_iter().enumerate() {
            seen[n] += story.iter().filter(|line| line.contains(what)).count();
        }
        waited += r.turns;
    } // Stories in which little happens show little.
    assert!(waited > 20 && seen.iter().all(|n| *n > 10), "{waited} waited; {seen:?}");
}
