//! What an office keeps of the sealed log, and what it can check by it.

use super::State;
use super::auth::{OfficeOrAdmin, OfficeToken};
use super::problem::{Problem, ProblemBody};
use crate::domain::id::HireId;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(checkpoint).service(proof);
}

/// The newest checkpoint of the sealed log, a signed note (C2SP). Who keeps it finds any
/// later change of what it covers by `doorstep seal verify --checkpoint FILE`.
#[utoipa::path(tag = "people", security(("bearer" = [])), responses((status = 200, body = String, content_type = "text/plain"),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
    (status = 404, body = ProblemBody, description = "`no_checkpoint`: nothing was sealed yet")))]
#[get("/v1/checkpoint")]
async fn checkpoint(state: Data<State>, _: OfficeOrAdmin) -> Result<HttpResponse, Problem> {
    let newest = state.store.checkpoint().await?;
    let newest = newest.ok_or_else(|| Problem::new(404, "no_checkpoint", "Nothing was sealed yet."))?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(newest.note))
}

/// That the entry which made a hire stands in the newest checkpoint: the entry's text, its
/// place, and the hashes that lead from it to the root (RFC 6962). The reading is logged.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody, description = "`not_sealed`: no checkpoint covers it yet")))]
#[get("/v1/hires/{id}/proof")]
async fn proof(state: Data<State>, who: OfficeToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = HireId::parse(&id).ok_or_else(Problem::not_found)?;
    let hire = state.store.hire(id).await?.ok_or_else(Problem::not_found)?;
    let worker = state.store.worker(hire.worker).await?.filter(|w| w.seeker.home.is_within(who.region));
    worker.ok_or_else(Problem::not_found)?;
    state.store.log_access(who.client.id.to_string(), "proof", vec![hire.worker], id.to_string(), state.clock.now()).await?;
    let proof = state.store.inclusion(id).await?;
    let unsealed = || Problem::new(409, "not_sealed", "No checkpoint covers this hire yet; ask again in a minute.");
    Ok(HttpResponse::Ok().json(proof.ok_or_else(unsealed)?))
}
