//! Reports against a reference counter, over very many random histories of people:
//! reports of two platforms, rosters, registry files, corrections, confirmations and
//! erasures, in whatever order, before and after a period is locked. Some dozens of
//! histories share a store, so that they share cells, too.

mod counter;

use crate::harness::*;
use counter::{Asked, COLUMNS, Fact, Figures, Hire, Pair, Rows, Said, Somebody};
use doorstep::domain::client::Role;
use doorstep::domain::grounds::Grounds;
use doorstep::domain::id::{HireId, OfferId, PostingId, WorkerId};
use doorstep::domain::region::{Level, Region, focus_set, focus_sets};
use doorstep::domain::time::Period;
use doorstep::store::clients::NewClient;
use doorstep::store::waves::{Candidate, Wave, WaveTerms};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

on_every_engine![any_history_is_counted_as_the_reference_counts_it];

const PEOPLE: usize = 25;
const ROUNDS: u32 = 14;
const PLATFORMS: [&str; 2] = ["alpha", "beta"];
/// Platform, trade, in place, place of the employer. The last place is coarser than a county.
const POSTINGS: [(usize, &str, bool, &str); 4] = [
    (0, "delivery_rider", false, "330212"),
    (0, "ai_annotation", true, "330212"),
    (1, "courier", false, "520102"),
    (1, "warehouse", false, "520000"),
];
const TIERS: [&str; 3] = ["not_lifted", "at_risk", "lifted"];
const REASONS: [&str; 5] = ["laid_off", "quit", "employer_stopped", "contract_end", "other"];
const TRADES: [&str; 3] = ["cleaning", "factory", "other"];
const BY: [&str; 7] = ["none", "tier", "tier_at_hire", "focus", "platform", "category", "flow"];
const JUNE: &str = "2020-06";
const DAY: Duration = Duration::from_secs(24 * 3600);
const LONG: Duration = Duration::from_secs(1000 * 24 * 3600);

fn of(code: &str) -> Region {
    Region::parse(code).expect("a division")
}

/// Homes: counties of two prefectures, one directly under its province, a city without
/// counties, one of the 52.
fn homes() -> Vec<Region> {
    let set = focus_set("listed-52").expect("the set is configured");
    let listed = of("520000").leaves().iter().copied().find(|county| set.contains(*county)).expect("Guizhou has some");
    ["522624", "522622", "520302", "419001", "441900"].map(of).into_iter().chain([listed]).collect()
}

/// How often each kind of event happened.
type Told = BTreeMap<String, usize>;

/// A client whose tokens are fetched anew when they have run out.
struct Client {
    id: String,
    secret: String,
}

/// One store and the histories in it.
struct World {
    app: App,
    seed: u64,
    dice: StdRng,
    clients: Vec<Client>,
    people: Vec<Somebody>,
    drafts: Vec<Person>,
    ids: Vec<WorkerId>,
    offers: Vec<[OfferId; POSTINGS.len()]>,
    told: Told,
    locked: Option<Locked>,
    /// Reports of earlier positions, as they were pulled then.
    kept: Vec<(String, i64, Value)>,
}

/// What was pulled of June when it was locked.
struct Locked {
    files: Vec<(String, Vec<u8>)>,
    figures: Rows,
}

/// What a round does to one person, to be sent with those of others.
#[derive(Default)]
struct Round {
    reports: [Vec<(usize, Value, bool)>; 2],
    lines: [Vec<(Value, bool)>; 2],
    rows: Vec<Value>,
}

impl World {
    async fn new(engine: Engine, seed: u64) -> Self {
        let app = spawn_with(engine, |c| (c.roster.min_lines, c.roster.per_day) = (1, 10_000)).await;
        let mut dice = StdRng::seed_from_u64(seed);
        let mut clients = Vec::new();
        for (role, name) in [(Role::Platform, PLATFORMS[0]), (Role::Platform, PLATFORMS[1]), (Role::Office, "nation")] {
            let new = NewClient { role, name: name.to_owned(), region: Region::NATION, adapter: "canonical".to_owned() };
            let (id, secret) = app.state().store.add_client(new, app.now()).await.unwrap();
            clients.push(Client { id: id.to_string(), secret });
        }
        let homes = homes();
        let (mut people, mut drafts) = (Vec::new(), Vec::new());
        for n in 0..PEOPLE {
            // Some numbers end in x.
            let mut draft = in_region("522624");
            while n % 4 == 0 && !draft.text("id_number").ends_with('X') {
                draft = in_region("522624");
            }
            let (home, tier) = (homes[dice.random_range(0..homes.len())], TIERS[dice.random_range(0..3)]);
            let since = [date(2020, 1, 1), app.now().day()][dice.random_range(0..2)];
            draft = draft.with("home_region", json!(home)).with("tier", json!(tier)).with("tier_since", json!(since));
            people.push(Somebody { homes: vec![(since, home)], tiers: vec![(since, tier)], ..Somebody::default() });
            drafts.push(draft.with("home_since", json!(since)));
        }
        let mut world = World {
            app,
            seed,
            dice,
            clients,
            people,
            drafts,
            ids: Vec::new(),
            offers: Vec::new(),
            told: Told::new(),
            locked: None,
            kept: Vec::new(),
        };
        world.begin().await;
        world
    }

