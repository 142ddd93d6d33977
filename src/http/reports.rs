//! Reports, in every form they are pulled in.

use super::auth::OfficeToken;
use super::problem::{Problem, ProblemBody};
use super::{State, optional};
use crate::domain::region::Region;
use crate::reporting::{self, Draft, Format, Name, Params, QueryFault, Report, ReportFault, STYLE_HASH, Table};
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpResponse, get};
use futures_util::Stream;
use serde::Deserialize;
use tokio::task::{JoinError, spawn_blocking};
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
    /// `true` asks for the public form, which needs no token.
    pub public: Option<String>,
}

impl Asked {
    fn params(&self) -> Params<'_> {
        Params {
            period: self.period.as_deref(),
            region: self.region.as_deref(),
            level: self.level.as_deref(),
            axis: self.axis.as_deref(),
            by: self.by.as_deref(),
            as_of: self.as_of.as_deref(),
        }
    }

    fn format(&self) -> Result<Format, Problem> {
        match self.format.as_deref() {
            None | Some("") => Ok(Format::Json),
            Some(text) => {
                Format::parse(text).ok_or_else(|| Problem::parameter("format", "format_invalid", &format!("may be {}", Format::codes())))
            }
        }
    }
}

impl From<QueryFault> for Problem {
    fn from(fault: QueryFault) -> Self {
        match fault {
            QueryFault::RegionForbidden => Problem::forbidden("region_forbidden", "The region lies outside this office's own."),
            other => Problem::parameter(other.parameter(), other.code(), other.detail()),
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
    Ok(reporting::report(&state.store, name, asked.params(), own, state.clock.now()).await?)
}

/// A report of the office's region. `employment`: how many registered persons work,
/// and where. `routing`: offers for each thousand who look for work and days without
/// one, by home alone (neither `axis=work` nor `by`); of a period that is over it says
/// who looked when its last day ended, whatever became of them later.
///
/// `format`: `json` (the default; this document), `csv`, `xlsx` (typed cells, charts, an
/// explanation of each column), `dhis2` (the body of `/api/dataValueSets`), `sdmx-csv`
/// (SDMX-CSV 2.0), `html` (a page to print) or `table` (aligned text).
///
/// `public=true` needs no token and gives the public form: `employment` of the nation by
/// none or `by=tier`, or with `region=set:listed-52`, or `flows`, of a locked period, small counts
/// suppressed jointly: null, with `suppressed` naming the columns. Another table is 404
/// `not_public`, a period that is not locked 409 `period_open`.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("name" = String, Path), ("period" = String, Query), ("region" = Option<String>, Query),
    ("level" = Option<String>, Query), ("axis" = Option<String>, Query), ("by" = Option<String>, Query), ("as_of" = Option<i64>, Query), ("format" = Option<String>, Query), ("public" = Option<bool>, Query)),
    responses((status = 200, content((Value = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (String = "application/vnd.sdmx.data+csv"), (String = "text/html"), (String = "text/plain"))), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/reports/{name}")]
async fn report(
    state: Data<State>,
    who: Result<OfficeToken, Problem>,
    name: Path<String>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Problem> {
    if optional("public", asked.public.as_deref(), |text| text.parse::<bool>().ok())? == Some(true) {
        // A token is not needed, but whoever asks too often is told so.
        who.map(drop).or_else(|problem| if problem.status == 429 { Err(problem) } else { Ok(()) })?;
        return public(&state, &name, &asked).await;
    }
    let who = who?;
    let name = Name::parse(&name).ok_or_else(Problem::not_found)?;
    let (format, now) = (asked.format()?, state.clock.now());
    let draft = reporting::draft(&state.store, name, asked.params(), who.region, now).await?;
    if name == Name::Months {
        // It names persons.
        let what = format!("{} {}", draft.head.region, draft.head.period);
        state.store.log_access_to_all(who.client.id.to_string(), "months", what, now).await?;
    }
    file(draft, format)
}

/// A table of the public form: small counts are hidden in all of them together.
async fn public(state: &State, name: &str, asked: &Asked) -> Result<HttpResponse, Problem> {
    let table = Table::of(name, asked.params()).filter(|_| asked.as_of.as_deref().is_none_or(str::is_empty));
    let table = table.ok_or_else(|| Problem::new(404, "not_public", "This table is not among the public ones."))?;
    let format = asked.format()?;
    let period = reporting::public_period(asked.params())?;
    if !reporting::locked(&state.store, period).await? {
        return Err(Problem::new(409, "period_open", "The period is not locked yet; its figures are not public."));
    }
    let table = state.published.table(&state.store, &state.config.report, table, period, state.clock.now()).await?;
    file(table.into(), format)
}

/// A report of a subtree, which names nobody, as a file or document.
pub async fn document(state: &State, own: Region, name: Name, asked: &Asked) -> Result<HttpResponse, Problem> {
    let format = asked.format()?;
    let draft = reporting::draft(&state.store, name, asked.params(), own, state.clock.now()).await?;
    file(draft, format)
}

/// Rows from which on a document leaves while it is written.
const MANY: usize = 1_000;

/// A report in one of its forms.
fn file(draft: Draft, format: Format) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::Ok();
    response.content_type(format.media_type());
    if format == Format::Json && draft.len >= MANY {
        return Ok(response.streaming(pieces(draft)));
    }
    let made = draft.report();
    let body = made.write(format).map_err(Problem::internal)?;
    match format {
        Format::Json | Format::Dhis2 => {}
        Format::Html => {
            let policy =
                format!("default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", *STYLE_HASH);
            response.insert_header(("content-security-policy", policy));
        }
        Format::Csv | Format::Xlsx | Format::SdmxCsv | Format::Table => {
            let name = format!("attachment; filename=\"{}-{}.{}\"", made.name, made.period, format.extension());
            response.insert_header(("content-disposition", name));
        }
    }
    Ok(response.body(body))
}

/// The document of a report, as fast as it is taken: the next piece is written on another
/// thread while the one before is sent.
fn pieces(draft: Draft) -> impl Stream<Item = Result<Bytes, JoinError>> {
    let write = |mut pieces: Box<dyn Iterator<Item = Vec<u8>> + Send>| spawn_blocking(move || (pieces.next().map(Bytes::from), pieces));
    futures_util::stream::try_unfold(write(Box::new(draft.json())), move |writing| async move {
        let (piece, rest) = writing.await?;
        Ok(piece.map(|piece| (piece, write(rest))))
    })
}
