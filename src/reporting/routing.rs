//! The report `routing`: who gets offers, and who waits for one unseen.
//!
//! Promises: a person counts in one county, where they are at home on the last day that
//! counts; counts add up, means, medians and the inequality are those of all people of a
//! row, not of its parts.
//!
//! What holds of a period: while it runs, seekers are who look for work today, have
//! consented and have not paused. Of one that is over they are who did when its last day
//! ended, whatever became of them since; nothing that comes later changes that. Offers
//! are those made in the period, in the county where whoever got one was at home then,
//! and stay there when they move or are erased. Of a month that was over before the
//! store was brought up to the version that keeps all this, only offers are known.

use super::gini::gini;
use super::query::{Axis, Query};
use super::report::{AsOf, Column, Key, More, Report, Row, Text, Unit, Value};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::store::seeking::{County, Seeking};
use std::collections::BTreeMap;

/// Waits that are told by their number of people.
const LONG: [u32; 2] = [30, 90];

/// Waits shorter than that stand in a list.
const NEAR: u32 = 2048;

/// Seekers by the days they have waited.
#[derive(Default)]
struct Waits {
    /// By the days; as long as the longest of them.
    near: Vec<u64>,
    far: BTreeMap<u32, u64>,
}

impl Waits {
    fn add(&mut self, days: u32, people: u64) {
        if days >= NEAR {
            *self.far.entry(days).or_default() += people;
            return;
        }
        let at = days as usize;
        if self.near.len() <= at {
            self.near.resize(at + 1, 0);
        }
        self.near[at] += people;
    }

    /// Days and people, fewest days first.
    fn all(&self) -> impl DoubleEndedIterator<Item = (u32, u64)> {
        let near = self.near.iter().enumerate().map(|(days, people)| (days as u32, *people)).filter(|(_, people)| *people > 0);
        near.chain(self.far.iter().map(|(days, people)| (*days, *people)))
    }
}

/// The counties of one row, summed up.
#[derive(Default)]
struct Figures {
    offers: u64,
    offered: u64,
    never: u64,
    waits: Waits,
    /// Offers and seekers of each county.
    counties: Vec<(u64, u64)>,
}

impl Figures {
    fn add(&mut self, county: &County) {
        self.offers += county.offers;
        self.offered += county.offered;
        self.never += county.never;
        county.waits.iter().for_each(|(days, people)| self.waits.add(*days, *people));
        self.counties.push((county.offers, county.waits.iter().map(|(_, people)| people).sum()));
    }

    /// The least number of days that at least half have waited no longer than.
    fn median(&self, seekers: u64) -> Option<u32> {
        let mut upto = 0;
        let half = |(_, people): &(u32, u64)| {
            upto += *people;
            upto * 2 >= seekers
        };
        self.waits.all().find(half).map(|(days, _)| days)
    }

    fn values(&self) -> Vec<Value> {
        let seekers: u64 = self.waits.all().map(|(_, people)| people).sum();
        let days = |days: Option<u32>| days.map_or(Value::Unknown, |d| Value::Count(u64::from(d)));
        let of_seekers = |numerator| Value::Ratio { numerator, denominator: seekers };
        let mut values = vec![
            Value::Count(seekers),
            Value::Count(self.offers),
            Value::Count(self.offered),
            of_seekers(self.offers),
            Value::Count(self.never),
            of_seekers(self.waits.all().map(|(days, people)| u64::from(days) * people).sum()),
            days(self.median(seekers)),
            days(self.waits.all().next_back().map(|(days, _)| days)),
        ];
        values.extend(LONG.map(|least| {
            let long = self.waits.all().filter(|(days, _)| *days >= least);
            Value::Count(long.map(|(_, people)| people).sum())
        }));
        values.push(gini(&self.counties).map_or(Value::Unknown, Value::Number));
        values
    }
}

