//! An invented registry of workers, the same for the same seed.
//!
//! Promises: nobody in it can be a real person. Id numbers have a valid check
//! character but the sequence `000`, which GB 11643-1999 gives to nobody; names
//! say that they are invented; telephone numbers begin with 100000, where no
//! subscriber is. Id numbers and telephone numbers do not repeat.
//! Start at: [`registry`].

use crate::domain::category::Category;
use crate::domain::person::check_character;
use crate::domain::region::{Region, focus_set};
use crate::domain::skill::Skill;
use crate::domain::time::day_number;
use crate::domain::worker::Tier;
use jiff::ToSpan;
use jiff::civil::Date;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::f64::consts::TAU;

/// Most people in one registry. With the sequence `000` the first six digits and
/// the birth date must tell people apart; this is less than half of the pairs that
/// 2,850 places and 46 years of birth allow, so a free one is always found.
pub const MOST: usize = 20_000_000;

/// Ages, and the one most common.
const AGE_LEAST: f64 = 17.0;
const AGE_COMMON: f64 = 34.0;
const AGE_END: f64 = 63.0;

/// Percent of people whose home is drawn from a set; the others come from the
/// whole country, and may fall into a set as well.
const FOCUS: [(&str, u32); 4] = [("listed-52", 15), ("three-regions-three-prefectures", 15), ("hubei", 10), ("poor-counties-832", 20)];

/// Where people go, in percent.
const DESTINATIONS: [(&str, u32); 6] = [("440000", 35), ("330000", 25), ("320000", 15), ("350000", 10), ("310000", 8), ("110000", 7)];

const TIERS: [(Tier, u32); 3] = [(Tier::NotLifted, 12), (Tier::AtRisk, 18), (Tier::Lifted, 70)];

/// Trades in percent, each with skills that go with it.
const TRADES: [(Trade, u32); 14] = [
    ((Category::DeliveryRider, &["e_bike", "smartphone", "health_certificate"]), 16),
    ((Category::Courier, &["e_bike", "smartphone"]), 10),
    ((Category::Driver, &["driving_licence_c1", "smartphone"]), 7),
    ((Category::Warehouse, &["forklift_licence", "smartphone"]), 9),
    ((Category::SortingPacking, &["literacy"]), 10),
    ((Category::Housekeeping, &["cooking", "housekeeping_training", "childcare", "nursing_care"]), 9),
    ((Category::Cleaning, &["literacy"]), 6),
    ((Category::AiAnnotation, &ANNOTATION), 6),
    ((Category::CustomerService, &["mandarin", "typing", "computer"]), 4),
    ((Category::Factory, &["sewing", "junior_secondary"]), 9),
    ((Category::CateringRetail, &["health_certificate", "cooking"]), 5),
    ((Category::Security, &["security_guard_licence"]), 3),
    ((Category::Construction, &["bricklaying", "carpentry", "work_at_height"]), 4),
    ((Category::Agriculture, &["farming"]), 2),
];

/// What annotation asks for.
const ANNOTATION: [&str; 4] = ["computer", "mandarin", "typing", "smartphone"];

type Trade = (Category, &'static [&'static str]);

const NAME_BEGINS: [&str; 6] = ["阿", "小", "大", "老", "晓", "子"];
const NAME_SYLLABLES: [&str; 40] = [
    "秀", "兰", "梅", "竹", "菊", "云", "霞", "雪", "月", "星", "山", "河", "江", "湖", "海", "林", "松", "柏", "杨", "柳", "春", "夏",
    "秋", "冬", "晨", "晖", "平", "安", "福", "禄", "明", "亮", "强", "勇", "勤", "朴", "诚", "信", "喜", "乐",
];

/// One row of the registry, its fields as a registry file names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Invented {
    pub id_number: String,
    pub name: String,
    pub phone: String,
    /// A division without children.
    pub home_region: Region,
    pub tier: Tier,
    pub tier_since: Date,
    pub consent: Date,
    pub relocated: bool,
    /// Empty: any.
    pub categories: Vec<Category>,
    /// Province codes, or `*`; empty: the home county only.
    pub destinations: Vec<String>,
    pub in_place_only: bool,
    /// Yuan a month.
    pub min_monthly_pay: u32,
    pub skills: Vec<&'static str>,
    pub seeking_since: Date,
}

