//! What a message says: short Chinese, by the templates in `config/messages/`.
//!
//! Nothing here is a platform's own text: trade, place and pay are as the gateway read
//! them, so that nobody can put an address of theirs into a message.

use crate::config::notify::Medium;
use crate::domain::offer::OfferState;
use crate::domain::pay::Pay;
use crate::domain::posting::Arrangement;
use crate::domain::time::{Moment, zone};
use crate::store::notices::Due;
use crate::store::postings::Posting;
use crate::store::replies::Replied;
use jiff::Timestamp;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use std::sync::LazyLock;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_debug(false);
    for (name, source) in [
        ("sms", include_str!("../../config/messages/sms.jinja")),
        ("voice", include_str!("../../config/messages/voice.jinja")),
        ("reply", include_str!("../../config/messages/reply.jinja")),
    ] {
        env.add_template(name, source).expect("the templates are compiled in and a test renders them");
    }
    env
});

fn render(name: &str, content: Value) -> Result<String, String> {
    let made = TEMPLATES.get_template(name).and_then(|t| t.render(content)).map_err(|e| format!("{e:#}"))?;
    Ok(made.lines().map(str::trim).collect())
}

/// The message to a worker for this medium.
pub fn message(due: &Due, medium: Medium, link: &str) -> Result<String, String> {
    let offers: Vec<Value> = due
        .offers
        .iter()
        .map(|(code, o, p)| {
            context! { code, trade => trade(p), place => place(p), pay => pay(&p.content.base_salary), until => until(o.expires_at),
            promoted => o.promoted, platform => &o.platform }
        })
        .collect();
    let gone: Vec<Value> = due
        .gone
        .iter()
        .map(|(o, p)| {
            context! { trade => trade(p), place => place(p), not_selected => o.state == OfferState::NotSelected }
        })
        .collect();
    render(medium.code(), context! { offers, gone, link })
}

/// What is sent back to somebody who replied.
pub fn reply(replied: &Replied) -> Result<String, String> {
    let o = replied.offer.as_ref();
    render(
        "reply",
        context! {
            result => &replied.result, code => &replied.code, trade => o.map(|o| o.trade.title_zh()).unwrap_or("这个工作"),
            platform => o.map(|o| o.platform.as_str()).unwrap_or_default(), position => o.and_then(|o| o.position).unwrap_or(1),
        },
    )
}

fn trade(p: &Posting) -> &'static str {
    p.content.category.title_zh()
}

/// The county and what it lies in, without the province.
fn place(p: &Posting) -> String {
    if p.content.arrangement == Arrangement::InPlace {
        return "在家或本县".to_owned();
    }
    let Some(region) = p.content.job_location.region else { return "地点见详情".to_owned() };
    let above = region.prefecture().filter(|above| *above != region).map_or("", |above| above.name());
    format!("{above}{}", region.name())
}

fn pay(pay: &Pay) -> String {
    let yuan = |m: crate::domain::pay::Money| m.units_rounded();
    match (pay.monthly_min.map(yuan), pay.monthly_max.map(yuan)) {
        (Some(least), Some(most)) if least < most => format!("月薪{least}-{most}元"),
        (_, Some(most)) => format!("月薪{most}元"),
        (Some(least), None) => format!("月薪{least}元起"),
        (None, None) if pay.unit.is_some() => "计件工资".to_owned(),
        (None, None) => "工资没写明".to_owned(),
    }
}

fn until(at: Moment) -> String {
    let Ok(at) = Timestamp::from_millisecond(at.ms()).map(|t| zone().to_datetime(t)) else { return String::new() };
    format!("{}月{}日{:02}:{:02}", at.month(), at.day(), at.hour(), at.minute())
}
