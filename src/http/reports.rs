//! Reports, in every form they are pulled in.

use super::State;
use super::auth::OfficeToken;
use super::problem::{Problem, ProblemBody};
use crate::domain::region::Region;
use crate::reporting::{self, Format, Name, Params, QueryFault, Report, ReportFault};
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
    /// A position in the ledger: the report as it stood there.
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

impl From<ReportFault> for Problem {
    fn from(fault: ReportFault) -> Self {
        match fault {
            ReportFault::Query(fault) => fault.into(),
            ReportFault::Store(e) => e.into(),
        }
    }
}

/// A report of a subtree.
pub async fn made(state: &State, own: Region, name: Name, asked: &Asked) -> Result<Report, Problem> {
    let params = Params {
        period: asked.period.as_deref(),
        region: asked.region.as_deref(),
        level: asked.level.as_deref(),
        axis: asked.axis.as_deref(),
        by: asked.by.as_deref(),
        as_of: asked.as_of.as_deref(),
    };
    Ok(reporting::report(&state.store, name, params, own, state.clock.now()).await?)
}

/// A report of the office's region. `employment`: how many registered persons work,
/// and where. `routing`: offers for each thousand who look for work and days without
/// one, by home alone (neither `axis=work` nor `by`); seekers of a period that is
/// over are those of today's who looked on its last day already.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("name" = String, Path), ("period" = String, Query), ("region" = Option<String>, Query),
    ("level" = Option<String>, Query), ("axis" = Option<String>, Query), ("by" = Option<String>, Query), ("format" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/reports/{name}")]
async fn report(state: Data<State>, who: OfficeToken, name: Path<String>, asked: Query<Asked>) -> Result<HttpResponse, Problem> {
    let name = Name::parse(&name).ok_or_else(Problem::not_found)?;
    document(&state, who.region, name, &asked).await
}

/// A report of a subtree as a file or document.
pub async fn document(state: &State, own: Region, name: Name, asked: &Asked) -> Result<HttpResponse, Problem> {
    let format = match asked.format.as_deref() {
        None | Some("") => Format::Json,
        Some(text) => {
            Format::parse(text).ok_or_else(|| Problem::parameter("format", "format_invalid", "may be json, csv, xlsx or dhis2"))?
        }
    };
    let made = made(state, own, name, asked).await?;
    let body = made.write(format).map_err(Problem::internal)?;
    let mut response = HttpResponse::Ok();
    response.content_type(format.media_type());
    if !matches!(format, Format::Json | Format::Dhis2) {
        let file = format!("attachment; filename=\"{}-{}.{}\"", name.code(), asked.period.as_deref().unwrap_or("report"), format.code());
        if file.is_ascii() && !file.contains(['\r', '\n']) {
            response.insert_header(("content-disposition", file));
        }
    }
    Ok(response.body(body))
}