    /// Everybody is registered, and is offered everything.
    async fn begin(&mut self) {
        let rows: Vec<Value> = (0..PEOPLE).map(|n| self.row(n)).collect();
        let made = self.caller(2).await.post("/v1/workers", &json!(rows)).await.expect(200).json;
        assert_eq!(made["created"], PEOPLE, "{made}");
        let id = |r: &Value| WorkerId::parse(r["id"].as_str().unwrap()).unwrap();
        self.ids = made["results"].as_array().unwrap().iter().map(id).collect();
        let store = self.app.state().store.clone();
        let mut offers = vec![Vec::new(); PEOPLE];
        for (n, (platform, category, in_place, place)) in POSTINGS.into_iter().enumerate() {
            let caller = self.caller(platform).await;
            let source = format!("P-{n}");
            let draft = a_posting().source_id(&source).openings(100).with("category", json!(category));
            let draft = draft.with("job_location", json!({"region": place})).with("title", json!(source));
            let draft =
                if in_place { draft.with("arrangement", json!("in_place")).with("target_regions", json!(["000000"])) } else { draft };
            caller.post("/v1/postings", &json!([draft.json()])).await.expect(200);
            let listed = caller.get(&format!("/v1/postings?source_id={source}")).await.expect(200).json;
            let posting = PostingId::parse(listed["items"][0]["id"].as_str().unwrap()).unwrap();
            let (mut candidates, mut handles) = (Vec::new(), Vec::new());
            for worker in &self.ids {
                let handle = store.seeker(*worker).await.unwrap().unwrap().handle;
                handles.push(handle);
                candidates.push(Candidate { handle, grounds: Grounds::parse("1;;0;0;;;").unwrap(), reserved: false });
            }
            let wave = Wave { posting, lease: None, candidates, exhausted: true, more: false };
            let terms = WaveTerms { overbook: 20.0, wave_max: 600, cap: 10, answer_within: LONG, recheck: LONG };
            let issued = store.issue_offers(vec![wave], terms, self.app.now()).await.unwrap().remove(0);
            assert_eq!(issued.offered.len(), PEOPLE, "{issued:?}");
            for (offer, handle) in issued.offered {
                let n = handles.iter().position(|h| *h == handle).expect("one of them");
                offers[n].push(offer);
            }
        }
        self.offers = offers.into_iter().map(|all| <[OfferId; POSTINGS.len()]>::try_from(all).unwrap()).collect();
    }

    async fn caller(&self, n: usize) -> Caller {
        let Client { id, secret } = &self.clients[n];
        let form = [("grant_type", "client_credentials"), ("client_id", id.as_str()), ("client_secret", secret.as_str())];
        self.app.bearing(&self.app.token(&form).await)
    }

    /// The registry's row of a person; those whose number ends in x write it either way.
    fn row(&mut self, n: usize) -> Value {
        let number = self.number(n);
        self.drafts[n].clone().with("id_number", json!(number)).json()
    }

    fn number(&mut self, n: usize) -> String {
        let number = self.drafts[n].text("id_number").to_owned();
        if number.ends_with('X') && self.dice.random_bool(0.5) {
            self.tell("a lower-case x");
            return number.to_ascii_lowercase();
        }
        number
    }

    fn tell(&mut self, what: &str) {
        *self.told.entry(what.to_owned()).or_default() += 1;
    }

    /// Some day up to yesterday.
    fn a_day(&mut self, back: i32) -> Date {
        self.app.now().day().saturating_sub(self.dice.random_range(1..=back).days())
    }

    fn a_place(&mut self, n: usize) -> Region {
        let home = self.people[n].homes.last().expect("registered").1;
        [of("330212"), of("520102"), of("520000"), of("330000"), of("522624"), home, home][self.dice.random_range(0..7)]
    }

