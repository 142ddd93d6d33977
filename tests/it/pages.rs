//! The pages as a browser without scripts gets them: forms, redirects, cookies.

use crate::harness::{App, Engine, a_posting, in_region, spawn, spawn_with};
use doorstep::domain::client::Role;
use doorstep::domain::region::Region;
use doorstep::http::pages::OFFICE_PAGES;
use doorstep::store::clients::NewClient;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

/// What a browser got.
pub struct Got {
    pub status: u16,
    headers: HeaderMap,
    pub text: String,
}

impl Got {
    #[track_caller]
    pub fn page(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        assert!(self.header("content-security-policy").contains("default-src 'none'; style-src 'nonce-"));
        assert_eq!((self.header("cache-control"), self.header("referrer-policy")), ("no-store", "no-referrer"));
        self.text
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location")
    }
}

/// A browser that shows redirects instead of following them.
pub struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: Option<String>,
}

impl Browser {
    pub fn new(app: &App) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, base: app.state().public_url.clone(), cookie: None }
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Got {
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Got { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Got {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Got {
        self.send(self.http.post(format!("{}{path}", self.base)).form(form)).await
    }
}

/// One offer's id and state, as the worker's own list has it.
async fn state_of(app: &App, token: &str) -> (String, String) {
    let bearer = app.token(&[("grant_type", "link"), ("link", token)]).await;
    let list = app.bearing(&bearer).get("/v1/me/offers").await.expect(200).json;
    let text = |name: &str| list["items"][0][name].as_str().unwrap_or_default().to_owned();
    (text("id"), text("state"))
}

/// A worker with one offer: path of the page, link's token, offer.
async fn offered(app: &App, openings: u32) -> Vec<(String, String, String)> {
    let people = (0..openings.max(2)).map(|_| in_region("522601")).collect();
    let mut out = Vec::new();
    let workers = app.workers(people).await;
    let platform = app.platform("meituan").await;
    platform.publish(a_posting().openings(openings).with("title", json!("<b>夜班</b>分拣员"))).await;
    app.settle().await;
    for worker in &workers {
        let (offer, _) = state_of(app, &worker.link).await;
        out.push((format!("/w/{}", worker.link), worker.link.clone(), offer));
    }
    out
}

#[actix_web::test]
async fn reading_marks_nothing_seen_and_a_worker_accepts_and_gives_back_by_forms() {
    let app = spawn().await;
    let (path, token, offer) = offered(&app, 2).await.remove(0);
    let browser = Browser::new(&app);
    let page = browser.get(&path).await.page(200);
    assert!(page.contains("&lt;b&gt;夜班") && page.contains("接受这份工作") && page.contains("最晚答复"));
    assert_eq!(state_of(&app, &token).await.1, "offered", "a GET alone marks nothing");
    assert_eq!(browser.post(&format!("{path}/seen"), &[]).await.status, 204);
    assert_eq!(state_of(&app, &token).await.1, "seen");

    let accepted = browser.post(&format!("{path}/offers/{offer}/accept?lang=en"), &[("share_contact", "false")]).await;
    assert_eq!(accepted.location(), format!("{path}?done=accepted_private&lang=en"));
    assert!(browser.get(accepted.location()).await.page(200).contains("without your name and phone"));
    assert_eq!(state_of(&app, &token).await.1, "accepted");

    let back = browser.post(&format!("{path}/offers/{offer}/decline"), &[("reason", "far")]).await;
    assert_eq!(back.location(), format!("{path}?done=given_back"));
    let again = browser.post(&format!("{path}/offers/{offer}/accept"), &[]).await;
    assert_eq!(again.location(), format!("{path}?done=offer_declined"));
    app.settle().await;
    app.finish().await;
}

/// The next event of a stream, its id and what it says; comments are passed over.
async fn event(stream: &mut reqwest::Response) -> (String, Value) {
    let mut text = String::new();
    while !text.contains("data: ") || !text.ends_with("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("the stream goes on")).unwrap());
    }
    let of = |name: &str| text.lines().rev().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    assert_eq!(of("event: "), "offers");
    (of("id: "), serde_json::from_str(&of("data: ")).unwrap())
}

#[actix_web::test]
async fn a_worker_hears_of_a_change_while_they_look() {
    let app = spawn().await;
    let (path, token, offer) = offered(&app, 2).await.remove(0);
    let bearer = app.token(&[("grant_type", "link"), ("link", &token)]).await;
    let worker = app.bearing(&bearer);
    let mut list = worker.request("GET", "/v1/me/offers/stream").send().await.unwrap();
    assert_eq!((list.status().as_u16(), list.headers()["content-type"].to_str().unwrap()), (200, "text/event-stream"));
    let base = app.state().public_url.clone();
    let mut page = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{base}{path}/stream")).send().await.unwrap();
    let (before, told) = event(&mut list).await;
    assert_eq!(told, worker.get("/v1/me/offers").await.expect(200).json, "an event says what the list says");
    assert_eq!(event(&mut page).await, (before.clone(), json!({"open": 1})));

    let browser = Browser::new(&app);
    browser.post(&format!("{path}/seen"), &[]).await;
    browser.post(&format!("{path}/offers/{offer}/accept"), &[]).await;
    let (after, told) = event(&mut list).await;
    assert_ne!(after, before);
    assert_eq!(told["items"][0]["state"], "accepted", "that it was looked at is no news, the answer is");
    assert_eq!(event(&mut page).await, (after, json!({"open": 0})));
    assert_eq!(browser.get("/w/not-a-link/stream").await.status, 404);
    app.anonymous().get("/v1/me/offers/stream").await.expect_problem(401, "unauthorized");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_complaint_and_who_answered_for_a_worker_stand_on_the_page() {
    let app = spawn().await;
    let (path, _, offer) = offered(&app, 2).await.remove(0);
    let browser = Browser::new(&app);
    let complained = browser.post(&format!("{path}/complaints"), &[("text", "他们要收押金")]).await;
    assert_eq!(complained.location(), format!("{path}?done=complained"));
    let office = app.office("522601").await.caller;
    let alerts = office.get("/v1/alerts").await.expect(200).json;
    assert!(alerts["items"].as_array().unwrap().iter().any(|a| a["kind"] == "complaint" && a["detail"] == "他们要收押金"), "{alerts}");
    let nothing = browser.post(&format!("{path}/complaints"), &[("text", "  ")]).await;
    assert_eq!(nothing.location(), format!("{path}?done=complaint_missing"));

    let body = json!({"on_behalf": true, "method": "visit", "reason": "手机坏了"});
    office.post(&format!("/v1/offers/{offer}/accept"), &body).await.expect(200);
    let page = browser.get(&path).await.page(200);
    assert!(page.contains("上门问过您，替您作了答复，原因：手机坏了"), "{page}");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn who_comes_late_or_after_the_last_place_is_told_so_in_words() {
    let app = spawn().await;
    let mut all = offered(&app, 1).await;
    let browser = Browser::new(&app);
    let (first, second) = (all.remove(0), all.remove(0));
    let taken = browser.post(&format!("{}/offers/{}/accept", first.0, first.2), &[]).await;
    assert_eq!(taken.location(), format!("{}?done=accepted", first.0));
    let waits = browser.post(&format!("{}/offers/{}/accept", second.0, second.2), &[]).await;
    assert_eq!(waits.location(), format!("{}?done=waitlisted", second.0));
    assert!(browser.get(waits.location()).await.page(200).contains("排在第 1 位"));
    // The place comes free, and nobody takes it in time.
    browser.post(&format!("{}/offers/{}/decline", first.0, first.2), &[]).await;
    app.settle().await;
    assert!(browser.get(&second.0).await.page(200).contains("轮到您了"));
    app.pass_hours(100);
    let late = browser.post(&format!("{}/offers/{}/accept", second.0, second.2), &[]).await;
    assert_eq!(late.location(), format!("{}?done=offer_expired", second.0));
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_dead_link_another_workers_offer_and_another_site_are_refused_on_a_page() {
    let app = spawn().await;
    let all = offered(&app, 2).await;
    let browser = Browser::new(&app);
    for path in ["/w/nonsense", "/w/nonsense/erase", "/w/%3Cscript%3E?lang=en"] {
        let page = browser.get(path).await.page(404);
        assert!(page.contains("村干部") || page.contains("village cadre"), "{page}");
        assert!(!page.contains("<script>"));
    }
    let (mine, theirs) = (&all[0], &all[1]);
    browser.post(&format!("{}/offers/{}/accept", mine.0, theirs.2), &[]).await.page(404);
    let url = format!("{}{}/offers/{}/accept", browser.base, mine.0, mine.2);
    for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")] {
        browser.send(browser.http.post(&url).header(name, value)).await.page(403);
    }
    assert_eq!(state_of(&app, &mine.1).await.1, "seen", "the forms of other sites answer nothing");
    let own = browser.base.clone();
    for (name, value) in [("sec-fetch-site", "same-origin"), ("origin", "null"), ("origin", own.as_str())] {
        assert_eq!(browser.send(browser.http.post(&url).header(name, value)).await.status, 303, "{name}: {value}");
    }
    let long = browser.send(browser.http.post(&url).body("x".repeat(20_000))).await;
    long.page(413);
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn wishes_are_saved_and_erasing_asks_twice() {
    let app = spawn().await;
    let (path, token, _) = offered(&app, 2).await.remove(0);
    let browser = Browser::new(&app);
    let form =
        [("wishes", "1"), ("min_monthly_pay", "4200"), ("categories", "courier"), ("destinations", "330000"), ("destinations", "440000")];
    assert_eq!(browser.post(&format!("{path}/preferences"), &form).await.location(), format!("{path}?done=saved"));
    assert_eq!(browser.post(&format!("{path}/preferences"), &[("paused", "true")]).await.location(), format!("{path}?done=paused"));
    assert_eq!(
        browser.post(&format!("{path}/preferences"), &[("wishes", "1"), ("min_monthly_pay", "?")]).await.location(),
        format!("{path}?done=invalid")
    );
    let bearer = app.token(&[("grant_type", "link"), ("link", &token)]).await;
    let me = app.bearing(&bearer).get("/v1/me").await.expect(200).json;
    assert_eq!((&me["min_monthly_pay"], &me["paused"]), (&json!(4200), &json!(true)));
    assert_eq!((&me["categories"], &me["destinations"]), (&json!(["courier"]), &json!(["330000", "440000"])));

    assert_eq!(browser.post(&format!("{path}/erase"), &[]).await.location(), format!("{path}/erase"));
    assert!(browser.get(&format!("{path}/erase")).await.page(200).contains("不能恢复"));
    assert!(browser.post(&format!("{path}/erase"), &[("sure", "yes")]).await.page(200).contains("已经删除"));
    browser.get(&path).await.page(404);
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_hired_worker_confirms_to_work_there() {
    let app = spawn().await;
    let (path, _, offer) = offered(&app, 2).await.remove(0);
    let browser = Browser::new(&app);
    let platform = app.client(Role::Platform, "meituan", "000000", "canonical").await;
    let report = json!({"offer": offer, "status": "ONBOARDED", "at": "2020-06-14"});
    let hire = platform.post("/v1/hires", &report).await.expect(200).json["results"][0]["hire"].as_str().unwrap().to_owned();
    assert!(browser.get(&path).await.page(200).contains("您在这里上班吗"));
    let done = browser.post(&format!("{path}/hires/{hire}/confirm"), &[]).await;
    assert_eq!(done.location(), format!("{path}?done=confirmed"));
    assert!(browser.get(&path).await.page(200).contains("已确认在这里上班"));
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn an_office_logs_in_reads_its_own_region_downloads_it_and_logs_out() {
    let app = spawn_with(Engine::Sqlite, |config| config.http.public_url = "https://doorstep.example".to_owned()).await;
    let new = |role, name: &str, region: &str| NewClient {
        role,
        name: name.to_owned(),
        region: Region::parse(region).unwrap(),
        adapter: "canonical".to_owned(),
    };
    let (id, secret) = app.state().store.add_client(new(Role::Office, "贵州省扶贫办", "520000"), app.now()).await.unwrap();
    let (other, others) = app.state().store.add_client(new(Role::Admin, "admin", "000000"), app.now()).await.unwrap();
    let mut browser = Browser::new(&app);
    browser.base = app.anonymous().request("GET", "").build().unwrap().url().as_str().trim_end_matches('/').to_owned();
    assert!(browser.get("/office/report?period=2020").await.page(200).contains("扶贫办登录"));
    let (id, other) = (id.to_string(), other.to_string());
    for (id, secret) in [(id.as_str(), "wrong"), (other.as_str(), others.as_str()), ("x", "")] {
        let refused = browser.post("/office/login", &[("client_id", id), ("client_secret", secret)]).await;
        assert!(refused.headers.get("set-cookie").is_none());
        assert!(refused.page(401).contains("账号或密钥不对"));
    }
    let next = "period=2020&by=flow&region=https://evil.example";
    let form = [("client_id", id.as_str()), ("client_secret", &secret), ("next", next), ("at", "/office/report")];
    let entered = browser.post("/office/login?lang=en", &form).await;
    assert_eq!(entered.location(), "/office/report?period=2020&by=flow&lang=en");
    let cookie = entered.header("set-cookie").to_owned();
    for part in ["Path=/office", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age=900"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    browser.cookie = cookie.split(';').next().map(str::to_owned);
    let page = browser.get("/office/report?period=2020&by=flow&lang=en").await.page(200);
    assert!(page.contains("Guizhou 2020") && page.contains("set:poor-counties-832") && page.contains("<caption>"));
    assert!(browser.get("/office/report?period=2020&region=440000").await.page(403).contains("管辖范围"));
    assert!(browser.get("/office/report?period=2021").await.page(422).contains("还没有开始"));
    browser.get("/office/report.pdf?period=2020").await.page(404);
    let csv = browser.get("/office/report.csv?period=2020").await;
    let bearer = app.token(&[("grant_type", "client_credentials"), ("client_id", &id), ("client_secret", &secret)]).await;
    let same = app.bearing(&bearer).get("/v1/reports/employment?period=2020&format=csv").await.expect(200);
    assert_eq!((csv.status, csv.header("content-type"), csv.text.as_str()), (200, same.header("content-type"), same.text.as_str()));
    // The report of offers knows homes alone, whatever the page is split by.
    let page = browser.get("/office/report?period=2020&by=flow&axis=work").await.page(200);
    let (_, link) = page.split_once("/office/routing.csv?").expect("a link to the report of offers");
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let offers = browser.get(&format!("/office/routing.csv?{link}")).await;
    let same = app.bearing(&bearer).get("/v1/reports/routing?period=2020&level=prefecture&format=csv").await.expect(200);
    assert_eq!((offers.status, offers.text.as_str()), (200, same.text.as_str()));
    browser.get("/office/other.csv?period=2020").await.page(404);

    let left = browser.post("/office/logout", &[]).await;
    assert!(left.header("set-cookie").contains("doorstep_office=; ") && left.header("set-cookie").contains("Max-Age=0"));
    browser.cookie = Some("doorstep_office=no.token.atall".to_owned());
    assert!(browser.get("/office").await.page(200).contains("登录已过期"));
    assert_eq!(browser.get("/office/report.csv?period=2020").await.status, 401);
    app.finish().await;
}

impl Browser {
    /// Sends a file by a form, as a browser does.
    async fn upload(&self, path: &str, name: &str, content: &str) -> Got {
        let file = format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n--edge--\r\n");
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", "multipart/form-data; boundary=edge");
        self.send(request.body(file)).await
    }
}

/// A browser in which an office of this region is logged in.
pub async fn office_browser(app: &App, region: &str) -> Browser {
    let new = NewClient {
        role: Role::Office,
        name: format!("办公室{region}"),
        region: Region::parse(region).unwrap(),
        adapter: "canonical".to_owned(),
    };
    let (id, secret) = app.state().store.add_client(new, app.now()).await.unwrap();
    let mut browser = Browser::new(app);
    let entered =
        browser.post("/office/login", &[("client_id", &id.to_string()), ("client_secret", &secret), ("at", "/office/people")]).await;
    assert_eq!(entered.location(), "/office/people", "back to the page that was asked for");
    browser.cookie = entered.header("set-cookie").split(';').next().map(str::to_owned);
    browser
}

/// The addresses of the office's pages.
pub fn office_paths() -> impl Iterator<Item = &'static str> {
    OFFICE_PAGES.iter().map(|(_, path, _)| *path)
}

#[actix_web::test]
async fn the_offices_pages_ask_for_a_login_and_lead_to_each_other() {
    let app = spawn().await;
    offered(&app, 2).await;
    let stranger = Browser::new(&app);
    let browser = office_browser(&app, "522600").await;
    for path in office_paths() {
        assert!(stranger.get(path).await.page(200).contains("扶贫办登录"), "{path}");
        let page = browser.get(path).await.page(200).replace("&#x2f;", "/");
        for other in office_paths() {
            assert!(page.contains(&format!("<a href=\"{other}\"")), "{path} leads to {other}");
        }
        assert!(page.contains("aria-current=\"page\"") && !page.contains("<script"), "{path}");
        assert!(browser.get(&format!("{path}?lang=en")).await.page(200).contains("<html lang=\"en\">"), "{path}");
    }
    let form = [("client_id", "x"), ("client_secret", "y"), ("at", "/office/flows"), ("next", "period=2020")];
    let again = stranger.post("/office/login", &form).await.page(401).replace("&#x2f;", "/");
    assert!(again.contains("value=\"/office/flows\"") && again.contains("value=\"period=2020\""), "what was asked for is kept: {again}");
    let evil = stranger.post("/office/login", &[("client_id", "x"), ("client_secret", "y"), ("at", "https://evil.example")]).await;
    assert_eq!(evil.status, 401);
    assert!(browser.get("/office/map?region=440000").await.page(403).contains("管辖范围"));
    browser.get("/office/people?state=asleep").await.page(422);
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn the_map_and_fairness_show_the_figures_of_their_reports() {
    let app = spawn().await;
    offered(&app, 2).await;
    let browser = office_browser(&app, "000000").await;
    let map = browser.get("/office/map?period=2020-06&show=new").await.page(200).replace("&#x2f;", "/");
    assert_eq!(map.matches("<g transform").count(), 34, "a tile for each province");
    assert!(map.contains("贵州") && map.contains("/office/map?period=2020-06&amp;region=520000&amp;show=new"), "{map}");
    let province = browser.get("/office/map?period=2020-06&region=520000").await.page(200);
    assert!(province.contains("黔东南苗族侗族自治州") && province.contains("region=522600"));
    let fairness = browser.get("/office/fairness?period=2020-06&region=520000").await.page(200);
    assert!(fairness.contains("1,000") || fairness.contains("1000.0"), "two offers for two seekers: {fairness}");
    assert!(fairness.contains("/office/routing.csv?period=2020-06&amp;region=520000"));
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn offices_close_a_period_on_their_page_and_keep_its_checkpoint() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(1)).await;
    let worker = app.workers(vec![in_region("522624")]).await.remove(0);
    let offer = worker.accepts_offer_for(&posting).await;
    platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-20"})).await;
    let (nation, county) = (office_browser(&app, "000000").await, office_browser(&app, "522624").await);
    let at = "/office/approvals?period=2020-05";
    let go = async |browser: &Browser, act: &str, fields: &[(&str, &str)]| {
        let sent = browser.post(&format!("/office/approvals/2020-05/{act}"), fields).await;
        browser.get(sent.location()).await.page(200)
    };
    assert!(county.get(at).await.page(200).contains("未上报"));
    assert!(go(&nation, "lock", &[]).await.contains("还有下级没有同意的上报"));
    assert!(go(&county, "lock", &[]).await.contains("只有最上级单位可以锁定"));
    assert!(go(&county, "submit", &[]).await.contains("已上报"));
    assert!(go(&nation, "return", &[("region", "522624"), ("reason", " ")]).await.contains("写明原因"));
    assert!(go(&nation, "return", &[("region", "522624"), ("reason", "少了一人")]).await.contains("少了一人"));
    go(&county, "submit", &[]).await;
    assert!(go(&nation, "approve", &[("region", "522624")]).await.contains("已同意"));
    assert!(go(&nation, "lock", &[]).await.contains("已锁定"));
    let note = county.get("/office/approvals/2020-05/checkpoint.txt").await;
    assert_eq!((note.status, note.header("content-type")), (200, "text/plain; charset=utf-8"));
    let note = note.text;
    assert!(note.starts_with("doorstep\n") && note.contains("\n\n— doorstep "), "{note}");
    let url = format!("{}/office/approvals/2020-05/submit", county.base);
    county.send(county.http.post(&url).header("sec-fetch-site", "cross-site").body("")).await.page(403);
    let flows = nation.get("/office/flows?period=2020-05").await.page(200);
    assert!(flows.contains("<th scope=\"row\" class=\"k\">贵州") && flows.contains("西部"), "{flows}");
    let trades = nation.get("/office/platforms?period=2020-05").await.page(200);
    assert!(trades.contains("example") && trades.contains("外卖骑手"), "{trades}");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_persons_file_is_masked_and_what_is_revealed_is_logged_and_limited() {
    let app = spawn_with(Engine::Sqlite, |config| config.access.reveals_per_day = 1).await;
    let worker = app.workers(vec![in_region("522601")]).await.remove(0);
    let browser = office_browser(&app, "522600").await;
    let path = format!("/office/people/{}", worker.id);
    assert!(browser.get("/office/people").await.page(200).contains(&path));
    let page = browser.get(&path).await.page(200);
    assert!(page.contains("***") && page.contains("脱贫状态变化"), "{page}");
    let reveal = format!("{path}/reveal");
    let without = browser.post(&reveal, &[("fields", "name"), ("reason", " ")]).await.page(422);
    assert!(without.contains("写明原因") && !without.contains("已记入日志"));
    assert!(without.contains("value=\"name\" checked") && !without.contains("value=\"phone\" checked"), "ticks stay: {without}");
    let without = browser.post(&reveal, &[("reason", "核对")]).await.page(422);
    assert!(without.contains("写明原因") && without.contains("value=\"核对\""), "{without}");
    assert_eq!(browser.get(&format!("{reveal}?lang=en")).await.location(), format!("{path}?lang=en"), "what was revealed is in no address");
    let shown = browser.post(&reveal, &[("fields", "id_number"), ("reason", "核对身份")]).await.page(200);
    let (_, number) = shown.split_once("<dt>证件号</dt><dd>").unwrap();
    assert_eq!(number.split('<').next().unwrap().len(), 18);
    assert!(browser.post(&reveal, &[("fields", "phone"), ("reason", "再看")]).await.page(429).contains("用完了"));
    let url = format!("{}{reveal}", browser.base);
    browser.send(browser.http.post(&url).header("sec-fetch-site", "cross-site").body("fields=name&reason=x")).await.page(403);
    let log = app.client(Role::Admin, "admin", "000000", "canonical").await.get("/v1/access-log?limit=200").await.expect(200).json;
    let of =
        |action: &str| log["items"].as_array().unwrap().iter().filter(|a| a["action"] == action && a["worker"] == json!(worker.id)).count();
    assert_eq!(of("reveal"), 1);
    assert!(of("read") >= 2 && of("list") >= 1, "{log}");

    // What is elsewhere is not there.
    let other = office_browser(&app, "330000").await;
    other.get(&path).await.page(404);
    other.post(&reveal, &[("fields", "name"), ("reason", "x")]).await.page(404);
    assert!(!other.get("/office/people").await.page(200).contains(&path));
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_registry_file_is_taken_in_and_what_is_refused_can_be_downloaded() {
    let app = spawn().await;
    let browser = office_browser(&app, "522600").await;
    let rows =
        "身份证号,姓名,手机号,户籍地,同意日期\n52260119900101001X,=甲,13800000000,522601,2020-01-01\n1,乙,13800000001,522601,2020-01-01\n";
    let page = browser.upload("/office/import", "名册.CSV", rows).await.page(200);
    assert!(page.contains("<dt>收到</dt><dd>2</dd>"), "{page}");
    assert!(page.contains("身份证号不对") && page.contains("<th scope=\"row\">3</th>"), "the file's third line: {page}");
    use base64::Engine as _;
    let data = page.split_once("data:text/csv;base64,").unwrap().1.split('"').next().unwrap().replace("&#x2f;", "/");
    let file = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data).unwrap()).unwrap();
    assert!(file.starts_with("\u{feff}row,pointer,code,detail\n") && file.contains("3,/id_number,id_number_invalid"), "{file}");
    let twice = browser.upload("/office/import", "a.csv", "身份证号,姓名,手机号,户籍地,同意日期\n1,,x,330000,2020-01-01\n").await.page(200);
    assert!(twice.contains("<dt>未收</dt><dd>1</dd>") && twice.contains("内容不对"), "a row of several faults is one: {twice}");
    for (name, content, status, words) in [
        ("名册.doc", "x", 415, "只收"),
        ("名册.csv", "", 422, "先选一个文件"),
        ("名册.xlsx", "no workbook", 400, "读不出来"),
        ("名册.csv", "52260119900101001X,甲,13800000000,522601,2020-01-01\n", 422, "第一行必须是列名"),
    ] {
        let page = browser.upload("/office/import", name, content).await;
        assert!(page.text.contains(words), "{name}: {} {}", page.status, page.text);
        page.page(status);
    }
    browser.post("/office/import", &[("file", "x")]).await.page(400);
    let stranger = Browser::new(&app).upload("/office/import", "a.csv", rows).await;
    let told = stranger.page(200);
    assert!(told.contains("扶贫办登录") && told.contains("没有收下"), "nobody is taken in without a login: {told}");
    let nowhere = browser.get("/office/nothing").await.page(404);
    assert!(nowhere.contains("<html"), "{nowhere}");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn an_alert_is_resolved_with_a_note_by_its_own_office() {
    let app = spawn().await;
    let (path, ..) = offered(&app, 2).await.remove(0);
    Browser::new(&app).post(&format!("{path}/complaints"), &[("text", "<i>要押金</i>")]).await;
    let browser = office_browser(&app, "522600").await;
    let page = browser.get("/office/alerts").await.page(200);
    assert!(page.contains("投诉") && page.contains("&lt;i&gt;要押金"), "{page}");
    let resolve = page.split_once("action=\"/office/alerts/").unwrap().1.split('"').next().unwrap().to_owned();
    let other = office_browser(&app, "330000").await;
    other.post(&format!("/office/alerts/{resolve}"), &[]).await.page(404);
    let done = browser.post(&format!("/office/alerts/{resolve}"), &[("note", "已退还")]).await;
    assert_eq!(done.location(), "/office/alerts?done=resolved");
    let page = browser.get(done.location()).await.page(200);
    assert!(page.contains("没有要处理的事") && page.contains("已记为处理"));
    let resolved = browser.get("/office/alerts?state=resolved").await.page(200);
    assert!(resolved.contains("要押金") && resolved.contains("已退还"), "{resolved}");
    app.settle().await;
    app.finish().await;
}