fn columns() -> Vec<Column> {
    let count = |name, title, unit, about| Column { name, title, unit, ratio: false, additive: true, about };
    let ratio = |name, title, unit, about| Column { name, title, unit, ratio: true, additive: false, about };
    let fixed = |name, title, unit, about| Column { additive: false, ..count(name, title, unit, about) };
    vec![
        count(
            "seekers",
            "求职人数",
            Unit::Person,
            "期末在找工作的建档立卡人员：已同意、在求职、未暂停；期间已过的，为其最后一日结束时的情况，此后的变化不计入",
        ),
        count("offers", "推荐次数", Unit::Offer, "本期向当时户籍在此的人发出的岗位推荐，一人一岗计一次；此后迁出或注销的不减"),
        count("offered", "被推荐人数", Unit::Person, "本期至少得到一次推荐的人，不重复计人，按期末户籍，含已不在求职的人，不含已注销的人"),
        ratio("offers_per_1000_seekers", "每千名求职者推荐次数", Unit::PerThousand, "推荐次数除以求职人数，再乘一千"),
        count("never_offered", "从未被推荐", Unit::Person, "自开始求职以来到期末没有得到过任何推荐的求职者"),
        ratio(
            "days_without_offer_mean",
            "平均未获推荐天数",
            Unit::Day,
            "求职者距最近一次推荐的天数（开始求职更晚的，从开始求职算起）的平均值",
        ),
        fixed("days_without_offer_median", "未获推荐天数中位数", Unit::Day, "至少一半求职者等待不超过的天数"),
        fixed("days_without_offer_longest", "最长未获推荐天数", Unit::Day, "等待最久的求职者的天数"),
        count("waiting_30_days", "三十天以上未获推荐", Unit::Person, "已等待三十天及以上的求职者"),
        count("waiting_90_days", "九十天以上未获推荐", Unit::Person, "已等待九十天及以上的求职者，已计入三十天以上"),
        fixed(
            "offers_gini",
            "县间推荐基尼系数",
            Unit::Index,
            "各县人均推荐次数的不均程度，按求职人数加权：0 为各县相同，越近 1 越不均；有求职者的县不足两个，或没有推荐时为空",
        ),
    ]
}