    /// The facts of a pair are cut at each end; what begins after one is another hire.
    fn cut(&mut self, n: usize, pair: Pair) {
        let person = &mut self.people[n];
        let begins = |f: &Fact| matches!(f.said, Said::Hired | Said::Onboarded | Said::Active(_) | Said::Since);
        let mut order: Vec<usize> = (0..person.facts.len())
            .filter(|at| person.facts[*at].pair == pair && (begins(&person.facts[*at]) || person.facts[*at].said == Said::Over))
            .collect();
        // What is dated on the day of an end is before it; of one day, by kind.
        let kind = |said: Said| match said {
            Said::Active(_) => 0,
            Said::Hired => 1,
            Said::Onboarded => 2,
            Said::Since => 3,
            _ => 4,
        };
        order.sort_by_key(|at| (person.facts[*at].on, kind(person.facts[*at].said)));
        let (mut spells, mut over) = (Vec::<Vec<usize>>::new(), true);
        for at in order {
            let ends = person.facts[at].said == Said::Over;
            if !ends && over {
                spells.push(Vec::new());
            }
            over = ends;
            spells.last_mut().map(|spell| spell.push(at));
        }
        let mut used: Vec<usize> = Vec::new();
        for spell in spells {
            let first = person.facts[spell[0]].clone();
            let known: Vec<usize> = spell.iter().filter(|at| begins(&person.facts[**at])).filter_map(|at| person.facts[*at].hire).collect();
            let free = known.iter().filter(|hire| !used.contains(hire)).min().copied();
            let hire = free.unwrap_or_else(|| {
                let posting = pair.1.map(|p| POSTINGS[p]);
                let before = person.hires.iter().rev().find(|h| h.pair == pair);
                person.hires.push(Hire {
                    pair,
                    home: person.home_on(first.on),
                    tier: person.tier_on(first.on),
                    category: posting.map_or_else(|| before.map_or("other", |h| h.category), |p| p.1),
                    in_place: posting.is_some_and(|p| p.2),
                    reported: first.work.or(before.filter(|_| posting.is_none()).and_then(|h| h.reported)),
                    posting: posting.map(|p| of(p.3)),
                    start_set: None,
                    end_set: None,
                    void: false,
                });
                person.hires.len() - 1
            });
            if let (None, Some(from)) = (free, known.first()) {
                let follows = |f: &&mut Fact| f.hire == Some(*from) && matches!(f.said, Said::Listed | Said::Confirmed) && f.on >= first.on;
                person.facts.iter_mut().filter(follows).for_each(|f| f.hire = Some(hire));
            }
            used.push(hire);
            spell.into_iter().for_each(|at| person.facts[at].hire = Some(hire));
        }
    }

    /// Something happens to a person.
    async fn happens(&mut self, n: usize, round: &mut Round) {
        match self.dice.random_range(0..100) {
            0..52 => self.reported(n, round),
            52..66 => self.listed(n, round),
            66..72 => self.tier(n, round),
            72..78 => self.moves(n, round),
            78..90 => self.corrected(n).await,
            90..98 => self.confirmed(n).await,
            _ if self.dice.random_bool(0.5) => {
                self.caller(2).await.delete(&format!("/v1/workers/{}", self.ids[n])).await.expect(204);
                self.people[n].erased = true;
                self.tell("erased");
            }
            _ => {}
        }
    }

