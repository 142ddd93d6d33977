//! Reports, in every form they are pulled in.

use super::State;
use super::auth::OfficeToken;
use super::problem::{Problem, ProblemBody};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::reporting::{self, Format, Params, Query as ReportQuery, QueryFault, Report, Rules};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(report);
}

/// What a report is asked with.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Asked {
    pub period: Option<String>,
    pub region: Option<String>,
    pub level: Option<String>,
    pub axis: Option<String>,
    pub by: Option<String>,
    pub format: Option<String>,
    /// Not served yet, and refused rather than passed over.
    pub as_of: Option<String>,
}

impl From<QueryFault> for Problem {
    fn from(fault: QueryFault) -> Self {
        match fault {
            QueryFault::RegionForbidden => Problem::forbidden("region_forbidden", "The region lies outside this office's own."),
            other => Problem::parameter(other.parameter(), other.code(), "cannot be reported on"),
        }
    }
}

/// The employment report of a subtree.
pub async fn employment(state: &State, own: Region, asked: &Asked) -> Result<Report, Problem> {
    if asked.as_of.is_some() {
        return Err(Problem::parameter("as_of", "as_of_unsupported", "reports are given as they stand now"));
    }
    let params = Params {
        period: asked.period.as_deref(),
        region: asked.region.as_deref(),
        level: asked.level.as_deref(),
        axis: asked.axis.as_deref(),
        by: asked.by.as_deref(),
    };
    let query = ReportQuery::parse(params, own)?;
    let now: Moment = state.clock.now();
    let day = query.day(now.day())?;
    let fold = state.store.fold(day).await?;
    let rules = Rules::from(&state.config.report);
    Ok(reporting::employment(&fold, &query, &rules, day, now, &|_| None))
}

/// A report of the office's region: `employment`.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("name" = String, Path), ("period" = String, Query), ("region" = Option<String>, Query),
    ("level" = Option<String>, Query), ("axis" = Option<String>, Query), ("by" = Option<String>, Query), ("format" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/reports/{name}")]
async fn report(state: Data<State>, who: OfficeToken, name: Path<String>, asked: Query<Asked>) -> Result<HttpResponse, Problem> {
    if name.as_str() != "employment" {
        return Err(Problem::not_found());
    }
    document(&state, who.region, &asked).await
}

/// The employment report of a subtree as a file or document.
pub async fn document(state: &State, own: Region, asked: &Asked) -> Result<HttpResponse, Problem> {
    let format = match asked.format.as_deref() {
        None | Some("") => Format::Json,
        Some(text) => {
            Format::parse(text).ok_or_else(|| Problem::parameter("format", "format_invalid", "may be json, csv, xlsx or dhis2"))?
        }
    };
    let made = employment(state, own, asked).await?;
    let body = made.write(format).map_err(Problem::internal)?;
    let mut response = HttpResponse::Ok();
    response.content_type(format.media_type());
    if !matches!(format, Format::Json | Format::Dhis2) {
        let file = format!("attachment; filename=\"employment-{}.{}\"", asked.period.as_deref().unwrap_or("report"), format.code());
        if file.is_ascii() && !file.contains(['\r', '\n']) {
            response.insert_header(("content-disposition", file));
        }
    }
    Ok(response.body(body))
}