/// `n` people, at most [`MOST`], as they stand on `today`.
pub fn registry(n: usize, seed: u64, today: Date) -> impl Iterator<Item = Invented> {
    let places = Region::NATION.leaves().iter().copied().filter(|r| r.zone().is_some()).collect();
    let mut people = People { rng: StdRng::seed_from_u64(seed), today, places, taken: HashSet::new() };
    (0..n.min(MOST)).map(move |serial| people.draw(serial))
}

/// The names of the fields, in the order of a CSV.
const FIELDS: [&str; 14] = [
    "id_number",
    "name",
    "phone",
    "home_region",
    "consent",
    "tier",
    "tier_since",
    "relocated",
    "categories",
    "destinations",
    "in_place_only",
    "min_monthly_pay",
    "skills",
    "seeking_since",
];

/// The row as one object of an NDJSON registry.
pub fn to_ndjson_line(row: &Invented) -> Value {
    json!({
        "id_number": row.id_number,
        "name": row.name,
        "phone": row.phone,
        "home_region": row.home_region,
        "consent": row.consent,
        "tier": row.tier,
        "tier_since": row.tier_since,
        "relocated": row.relocated,
        "categories": row.categories,
        "destinations": row.destinations,
        "in_place_only": row.in_place_only,
        "min_monthly_pay": row.min_monthly_pay,
        "skills": row.skills,
        "seeking_since": row.seeking_since,
    })
}

/// The rows as a CSV registry with a header, `|` within lists.
pub fn to_csv(rows: impl IntoIterator<Item = Invented>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut put =
        |record: &[String]| writer.write_record(record).expect("every record has a field for each name, and memory takes every byte");
    put(&FIELDS.map(str::to_owned));
    for row in rows {
        let value = to_ndjson_line(&row);
        put(&FIELDS.map(|field| cell(&value[field])));
    }
    writer.into_inner().expect("memory takes every byte")
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join("|"),
        other => other.to_string(),
    }
}

/// The state of a registry being drawn.
struct People {
    rng: StdRng,
    today: Date,
    /// Every leaf division of a province that takes part in the programme.
    places: Vec<Region>,
    /// First six digits and birth dates of id numbers that are given.
    taken: HashSet<(u32, i64)>,
}

impl People {
    fn draw(&mut self, serial: usize) -> Invented {
        let home_region = self.home();
        let id_number = self.id_number(home_region);
        let tier = self.weighted(&TIERS);
        let in_place_only = self.percent(30);
        let seeking_since = self.days_before(self.today, 120);
        let (categories, skills) = self.trades(in_place_only);
        Invented {
            id_number,
            name: self.name(),
            phone: format!("100000{serial:05}"),
            home_region,
            tier,
            tier_since: self.days_before(self.today, 6 * 365),
            consent: self.days_before(seeking_since, 200),
            relocated: self.percent(15),
            categories,
            destinations: if in_place_only { Vec::new() } else { self.destinations(home_region) },
            in_place_only,
            min_monthly_pay: self.pay(in_place_only),
            skills,
            seeking_since,
        }
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.rng.random_ratio(chance, 100)
    }

    /// One of a list with weights in percent.
    fn weighted<T: Copy>(&mut self, list: &[(T, u32)]) -> T {
        let mut at = self.rng.random_range(0..list.iter().map(|(_, weight)| weight).sum::<u32>());
        for (item, weight) in list {
            if at < *weight {
                return *item;
            }
            at -= weight;
        }
        unreachable!("the number is below the sum of the weights")
    }

    fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.random_range(0..list.len())]
    }

    /// Up to `most` days before.
    fn days_before(&mut self, day: Date, most: i32) -> Date {
        day.saturating_sub(self.rng.random_range(0..=most).days())
    }

    fn home(&mut self) -> Region {
        let mut at = self.rng.random_range(0..100);
        for (name, percent) in FOCUS {
            if at < percent {
                let set = focus_set(name).expect("the names are those of the table, and a test draws from each");
                return self.one(set.counties());
            }
            at -= percent;
        }
        self.anywhere()
    }

    fn anywhere(&mut self) -> Region {
        let at = self.rng.random_range(0..self.places.len());
        self.places[at]
    }

    /// One in twenty was first registered elsewhere, which the number shows.
    fn id_number(&mut self, home: Region) -> String {
        let mut place = if self.percent(5) { self.anywhere() } else { home };
        let mut birth = self.birth();
        let mut draws = 0;
        while !self.taken.insert((place.code(), day_number(birth))) {
            draws += 1;
            if draws % 64 == 0 {
                // This place is nearly used up.
                place = self.anywhere();
            }
            birth = self.birth();
        }
        let digits = format!("{place}{:04}{:02}{:02}000", birth.year(), birth.month(), birth.day());
        let check = check_character(&digits).expect("six, eight and three digits make seventeen");
        format!("{digits}{check}")
    }

    /// Triangular in age, by the inverse of its distribution.
    fn birth(&mut self) -> Date {
        let (span, rise, fall) = (AGE_END - AGE_LEAST, AGE_COMMON - AGE_LEAST, AGE_END - AGE_COMMON);
        let u: f64 = self.rng.random();
        let age = if u * span < rise { AGE_LEAST + (u * span * rise).sqrt() } else { AGE_END - ((1.0 - u) * span * fall).sqrt() };
        let birthday = self.today.saturating_sub((age as i32).years());
        self.days_before(birthday, 364)
    }

    fn name(&mut self) -> String {
        let mut name = format!("虚构·{}{}", self.one(&NAME_BEGINS), self.one(&NAME_SYLLABLES));
        if self.percent(40) {
            name += self.one(&NAME_SYLLABLES);
        }
        name
    }

    /// Log-normal, half of the people below 3,500 yuan, in whole hundreds; who stays
    /// at home asks for half as much.
    fn pay(&mut self, at_home: bool) -> u32 {
        // Box and Muller; 1 - u is never 0.
        let (u, v): (f64, f64) = (self.rng.random(), self.rng.random());
        let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos();
        let median: f64 = if at_home { 1_750.0 } else { 3_500.0 };
        let yuan = (median.ln() + 0.25 * normal).exp();
        ((yuan / 100.0).round() * 100.0).clamp(1_000.0, 12_000.0) as u32
    }

    fn destinations(&mut self, home: Region) -> Vec<String> {
        match self.rng.random_range(0..10) {
            0 => return Vec::new(),
            1 | 2 => return vec!["*".to_owned()],
            _ => {}
        }
        let mut provinces: Vec<String> = (0..self.rng.random_range(1..=3)).map(|_| self.weighted(&DESTINATIONS).to_owned()).collect();
        if self.percent(40) {
            provinces.extend(home.province().map(|p| p.to_string()));
        }
        provinces.sort();
        provinces.dedup();
        provinces
    }

    /// Up to three trades, with some of the skills that go with them. Most of those
    /// who stay at home have learnt annotation.
    fn trades(&mut self, at_home: bool) -> (Vec<Category>, Vec<&'static str>) {
        let (mut categories, mut skills) = (Vec::new(), Vec::new());
        for _ in 0..self.rng.random_range(0..=3) {
            let (category, fitting) = self.weighted(&TRADES);
            categories.push(category);
            for &skill in fitting {
                if self.percent(60) {
                    skills.push(skill);
                }
            }
        }
        if at_home && self.percent(70) {
            categories.push(Category::AiAnnotation);
            skills.extend(ANNOTATION);
        }
        categories.sort();
        categories.dedup();
        skills.sort_by_key(|code| Skill::parse(code));
        skills.dedup();
        (categories, skills)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::{IdNumber, PersonName, Phone};
    use crate::domain::region::focus_sets;
    use crate::domain::time::age_on;
    use jiff::civil::date;

    const TODAY: Date = date(2020, 6, 1);

    fn people(n: usize) -> Vec<Invented> {
        registry(n, 7, TODAY).collect()
    }

    /// Percent of the people for whom it holds.
    fn percent(people: &[Invented], holds: impl Fn(&Invented) -> bool) -> usize {
        people.iter().filter(|p| holds(p)).count() * 100 / people.len()
    }

    #[test]
    fn the_same_seed_gives_the_same_people_and_another_seed_others() {
        assert_eq!(people(200), people(200));
        assert_eq!(people(200)[..50], people(50));
        assert_ne!(people(50), registry(50, 8, TODAY).collect::<Vec<_>>());
    }

    #[test]
    fn every_row_reads_as_the_registry_wants_it() {
        for p in people(2_000) {
            let id = IdNumber::parse(&p.id_number, TODAY).unwrap();
            assert_eq!(id.expose(), p.id_number);
            assert!((17..=62).contains(&age_on(id.birth_date(), TODAY)), "{p:?}");
            assert!(PersonName::parse(&p.name).is_some() && p.name.chars().count() <= 10);
            assert!(Phone::parse(&p.phone).is_some() && p.phone.len() == 11);
            assert!(p.home_region.is_leaf());
            assert!(p.consent <= p.seeking_since && p.seeking_since <= TODAY && p.tier_since <= TODAY);
            assert!(p.destinations.iter().all(|d| d == "*" || Region::parse(d).is_some_and(|r| r.province() == Some(r))));
            assert!(!p.in_place_only || p.destinations.is_empty());
        }
    }

    #[test]
    fn nobody_can_be_a_real_person() {
        for p in people(2_000) {
            assert_eq!(&p.id_number[14..17], "000");
            assert!(p.name.starts_with("虚构·") && p.phone.starts_with("100000"));
        }
    }

    #[test]
    fn twenty_thousand_rows_do_not_repeat() {
        let people = people(20_000);
        assert_eq!(people.iter().map(|p| &p.id_number).collect::<HashSet<_>>().len(), 20_000);
        assert_eq!(people.iter().map(|p| &p.id_number[..14]).collect::<HashSet<_>>().len(), 20_000);
        assert_eq!(people.iter().map(|p| &p.phone).collect::<HashSet<_>>().len(), 20_000);
    }

    #[test]
    fn a_place_that_is_used_up_gives_way_to_others() {
        let mut people =
            People { rng: StdRng::seed_from_u64(1), today: TODAY, places: vec![Region::parse("522601").unwrap()], taken: HashSet::new() };
        let home = Region::parse("522624").unwrap();
        let numbers: HashSet<String> = (0..24_000).map(|_| people.id_number(home)).collect();
        assert_eq!(numbers.len(), 24_000, "there are 16,802 birth dates for each place");
    }

    #[test]
    fn the_focus_sets_have_more_than_their_part_of_the_people() {
        let people = people(10_000);
        assert!(percent(&people, |p| focus_sets().iter().any(|s| s.contains(p.home_region))) >= 60);
        for (name, least) in FOCUS {
            assert!(percent(&people, |p| focus_set(name).unwrap().contains(p.home_region)) >= least as usize - 1, "{name}");
        }
        let provinces: HashSet<_> = people.iter().filter_map(|p| p.home_region.province()).collect();
        assert_eq!(provinces.len(), 31, "the whole country but for three provinces outside the programme");
    }

    #[test]
    fn tiers_pay_and_wishes_are_spread_as_intended() {
        let people = people(10_000);
        let near = |found: usize, meant: usize| assert!(found.abs_diff(meant) <= 2, "{found} is not near {meant}");
        near(percent(&people, |p| p.tier == Tier::NotLifted), 12);
        near(percent(&people, |p| p.tier == Tier::Lifted), 70);
        near(percent(&people, |p| p.in_place_only), 30);
        near(percent(&people, |p| !p.in_place_only && p.min_monthly_pay < 3_500), 32);
        near(percent(&people, |p| p.in_place_only && p.min_monthly_pay < 1_750), 14);
        near(percent(&people, |p| !p.id_number.starts_with(&p.home_region.to_string())), 5);
        assert!(percent(&people, |p| p.destinations.iter().any(|d| d == "440000")) > 20);
    }

    #[test]
    fn trades_and_skills_are_those_of_the_tables() {
        assert_eq!(TRADES.iter().map(|(_, weight)| weight).sum::<u32>(), 100);
        assert!(TRADES.iter().flat_map(|((_, skills), _)| *skills).all(|code| Skill::parse(code).is_some()));
        assert_eq!(DESTINATIONS.iter().map(|(_, weight)| weight).sum::<u32>(), 100);
    }

    #[test]
    fn both_files_carry_the_fields_of_a_registry_row() {
        let people = people(300);
        let object = to_ndjson_line(&people[0]);
        assert_eq!(object.as_object().unwrap().len(), FIELDS.len());
        assert_eq!(object["home_region"], people[0].home_region.to_string());
        assert_eq!(object["tier"], people[0].tier.code());
        let mut reader = csv::Reader::from_reader(std::io::Cursor::new(to_csv(people.clone())));
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), FIELDS);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 300);
        let at = people.iter().position(|p| p.destinations.len() > 1).unwrap();
        assert_eq!(rows[at][9], people[at].destinations.join("|"));
        assert_eq!(&rows[at][4], people[at].consent.to_string());
        assert_eq!(&rows[at][7], people[at].relocated.to_string());
    }
}