    fn reported(&mut self, n: usize, round: &mut Round) {
        let today = self.app.now().day();
        let mut posting = Some(self.dice.random_range(0..POSTINGS.len()));
        let mut hire = None;
        // Who is known from rosters alone is named by the hire.
        let listed: Vec<usize> = (0..self.people[n].hires.len()).filter(|h| self.people[n].hires[*h].pair.1.is_none()).collect();
        if !listed.is_empty() && self.dice.random_bool(0.4) {
            (posting, hire) = (None, Some(listed[self.dice.random_range(0..listed.len())]));
        }
        let pair: Pair = hire.map_or_else(|| (POSTINGS[posting.expect("one or the other")].0, posting), |h| self.people[n].hires[h].pair);
        let on = self.a_day(70);
        let (status, said, month) = match self.dice.random_range(0..20) {
            0..3 => ("HIRED", Said::Hired, None),
            3..8 => ("ONBOARDED", Said::Onboarded, None),
            8..11 => ("ACTIVE", Said::Active(on.first_of_month()), None),
            11..14 => {
                let month = today.saturating_sub(self.dice.random_range(0..5).months()).first_of_month();
                ("ACTIVE", Said::Active(month), Some(month))
            }
            14..18 => ("ENDED", Said::Over, None),
            _ => ("WITHDRAWN", Said::Over, None),
        };
        // The same again says nothing new; two ends of a day differ in their kind alone.
        if self.people[n].facts.iter().any(|f| (f.pair, f.said, f.on) == (pair, said, on)) {
            return;
        }
        let work = (said != Said::Over && self.dice.random_bool(0.3)).then(|| self.a_place(n));
        let mut body = json!({"status": status, "at": on});
        match hire {
            None => body["offer"] = json!(self.offers[n][posting.expect("one or the other")].to_string()),
            Some(hire) => body["hire"] = json!(format!("{n}/{hire}")),
        }
        if let Some(month) = month {
            body["month"] = json!(month.strftime("%Y-%m").to_string());
        }
        if let Some(work) = work {
            body["work_region"] = json!(work);
        }
        if said != Said::Over && self.dice.random_bool(0.5) {
            body["monthly_wage"] = json!(self.dice.random_range(2000..9000));
            self.tell("a wage");
        }
        let known = self.people[n].hires.len();
        let ended = (0..known).any(|h| self.people[n].hires[h].pair == pair && self.people[n].ended(h).is_some());
        self.people[n].facts.push(Fact { pair, said, on, work, hire: None });
        self.cut(n, pair);
        let made = self.people[n].hires.len() > known;
        if made && ended {
            self.tell("hired again");
        }
        let (late, june) = (self.locked.is_some(), on < date(2020, 7, 1));
        match status {
            "ENDED" => {
                let reason = REASONS[self.dice.random_range(0..REASONS.len())];
                body["reason"] = json!(reason);
                self.tell(&format!("ENDED, {reason}"));
            }
            "ACTIVE" if month.is_some() => self.tell("ACTIVE of any month"),
            status => self.tell(status),
        }
        if late && june {
            self.tell(if status == "WITHDRAWN" { "withdrawn after the lock" } else { "reported after the lock" });
        }
        round.reports[pair.0].push((n, body, made));
    }

    fn listed(&mut self, n: usize, round: &mut Round) {
        let (platform, today) = (self.dice.random_range(0..2), self.app.now().day());
        let since = self.dice.random_bool(0.6).then(|| self.a_day(40));
        let (work, trade) = (self.a_place(n), TRADES[self.dice.random_range(0..TRADES.len())]);
        let mut line = json!({"id_number": self.number(n), "work_region": work, "category": trade});
        if let Some(since) = since {
            line["since"] = json!(since);
        }
        let person = &mut self.people[n];
        // Of the platform's hires that are not over the earliest; begun before those that are not.
        let current = (0..person.hires.len()).filter(|h| {
            let hire = &person.hires[*h];
            hire.pair.0 == platform && !hire.void && person.ended(*h).is_none_or(|end| end >= today)
        });
        let current = current.min_by_key(|h| (person.started(*h).unwrap_or(Date::MAX), *h));
        let fact = |pair, said, on, hire| Fact { pair, said, on, work: Some(work), hire: Some(hire) };
        match current {
            Some(hire) => {
                let pair = person.hires[hire].pair;
                let started = person.started(hire).is_some();
                for on in [Some(today), since].into_iter().flatten() {
                    // A second sign of one day at one posting says nothing new.
                    if !person.facts.iter().any(|f| (f.pair, f.said, f.on) == (pair, Said::Listed, on)) {
                        person.facts.push(fact(pair, Said::Listed, on, hire));
                    }
                }
                if !started {
                    let hired = person.facts.iter().filter(|f| f.hire == Some(hire) && f.said == Said::Hired).map(|f| f.on).min();
                    let from = since.unwrap_or(today).max(hired.expect("what is not begun was hired"));
                    person.facts.push(fact(pair, Said::Since, from, hire));
                }
                self.tell("listed again");
            }
            None => {
                let pair = (platform, None);
                let last = person.facts.iter().filter(|f| f.pair == pair && f.said == Said::Over).map(|f| f.on).max();
                let start = since.unwrap_or(today).max(last.map_or(Date::MIN, |end| end.tomorrow().unwrap()));
                person.hires.push(Hire {
                    pair,
                    home: person.home_on(start),
                    tier: person.tier_on(start),
                    category: trade,
                    in_place: false,
                    reported: Some(work),
                    posting: None,
                    start_set: None,
                    end_set: None,
                    void: false,
                });
                let hire = person.hires.len() - 1;
                person.facts.push(fact(pair, Said::Since, start, hire));
                if !person.facts.iter().any(|f| (f.pair, f.said, f.on) == (pair, Said::Listed, today)) {
                    person.facts.push(fact(pair, Said::Listed, today, hire));
                }
                self.tell("listed for the first time");
            }
        }
        round.lines[platform].push((line, current.is_none()));
    }

