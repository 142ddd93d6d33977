//! An offer in the words of its worker's page.

use super::text::Lang;
use crate::domain::category::Category;
use crate::domain::offer::{OfferState, Reason};
use crate::domain::pay::{Money, Pay, Unit};
use crate::domain::posting::{Arrangement, Status};
use crate::domain::time::{Moment, zone};
use crate::store::offers::Offer;
use crate::store::postings::Posting;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

/// What a worker may say when declining; the codes are stored.
pub const DECLINES: [&str; 6] = ["pay", "far", "trade", "family", "working", "other"];

/// What stands on the page of one offer.
#[derive(Debug, Serialize)]
pub struct Card {
    id: String,
    title: String,
    trade: String,
    place: String,
    pay: String,
    pay_stated: bool,
    benefits: Vec<String>,
    employer: String,
    platform: String,
    reasons: Vec<Words>,
    until: String,
    until_iso: String,
    promoted: bool,
    /// No seat is free: an accept waits in line.
    filled: bool,
    /// How it stands, once answered or over.
    said: String,
    may_give_back: bool,
    /// Who answered for the worker, how and why.
    helped: Option<String>,
    #[serde(skip)]
    pub open: bool,
    #[serde(skip)]
    pub unseen: bool,
}

/// Words that may be Chinese on an English page.
#[derive(Debug, PartialEq, Serialize)]
pub struct Words {
    text: String,
    foreign: bool,
}

impl Card {
    pub fn of(lang: Lang, o: &Offer, p: &Posting, helper: Option<&str>, now: Moment) -> Self {
        let c = &p.content;
        let open = o.state.unanswered() && o.expires_at > now;
        let platform = platform(lang, &o.platform);
        let organization = c.hiring_organization.name.as_deref().filter(|n| !n.is_empty());
        let employer = match organization {
            Some(name) => lang.with("employer_through", &[("name", name), ("platform", &platform)]),
            None => platform.clone(),
        };
        Self {
            id: o.id.to_string(),
            title: c.title.clone(),
            trade: category(lang, c.category),
            place: place(lang, p),
            pay: pay(lang, &c.base_salary),
            pay_stated: is_stated(&c.base_salary),
            benefits: c.job_benefits.iter().map(|b| lang.get(&format!("benefit_{b}")).unwrap_or(b).to_owned()).collect(),
            employer,
            platform,
            reasons: if open { o.reasons().iter().map(|r| reason(lang, r)).collect() } else { Vec::new() },
            until: moment(lang, o.expires_at),
            until_iso: o.expires_at.to_string(),
            promoted: o.promoted,
            filled: p.status == Status::Filled && !o.promoted,
            said: said(lang, o),
            may_give_back: matches!(o.state, OfferState::Accepted | OfferState::Waitlisted),
            helped: helper.map(|name| helped(lang, o, name)),
            open,
            unseen: open && o.state == OfferState::Offered,
        }
    }
}

pub fn category(lang: Lang, category: Category) -> String {
    lang.text(&format!("category_{}", category.code())).to_owned()
}

/// A platform as people call it, where that is known.
pub fn platform(lang: Lang, slug: &str) -> String {
    lang.get(&format!("platform_{slug}")).unwrap_or(slug).to_owned()
}

fn place(lang: Lang, p: &Posting) -> String {
    if p.content.arrangement == Arrangement::InPlace {
        return lang.text("in_place").to_owned();
    }
    let place = &p.content.job_location;
    let named = place.text.clone().filter(|t| !t.is_empty()).or_else(|| place.region.map(|r| r.full_name()));
    named.unwrap_or_else(|| lang.text("place_unknown").to_owned())
}

fn is_stated(pay: &Pay) -> bool {
    pay.unit.is_some() && (pay.min.is_some() || pay.max.is_some())
}

