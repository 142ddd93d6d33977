//! The report `months`: how many months each person worked, for the rules that pay by
//! months.
//!
//! Promises: a month counts once, at however many platforms somebody worked in it; it
//! counts when a platform reported it as worked. A person stands at the home of their
//! last hire, by the id under which their file is found.

use super::query::Query;
use super::report::{AsOf, Column, Key, More, Report, Row, Unit, Value};
use crate::domain::account::number;
use crate::domain::time::Moment;
use crate::store::cells::People;
use jiff::civil::Date;
use std::collections::BTreeSet;

fn columns() -> Vec<Column> {
    let count = |name, title, unit, about| Column { name, title, unit, ratio: false, additive: true, about };
    vec![
        count("months", "本期务工月数", Unit::Month, "本期内平台报告在岗的月数，同一月在多个平台只计一次"),
        count("months_since_hire", "累计务工月数", Unit::Month, "首次录用以来到期末平台报告在岗的月数"),
        count("working", "期末在岗", Unit::Person, "期末在岗为1，否则为0"),
        count("confirmed", "已确认", Unit::Person, "主要岗位已确认为1，否则为0"),
    ]
}

/// Counts the months of each person who worked in any by `day`.
pub fn months(from: &People, query: &Query, day: Date, now: Moment) -> Report {
    let first = query.period.first_day();
    let (mut rows, mut totals) = (Vec::new(), [0u64; 4]);
    for (home, id, account) in &from.people {
        // A month counts from its last day on, as a sign of life does.
        let worked: BTreeSet<Date> =
            account.hires.values().flat_map(|h| &h.months).copied().filter(|month| month.last_of_month() <= day).collect();
        if worked.is_empty() {
            continue;
        }
        let standing = account.standing(number(day));
        let working = standing.as_ref().is_some_and(|s| s.working);
        let figures = [
            worked.range(first..).count() as u64,
            worked.len() as u64,
            u64::from(working),
            u64::from(standing.is_some_and(|s| s.confirmed)),
        ];
        totals.iter_mut().zip(figures).for_each(|(sum, n)| *sum += n);
        let keys = vec![Some(home.code_text().into()), Some(home.full_name().into()), Some(id.to_string().into())];
        rows.push(Row { keys, values: figures.map(Value::Count).to_vec() });
    }
    let key = |name, title| Key { name, title };
    Report {
        name: "months",
        title: "务工月数",
        period: query.period,
        region: query.scope.code(),
        axis: query.axis,
        generated_at: now,
        as_of: AsOf { seq: from.as_of.seq, time: from.as_of.at, root: None },
        sealed: false,
        keys: vec![key("region", "地区代码"), key("name", "地区"), key("worker", "人员编号")],
        columns: columns(),
        rows,
        totals: Row {
            keys: vec![Some(query.scope.code().into()), Some(format!("{}合计", query.scope.name()).into()), None],
            values: totals.map(Value::Count).to_vec(),
        },
        more: More::default(),
    }
}