    fn tier(&mut self, n: usize, round: &mut Round) {
        let (tier, since, today) = (TIERS[self.dice.random_range(0..3)], self.a_day(90), self.app.now().day());
        // What is in force already changes nothing, whatever day comes with it.
        if self.people[n].tier_on(today) == tier {
            return;
        }
        self.people[n].tiers.push((since, tier));
        let row = self.row(n);
        let mut row = Person::of(row).with("tier", json!(tier)).with("tier_since", json!(since)).json();
        row.as_object_mut().unwrap().remove("home_since");
        round.rows.push(row);
        self.tell("a tier of the past");
    }

    fn moves(&mut self, n: usize, round: &mut Round) {
        let homes = homes();
        let (home, since) = (homes[self.dice.random_range(0..homes.len())], self.a_day(40));
        if self.people[n].homes.last().expect("registered").1 == home {
            return;
        }
        self.people[n].homes.push((since, home));
        self.drafts[n] = self.drafts[n].clone().with("home_region", json!(home)).with("home_since", json!(since));
        let mut row = self.row(n);
        for name in ["tier", "tier_since"] {
            row.as_object_mut().unwrap().remove(name);
        }
        round.rows.push(row);
        self.tell("moved");
    }

    /// The store's id of a hire: they were made in the order of their ids.
    async fn hire_id(&self, n: usize, hire: usize) -> HireId {
        let hires = self.app.state().store.worker_hires(self.ids[n]).await.unwrap();
        let mut ids: Vec<HireId> = hires.iter().map(|h| h.id).collect();
        ids.sort_by_key(|id| id.uuid());
        assert_eq!(ids.len(), self.people[n].hires.len(), "{}", self.story(n));
        ids[hire]
    }

    async fn corrected(&mut self, n: usize) {
        let hires = self.people[n].hires.len();
        if hires == 0 {
            return;
        }
        // Half of what is void was them after all.
        let void = (0..hires).find(|h| self.people[n].hires[*h].void).filter(|_| self.dice.random_bool(0.5));
        let hire = void.unwrap_or_else(|| self.dice.random_range(0..hires));
        let (day, place, before) = (self.a_day(60), self.a_place(n), self.people[n].hires[hire].clone());
        let mut h = before.clone();
        let (name, value) = match if void.is_some() { 6 } else { self.dice.random_range(0..7) } {
            0 => {
                h.start_set = Some(day);
                ("started_on", json!(day))
            }
            1 => {
                h.end_set = Some(Some(day));
                ("ended_on", json!(day))
            }
            2 => {
                h.end_set = Some(None);
                ("ended_on", Value::Null)
            }
            3 => {
                h.reported = Some(place);
                ("work_region", json!(place))
            }
            4 => {
                h.category = TRADES[self.dice.random_range(0..TRADES.len())];
                ("category", json!(h.category))
            }
            5 => {
                h.in_place = self.dice.random_bool(0.5);
                ("arrangement", json!(if h.in_place { "in_place" } else { "on_site" }))
            }
            _ => {
                h.void = !h.void;
                ("void", json!(h.void))
            }
        };
        self.people[n].hires[hire] = h;
        let (start, end) = (self.people[n].started(hire), self.people[n].ended(hire));
        let backwards = start.zip(end).is_some_and(|(start, end)| end < start);
        let path = format!("/v1/hires/{}/corrections", self.hire_id(n, hire).await);
        let answer = self.caller(2).await.post(&path, &json!({name: value, "reason": "visited"})).await;
        if backwards {
            self.people[n].hires[hire] = before;
            answer.expect_problem(422, "invalid");
            return self.tell("a correction refused");
        }
        answer.expect(200);
        self.tell(&match name {
            "ended_on" if value.is_null() => "corrected: not over".to_owned(),
            "void" => format!("corrected: void {value}"),
            name => format!("corrected: {name}"),
        });
    }