/// `5000–8000 元/月`; what is not paid by the month has a month's pay beside it.
fn pay(lang: Lang, pay: &Pay) -> String {
    let Some(unit) = pay.unit.filter(|_| is_stated(pay)) else { return lang.text("pay_unstated").to_owned() };
    let key = match unit {
        Unit::Hour => "per_hour",
        Unit::Day => "per_day",
        Unit::Week => "per_week",
        Unit::Month => "per_month",
        Unit::Year => "per_year",
        Unit::Piece => "per_piece",
    };
    let currency = if pay.currency == "CNY" { lang.text("yuan") } else { &pay.currency };
    let mut text = lang.with(key, &[("pay", &range(lang, pay.min, pay.max)), ("currency", currency)]);
    if unit != Unit::Month && (pay.monthly_min.is_some() || pay.monthly_max.is_some()) {
        text += &lang.with("about_monthly", &[("pay", &range(lang, pay.monthly_min, pay.monthly_max))]);
    }
    text
}

fn range(lang: Lang, min: Option<Money>, max: Option<Money>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => amount(min),
        (Some(min), Some(max)) => format!("{}–{}", amount(min), amount(max)),
        (Some(min), None) => lang.with("from_pay", &[("pay", &amount(min))]),
        (None, Some(max)) => lang.with("up_to_pay", &[("pay", &amount(max))]),
        (None, None) => String::new(),
    }
}

/// Whole units without decimals, `5.5` with.
pub fn amount(money: Money) -> String {
    let (units, rest) = (money.minor() / 100, money.minor() % 100);
    if rest == 0 { units.to_string() } else { format!("{units}.{rest:02}").trim_end_matches('0').to_owned() }
}

fn said(lang: Lang, o: &Offer) -> String {
    match (o.state, o.position) {
        (OfferState::Waitlisted, Some(n)) => lang.with("state_waitlisted", &[("n", &n.to_string())]),
        (OfferState::Accepted, _) if o.share_contact => lang.with("state_accepted", &[("platform", &platform(lang, &o.platform))]),
        (OfferState::Accepted, _) => lang.with("state_accepted_private", &[("platform", &platform(lang, &o.platform))]),
        // Still unanswered here means that its time is over.
        (state, _) if state.unanswered() => lang.text("state_expired").to_owned(),
        (state, _) => lang.text(&format!("state_{}", state.code())).to_owned(),
    }
}

/// `示例县办公室电话征得您同意后替您答复，原因：手机坏了`.
fn helped(lang: Lang, o: &Offer, name: &str) -> String {
    let how = lang.get(&format!("helped_{}", o.method.as_deref().unwrap_or_default())).unwrap_or_else(|| lang.text("helped_other"));
    let mut text = how.replace("{name}", name);
    if let Some(reason) = o.reason.as_deref().filter(|r| !r.is_empty()) {
        text += &lang.with("helped_because", &[("reason", reason)]);
    }
    text
}

/// `6月4日（周四）08:00`, always Beijing time.
pub fn moment(lang: Lang, at: Moment) -> String {
    let Ok(at) = Timestamp::from_millisecond(at.ms()) else { return String::new() };
    let at = at.to_zoned_datetime(zone());
    let weekday = lang.text(&format!("weekday_{}", at.weekday().to_monday_one_offset()));
    let (month, clock) = (lang.text(&format!("month_{}", at.month())), format!("{:02}:{:02}", at.hour(), at.minute()));
    lang.with("moment", &[("month", month), ("day", &at.day().to_string()), ("weekday", weekday), ("clock", &clock)])
}

/// As [`moment`], with its year.
pub fn moment_of_year(lang: Lang, at: Moment) -> String {
    lang.with("moment_of_year", &[("year", &at.day().year().to_string()), ("moment", &moment(lang, at))])
}

/// `2020年6月4日`.
pub fn day(lang: Lang, on: Date) -> String {
    let month = lang.text(&format!("month_{}", on.month()));
    lang.with("date", &[("year", &on.year().to_string()), ("month", month), ("day", &on.day().to_string())])
}

