//! The office's people: the list, one person's file, a look at what is sealed; and
//! taking in a registry. All by the same paths as the calls of the API: what is read
//! is logged, what is revealed needs a reason and counts under the quota.

use super::super::auth::OfficeToken;
use super::super::body::{Form, read};
use super::super::problem::Problem;
use super::super::workers::{file, people, reader, registered, revealed};
use super::super::{Page, State};
use super::figures::region_name;
use super::office::{self, address, head, inside, sent};
use super::{Fields, Visit};
use crate::domain::id::WorkerId;
use crate::domain::region::{Level, Region};
use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Path, Payload};
use base64::Engine as _;
use minijinja::context;
use minijinja::value::Serde;
use serde_json::Value;
use std::collections::BTreeSet;

/// States that the list can be cut to.
const STATES: [&str; 4] = ["seeking", "working", "paused", "unreachable"];
/// Rejects on the page; the file has all.
const REJECTS: usize = 50;
/// Kinds of registry files by the end of their names; what a browser calls their
/// type depends on what is installed beside it.
const KINDS: [(&str, &str); 4] = [
    (".csv", "text/csv"),
    (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (".ndjson", "application/x-ndjson"),
    (".json", "application/json"),
];

/// `GET /office/people`: a page of the office's workers, masked.
pub async fn list(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let one = |name: &str| visit.query.one(name);
        let found = people(&state, &office, one("region"), one("state"), Page::from(one("cursor"))).await?;
        let region = one("region").and_then(Region::parse).unwrap_or(office.region);
        let below: Vec<(String, String)> = region.children().iter().map(|r| (r.to_string(), region_name(visit.lang, *r))).collect();
        let named = matches!(region.level(), Level::Nation | Level::Province);
        let place = if named { region_name(visit.lang, region) } else { region.full_name() };
        let next = found["next"].as_str().map(|cursor| {
            let kept = visit.query.0.iter().filter(|(name, _)| name != "cursor").cloned();
            address(&kept.chain([("cursor".to_owned(), cursor.to_owned())]).collect::<Vec<_>>())
        });
        let content = context! {
            items => Serde(&found["items"]), total => found["total"].as_i64(), next, below, states => STATES,
            region => region.to_string(), chinese => !place.is_ascii(), place, up => (region != office.region).then(|| office.region.to_string()),
            state => one("state").unwrap_or_default(),
        };
        visit.page(200, "people.html", context! { ..content, ..head(visit, &office, "people") })
    })
    .await
}

/// `GET /office/people/{id}`: one person, one file.
pub async fn person(state: Data<State>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    inside(&state, &request, async |visit, office| shown(visit, &state, &office, &id, None, None).await).await
}

/// The file, with fields that were just revealed, or with what was asked where something
/// was missing.
async fn shown(
    visit: &Visit<'_>,
    state: &State,
    office: &OfficeToken,
    id: &str,
    fields: Option<Value>,
    asked: Option<(Vec<String>, Option<String>)>,
) -> Result<HttpResponse, Problem> {
    let person = file(state, office, id).await?;
    let told = asked.as_ref().map(|_| "reveal_missing");
    let (ticked, reason) = asked.unwrap_or_default();
    let content = context! { p => Serde(person), fields => fields.map(Serde), told, ticked, reason };
    visit.page(if told.is_some() { 422 } else { 200 }, "person.html", context! { ..content, ..head(visit, office, "people") })
}

/// `POST /office/people/{id}/reveal`: chosen fields, with a reason. They stand in the
/// answer alone, never in an address.
pub async fn reveal(state: Data<State>, request: HttpRequest, id: Path<String>, body: Result<Form, Problem>) -> HttpResponse {
    sent(&state, &request, async |visit, office| {
        let form = Fields::read(&body?.0);
        let fields: Vec<String> = form.all("fields").filter(|f| !f.is_empty()).map(str::to_owned).collect();
        let reason = form.one("reason").map(str::to_owned);
        match revealed(&state, &office, &id, Some(fields.clone()), reason.clone()).await {
            Ok(fields) => shown(visit, &state, &office, &id, Some(fields), None).await,
            Err(problem) if problem.code == "invalid" => shown(visit, &state, &office, &id, None, Some((fields, reason))).await,
            Err(problem) => Err(problem),
        }
    })
    .await
}