    async fn confirmed(&mut self, n: usize) {
        let of: Vec<usize> = (0..self.people[n].hires.len()).filter(|h| !self.people[n].hires[*h].void).collect();
        if of.is_empty() {
            return;
        }
        let (hire, on) = (of[self.dice.random_range(0..of.len())], self.a_day(60));
        let pair = self.people[n].hires[hire].pair;
        if self.people[n].facts.iter().any(|f| (f.pair, f.said, f.on) == (pair, Said::Confirmed, on)) {
            return;
        }
        let path = format!("/v1/hires/{}/confirm", self.hire_id(n, hire).await);
        self.caller(2).await.post(&path, &json!({"at": on, "method": "visit"})).await.expect(200);
        self.people[n].facts.push(Fact { pair, said: Said::Confirmed, on, work: None, hire: Some(hire) });
        self.tell("confirmed");
    }

    /// What is known of somebody, for whoever looks for a fault.
    fn story(&self, n: usize) -> String {
        let p = &self.people[n];
        let facts: Vec<String> =
            p.facts.iter().map(|f| format!("{:?} {:?} {} hire {:?} {:?}", f.pair, f.said, f.on, f.hire, f.work)).collect();
        let hires: Vec<String> = (0..p.hires.len()).map(|h| format!("{h}: {:?} {:?} {:?}", p.hires[h], p.started(h), p.ended(h))).collect();
        format!("seed {} person {n} {}\n{:?} {:?}\n{}\n{}", self.seed, self.ids[n], p.homes, p.tiers, facts.join("\n"), hires.join("\n"))
    }

    /// One event for each person, sent as they would come: in batches.
    async fn round(&mut self) {
        let mut round = Round::default();
        for n in 0..PEOPLE {
            if !self.people[n].erased {
                self.happens(n, &mut round).await;
            }
        }
        let office = self.caller(2).await;
        if !round.rows.is_empty() {
            let answer = office.post("/v1/workers", &json!(round.rows)).await.expect(200).json;
            assert_eq!(answer["updated"], round.rows.len(), "seed {}: {answer}", self.seed);
        }
        for platform in 0..2 {
            let caller = self.caller(platform).await;
            let mut reports = std::mem::take(&mut round.reports[platform]);
            for (n, body, _) in &mut reports {
                if let Some((_, hire)) = body["hire"].as_str().and_then(|text| text.split_once('/')) {
                    let before = self.app.state().store.worker_hires(self.ids[*n]).await.unwrap();
                    let mut ids: Vec<Uuid> = before.iter().map(|h| h.id.uuid()).collect();
                    ids.sort();
                    body["hire"] = json!(ids[hire.parse::<usize>().unwrap()].to_string());
                }
            }
            if !reports.is_empty() {
                let bodies: Vec<&Value> = reports.iter().map(|(_, body, _)| body).collect();
                let answer = caller.post("/v1/hires", &json!(bodies)).await.expect(200).json;
                for ((n, body, made), result) in reports.iter().zip(answer["results"].as_array().unwrap()) {
                    let as_told = if *made {
                        result["result"] == "created" || matches!(body["status"].as_str(), Some("ENDED" | "WITHDRAWN"))
                    } else {
                        result["result"] != "created"
                    };
                    assert!(as_told && result["result"] != "rejected", "{body} {result} {made}\n{}", self.story(*n));
                }
            }
            let lines = &round.lines[platform];
            if !lines.is_empty() {
                let text: Vec<String> = lines.iter().map(|(line, _)| line.to_string()).collect();
                let answer = caller.post_bytes("/v1/rosters", "application/x-ndjson", text.join("\n")).await.expect(200).json;
                let matched = lines.iter().filter(|(_, new)| *new).count();
                assert_eq!(
                    (&answer["matched"], &answer["already"]),
                    (&json!(matched), &json!(lines.len() - matched)),
                    "seed {}: {answer}",
                    self.seed
                );
            }
        }
    }

