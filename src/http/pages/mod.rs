//! Pages rendered on the server: no script is needed, none comes from elsewhere.
//!
//! Promises: nothing that a platform or a person wrote reaches a page unescaped;
//! reading a page changes nothing; whatever goes wrong is told in plain words, on
//! a page with its status; a form sent from another site is refused.
//! Does not: decide anything (the store does) or keep anything between requests.
//! Start at: [`routes`].

mod alerts;
mod approvals;
mod chart;
mod figures;
mod line;
mod map;
mod matrix;
mod offer;
mod office;
mod overview;
mod people;
mod render;
mod sheets;
mod text;
mod trend;
mod wishes;
mod worker;

use super::State;
use super::edge::RequestId;
use super::problem::Problem;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN, VARY};
use actix_web::web::{self, Query, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
pub use alerts::plain as alert_in_words;
use minijinja::{Value, context};
pub use offer::moment;
pub use office::PAGES as OFFICE_PAGES;
use std::io::Write;
pub use text::Lang;

/// The pages' routes. They are for people: the OpenAPI document leaves them out.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(web::resource("/w/{token}").get(worker::page))
        .service(web::resource("/w/{token}/seen").post(worker::seen))
        .service(web::resource("/w/{token}/stream").get(worker::stream))
        .service(web::resource("/w/{token}/complaints").post(worker::complain))
        .service(web::resource("/w/{token}/offers/{id}/accept").post(worker::accept))
        .service(web::resource("/w/{token}/offers/{id}/decline").post(worker::decline))
        .service(web::resource("/w/{token}/hires/{id}/confirm").post(worker::confirm))
        .service(web::resource("/w/{token}/preferences").post(worker::preferences))
        .service(web::resource("/w/{token}/erase").get(worker::ask_erase).post(worker::erase))
        .service(web::resource("/office").get(overview::page))
        .service(web::resource("/office/report").get(office::page))
        .service(web::resource("/office/login").get(office::to_page).post(office::login))
        .service(web::resource("/office/logout").get(office::to_page).post(office::logout))
        .service(web::resource("/office/alerts").get(alerts::page))
        .service(web::resource("/office/alerts/{id}/resolve").post(alerts::resolve))
        .service(web::resource("/office/people").get(people::list))
        .service(web::resource("/office/people/{id}").get(people::person))
        .service(web::resource("/office/people/{id}/reveal").get(people::to_person).post(people::reveal))
        .service(web::resource("/office/import").get(people::import).post(people::upload))
        .service(web::resource("/office/trend").get(trend::page))
        .service(web::resource("/office/trend.csv").get(trend::csv))
        .service(web::resource("/office/map").get(map::map))
        .service(web::resource("/office/fairness").get(map::fairness))
        .service(web::resource("/office/flows").get(sheets::flows))
        .service(web::resource("/office/platforms").get(sheets::platforms))
        .service(web::resource("/office/approvals").get(approvals::page))
        .service(web::resource("/office/approvals/{period}/checkpoint.txt").get(approvals::checkpoint))
        .service(web::resource("/office/approvals/{period}/{act}").get(office::to_page).post(approvals::act))
        .service(web::resource("/office/{report}.{format}").get(office::download))
        .service(web::resource("/office/{page:.*}").get(office::nowhere));
}

/// Names and values of a query or a form, in their order; of one that cannot be
/// read, none.
#[derive(Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(text: &str) -> Self {
        Query::from_query(text).map_or_else(|_| Self::default(), |q: Query<Vec<(String, String)>>| Self(q.into_inner()))
    }

    /// The first value that is not empty.
    fn one<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.all(name).find(|v| !v.is_empty())
    }

    fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.trim())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|v| v == value)
    }
}

/// One request for a page.
struct Visit<'a> {
    request: &'a HttpRequest,
    query: Fields,
    lang: Lang,
}

impl<'a> Visit<'a> {
    fn of(request: &'a HttpRequest) -> Self {
        let query = Fields::read(request.query_string());
        let lang = query.one("lang").map_or(Lang::Zh, Lang::parse);
        Self { request, query, lang }
    }