/// A reason is stored in Chinese with its figures; another language says the
/// same by the code, with these figures, or shows the Chinese.
fn reason(lang: Lang, reason: &Reason) -> Words {
    let stored = || Words { text: reason.text.clone(), foreign: lang != Lang::Zh };
    if lang == Lang::Zh {
        return stored();
    }
    let Some(words) = lang.get(&format!("reason_{}", reason.code)) else { return stored() };
    let mut text = words.to_owned();
    for n in reason.text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()) {
        text = text.replacen("{n}", n, 1);
    }
    if text.contains('{') { stored() } else { Words { text, foreign: false } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pay_is_said_plainly_and_never_guessed() {
        let yuan = |n: i64| Some(Money::from_units(n));
        let base = Pay::unstated(Some("面议".to_owned()));
        assert_eq!(pay(Lang::Zh, &base), "工资没有写明（面议），去之前请先问清楚");
        let month = Pay { unit: Some(Unit::Month), min: yuan(5000), max: yuan(8000), ..base.clone() };
        assert_eq!(pay(Lang::Zh, &month), "每月 5000–8000 元");
        assert_eq!(pay(Lang::En, &month), "5000–8000 yuan a month");
        let hour =
            Pay { unit: Some(Unit::Hour), min: yuan(20), max: yuan(20), monthly_min: yuan(3480), monthly_max: yuan(3480), ..base.clone() };
        assert_eq!(pay(Lang::Zh, &hour), "每小时 20 元，一个月大约 3480 元");
        let piece = Pay { unit: Some(Unit::Piece), min: Some(Money::from_minor(550)), max: Some(Money::from_minor(805)), ..base.clone() };
        assert_eq!(pay(Lang::Zh, &piece), "每单（件）5.5–8.05 元");
        let least = Pay { unit: Some(Unit::Month), min: yuan(4000), ..base };
        assert_eq!(pay(Lang::Zh, &least), "每月 4000 起 元");
    }

    #[test]
    fn a_moment_is_beijing_time_with_its_weekday() {
        let at = Moment::parse("2020-06-04T00:05:00Z").unwrap();
        assert_eq!(moment(Lang::Zh, at), "6月4日（周四）08:05");
        assert_eq!(moment(Lang::En, at), "Thu 4 June, 08:05");
    }

    #[test]
    fn a_reason_keeps_its_figures_in_english_or_stays_chinese() {
        let check = |code: &str, text: &str| reason(Lang::En, &Reason { code: code.to_owned(), text: text.to_owned() });
        assert_eq!(check("seeking_days", "已求职 42 天").text, "You have been looking for 42 days");
        let surplus = check("pay_surplus", "月薪可达 8000 元，比您的最低要求高 4500 元");
        assert_eq!(surplus.text, "Up to 8000 yuan a month, 4500 more than the least you asked for");
        assert!(check("seeking_days", "已求职很久").foreign);
        assert!(check("new_reason", "别的").foreign);
    }

    #[test]
    fn every_reason_that_an_offer_can_have_is_said_in_both_languages() {
        use crate::domain::eligibility::tests::{TERMS, question, seeker};
        use crate::domain::grounds::Grounds;
        use crate::domain::ranking::Match;
        use crate::domain::region::{FocusSet, Region, focus_sets};
        use crate::domain::worker::{Seeker, Tier};
        let mut codes = std::collections::BTreeSet::new();
        let works = ["522624", "522601", "330212"].map(Region::parse);
        let sets = focus_sets().iter().map(Some).chain([None]);
        for (at, set) in sets.enumerate() {
            for (n, work) in works.into_iter().enumerate() {
                let w = Seeker { tier: Tier::ALL[n], displaced_until: i64::from(at == 0) * i64::MAX, ..seeker() };
                let q = crate::domain::eligibility::Question { work, pay: (n > 0).then_some(6000), ..question() };
                // At home in the set that is named.
                let home = set.and_then(|set: &FocusSet| set.counties().first()).copied().unwrap_or(w.home);
                let w = Seeker { home, ..w };
                let named: Vec<&'static FocusSet> = set.into_iter().collect();
                for given in Grounds::of(&q, &Match::of(&q, &w, true, TERMS.now), &named, TERMS.today).reasons() {
                    let said = reason(Lang::En, &given);
                    assert!(!said.foreign && said.text.is_ascii(), "{given:?}: {}", said.text);
                    assert_eq!(reason(Lang::Zh, &given), Words { text: given.text.clone(), foreign: false });
                    codes.insert(given.code);
                }
            }
        }
        assert_eq!(codes.len(), 11, "{codes:?}");
    }
}
