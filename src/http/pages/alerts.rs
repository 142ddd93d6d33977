//! What needs a person, in the reader's language: the page of alerts, and the sentence of
//! an alert, which is written from its facts when it is shown.
//!
//! Promises: an alert raised before there were facts shows its sentence as it stands.

use super::super::State;
use super::super::body::Form;
use super::super::problem::Problem;
use super::figures::grouped;
use super::office::{head, inside, link, sent};
use super::text::Lang;
use super::{Fields, offer, text};
use crate::domain::alert::Facts;
use crate::domain::id::AlertId;
use crate::domain::region::Region;
use crate::store::alerts::{Alert, AlertFilter};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use jiff::civil::Date;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// The newest on the page.
const SHOWN: i64 = 200;

/// An alert in the page's words.
#[derive(Serialize)]
pub struct Matter {
    id: String,
    kind: String,
    region: String,
    at: String,
    detail: String,
    /// The sentence stands as it was stored, in English.
    stored: bool,
    worker: Option<String>,
    /// Where the people are listed of whom it tells only the number.
    people: Option<String>,
    resolved: Option<String>,
    /// What came of it.
    note: Option<String>,
}

impl Matter {
    /// The alert in this language, its days and names as the pages write them.
    pub fn of(lang: Lang, a: &Alert) -> Self {
        let key = format!("alert_{}", a.kind);
        let key = if text::has(&key) { key } else { "alert_other".to_owned() };
        let told = a.facts.as_ref().and_then(|facts| sentence(lang, facts, |on| offer::day(lang, on)));
        let place = a.region.to_string();
        let listed = |state| link(lang, "/office/people", &[("region", &place), ("state", state)]);
        Self {
            id: a.id.to_string(),
            kind: lang.text(&key).to_owned(),
            region: a.region.full_name(),
            at: offer::moment(lang, a.at),
            detail: told.unwrap_or_else(|| a.detail.clone()),
            stored: a.facts.is_none(),
            worker: a.worker.map(|w| w.to_string()),
            people: matches!(a.facts, Some(Facts::Unreachable { .. })).then(|| listed("unreachable")),
            resolved: a.resolved_at.map(|at| offer::moment_of_year(lang, at)),
            note: a.note.clone(),
        }
    }
}

/// The sentence in plain English for programs, its days as `2020-06-15`.
pub fn plain(a: &Alert) -> String {
    a.facts.as_ref().and_then(|facts| sentence(Lang::En, facts, |on| on.to_string())).unwrap_or_else(|| a.detail.clone())
}

/// What the facts say; none of a complaint, which speaks for itself.
fn sentence(lang: Lang, facts: &Facts, day: impl Fn(Date) -> String) -> Option<String> {
    let mut key = format!("detail_{}", facts.kind());
    let place = |code: &str| Region::parse(code).map_or_else(|| code.to_owned(), Region::full_name);
    let platform = |slug: &str| ("platform", offer::platform(lang, slug));
    let values = match facts {
        Facts::Complaint {} => return None,
        Facts::MovedAway { region } => vec![("place", place(region))],
        Facts::OverHired { source_id, openings, county } => {
            let mut values = vec![("posting", source_id.clone()), ("openings", grouped(u64::from(*openings)))];
            if let Some(county) = county {
                key.push_str("_county");
                values.push(("place", place(county)));
            }
            values
        }
        Facts::PlatformSilent { platform: slug, since } => vec![platform(slug), ("since", day(*since))],
        Facts::EmploymentDrop { working, before } => vec![("working", grouped(*working)), ("before", grouped(*before))],
        Facts::DisplacedWaiting { since } => vec![("since", day(*since))],
        Facts::ActiveMissing { platform: slug, until } => vec![platform(slug), ("until", day(*until))],
        Facts::PayBelowPromise { month, wage, promised } => {
            vec![("month", month.clone()), ("wage", offer::amount(*wage)), ("promised", offer::amount(*promised))]
        }
        Facts::UnconfirmedShare { unconfirmed, working } => {
            vec![("unconfirmed", grouped(*unconfirmed)), ("working", grouped(*working))]
        }
        Facts::Unreachable { day: on, people } => vec![("day", day(*on)), ("people", grouped(*people))],
        Facts::EndpointDisabled { platform: slug, endpoint, reason } => {
            let why = lang.get(&format!("endpoint_{reason}")).unwrap_or(reason).to_owned();
            vec![platform(slug), ("endpoint", endpoint.clone()), ("why", why)]
        }
    };
    Some(lang.with(&key, &values.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>()))
}