    /// What a link or a form's address needs to keep the language.
    fn keep(&self) -> &'static str {
        match self.lang {
            Lang::Zh => "",
            Lang::En => "?lang=en",
        }
    }

    /// A page of this template.
    fn page(&self, status: u16, template: &str, content: Value) -> Result<HttpResponse, Problem> {
        use base64::Engine as _;
        let nonce = base64::engine::general_purpose::STANDARD.encode(crate::config::keys::random_bytes::<16>());
        let around = context! { nonce => nonce.as_str(), lang => self.lang.tag(), keep => self.keep(), english => self.lang == Lang::En };
        let html = render::render(self.lang, template, context! { ..content, ..around })?;
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'"
        );
        let mut response = HttpResponse::build(Problem::new(status, "", "").status);
        response.content_type("text/html; charset=utf-8").insert_header(("content-security-policy", policy));
        response.insert_header((VARY, "accept-encoding"));
        Ok(match compressed(self.request.headers(), &html) {
            Some(bytes) => response.insert_header((CONTENT_ENCODING, "gzip")).body(bytes),
            None => response.body(html),
        })
    }

    /// On to another page, by GET.
    fn go(&self, path: &str, more: &[(&str, &str)]) -> HttpResponse {
        let mut at = path.to_owned();
        let lang = (self.lang == Lang::En).then_some(("lang", "en"));
        for (n, (name, value)) in more.iter().copied().chain(lang).enumerate() {
            at.push(if n == 0 { '?' } else { '&' });
            at.push_str(&format!("{name}={value}"));
        }
        HttpResponse::SeeOther().insert_header((LOCATION, at)).finish()
    }

    /// The response, or a page that says in words what went wrong.
    fn answer(&self, outcome: Result<HttpResponse, Problem>) -> HttpResponse {
        let problem = match outcome {
            Ok(response) => return response,
            Err(problem) => problem,
        };
        let id = self.request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        if let Some(cause) = &problem.extra.cause {
            tracing::error!(request.id = %id, code = problem.code, cause = %cause, "failed");
        }
        let known = |key: &str| text::has(&format!("problem_{key}"));
        let status = problem.status.as_u16();
        let key = if known(problem.code) {
            problem.code.to_owned()
        } else if known(&status.to_string()) {
            status.to_string()
        } else {
            "other".to_owned()
        };
        let back = match self.request.match_info().get("token") {
            _ if problem.code == LINK_DEAD => None,
            Some(token) => Some(format!("/w/{token}")),
            None => Some("/office".to_owned()),
        };
        let content = context! { key => key, back => back, id => (status >= 500).then_some(id) };
        match self.page(status, "problem.html", content) {
            Ok(mut response) => {
                for (name, value) in &problem.extra.headers {
                    if let Ok(value) = HeaderValue::from_str(value) {
                        response.headers_mut().insert(name.clone(), value);
                    }
                }
                response
            }
            // The page of problems failed itself: the common form serves.
            Err(worse) => actix_web::ResponseError::error_response(&worse),
        }
    }

    /// Refuses a form that another site sent. Browsers that do not say where a
    /// form comes from are let through: a link's token cannot be guessed, and the
    /// office's cookie is `SameSite=Strict`. Without a referrer `Origin` is `null`.
    fn own_site(&self, state: &State) -> Result<(), Problem> {
        const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
        let headers = self.request.headers();
        let text = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        let own = match (text(&SITE), text(&ORIGIN)) {
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            (None, None | Some("null")) => true,
            (None, Some(origin)) => {
                let host = origin.split_once("://").map_or("", |(_, host)| host);
                host == self.request.connection_info().host() || origin == state.public_url
            }
        };
        if own { Ok(()) } else { Err(Problem::forbidden("cross_site", "The form was sent from another site.")) }
    }
}

/// The code of a link that serves no more.
const LINK_DEAD: &str = "link_dead";

/// The page gzipped, where the browser takes that: over a poor line it is a
/// quarter of the time.
fn compressed(headers: &HeaderMap, html: &str) -> Option<Vec<u8>> {
    let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
    let gzip = accepted.split(',').map(|e| e.trim().replace(' ', "")).find(|e| e.split(';').next() == Some("gzip"))?;
    if gzip.ends_with(";q=0") {
        return None;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(html.as_bytes()).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn fields_that_repeat_are_all_read_and_empty_ones_count_as_absent() {
        let fields = Fields::read("a=1&b=&a=2&c=%E7%94%B2+%26");
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((fields.one("b"), fields.one("c"), fields.one("d")), (None, Some("甲 &"), None));
    }

    #[test]
    fn a_page_is_compressed_only_for_who_takes_it() {
        let with = |value: &str| {
            let request = TestRequest::default().insert_header((ACCEPT_ENCODING, value)).to_http_request();
            compressed(request.headers(), "text").is_some()
        };
        assert!(with("gzip, deflate, br") && with("br;q=1.0, gzip;q=0.8"));
        assert!(!with("br") && !with("gzip;q=0") && !with("identity"));
    }
}