/// Folds the counties into the report.
pub fn routing(seeking: &Seeking, query: &Query, now: Moment) -> Report {
    let (mut rows, mut totals) = (BTreeMap::<Region, Figures>::new(), Figures::default());
    for county in &seeking.counties {
        // A county in which nobody looks and nobody was offered anything says nothing.
        if county.waits.is_empty() && county.offers == 0 && county.offered == 0 {
            continue;
        }
        totals.add(county);
        rows.entry(county.home.at_level(query.level).unwrap_or(county.home)).or_default().add(county);
    }
    let key = |name, title| Key { name, title };
    let columns = columns();
    let known = |(column, value): (&Column, Value)| if seeking.unknown && column.name != "offers" { Value::Unknown } else { value };
    let row = |code: Text, name: Text, figures: &Figures| Row {
        keys: vec![Some(code), Some(name)],
        values: columns.iter().zip(figures.values()).map(known).collect(),
    };
    let totals = row(query.scope.code().into(), format!("{}合计", query.scope.name()).into(), &totals);
    let rows = rows.iter().map(|(region, figures)| row(region.code_text().into(), region.name().into(), figures)).collect();
    Report {
        name: "routing",
        title: "岗位推荐情况",
        period: query.period,
        region: query.scope.code(),
        axis: Axis::Home,
        generated_at: now,
        as_of: AsOf { seq: seeking.seq, time: seeking.at, root: None },
        sealed: false,
        keys: vec![key("region", "地区代码"), key("name", "地区")],
        columns,
        rows,
        totals,
        more: More::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::Params;
    use super::*;

    fn county(code: &str, offers: u64, waits: &[(u32, u64)]) -> County {
        County { home: Region::parse(code).unwrap(), offers, offered: offers.min(1), never: 1, waits: waits.to_vec() }
    }

    fn ask(counties: &[County], level: &str) -> Report {
        let params = Params { period: Some("2020-09"), level: Some(level), ..Params::default() };
        let query = Query::parse(params, Region::NATION).unwrap();
        ask_of(Seeking { counties: counties.to_vec(), seq: 9, at: None, unknown: false }, &query)
    }

    fn ask_of(seeking: Seeking, query: &Query) -> Report {
        routing(&seeking, query, Moment::parse("2020-10-01").unwrap())
    }

    fn value(report: &Report, row: &Row, name: &str) -> Value {
        row.values[report.column(name).unwrap()]
    }

    #[test]
    fn figures_of_a_row_are_those_of_all_its_people() {
        let report = ask(
            &[county("522601", 6, &[(0, 1), (29, 1), (30, 2)]), county("522622", 0, &[(90, 3), (400, 1)]), county("330212", 4, &[])],
            "province",
        );
        assert_eq!(report.rows.iter().map(|r| r.keys[0].clone().unwrap()).collect::<Vec<_>>(), ["330000", "520000"]);
        let guizhou = &report.rows[1];
        for (name, expected) in [
            ("seekers", Value::Count(8)),
            ("offers", Value::Count(6)),
            ("offered", Value::Count(1)),
            ("offers_per_1000_seekers", Value::Ratio { numerator: 6, denominator: 8 }),
            ("never_offered", Value::Count(2)),
            ("days_without_offer_mean", Value::Ratio { numerator: 29 + 60 + 270 + 400, denominator: 8 }),
            ("days_without_offer_median", Value::Count(30)),
            ("days_without_offer_longest", Value::Count(400)),
            ("waiting_30_days", Value::Count(6)),
            ("waiting_90_days", Value::Count(4)),
            ("offers_gini", Value::Number(0.5)),
        ] {
            assert_eq!(value(&report, guizhou, name), expected, "{name}");
        }
        let json = report.to_json();
        assert_eq!(json["rows"][1]["offers_per_1000_seekers"], serde_json::json!({"value": 750.0, "numerator": 6, "denominator": 8}));
        assert_eq!(json["rows"][1]["offers_gini"], 0.5);
        assert_eq!(json["totals"]["offers"], 10);
    }

    #[test]
    fn the_longest_waits_are_told_among_the_others() {
        let report = ask(&[county("522601", 1, &[(0, 1), (NEAR - 1, 1), (NEAR, 2), (40_000, 1)])], "county");
        let expected = [
            ("seekers", Value::Count(5)),
            ("days_without_offer_median", Value::Count(NEAR.into())),
            ("days_without_offer_longest", Value::Count(40_000)),
            ("waiting_90_days", Value::Count(4)),
        ];
        for (name, expected) in expected {
            assert_eq!(value(&report, &report.totals, name), expected, "{name}");
        }
    }

    #[test]
    fn a_county_without_seekers_has_no_rate_no_wait_and_no_part_in_the_inequality() {
        let report = ask(&[county("330212", 4, &[]), county("522601", 2, &[(3, 1)]), county("522622", 0, &[])], "county");
        assert_eq!(report.rows.len(), 2, "a row of zeros is left out");
        let names = ["offers_per_1000_seekers", "days_without_offer_median", "days_without_offer_longest", "offers_gini"];
        assert_eq!(
            names.map(|name| value(&report, &report.rows[0], name)),
            [Value::Ratio { numerator: 4, denominator: 0 }, Value::Unknown, Value::Unknown, Value::Unknown]
        );
        assert_eq!(value(&report, &report.totals, "offers_gini"), Value::Unknown, "one county with seekers");
    }

    #[test]
    fn of_a_month_of_which_nobody_was_kept_offers_are_told_and_no_zeros() {
        let query = Query::parse(Params { period: Some("2020-09"), ..Params::default() }, Region::NATION).unwrap();
        let report = ask_of(Seeking { counties: vec![county("522601", 7, &[])], seq: 9, at: None, unknown: true }, &query);
        for (column, value) in report.columns.iter().zip(&report.totals.values) {
            let expected = if column.name == "offers" { Value::Count(7) } else { Value::Unknown };
            assert_eq!(*value, expected, "{}", column.name);
        }
    }

    #[test]
    fn every_column_has_words_and_what_adds_up_is_a_count() {
        let report = ask(&[], "county");
        for column in &report.columns {
            assert!(!column.title.is_empty() && !column.about.is_empty());
            assert!(!(column.additive && column.ratio), "{}", column.name);
        }
        assert_eq!(report.columns.len(), report.totals.values.len());
        assert!(report.rows.is_empty());
    }
}
