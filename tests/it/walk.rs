//! Every operation of the document, and every page, as an office of one county, a
//! platform, a worker and nobody call them, beside a neighbour full of canaries: nothing
//! of the neighbour comes back in a body, a header, a count or an error, and nothing of
//! theirs is changed.

use crate::harness::*;
use crate::pages::office_paths;
use calamine::Reader;
use doorstep::domain::client::Role;
use doorstep::domain::region::Region;
use doorstep::http::pages::OFFICE_PAGES;
use doorstep::store::clients::NewClient;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

on_every_engine![no_operation_shows_anything_of_a_neighbour];

const NEAR: &str = "522624";
const FAR: &str = "522622";
const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// As many people of the neighbour work: no other count of the test comes to this.
const MANY: usize = 137;
const BETA: &str = "canary-beta";
const PERIOD: &str = "period=2020-06";
const FORMATS: [&str; 7] = ["json", "csv", "xlsx", "dhis2", "sdmx-csv", "html", "table"];
const REPORTS: [&str; 5] = ["employment", "flows", "platforms", "routing", "months"];

/// What belongs to the neighbours, and must not be seen.
struct Neighbour {
    worker: String,
    offer: String,
    hire: String,
    posting: String,
    alert: String,
    endpoint: String,
    client: String,
    event: String,
    /// All that gives them away.
    canaries: BTreeSet<String>,
}

/// The parts of an answer that are a count or a word of their own.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '.').map(|word| word.trim_matches(['-', '.']))
}

impl Neighbour {
    /// An answer holds nothing of theirs but what the caller asked with.
    fn is_absent(&self, at: &str, asked: &str, seen: &str) {
        // What a process counts of itself is public, and its numbers are of all tenants.
        let counts = at.contains(" GET /metrics");
        // The report of platforms tells of each the postings that came, wherever they ask.
        let market = asked.contains("platforms");
        let shown = |c: &&String| (counts && c.chars().all(|c| c.is_ascii_digit())) || (market && c.as_str() == BETA);
        for canary in self.canaries.iter().filter(|c| !shown(c)) {
            assert!(asked.contains(canary.as_str()) || !seen.contains(canary.as_str()), "{at} shows {canary}: {seen}");
        }
        let count = MANY.to_string();
        assert!(counts || !words(seen).any(|word| word == count), "{at} shows {count}: {seen}");
    }

