//! Why an offer came to a worker, as codes and figures; it becomes words only where
//! somebody reads it, for there are many more offers than readers.

use super::eligibility::Question;
use super::offer::Reason;
use super::ranking::{Distance, Match};
use super::region::{FocusSet, Region, focus_set};
use super::worker::Tier;
use jiff::civil::Date;

/// What spoke for a worker when an offer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grounds {
    /// 0 displaced, 1 not lifted, 2 at risk, 3 lifted.
    rank: u8,
    /// The name of a set that holds the home.
    focus: Option<&'static str>,
    seeking_days: u32,
    distance: Distance,
    /// Of the work, where that is elsewhere.
    province: Option<Region>,
    /// The best month's pay in yuan, and the least that the worker asks for.
    pay: Option<(u32, u32)>,
}

impl Grounds {
    /// `sets` are those of which the first that holds the worker's home is named.
    pub fn of(q: &Question, m: &Match, sets: &[&'static FocusSet], today: Date) -> Self {
        let distance = m.distance();
        Self {
            rank: m.rank(),
            focus: sets.iter().find(|set| set.contains(m.home)).map(|set| set.name),
            seeking_days: u32::try_from((today - m.seeking_since()).get_days()).unwrap_or(0),
            distance,
            province: q.work.and_then(Region::province).filter(|_| distance == Distance::Elsewhere),
            pay: q.pay.map(|pay| (pay, m.least)),
        }
    }

    /// The form that is stored: `rank;set;days;distance;province;pay;least`.
    pub fn stored(&self) -> String {
        let distance = match self.distance {
            Distance::SameCounty => 0,
            Distance::SameProvince => 1,
            Distance::Elsewhere => 2,
        };
        let (set, days) = (self.focus.unwrap_or_default(), self.seeking_days);
        let province = self.province.map_or_else(String::new, |p| p.to_string());
        let (pay, least) = self.pay.map_or_else(Default::default, |(pay, least)| (pay.to_string(), least.to_string()));
        format!("{};{set};{days};{distance};{province};{pay};{least}", self.rank)
    }

    /// Reads what [`Grounds::stored`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(';').collect();
        let [rank, set, days, distance, province, pay, least] = parts[..] else { return None };
        let classes = [Distance::SameCounty, Distance::SameProvince, Distance::Elsewhere];
        Some(Self {
            rank: rank.parse().ok().filter(|rank| *rank <= 3)?,
            // A set that there is no more is not named any more.
            focus: focus_set(set).map(|set| set.name),
            seeking_days: days.parse().ok()?,
            distance: *classes.get(distance.parse::<usize>().ok()?)?,
            province: Region::parse(province),
            pay: if pay.is_empty() { None } else { Some((pay.parse().ok()?, least.parse().ok()?)) },
        })
    }

    /// In words for the worker and the office.
    pub fn reasons(&self) -> Vec<Reason> {
        let reason = |code: &str, text: String| Reason { code: code.to_owned(), text };
        let mut out = Vec::with_capacity(5);
        match self.rank.checked_sub(1).and_then(|at| Tier::ALL.get(usize::from(at))) {
            None => out.push(reason("displaced", "不久前失去工作，优先推荐".to_owned())),
            Some(tier) => out.push(reason(&format!("tier_{}", tier.code()), format!("帮扶对象：{}", tier.title_zh()))),
        }
        if let Some(set) = self.focus.and_then(focus_set) {
            out.push(reason("focus", format!("家乡属于重点地区：{}", set.title_zh)));
        }
        out.push(reason("seeking_days", format!("已求职 {} 天", self.seeking_days)));
        out.push(match self.distance {
            Distance::SameCounty => reason("same_county", "就在本县".to_owned()),
            Distance::SameProvince => reason("same_province", "在本省".to_owned()),
            Distance::Elsewhere => reason("destination", format!("在您愿意去的{}", self.province.map_or("地方", Region::name))),
        });
        out.push(match self.pay {
            Some((pay, least)) => reason("pay_surplus", format!("月薪可达 {pay} 元，比您的最低要求高 {} 元", pay.saturating_sub(least))),
            None => reason("pay_unstated", "没有写明月薪，请先问清楚".to_owned()),
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eligibility::tests::{TERMS, question, seeker};
    use crate::domain::worker::Seeker;

    fn grounds(q: &Question, w: &Seeker) -> Grounds {
        let sets = [focus_set("hubei").unwrap(), focus_set("listed-52").unwrap()];
        Grounds::of(q, &Match::of(q, w, true, TERMS.now), &sets, TERMS.today)
    }

    #[test]
    fn reasons_name_tier_focus_wait_place_and_pay() {
        let listed = focus_set("listed-52").unwrap();
        let far = grounds(&question(), &Seeker { home: listed.counties()[0], ..seeker() });
        let told = |g: Grounds| g.reasons().into_iter().map(|r| format!("{} {}", r.code, r.text)).collect::<Vec<_>>();
        assert_eq!(far.stored(), "1;listed-52;92;2;330000;6000;3000");
        assert_eq!(
            told(far),
            [
                "tier_not_lifted 帮扶对象：未脱贫".to_owned(),
                format!("focus 家乡属于重点地区：{}", listed.title_zh),
                "seeking_days 已求职 92 天".to_owned(),
                "destination 在您愿意去的浙江省".to_owned(),
                "pay_surplus 月薪可达 6000 元，比您的最低要求高 3000 元".to_owned(),
            ]
        );
        let near = Question { pay: None, work: Some(seeker().home), ..question() };
        let near = grounds(&near, &Seeker { displaced_until: TERMS.now + 1, ..seeker() });
        assert_eq!(
            told(near),
            [
                "displaced 不久前失去工作，优先推荐",
                "seeking_days 已求职 92 天",
                "same_county 就在本县",
                "pay_unstated 没有写明月薪，请先问清楚"
            ]
        );
    }

    #[test]
    fn what_was_stored_is_read_back() {
        for pay in [None, Some(0), Some(6000)] {
            for home in ["520628", "330212", "330106", "522624"] {
                let q = Question { pay, ..question() };
                let of = grounds(&q, &Seeker { home: Region::parse(home).unwrap(), tier: Tier::Lifted, ..seeker() });
                assert_eq!(Grounds::parse(&of.stored()), Some(of));
            }
        }
        for broken in ["", "1", "4;;0;0;;;", "1;;x;0;;;", "1;;0;3;;;", "1;;0;0;;6000;"] {
            assert_eq!(Grounds::parse(broken), None, "{broken}");
        }
        assert_eq!(Grounds::parse("1;a-set-of-old;0;0;;;").unwrap().focus, None);
    }
}
