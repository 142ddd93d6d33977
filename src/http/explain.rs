//! Why a person did or did not get a posting, for who may read that person.

use super::State;
use super::auth::OfficeOrAdmin;
use super::pages::Lang;
use super::problem::{Problem, ProblemBody};
use crate::domain::eligibility::Obstacle;
use crate::domain::id::{OfferId, PostingId, WorkerId};
use crate::domain::skill::Skill;
use crate::routing::{Condition, Explanation};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(explain);
}

#[derive(Debug, Deserialize)]
struct Asked {
    worker: Option<String>,
    lang: Option<String>,
}

/// Why a person was or was not offered a posting: their offer, the first condition
/// that failed, or how many come first. Chinese, or English by `lang=en`. The reading
/// is logged.
#[utoipa::path(tag = "people", security(("bearer" = [])), params(("id" = String, Path), ("worker" = String, Query), ("lang" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/postings/{id}/explain")]
async fn explain(state: Data<State>, who: OfficeOrAdmin, id: Path<String>, asked: Query<Asked>) -> Result<HttpResponse, Problem> {
    let worker = asked.worker.as_deref().filter(|w| !w.is_empty());
    let worker = worker.ok_or_else(|| Problem::parameter("worker", "worker_missing", "names the person: worker=ID"))?;
    let posting = PostingId::parse(&id).ok_or_else(Problem::not_found)?;
    let worker = WorkerId::parse(worker).ok_or_else(Problem::not_found)?;
    let file = state.store.worker(worker).await?.filter(|w| w.seeker.home.is_within(who.region()));
    let (worker, now) = (file.ok_or_else(Problem::not_found)?.id, state.clock.now());
    let explanation = state.router.explain(posting, worker, now).await?.ok_or_else(Problem::not_found)?;
    state.store.log_access(who.client().id.to_string(), "explain", vec![worker], format!("posting {posting}"), now).await?;
    let lang = asked.lang.as_deref().map_or(Lang::Zh, Lang::parse);
    Ok(HttpResponse::Ok().json(explanation_body(posting, worker, &explanation, lang)))
}

/// An explanation as callers and the command line get it.
pub fn explanation_body(posting: PostingId, worker: WorkerId, explanation: &Explanation, lang: Lang) -> Value {
    let (mut condition, mut detail, mut ahead, mut offered) = (None, None, None, None::<OfferId>);
    let result = match explanation {
        Explanation::Offered { offer, .. } => {
            offered = Some(*offer);
            "offered"
        }
        Explanation::Failed(failed) => {
            (condition, detail) = (Some(failed.code()), failed.detail());
            "failed"
        }
        Explanation::Ranked { ahead: n, .. } => {
            ahead = Some(*n);
            "ranked"
        }
    };
    json!({"posting": posting, "worker": worker, "result": result, "condition": condition, "detail": detail,
        "text": words(lang, explanation), "ahead": ahead, "offer": offered})
}

/// An explanation in words.
fn words(lang: Lang, explanation: &Explanation) -> String {
    let said = |key: &str, values: &[(&str, String)]| {
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        lang.with(&format!("explain_{key}"), &values)
    };
    let obstacle = match explanation {
        Explanation::Offered { state, .. } => return said(&format!("offered_{}", state.code()), &[]),
        Explanation::Ranked { ahead, wanted } => return said("ranked", &[("n", ahead.to_string()), ("wanted", wanted.to_string())]),
        Explanation::Failed(Condition::Worker(obstacle)) => *obstacle,
        Explanation::Failed(condition) => return said(condition.code(), &[]),
    };
    let values = match obstacle {
        Obstacle::PayBelow { pays, least } => vec![("pays", pays.to_string()), ("least", least.to_string())],
        Obstacle::Skills(missing) => {
            let title = |s: Skill| if lang == Lang::En { s.title_en() } else { s.title_zh() };
            let titles: Vec<&str> = Skill::all().filter(|s| missing & s.bit() != 0).map(title).collect();
            vec![("skills", titles.join(lang.text("comma")))]
        }
        Obstacle::TooYoung { least } => vec![("age", least.to_string())],
        Obstacle::TooOld { most } => vec![("age", most.to_string())],
        Obstacle::Cap(cap) => vec![("n", cap.to_string())],
        Obstacle::CoolingDown(until) => vec![("until", super::pages::moment(lang, until))],
        _ => Vec::new(),
    };
    said(obstacle.code(), &values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::offer::OfferState;
    use crate::domain::posting::Status;
    use crate::domain::time::Moment;

    #[test]
    fn every_explanation_has_words_in_both_languages_with_everything_filled_in() {
        let offer = OfferId::new(uuid::Uuid::nil());
        let posting = [Status::Paused, Status::Filled, Status::Closed, Status::Expired].map(Condition::Posting);
        let worker = [
            Obstacle::NoConsent,
            Obstacle::Category,
            Obstacle::NotTargeted,
            Obstacle::InPlaceOnly,
            Obstacle::Destination,
            Obstacle::PayBelow { pays: 3000, least: 4000 },
            Obstacle::PayUnstated,
            Obstacle::Skills(Skill::all().take(2).fold(0, |mask, s| mask | s.bit())),
            Obstacle::TooYoung { least: 18 },
            Obstacle::TooOld { most: 45 },
            Obstacle::Paused,
            Obstacle::NotLooking,
            Obstacle::Cap(3),
            Obstacle::CoolingDown(Moment::from_ms(0)),
        ];
        let rest = [Condition::Held, Condition::WithoutPlace, Condition::OfferedBefore, Condition::CountyFilled, Condition::NoWaveWanted];
        let failed = posting.into_iter().chain(worker.map(Condition::Worker)).chain(rest).map(Explanation::Failed);
        let offered = OfferState::ALL.map(|state| Explanation::Offered { offer, state });
        for explanation in failed.chain(offered).chain([Explanation::Ranked { ahead: 7, wanted: 3 }]) {
            for lang in Lang::ALL {
                let said = words(lang, &explanation);
                assert!(said.chars().count() > 4 && !said.contains(['{', '–']), "{explanation:?}: {said}");
            }
        }
        let lacks = Explanation::Failed(Condition::Worker(Obstacle::Skills(Skill::parse("forklift_licence").unwrap().bit())));
        assert!(words(Lang::Zh, &lacks).contains("叉车"));
    }
}