    /// What stands for a parameter of a path: theirs, and one that nobody has.
    fn pairs(&self, path: &str) -> Vec<(String, String)> {
        let named = |theirs: &str, unknown: &str| vec![(theirs.to_owned(), unknown.to_owned())];
        let of = [
            ("/v1/workers/{id}", &self.worker),
            ("/v1/offers/{id}", &self.offer),
            ("/v1/me/offers/{id}", &self.offer),
            ("/v1/hires/{id}", &self.hire),
            ("/v1/me/hires/{id}", &self.hire),
            ("/v1/postings/{id}", &self.posting),
            ("/v1/webhook-endpoints/{id}", &self.endpoint),
            ("/v1/alerts/{id}", &self.alert),
            ("/v1/clients/{id}", &self.client),
        ];
        match path {
            "/v1/feed-runs/{run}" | "/v1/feed-runs/{run}/release" | "/v1/feed-runs/{run}/discard" => named("CANARY-RUN", "NOBODYS-RUN"),
            "/v1/feeds/{name}/pull" => named("canary-feed", "nobodys-feed"),
            "/v1/posting-groups/{id}" | "/v1/posting-groups/{id}/split" => named(&self.posting, UNKNOWN),
            // No tenant has a period or the name of a report.
            _ if path.starts_with("/v1/periods/{period}") => named("2020-05", "2020-05"),
            "/v1/reports/{name}" => REPORTS.iter().flat_map(|name| named(name, name)).collect(),
            _ => {
                let found =
                    of.iter().find(|(prefix, _)| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
                let (_, id) = found.unwrap_or_else(|| panic!("what stands for the parameter of {path}?"));
                named(id, UNKNOWN)
            }
        }
    }

    /// What is asked with beside the path: for each operation all that could lead to the
    /// neighbour. A new operation is to be put here.
    fn bodies(&self, operation: &str) -> Vec<Value> {
        let (worker, posting, offer, hire) = (&self.worker, &self.posting, &self.offer, &self.hire);
        let reported = json!([
            {"offer": offer, "status": "ENDED"}, {"hire": hire, "status": "ENDED"}, {"posting": posting, "worker": worker, "status": "HIRED"},
            {"source_id": "CANARY-SRC", "worker": worker, "status": "HIRED"}, {"platform_worker_id": "CANARY-OWN", "status": "ENDED"}
        ]);
        match operation {
            "POST /v1/workers" => vec![json!([in_region(FAR).json()])],
            "PATCH /v1/workers/{id}" | "PATCH /v1/me/preferences" => vec![json!({"paused": true}), json!({"categories": ["canary"]})],
            "POST /v1/workers/{id}/reveal" => vec![json!({"fields": ["name", "phone", "id_number"], "reason": "curious"})],
            "POST /v1/workers/{id}/link" => vec![json!({}), json!({"revoke_others": true})],
            "POST /v1/offers/{id}/accept" => vec![json!({"on_behalf": true, "method": "visit"})],
            "POST /v1/offers/{id}/decline" => vec![json!({"on_behalf": true, "method": "visit", "reason": "no"})],
            "POST /v1/me/offers/{id}/accept" | "POST /v1/me/offers/{id}/decline" => vec![json!({})],
            "POST /v1/hires" => vec![reported],
            "POST /v1/hires/{id}/confirm" | "POST /v1/me/hires/{id}/confirm" => vec![json!({}), json!({"at": "2020-06-10"})],
            "POST /v1/hires/{id}/corrections" => {
                vec![json!({"void": true, "reason": "no"}), json!({"ended_on": "2020-06-10", "reason": "no"})]
            }
            "POST /v1/baselines" => vec![json!([{"region": FAR, "period": "2019", "total": 1}])],
            "POST /v1/rosters" => vec![json!({"id_number": "110105194912310021", "work_region": FAR, "platform_worker_id": "CANARY-OWN"})],
            "POST /v1/postings" => vec![json!([])],
            "POST /v1/me/complaints" => vec![json!({"offer": offer, "kind": "fee", "text": "…"}), json!({"posting": posting, "text": "…"})],
            "POST /v1/periods/{period}/approve" => [NEAR, FAR, "522600"].map(|r| json!({"region": r})).to_vec(),
            "POST /v1/periods/{period}/return" => [NEAR, FAR, "522600"].map(|r| json!({"region": r, "reason": "no"})).to_vec(),
            "POST /v1/alerts/{id}/resolve" => vec![json!({"note": "no"})],
            "POST /v1/webhook-endpoints" => vec![json!({"url": "http://192.0.2.1/"})],
            "PATCH /v1/webhook-endpoints/{id}" => vec![json!({"enabled": false})],
            "POST /v1/webhook-endpoints/{id}/replay" => vec![json!({"since": "2020-01-01"}), json!({"event": self.event})],
            "POST /v1/clients" => vec![json!({"role": "office", "name": "x", "region": FAR})],
            "POST /v1/posting-groups/{id}/split" | "POST /v1/postings/{id}/release" => vec![json!({"reason": "no"})],
            "POST /v1/periods/{period}/submit"
            | "POST /v1/periods/{period}/lock"
            | "POST /v1/feed-runs/{run}/release"
            | "POST /v1/feed-runs/{run}/discard"
            | "POST /v1/feeds/{name}/pull"
            | "POST /v1/webhook-endpoints/{id}/rotate-secret"
            | "POST /v1/replies"
            | "POST /oauth/token" => vec![json!({})],
            _ if operation.starts_with("GET ") || operation.starts_with("DELETE ") => vec![Value::Null],
            _ => panic!("with what is {operation} called?"),
        }
    }

    /// Queries that name the neighbour's, each with one that names what nobody has.
    fn queries(&self, operation: &str) -> Vec<(String, String)> {
        let named = |name: &str, id: &str| (format!("{name}={id}"), format!("{name}={UNKNOWN}"));
        let same = |query: String| (query.clone(), query);
        match operation {
            "GET /v1/offers" => vec![named("posting", &self.posting), named("worker", &self.worker), same("limit=200".to_owned())],
            "GET /v1/postings" => vec![("source_id=CANARY-SRC".to_owned(), "source_id=NOBODYS".to_owned()), same("limit=200".to_owned())],
            "GET /v1/postings/{id}/explain" => vec![named("worker", &self.worker)],
            "GET /v1/events" => vec![named("after", &self.event), same("limit=1000".to_owned())],
            "GET /v1/workers" => ["seeking", "working", "paused"].map(|state| same(format!("state={state}"))).to_vec(),
            "GET /v1/hires" => ["home", "work"]
                .iter()
                .flat_map(|axis| [same(format!("axis={axis}&{PERIOD}")), same(format!("axis={axis}&platform={BETA}"))])
                .collect(),
            "GET /v1/reports/{name}" => {
                let mut all = vec![same(format!("{PERIOD}&public=true")), same(PERIOD.to_owned())];
                for format in FORMATS {
                    for axis in ["home", "work"] {
                        all.push(same(format!("{PERIOD}&format={format}&axis={axis}")));
                        all.push(same(format!("{PERIOD}&format={format}&axis={axis}&region=set:listed-52&by=none")));
                        all.push(same(format!("{PERIOD}&format={format}&axis={axis}&region=set:poor-counties-832&level=county")));
                    }
                    for by in ["tier", "tier_at_hire", "focus", "platform", "category", "flow"] {
                        all.push(same(format!("{PERIOD}&format={format}&by={by}")));
                    }
                    all.push(same(format!("{PERIOD}&format={format}&as_of=100000")));
                    all.push(same(format!("period=2020&format={format}&level=county")));
                }
                all
            }
            _ => vec![same(String::new())],
        }
    }
}

/// What came back: the status, headers and body as text, spreadsheets by their cells.
async fn answer(request: RequestBuilder) -> (u16, String, String) {
    let mut response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    // Of these two the first counts requests, and the other is the length of a body.
    let told = |name: &str| !matches!(name, "ratelimit" | "content-length" | "x-request-id" | "date");
    let headers = response.headers().iter().filter(|(name, _)| told(name.as_str()));
    let headers: String = headers.map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))).collect();
    if kind.starts_with("text/event-stream") {
        // It has no end: what comes at once.
        let first = tokio::time::timeout(Duration::from_millis(300), response.chunk()).await;
        let first = first.ok().and_then(Result::ok).flatten().unwrap_or_default();
        return (status, headers, String::from_utf8_lossy(&first).into_owned());
    }
    let bytes = response.bytes().await.unwrap().to_vec();
    if bytes.starts_with(b"PK") {
        let mut book = calamine::open_workbook_auto_from_rs(std::io::Cursor::new(bytes)).unwrap();
        let cells = book.worksheets().into_iter().flat_map(|(name, range)| {
            let cells: Vec<String> = range.used_cells().map(|(_, _, cell)| cell.to_string()).collect();
            [vec![name], cells].concat()
        });
        return (status, headers, cells.collect::<Vec<_>>().join("\n"));
    }
    (status, headers, String::from_utf8_lossy(&bytes).into_owned())
}