    fn asked<'a>(&self, period: Period, work: bool, by: &'a str, level: Level) -> Asked<'a> {
        let (before, day) = (period.first_day().yesterday().unwrap(), period.last_day().min(self.app.now().day()));
        Asked { before, day, work, by, level, platforms: &PLATFORMS }
    }

    /// Every cell of a report is the reference's.
    fn agrees(&self, report: &Value, expected: &(Rows, Figures), query: &str) {
        let by = report["rows"].as_array().unwrap();
        let split = query.split('&').find_map(|p| p.strip_prefix("by=")).unwrap_or("none");
        let read = |row: &Value| -> Figures {
            COLUMNS.map(|name| match name {
                "lifted" => row["lifted_since_hire"]["numerator"].as_u64().unwrap(),
                "poor_at_hire" => row["lifted_since_hire"]["denominator"].as_u64().unwrap(),
                name => row[name].as_u64().unwrap(),
            })
        };
        let key = |row: &Value| (of(row["region"].as_str().unwrap()), row[split].as_str().unwrap_or_default().to_owned());
        let found: Rows = by.iter().map(|row| (key(row), read(row))).collect();
        assert_eq!(found.len(), by.len(), "each row once");
        let whose = || {
            let regions: Vec<Region> =
                found.keys().chain(expected.0.keys()).filter(|k| found.get(k) != expected.0.get(k)).map(|k| k.0).collect();
            let here =
                |n: &usize| self.people[*n].hires.iter().any(|h| regions.iter().any(|r| h.home.is_within(*r) || h.flow().1.is_within(*r)));
            (0..PEOPLE).filter(here).take(6).map(|n| self.story(n)).collect::<Vec<_>>().join("\n\n")
        };
        assert!(
            found == expected.0 && read(&report["totals"]) == expected.1,
            "seed {} {query} of {}\n{COLUMNS:?}\n{:?}\nexpected\n{:?}\ntotals {:?} {:?}\n{}",
            self.seed,
            self.app.now().day(),
            found.iter().filter(|(k, v)| expected.0.get(k) != Some(v)).collect::<Vec<_>>(),
            expected.0.iter().filter(|(k, v)| found.get(k) != Some(v)).collect::<Vec<_>>(),
            read(&report["totals"]),
            expected.1,
            whose()
        );
        for row in by.iter().chain([&report["totals"]]) {
            assert!(row["baseline"].is_null() && row["share"]["value"].is_null(), "nobody worked last year: {row}");
            assert_eq!(row["total"], row["confirmed"].as_u64().unwrap() + row["unconfirmed"].as_u64().unwrap());
        }
        if split != "focus" {
            let sum = found.values().fold(Figures::default(), |sum, row| std::array::from_fn(|at| sum[at] + row[at]));
            assert_eq!(sum, expected.1, "{query}: rows add up to the total");
        }
    }

    /// Reports of all periods that have begun, by all that there is.
    async fn all_agree(&mut self) {
        let office = self.caller(2).await;
        let today = self.app.now().day();
        for text in ["2020-05", JUNE, "2020-07", "2020-08", "2020-09", "2020Q2", "2020Q3", "2020"] {
            let period = Period::parse(text).expect("a period");
            if period.first_day() > today || (text == JUNE && self.locked.is_some()) {
                continue;
            }
            for axis in ["home", "work"] {
                for by in BY {
                    let other = [Level::Nation, Level::Province, Level::Prefecture][self.dice.random_range(0..3)];
                    for level in [Level::County, other] {
                        let query = format!("period={text}&axis={axis}&by={by}&level={}", level.code());
                        let report = office.get(&format!("/v1/reports/employment?{query}")).await.expect(200).json;
                        let expected = counter::employment(&self.people, self.asked(period, axis == "work", by, level));
                        self.agrees(&report, &expected, &query);
                        if by == "none" && level == Level::County && period.is_over(today) && axis == "home" {
                            self.kept.push((query, report["as_of"]["seq"].as_i64().unwrap(), report));
                        }
                    }
                }
                let flows = office.get(&format!("/v1/reports/flows?period={text}&axis={axis}")).await.expect(200).json;
                let expected = counter::employment(&self.people, self.asked(period, axis == "work", "none", Level::Nation)).1;
                for (name, n) in COLUMNS.into_iter().zip(expected).take(5) {
                    assert_eq!(flows["totals"][name], n, "seed {}: flows, {name} of {text}", self.seed);
                }
            }
        }
        self.earlier_positions(&office).await;
        let recount = self.app.state().store.recount().await.unwrap();
        assert_eq!(recount.differences, Vec::<String>::new(), "seed {}", self.seed);
    }

    /// What was reported at earlier positions is reported of them still.
    async fn earlier_positions(&self, office: &Caller) {
        for (query, seq, before) in &self.kept {
            let report = office.get(&format!("/v1/reports/employment?{query}&as_of={seq}")).await.expect(200).json;
            let figures = |report: &Value| (report["rows"].clone(), report["totals"].clone(), report["as_of"]["seq"].clone());
            assert_eq!(figures(&report), figures(before), "seed {}: {query} as of {seq}", self.seed);
        }
    }

    async fn files(&self) -> Vec<(String, Vec<u8>)> {
        let office = self.caller(2).await;
        let mut files = Vec::new();
        for (by, axis) in BY.into_iter().zip(["home", "work"].into_iter().cycle()) {
            for format in ["json", "csv", "xlsx"] {
                let path = format!("/v1/reports/employment?period={JUNE}&level=county&axis={axis}&by={by}&format={format}");
                let answer = office.request("GET", &path).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                files.push((path, answer.bytes().await.unwrap().to_vec()));
            }
        }
        files
    }

    async fn lock(&mut self) {
        let period = Period::parse(JUNE).expect("a period");
        let locked = self.caller(2).await.post(&format!("/v1/periods/{JUNE}/lock"), &json!({})).await.expect(200).json;
        assert_eq!(locked["state"], "locked");
        let files = self.files().await;
        for (by, axis) in BY.into_iter().zip(["home", "work"].into_iter().cycle()) {
            let of = |path: &str| path.contains(&format!("&axis={axis}&by={by}&format=json"));
            let (path, bytes) = files.iter().find(|(path, _)| of(path)).expect("pulled");
            let report: Value = serde_json::from_slice(bytes).unwrap();
            assert_eq!((&report["sealed"], &report["generated_at"]), (&json!(true), &json!(self.app.now())));
            let expected = counter::employment(&self.people, self.asked(period, axis == "work", by, Level::County));
            self.agrees(&report, &expected, path);
        }
        let figures = counter::employment(&self.people, self.asked(period, false, "none", Level::County)).0;
        self.locked = Some(Locked { files, figures });
    }

    /// June is as it was locked, and July says what came to it since.
    async fn stays_locked(&self) {
        let Some(locked) = &self.locked else { return };
        for ((path, before), (_, now)) in locked.files.iter().zip(self.files().await) {
            assert!(
                *before == now,
                "seed {}: {path} differs\n{}\n{}",
                self.seed,
                String::from_utf8_lossy(before),
                String::from_utf8_lossy(&now)
            );
        }
        let report = self.caller(2).await.get("/v1/reports/employment?period=2020-07&level=county").await.expect(200).json;
        let period = Period::parse(JUNE).expect("a period");
        let now = counter::employment(&self.people, self.asked(period, false, "none", Level::County)).0;
        let regions: std::collections::BTreeSet<_> = locked.figures.keys().chain(now.keys()).collect();
        let mut expected = Vec::new();
        for key in regions {
            let of = |rows: &Rows| rows.get(key).copied().unwrap_or_default();
            for ((column, locked), now) in COLUMNS.into_iter().zip(of(&locked.figures)).zip(of(&now)).take(9) {
                if locked != now {
                    expected.push(json!({"period": JUNE, "region": key.0, "column": column, "locked": locked, "now": now}));
                }
            }
        }
        assert_eq!(report["corrections"], json!(expected), "seed {}", self.seed);
    }
}

