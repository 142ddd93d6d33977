//! What happens to people, at once to the gateway's callers and to the reference.

use super::counter::{Fact, Hire, Pair, Said};
use super::{POSTINGS, TIERS, World, homes, of};
use crate::harness::Person;
use doorstep::domain::id::HireId;
use doorstep::domain::region::Region;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use rand::RngExt;
use serde_json::{Value, json};

const REASONS: [&str; 5] = ["laid_off", "quit", "employer_stopped", "contract_end", "other"];
const TRADES: [&str; 3] = ["cleaning", "factory", "other"];

/// What a round does to one person, to be sent with those of others.
#[derive(Default)]
pub struct Round {
    pub reports: [Vec<(usize, Value, bool)>; 2],
    pub lines: [Vec<(Value, bool)>; 2],
    pub rows: Vec<Value>,
}

impl World {
    /// Some day up to yesterday.
    fn a_day(&mut self, back: i32) -> Date {
        self.app.now().day().saturating_sub(self.dice.random_range(1..=back).days())
    }

    fn a_place(&mut self, n: usize) -> Region {
        let home = self.people[n].homes.last().expect("registered").1;
        [of("330212"), of("520102"), of("520000"), of("330000"), of("522624"), home, home][self.dice.random_range(0..7)]
    }

    /// The facts of a pair are cut at each end; what begins after one is another hire.
    ///
    /// Of who is known from rosters alone a hire that was corrected away takes no part in
    /// what is said of another; what is said of it by name is kept with it.
    fn cut(&mut self, n: usize, pair: Pair, named: Option<usize>) {
        let person = &mut self.people[n];
        let listed: Vec<usize> = (0..person.hires.len()).filter(|h| person.hires[*h].pair == pair && pair.1.is_none()).collect();
        let mut aside: Vec<usize> =
            listed.iter().copied().filter(|h| person.hires[*h].void || matches!(person.hires[*h].end_set, Some(Some(_)))).collect();
        if aside.len() == listed.len() {
            aside.clear();
        }
        if let Some(hire) = named.filter(|hire| aside.contains(hire)) {
            person.facts.last_mut().expect("what was just said").hire = Some(hire);
            return;
        }
        let begins = |f: &Fact| matches!(f.said, Said::Hired | Said::Onboarded | Said::Active(_) | Said::Since);
        let mut order: Vec<usize> = (0..person.facts.len())
            .filter(|at| person.facts[*at].pair == pair && person.facts[*at].hire.is_none_or(|hire| !aside.contains(&hire)))
            .filter(|at| begins(&person.facts[*at]) || person.facts[*at].said == Said::Over)
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
            if let Some(spell) = spells.last_mut() {
                spell.push(at);
            }
        }
        let mut used: Vec<usize> = Vec::new();
        for spell in spells {
            let first = person.facts[spell[0]].clone();
            let known: Vec<usize> = spell.iter().filter(|at| begins(&person.facts[**at])).filter_map(|at| person.facts[*at].hire).collect();
            let free = known.iter().filter(|hire| !used.contains(hire)).min().copied();
            let hire = free.unwrap_or_else(|| {
                let posting = pair.1.map(|p| POSTINGS[p]);
                // Without a posting it is of the kind of the last one.
                let before = person.hires.iter().filter(|h| h.pair == pair).max_by_key(|h| h.hired);
                person.hires.push(Hire {
                    pair,
                    hired: first.on,
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
    pub async fn happens(&mut self, n: usize, round: &mut Round) {
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
        self.cut(n, pair, hire);
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
        // Where a spell is cut in two the other part may be the new one.
        let own = self.people[n].facts.last().and_then(|fact| fact.hire).is_some_and(|hire| hire >= known);
        round.reports[pair.0].push((n, body, own));
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
                    hired: start,
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
}