/// A body without what names the request, and with every id that it was asked with alike.
fn alike(text: &str, asked: &[&str]) -> String {
    let asked = asked.iter().filter(|id| !id.is_empty());
    let mut text = asked.fold(text.to_owned(), |text, id| text.replace(id, "ID"));
    if let Ok(mut value) = serde_json::from_str::<Value>(&text) {
        value.as_object_mut().map(|body| body.remove("request_id"));
        text = value.to_string();
    }
    text
}

async fn no_operation_shows_anything_of_a_neighbour(engine: Engine) {
    let app = spawn_with(engine, |c| {
        (c.roster.min_lines, c.roster.per_day) = (1, 10_000);
    })
    .await;
    let neighbour = settled(&app).await;
    let before = theirs(&app, &neighbour).await;
    let seen = json!(before).to_string();
    assert!(["CANARY", BETA, FAR, &format!(":{MANY}")].iter().all(|canary| seen.contains(canary)), "they see it all themselves");
    let callers = callers(&app).await;
    let document = app.anonymous().get("/openapi.json").await.expect(200).json;
    let (mut walked, mut called, mut forbidden) = (0, 0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let has = |query: &str| {
                operation["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == query && p["in"] == "query"))
            };
            walked += 1;
            let ids = if path.contains('{') { neighbour.pairs(path) } else { vec![(String::new(), String::new())] };
            for (who, caller) in &callers {
                // Who erases themselves calls nothing any more.
                if name == "DELETE /v1/me" && *who == "worker" {
                    continue;
                }
                for (id, unknown) in &ids {
                    for (query, unknown_query) in neighbour.queries(&name) {
                        for body in neighbour.bodies(&name) {
                            let ask = async |id: &str, query: &str, body: &Value| {
                                let (start, rest) = path.split_once('{').unwrap_or((path, ""));
                                let rest = rest.split_once('}').map_or("", |(_, rest)| rest);
                                // Of an explanation it is the person who is another's.
                                let id = if name.ends_with("/explain") { neighbour.posting.as_str() } else { id };
                                let request = caller.request(&method.to_uppercase(), &format!("{start}{id}{rest}?{query}"));
                                answer(if body.is_null() { request } else { request.json(body) }).await
                            };
                            let (status, headers, text) = ask(id, &query, &body).await;
                            called += 1;
                            assert!(status < 500, "{who} {name}: {text}");
                            neighbour.is_absent(
                                &format!("{who} {name}?{query}"),
                                &format!("{id} {query} {body}"),
                                &format!("{headers}{text}"),
                            );
                            if (id, &query) != (unknown, &unknown_query) {
                                let (other, _, none) = ask(unknown, &unknown_query, &body).await;
                                let named = query.split_once('=').map_or("", |(_, id)| id);
                                let (own, nobodys) = (alike(&text, &[id, named]), alike(&none, &[unknown, UNKNOWN, "NOBODYS"]));
                                assert_eq!((status, own), (other, nobodys), "{who} {name}?{query}: as what nobody has");
                                assert!(!path.contains('{') || status >= 400, "{who} {name} is {status}");
                            }
                        }
                    }
                    for region in [FAR, "522600", "520000", "000000", "330212"].into_iter().filter(|_| has("region")) {
                        for format in FORMATS.into_iter().take(if has("format") { FORMATS.len() } else { 1 }) {
                            let at =
                                format!("{}?{PERIOD}&region={region}&format={format}", path.replace("{name}", id).replace("{period}", id));
                            let (status, headers, text) = answer(caller.request(&method.to_uppercase(), &at)).await;
                            neighbour.is_absent(&format!("{who} {at}"), region, &format!("{headers}{text}"));
                            if *who == "office" {
                                let problem: Value = serde_json::from_str(&text).unwrap();
                                assert_eq!((status, &problem["code"]), (403, &json!("region_forbidden")), "{at}");
                                forbidden += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    println!("{walked} operations walked in {called} calls, {forbidden} of them for a region outside");
    assert!(walked >= 60 && forbidden >= 5 * (REPORTS.len() * FORMATS.len() + 3), "{walked} {forbidden}");
    pages(&app, &neighbour).await;
    assert_eq!(theirs(&app, &neighbour).await, before, "nothing of the neighbour was changed");
    app.settle().await;
    app.finish().await;
}

/// Both sides, as they stand before the walk.
async fn settled(app: &App) -> Neighbour {
    let (alpha, beta) = (app.platform("alpha").await, app.platform(BETA).with_receiver().await);
    let far = app.office(FAR).await;
    let mut canaries = BTreeSet::from([BETA, "CANARY", FAR, "黄平"].map(str::to_owned));
    let person = |n: usize| in_region(FAR).with("name", json!(format!("CANARY{n}"))).with("in_place_only", json!(true));
    let people: Vec<Person> = (0..MANY).map(person).collect();
    let ids: Vec<Value> = far.register(&people.iter().map(Person::json).collect::<Vec<_>>()).await["results"].as_array().unwrap().clone();
    let id_of = |n: usize| ids[n]["id"].as_str().unwrap().to_owned();
    let own = app.worker(in_region(NEAR).with("in_place_only", json!(true))).await;
    let in_place = |county: &str, source: &str| {
        let draft = a_posting()
            .source_id(source)
            .openings(50)
            .with("title", json!(format!("{source} work")))
            .with("arrangement", json!("in_place"));
        draft
            .with("target_regions", json!([county]))
            .with("hiring_organization", json!({"name": format!("{source} & Co"), "kind": "platform"}))
    };
    let posting = beta.publish(in_place(FAR, "CANARY-SRC")).await;
    let ours = alpha.publish(in_place(NEAR, "OWN-SRC")).await;
    let (run, more) = (in_place(FAR, "CANARY-SRC").json(), "/v1/postings?run=CANARY-RUN");
    beta.caller.post(more, &json!([run])).await.expect(200);
    app.settle().await;
    let offer = beta.offers(&posting).await[0].clone();
    let (offer, pseudonym) = (offer["id"].as_str().unwrap().to_owned(), offer["worker"].as_str().unwrap().to_owned());
    let hire = beta.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-06-02"})).await["hire"].as_str().unwrap().to_owned();
    let line = |p: &Person| json!({"id_number": p.text("id_number"), "work_region": FAR, "since": "2020-06-01", "platform_worker_id": "CANARY-OWN"});
    let lines: Vec<String> = people.iter().map(|p| line(p).to_string()).collect();
    beta.caller.post_bytes("/v1/rosters", "application/x-ndjson", lines.join("\n")).await.expect(200);
    let offered = own.accepts_offer_for(&ours).await;
    alpha.report(json!({"offer": offered, "status": "ONBOARDED", "at": "2020-06-02"})).await;
    far.caller.post_bytes("/v1/baselines", "text/csv", format!("region,period,total\n{FAR},2019,{MANY}\n")).await.expect(200);
    assert_eq!(far.report(PERIOD).await["totals"]["total"], MANY, "a figure to be seen");
    // Somebody who moves away leaves an alert.
    let moved = in_region(FAR);
    far.register(&[moved.json()]).await;
    app.office("520302").await.register(&[moved.with("home_region", json!("520302")).json()]).await;
    let alert = far.caller.get("/v1/alerts").await.expect(200).json["items"][0]["id"].as_str().unwrap().to_owned();
    app.settle().await;
    let event = beta.events().await[0]["id"].as_str().unwrap().to_owned();
    let listed = far.caller.get("/v1/offers?limit=200").await.expect(200).json;
    let worker =
        listed["items"].as_array().unwrap().iter().find(|o| o["id"] == offer.as_str()).unwrap()["worker"].as_str().unwrap().to_owned();
    canaries.extend(people.iter().flat_map(|p| [p.text("id_number").to_owned(), p.text("phone").to_owned()]));
    canaries.extend((0..MANY).map(id_of));
    canaries.extend([offer.clone(), pseudonym, hire.clone(), posting.id.clone(), alert.clone(), beta.endpoint.clone(), event.clone()]);
    canaries.extend([beta.hook(), beta.secret.clone(), far.caller.client.clone(), beta.caller.client.clone()]);
    let (endpoint, client) = (beta.endpoint.clone(), far.caller.client.clone());
    Neighbour { worker, offer, hire, posting: posting.id, alert, endpoint, client, event, canaries }
}

/// What the neighbours see of their own.
async fn theirs(app: &App, neighbour: &Neighbour) -> Vec<Value> {
    let (beta, far) = (app.platform(BETA).await.caller, app.office("522600").await.caller);
    let mut seen = Vec::new();
    for path in ["/v1/webhook-endpoints", "/v1/events?limit=1000", "/v1/postings", "/v1/feed-runs/CANARY-RUN", "/v1/offers?limit=200"] {
        seen.push(beta.get(path).await.expect(200).json);
    }
    let alerts = far.get("/v1/alerts").await.expect(200).json;
    seen.push(alerts["items"].as_array().unwrap().iter().filter(|a| a["id"] == neighbour.alert.as_str()).cloned().collect());
    seen.push(far.get(&format!("/v1/workers/{}", neighbour.worker)).await.expect(200).json);
    for path in [
        format!("/v1/reports/employment?{PERIOD}&region={FAR}"),
        format!("/v1/hires?region={FAR}&limit=200"),
        format!("/v1/periods/2020-05?region={FAR}"),
    ] {
        let mut body = far.get(&path).await.expect(200).json;
        // Other tenants write into the same ledger.
        ["generated_at", "as_of"].iter().for_each(|name| drop(body.as_object_mut().and_then(|b| b.remove(*name))));
        seen.push(body);
    }
    seen
}

/// Who walks.
async fn callers(app: &App) -> Vec<(&'static str, Caller)> {
    let worker = app.office(NEAR).await;
    let own = worker.caller.get("/v1/workers").await.expect(200).json;
    assert_eq!(own["total"], 1, "{own}");
    let worker = worker.worker(own["items"][0]["id"].as_str().unwrap()).await.caller;
    let office = app.office(NEAR).await.caller;
    vec![("office", office), ("platform", app.platform("alpha").await.caller), ("worker", worker), ("nobody", app.anonymous())]
}

/// The pages of the office, by its cookie, and of the worker, by their link.
async fn pages(app: &App, neighbour: &Neighbour) {
    let new =
        NewClient { role: Role::Office, name: "near".to_owned(), region: Region::parse(NEAR).unwrap(), adapter: "canonical".to_owned() };
    let (id, secret) = app.state().store.add_client(new, app.now()).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let at = |path: &str| format!("{}{path}", app.state().public_url);
    let entered = http.post(at("/office/login")).form(&[("client_id", id.to_string()), ("client_secret", secret)]).send().await.unwrap();
    let cookie = entered.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let get = async |path: &str| {
        let (status, headers, text) = answer(http.get(at(path)).header("cookie", &cookie)).await;
        neighbour.is_absent(path, path, &format!("{headers}{text}"));
        (status, text)
    };
    let mut paths: Vec<String> = office_paths()
        .chain(["/office/trend.csv"])
        .flat_map(|path| {
            ["", "&lang=en", "&axis=work", "&by=platform", "&region=set:listed-52", "&tier=lifted&months=37"]
                .map(|more| format!("{path}?{PERIOD}{more}"))
        })
        .collect();
    paths.extend(
        ["report", "routing"].iter().chain(&REPORTS).flat_map(|name| FORMATS.map(|format| format!("/office/{name}.{format}?{PERIOD}"))),
    );
    for path in &paths {
        let (status, text) = get(path).await;
        assert!(matches!(status, 200 | 403 | 404 | 422), "{path} {status} {text}");
    }
    for region in [FAR, "522600", "520000", "000000"] {
        let of_regions = OFFICE_PAGES.iter().filter(|(.., asked)| asked.contains(&"region")).map(|(_, path, _)| *path);
        for path in of_regions.chain(["/office/trend.csv", "/office/report.csv", "/office/routing.xlsx"]) {
            let (status, text) = get(&format!("{path}?{PERIOD}&region={region}")).await;
            assert_eq!(status, 403, "{path} {region} {text}");
        }
    }
    let post = async |path: String, form: &[(&str, &str)]| answer(http.post(at(&path)).header("cookie", &cookie).form(form)).await;
    let own = app.office(NEAR).await;
    let worker = own.caller.get("/v1/workers").await.expect(200).json["items"][0]["id"].as_str().unwrap().to_owned();
    let link = own.worker(&worker).await.link;
    let reveal = [("fields", "name"), ("reason", "curious")];
    for (path, theirs, form) in [
        ("/office/people/{id}", &neighbour.worker, None),
        ("/office/people/{id}/reveal", &neighbour.worker, Some(&reveal[..])),
        ("/office/alerts/{id}/resolve", &neighbour.alert, Some(&[("note", "no")][..])),
        ("/w/LINK/offers/{id}/accept", &neighbour.offer, Some(&[][..])),
        ("/w/LINK/offers/{id}/decline", &neighbour.offer, Some(&[][..])),
        ("/w/LINK/hires/{id}/confirm", &neighbour.hire, Some(&[][..])),
    ] {
        let ask = async |id: &str| {
            let path = path.replace("{id}", id).replace("LINK", &link);
            match form {
                None => answer(http.get(at(&path)).header("cookie", &cookie)).await,
                Some(form) => post(path, form).await,
            }
        };
        let ((status, headers, text), (other, _, none)) = (ask(theirs).await, ask(UNKNOWN).await);
        neighbour.is_absent(path, theirs, &format!("{headers}{text}"));
        assert_eq!(status, other, "{path}: {text} {none}");
        // A page's nonce and the id of its request differ from call to call.
        assert_eq!(visible(&text), visible(&none), "{path}");
    }
    let (_, _, text) = answer(http.get(at(&format!("/w/{link}")))).await;
    neighbour.is_absent("the worker's page", "", &text);
    assert!(text.contains("OWN-SRC"), "{text}");
}

/// What a page says, without its markup, and so without nonces.
fn visible(page: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    let is_id = |word: &&str| word.len() != 36 && !word.contains("req");
    out.split_whitespace().filter(is_id).collect::<Vec<_>>().join(" ")
}