/// How many histories there are.
fn histories(engine: Engine) -> usize {
    match (engine, std::env::var("DOORSTEP_TEST_DEEP").is_ok_and(|v| v == "1")) {
        (Engine::Sqlite, true) => 10_000,
        (Engine::Sqlite, false) => 1_000,
        (Engine::Postgres, _) => 50,
    }
}

async fn any_history_is_counted_as_the_reference_counts_it(engine: Engine) {
    assert!(focus_sets().len() > 3);
    let mut told = Told::new();
    let began = std::time::Instant::now();
    let n = histories(engine);
    let only: Option<u64> = std::env::var("DOORSTEP_TEST_SEED").ok().and_then(|text| text.parse().ok());
    for seed in only.map_or(0..(n / PEOPLE) as u64, |seed| seed..seed + 1) {
        let mut world = World::new(engine, seed).await;
        for round in 0..ROUNDS {
            world.app.pass(DAY * 6);
            world.round().await;
            if round == 4 && seed % 2 == 0 {
                world.lock().await;
            }
            if (round == 3 && seed % 4 == 0) || round == 8 || round + 1 == ROUNDS {
                world.all_agree().await;
                world.stays_locked().await;
            }
        }
        if seed % 4 == 0 {
            world.app.restart_with(|_| {}).await;
            world.stays_locked().await;
        }
        world.told.iter().for_each(|(what, times)| *told.entry(what.clone()).or_default() += times);
        world.app.settle().await;
        world.app.finish().await;
    }
    println!("{n} histories of {ROUNDS} rounds in {} s", began.elapsed().as_secs());
    told.iter().for_each(|(what, times)| println!("{times:6} {what}"));
    let kinds = 25;
    assert!(only.is_some() || told.len() >= kinds, "{told:?}");
    let rare: Vec<_> = told.iter().filter(|(_, times)| **times < n / 20).collect();
    assert!(only.is_some() || engine == Engine::Postgres || rare.is_empty(), "{rare:?} happened too rarely");
}
