//! Reports against a reference counter, over very many random histories of people:
//! reports of two platforms, rosters, registry files, corrections, confirmations and
//! erasures, in whatever order, before and after a period is locked. Some dozens of
//! histories share a store, so that they share cells, too.

mod counter;
mod events;

use crate::harness::*;
use counter::{Asked, COLUMNS, Figures, Rows, Somebody};
use doorstep::domain::client::Role;
use doorstep::domain::grounds::Grounds;
use doorstep::domain::id::{OfferId, PostingId, WorkerId};
use doorstep::domain::region::{Level, Region, focus_set, focus_sets};
use doorstep::domain::time::Period;
use doorstep::store::clients::NewClient;
use doorstep::store::waves::{Candidate, Wave, WaveTerms};
use events::Round;
use jiff::civil::date;
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
                    let as_told = (result["result"] == "created") == *made && result["result"] != "rejected";
                    assert!(as_told, "{body} {result} {made}\n{}", self.story(*n));
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