/// `GET /office/alerts`: what needs a person, open or resolved.
pub async fn page(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let done = visit.query.has("state", "resolved");
        let filter = AlertFilter { region: office.region, resolved: Some(done), after: None, limit: SHOWN };
        let (of, number) = state.store.alerts(filter).await?;
        let items = of.iter().map(|a| Matter::of(visit.lang, a)).collect::<Vec<_>>();
        let told = visit.query.has("done", "resolved").then_some("alert_resolved");
        visit.page(200, "alerts.html", context! { items => Serde(items), number, done, told, ..head(visit, &office, "alerts") })
    })
    .await
}

/// `POST /office/alerts/{id}/resolve`: it was seen to, and what came of it.
pub async fn resolve(state: Data<State>, request: HttpRequest, id: Path<String>, body: Result<Form, Problem>) -> HttpResponse {
    sent(&state, &request, async |visit, office| {
        let fields = Fields::read(&body?.0);
        let id = AlertId::parse(&id).ok_or_else(Problem::not_found)?;
        let note = fields.one("note").unwrap_or_default().chars().take(500).collect();
        if !state.store.resolve_alert(id, office.region, note, state.clock.now()).await? {
            return Err(Problem::not_found());
        }
        Ok(visit.go("/office/alerts", &[("done", "resolved")]))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::Money;
    use crate::domain::time::Moment;
    use jiff::civil::date;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    /// Which of [`samples`] this is one of: a new kind has to be given a number, and so
    /// a sample.
    fn number(facts: &Facts) -> usize {
        match facts {
            Facts::MovedAway { .. } => 0,
            Facts::OverHired { county: None, .. } => 1,
            Facts::OverHired { county: Some(_), .. } => 2,
            Facts::PlatformSilent { .. } => 3,
            Facts::EmploymentDrop { .. } => 4,
            Facts::DisplacedWaiting { .. } => 5,
            Facts::ActiveMissing { .. } => 6,
            Facts::PayBelowPromise { .. } => 7,
            Facts::UnconfirmedShare { .. } => 8,
            Facts::Unreachable { .. } => 9,
            Facts::EndpointDisabled { .. } => 10,
            Facts::Complaint {} => 11,
        }
    }

    /// One of each number below 12, with its sentence in both languages.
    fn samples() -> Vec<(Facts, [&'static str; 2])> {
        let over = |county: Option<&str>| Facts::OverHired { source_id: "a-1".into(), openings: 1, county: county.map(str::to_owned) };
        let (platform, on) = (|| "meituan".to_owned(), date(2020, 6, 15));
        let disabled = |reason: &str| Facts::EndpointDisabled { platform: platform(), endpoint: "e".into(), reason: reason.into() };
        vec![
            (
                Facts::MovedAway { region: "522624".into() },
                ["户籍已迁到贵州省黔东南苗族侗族自治州三穗县", "now registered in 贵州省黔东南苗族侗族自治州三穗县"],
            ),
            (over(None), ["岗位 a-1 的录用人数超过名额（1 个）", "a-1: one more was hired than its openings (1)"]),
            (
                over(Some("520302")),
                [
                    "岗位 a-1 在贵州省遵义市红花岗区的录用人数超过名额（1 个）",
                    "a-1: one more was hired than its openings (1) for 贵州省遵义市红花岗区",
                ],
            ),
            (
                Facts::PlatformSilent { platform: platform(), since: on },
                ["美团在2020年6月15日之后没有发来岗位", "Meituan has sent no postings since 2020-06-15"],
            ),
            (
                Facts::EmploymentDrop { working: 1500, before: 2000 },
                ["现有 1,500 人在岗，一个月前 2,000 人", "1,500 work, 2,000 did a month ago"],
            ),
            (
                Facts::DisplacedWaiting { since: on },
                ["2020年6月15日失去工作，之后没有得到推荐", "lost a job on 2020-06-15 and has had no offer since"],
            ),
            (
                Facts::ActiveMissing { platform: platform(), until: on },
                [
                    "美团报其在岗，但近两个月没有在岗记录；统计只计到2020年6月15日",
                    "works by Meituan's word, and no sign of it in the last two months; counts until 2020-06-15",
                ],
            ),
            (
                Facts::PayBelowPromise { month: "2020-05".into(), wage: Money::from_minor(499_950), promised: Money::from_units(5000) },
                ["2020-05 上报的月工资为 4999.5 元，岗位承诺 5000 元", "4999.5 yuan a month reported for 2020-05, 5000 promised"],
            ),
            (
                Facts::UnconfirmedShare { unconfirmed: 2, working: 3 },
                ["在岗一个月以上的 3 人中有 2 人未经确认", "2 of 3 who have worked for over a month are not confirmed"],
            ),
            (Facts::Unreachable { day: on, people: 2 }, ["2020年6月15日有 2 人联系不上", "2 not reached on 2020-06-15"]),
            (
                disabled("gone"),
                [
                    "美团的消息接收地址（e）已停用：对方答复该地址已不存在",
                    "a webhook endpoint of Meituan (e) was disabled: it answers that it is gone",
                ],
            ),
            (
                disabled("failing"),
                [
                    "美团的消息接收地址（e）已停用：连续多天没有一次接收成功",
                    "a webhook endpoint of Meituan (e) was disabled: nothing was received for days",
                ],
            ),
            (Facts::Complaint {}, ["押金<b>", "押金<b>"]),
        ]
    }

    fn alert(kind: &str, facts: Option<Facts>, detail: &str) -> Alert {
        Alert {
            id: AlertId::new(Uuid::nil()),
            kind: kind.to_owned(),
            region: Region::NATION,
            at: Moment::from_ms(0),
            worker: None,
            posting: None,
            facts,
            detail: detail.to_owned(),
            resolved_at: None,
            note: None,
        }
    }

    #[test]
    fn every_kind_has_its_words_in_both_languages() {
        let numbers: BTreeSet<usize> = samples().iter().map(|(facts, _)| number(facts)).collect();
        assert_eq!(numbers, (0..12).collect());
        for (facts, [zh, en]) in samples() {
            let a = alert(facts.kind(), Some(facts.clone()), "押金<b>");
            assert_eq!((Matter::of(Lang::Zh, &a).detail.as_str(), plain(&a).as_str()), (zh, en));
            for lang in Lang::ALL {
                let matter = Matter::of(lang, &a);
                assert!(!matter.detail.contains(['{', '}', '–']) && !matter.stored, "{}", matter.detail);
                for key in ["alert", "advice"].map(|part| format!("{part}_{}", facts.kind())) {
                    assert!(lang.get(&key).is_some(), "{key}");
                }
            }
        }
    }

    #[test]
    fn an_alert_without_facts_shows_what_was_stored() {
        for lang in Lang::ALL {
            let a = alert("platform_silent", None, "example has sent no postings since 2020-06-15");
            let matter = Matter::of(lang, &a);
            assert_eq!((matter.detail, matter.stored), (a.detail.clone(), true));
            assert_eq!(plain(&a), a.detail);
        }
    }

    #[test]
    fn names_are_those_of_the_pages_and_codes_that_retired_stand_as_they_are() {
        let silent = |slug: &str| Facts::PlatformSilent { platform: slug.to_owned(), since: date(2020, 6, 15) };
        let on = |lang, facts: Facts| Matter::of(lang, &alert(facts.kind(), Some(facts), "")).detail;
        assert_eq!(on(Lang::En, silent("wuba-daojia")), "58 Daojia has sent no postings since 15 June 2020");
        assert_eq!(on(Lang::Zh, silent("nobody-knows")), "nobody-knows在2020年6月15日之后没有发来岗位");
        assert_eq!(on(Lang::Zh, Facts::MovedAway { region: "999999".to_owned() }), "户籍已迁到999999");
        let reason = Facts::EndpointDisabled { platform: "p".to_owned(), endpoint: "e".to_owned(), reason: "other_word".to_owned() };
        assert!(on(Lang::Zh, reason).ends_with("：other_word"));
        let unreachable = Facts::Unreachable { day: date(2020, 6, 15), people: 1 };
        let people = Matter::of(Lang::En, &alert("unreachable", Some(unreachable), "")).people;
        assert_eq!(people.as_deref(), Some("/office/people?region=000000&state=unreachable&lang=en"));
    }
}