/// Where somebody reloads a page with revealed fields, or asks for it in another language:
/// to the file, since they stand in one answer alone.
pub async fn to_person(request: HttpRequest, id: Path<String>) -> HttpResponse {
    match WorkerId::parse(&id) {
        Some(id) => Visit::of(&request).go(&format!("/office/people/{id}"), &[]),
        None => office::to_page(request).await,
    }
}

/// `GET /office/import`.
pub async fn import(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| imported(visit, &office, 200, None, None)).await
}

fn imported(
    visit: &Visit<'_>,
    office: &OfficeToken,
    status: u16,
    answer: Option<&Value>,
    told: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let rejected = answer.and_then(|a| a["rejected"].as_array()).cloned().unwrap_or_default();
    // A row may have several faults.
    let refused = rejected.iter().map(|r| r["index"].as_u64()).collect::<BTreeSet<_>>().len();
    let file = (!rejected.is_empty()).then(|| base64::engine::general_purpose::STANDARD.encode(rejects(&rejected)));
    let content = context! {
        answer => answer.map(Serde), told, file, refused,
        rejected => Serde(rejected.iter().take(REJECTS).collect::<Vec<_>>()), place => office.region.full_name(),
    };
    visit.page(status, "import.html", context! { ..content, ..head(visit, office, "import") })
}

/// Row by row what was refused; rows are counted as a spreadsheet does, the header
/// being the first.
fn rejects(rejected: &[Value]) -> Vec<u8> {
    let mut out = "\u{feff}".as_bytes().to_vec();
    let mut writer = csv::Writer::from_writer(&mut out);
    let text = |v: &Value| v.as_str().unwrap_or_default().trim_start_matches(['=', '+', '-', '@', '\t', '\r']).to_owned();
    let mut lines = vec![["row", "pointer", "code", "detail"].map(str::to_owned)];
    lines.extend(
        rejected
            .iter()
            .map(|r| [(r["index"].as_u64().unwrap_or(0) + 2).to_string(), text(&r["pointer"]), text(&r["code"]), text(&r["detail"])]),
    );
    lines.iter().for_each(|line| writer.write_record(line).expect("a vector takes every record of one length"));
    drop(writer);
    out
}

/// `POST /office/import`: a registry file, taken in as `POST /v1/workers` takes it.
pub async fn upload(state: Data<State>, request: HttpRequest, payload: Payload) -> HttpResponse {
    sent(&state, &request, async |visit, office| {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|_| Problem::new(400, "bad_request", "The form has no files."))?;
        let body = read(&request, payload.into_inner(), None).await?;
        let Some((name, bytes)) = sent_file(boundary, body).await? else {
            return imported(visit, &office, 422, None, Some("import_missing"));
        };
        let name = name.to_ascii_lowercase();
        let kind = KINDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, kind)| *kind);
        let Some(format) = kind.and_then(|kind| reader(&state).ok()?.format_of(kind)) else {
            return imported(visit, &office, 415, None, Some("import_kind"));
        };
        match registered(&state, &office, Some(format), bytes, None).await {
            // The first line named no columns, or there was no other.
            Ok(answer) if answer.body["received"] == 0 => imported(visit, &office, 422, None, Some("import_nothing")),
            Ok(answer) => imported(visit, &office, 200, Some(&answer.body), None),
            Err(problem) if problem.status.as_u16() == 400 || problem.status.as_u16() == 422 => {
                imported(visit, &office, problem.status.as_u16(), None, Some("import_unreadable"))
            }
            Err(problem) => Err(problem),
        }
    })
    .await
}

/// The file of the form, with its name; none where none was chosen.
async fn sent_file(boundary: String, body: Vec<u8>) -> Result<Option<(String, Vec<u8>)>, Problem> {
    let wrong = |_| Problem::new(400, "bad_request", "The form is not whole.");
    let whole = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut form = multer::Multipart::new(whole, boundary);
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        if field.name() == Some("file") {
            let name = field.file_name().unwrap_or_default().to_owned();
            let bytes = field.bytes().await.map_err(wrong)?.to_vec();
            return Ok((!bytes.is_empty()).then_some((name, bytes)));
        }
    }
    Ok(None)
}
