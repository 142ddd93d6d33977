//! The scenes, one after the other.

use super::Stage;
use super::cast::{Answer, PLATFORMS, Player, answer_of};
use super::registry;
use super::table::table;
use crate::domain::client::Role;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Workers who answer at the same time.
const AT_ONCE: usize = 32;
/// Rows of the registry in one upload.
const UPLOAD: usize = 20_000;

/// What a platform's feed came to.
#[derive(Default)]
struct FeedLine {
    received: u64,
    created: u64,
    updated: u64,
    unchanged: u64,
    skipped: u64,
    rejected: u64,
}

/// What is told at the end.
pub struct Told {
    office: Player,
    office_token: String,
    registered: u64,
    feeds: BTreeMap<String, FeedLine>,
    rejects: BTreeMap<String, u64>,
    offers: BTreeMap<String, u64>,
    answers: BTreeMap<&'static str, u64>,
    hires: BTreeMap<(String, String), u64>,
    webhooks: usize,
    report: String,
    times: Vec<(&'static str, Duration)>,
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or(0)
}

fn must(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// Plays every scene; an error names what did not come out as it should.
pub async fn play(stage: &mut Stage) -> Result<Told, String> {
    let office = stage.add(Role::Office, "national office", Region::NATION, "canonical").await?;
    let mut platforms = Vec::new();
    for name in PLATFORMS {
        platforms.push(stage.add(Role::Platform, name, Region::NATION, name).await?);
    }
    let registered = stage.part("registry in", async |s| register(s, &office).await).await?;
    stage.part("receivers", async |s| receivers(s, &platforms).await).await?;
    let (feeds, rejects) = stage.part("feeds in", async |s| feed(s, &platforms).await).await?;
    stage.part("routing", async |s| s.gateway.settle().await.map_err(|e| e.to_string())).await?;
    let answers = stage.part("answers", async |s| answer(s, &office).await).await?;
    stage.part("hires", async |s| hire(s, &platforms).await).await?;
    let webhooks = stage.part("events back to the platforms", async |s| check_events(s, &platforms).await).await?;
    stage.part("a month at work", async |s| work(s, &platforms).await).await?;
    let (report, hires, offers) = stage.part("report", async |s| report(s, &office).await).await?;
    let office_token = stage.token(&office).await?;
    Ok(Told {
        office,
        office_token,
        registered,
        feeds,
        rejects,
        offers,
        answers,
        hires,
        webhooks,
        report,
        times: std::mem::take(&mut stage.times),
    })
}

/// The registry is uploaded as the office's CSV; a second upload changes nothing.
async fn register(stage: &mut Stage, office: &Player) -> Result<u64, String> {
    let token = stage.token(office).await?;
    let people: Vec<_> = registry::registry(stage.plan.workers, stage.plan.seed, stage.clock.now().day()).collect();
    let progress = crate::progress::Progress::new("registry", people.len() as u64);
    let mut created = 0;
    for (n, part) in people.chunks(UPLOAD).enumerate() {
        let csv = registry::to_csv(part.iter().cloned());
        let answer = stage.send(&token, "/v1/workers", "text/csv", csv.clone()).await?;
        must(number(&answer, "created") == part.len() as u64, || format!("rows were refused: {}", answer["rejected"]))?;
        created += number(&answer, "created");
        if n == 0 {
            let few = registry::to_csv(part.iter().take(500).cloned());
            let again = stage.send(&token, "/v1/workers", "text/csv", few).await?;
            must(number(&again, "unchanged") == part.len().min(500) as u64, || {
                format!("a repeated upload changed something: {}", again["rejected"])
            })?;
        }
        progress.at(created);
    }
    progress.finish();
    Ok(created)
}

async fn receivers(stage: &mut Stage, platforms: &[Player]) -> Result<(), String> {
    for platform in platforms {
        let token = stage.token(platform).await?;
        let path = format!("/{}", platform.name);
        let wanted = json!({"url": format!("http://{}{path}", stage.sink_address)});
        let endpoint = stage.call(&token, "POST", "/v1/webhook-endpoints", Some(&wanted), 201).await?;
        stage.sink.expect(&path, endpoint["secret"].as_str().unwrap_or_default());
    }
    Ok(())
}

/// Every platform pushes the samples of its adapter as they were sent, the faulty
/// ones too: what is refused must be what the adapter's expected output says.
async fn feed(stage: &mut Stage, platforms: &[Player]) -> Result<(BTreeMap<String, FeedLine>, BTreeMap<String, u64>), String> {
    let (mut feeds, mut rejects) = (BTreeMap::new(), BTreeMap::new());
    for platform in platforms {
        let token = stage.token(platform).await?;
        let adapter = stage.gateway.state.adapters.get(&platform.name).cloned().ok_or("the adapter is compiled in")?;
        let mut line = FeedLine::default();
        for sample in adapter.samples() {
            let expected: Value = serde_json::from_str(sample.expected.as_deref().unwrap_or("null")).map_err(|e| e.to_string())?;
            let answer = stage.send(&token, "/v1/postings", "application/octet-stream", sample.body.to_vec()).await?;
            let refused = answer["rejected"].as_array().cloned().unwrap_or_default();
            let wanted = expected["rejects"].as_array().map_or(0, Vec::len);
            must(refused.len() == wanted, || format!("{} {}: {} faults instead of {wanted}", platform.name, sample.name, refused.len()))?;
            let stored = number(&answer, "created") + number(&answer, "updated") + number(&answer, "unchanged");
            let postings = expected["postings"].as_array().map_or(0, Vec::len) as u64;
            must(stored == postings, || format!("{} {}: {stored} postings instead of {postings}", platform.name, sample.name))?;
            for reject in &refused {
                *rejects
                    .entry(format!("{} {}", reject["code"].as_str().unwrap_or("?"), reject["pointer"].as_str().unwrap_or("?")))
                    .or_insert(0) += 1;
            }
            line.received += number(&answer, "received");
            line.created += number(&answer, "created");
            line.updated += number(&answer, "updated");
            line.unchanged += number(&answer, "unchanged");
            line.skipped += number(&answer, "skipped");
            line.rejected += refused.iter().map(|r| &r["index"]).collect::<HashSet<_>>().len() as u64;
        }
        feeds.insert(platform.name.clone(), line);
    }
    Ok((feeds, rejects))
}

/// Each worker who has offers opens their link and answers the newest; then the
/// gateway tops up what was declined.
async fn answer(stage: &mut Stage, office: &Player) -> Result<BTreeMap<&'static str, u64>, String> {
    let mut answers: BTreeMap<&'static str, u64> = BTreeMap::new();
    for round in 0..2 {
        let token = stage.token(office).await?;
        let open = stage.all(&token, "/v1/offers?state=offered").await?;
        if round == 0 {
            must(!open.is_empty(), || "nobody was offered anything".to_owned())?;
        }
        let seed = stage.plan.seed;
        let shared: &Stage = stage;
        let token = token.as_str();
        let progress = crate::progress::Progress::new("answers", open.len() as u64);
        let outcomes = futures_util::stream::iter(open).map(|offer| async move {
            let worker = offer["worker"].as_str().unwrap_or_default().to_owned();
            let id = offer["id"].as_str().unwrap_or_default();
            let verb = match answer_of(&worker, seed) {
                Answer::Yes => "accept",
                Answer::No => "decline",
                Answer::Silence => return Ok("no answer"),
            };
            let own = shared.worker_token(token, &worker).await?;
            let answered = shared.call(&own, "POST", &format!("/v1/me/offers/{id}/{verb}"), Some(&json!({})), 200).await?;
            Ok::<_, String>(match answered["state"].as_str() {
                Some("accepted") => "accepted",
                Some("waitlisted") => "waitlisted",
                Some("declined") => "declined",
                other => return Err(format!("an answer left an offer {other:?}")),
            })
        });
        let mut outcomes = outcomes.buffer_unordered(AT_ONCE);
        let mut done = 0;
        while let Some(outcome) = outcomes.next().await {
            *answers.entry(outcome?).or_insert(0) += 1;
            done += 1;
            progress.at(done);
        }
        drop(outcomes);
        progress.finish();
        stage.gateway.settle().await.map_err(|e| e.to_string())?;
    }
    Ok(answers)
}

/// Events of a type in a platform's list.
fn of_type<'a>(events: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |e| e["type"] == kind).map(|e| &e["data"])
}

/// Each platform takes on those who accepted, one of ten not.
async fn hire(stage: &mut Stage, platforms: &[Player]) -> Result<(), String> {
    for platform in platforms {
        let token = stage.token(platform).await?;
        let events = stage.events(&token).await?;
        let report = |(n, data): (usize, &Value)| {
            let status = if n % 10 == 9 { "NOT_SELECTED" } else { "HIRED" };
            json!({"offer": data["offer"], "status": status, "raw_status": if n % 10 == 9 { "未录用" } else { "已录用" }})
        };
        let reports: Vec<Value> = of_type(&events, "offer.accepted").enumerate().map(report).collect();
        apply(stage, &token, &reports, "created recorded").await?;
        let seats = stage.all(&token, "/v1/postings").await?;
        let over = seats.iter().find(|p| p["seats"]["taken"].as_u64() > p["seats"]["openings"].as_u64());
        must(over.is_none(), || format!("a posting is over-filled: {over:?}"))?;
    }
    stage.gateway.settle().await.map_err(|e| e.to_string())
}

/// Sends reports; each must come out as one of the wanted results.
async fn apply(stage: &Stage, token: &str, reports: &[Value], wanted: &str) -> Result<(), String> {
    if reports.is_empty() {
        return Ok(());
    }
    let answer = stage.call(token, "POST", "/v1/hires", Some(&json!(reports)), 200).await?;
    let results = answer["results"].as_array().cloned().unwrap_or_default();
    must(results.len() == reports.len(), || "a report was not answered".to_owned())?;
    let odd = results.iter().find(|r| !wanted.split(' ').any(|w| r["result"] == w));
    must(odd.is_none(), || format!("a report came out as {odd:?} instead of {wanted}"))
}

/// What arrived at the receiver is what stands in the list, each signed, each once.
async fn check_events(stage: &mut Stage, platforms: &[Player]) -> Result<usize, String> {
    let received = stage.sink.received();
    let bad = received.iter().filter(|r| !r.signature_is_valid).count();
    must(bad == 0, || format!("{bad} webhooks have a wrong signature"))?;
    let mut listed = HashSet::new();
    for platform in platforms {
        let token = stage.token(platform).await?;
        listed.extend(stage.events(&token).await?.iter().filter_map(|e| e["id"].as_str().map(str::to_owned)));
    }
    let arrived: HashSet<String> = received.iter().map(|r| r.id.clone()).collect();
    must(arrived == listed, || format!("{} events are listed and {} arrived", listed.len(), arrived.len()))?;
    Ok(listed.len())
}

/// Who was hired begins on 5 June, works through June and July; one of twelve
/// loses the job, and is seeking again at once.
async fn work(stage: &mut Stage, platforms: &[Player]) -> Result<(), String> {
    let day = |text: &str| Moment::parse(text).ok_or("a day of the story".to_owned());
    for (at, scene) in [("2020-06-05T18:00:00+08:00", 0), ("2020-06-30T20:00:00+08:00", 1), ("2020-07-31T20:00:00+08:00", 2)] {
        stage.clock.set(day(at)?);
        for platform in platforms {
            let token = stage.token(platform).await?;
            let events = stage.events(&token).await?;
            let mut reports = Vec::new();
            for (n, data) in of_type(&events, "hire.tagged").enumerate() {
                let who = json!({"hire": data["hire"]});
                let mut report = |more: Value| {
                    let mut one = who.clone();
                    one.as_object_mut().into_iter().for_each(|o| o.extend(more.as_object().cloned().unwrap_or_default()));
                    reports.push(one);
                };
                match scene {
                    0 if n % 15 != 14 => report(json!({"status": "ONBOARDED", "at": "2020-06-05"})),
                    1 if n % 15 != 14 => report(json!({"status": "ACTIVE", "month": "2020-06", "at": "2020-06-30", "monthly_wage": 4200})),
                    2 if n % 15 != 14 && n % 12 == 11 => report(json!({"status": "ENDED", "reason": "laid_off", "at": "2020-07-15"})),
                    2 if n % 15 != 14 => report(json!({"status": "ACTIVE", "month": "2020-07", "at": "2020-07-31"})),
                    _ => {}
                }
            }
            apply(stage, &token, &reports, "updated").await?;
        }
        stage.gateway.settle().await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

type Reported = (String, BTreeMap<(String, String), u64>, BTreeMap<String, u64>);

/// The office's figures must add up, and be those that the hires themselves give.
async fn report(stage: &mut Stage, office: &Player) -> Result<Reported, String> {
    let token = stage.token(office).await?;
    let report = stage.call(&token, "GET", "/v1/reports/employment?period=2020-07", None, 200).await?;
    let rows = report["rows"].as_array().cloned().unwrap_or_default();
    let totals = &report["totals"];
    for column in ["total", "out_of_province", "in_province", "in_county", "in_place", "confirmed", "unconfirmed", "new", "awaiting_start"]
    {
        let sum: u64 = rows.iter().map(|r| number(r, column)).sum();
        must(sum == number(totals, column), || format!("the rows' {column} add up to {sum}, not to {}", totals[column]))?;
    }
    let parts = number(totals, "out_of_province") + number(totals, "in_province") + number(totals, "in_county");
    must(parts == number(totals, "total") && parts > 0, || format!("the flows add up to {parts} of {}", totals["total"]))?;
    must(number(totals, "confirmed") + number(totals, "unconfirmed") == parts, || "confirmed and unconfirmed do not add up".to_owned())?;
    let store = &stage.gateway.state.store;
    let hires: BTreeMap<_, _> = store
        .hire_counts()
        .await
        .map_err(|e| e.to_string())?
        .into_iter()
        .map(|(flow, status, n)| ((flow, status), n.max(0) as u64))
        .collect();
    let active = store.active_people().await.map_err(|e| e.to_string())?;
    must(active == parts, || format!("{active} people are active and {parts} are reported"))?;
    let offers = store.offer_counts().await.map_err(|e| e.to_string())?;
    let offers = offers.into_iter().map(|(state, n)| (state.code().to_owned(), n.max(0) as u64)).collect();
    let table = stage.call_text(&token, "/v1/reports/employment?period=2020-07&format=table").await?;
    Ok((table, hires, offers))
}

impl Stage {
    async fn call_text(&self, token: &str, path: &str) -> Result<String, String> {
        let answer = self.api.call("GET", path, Some(token), None).await.map_err(|e| e.to_string())?;
        must(answer.status == 200, || format!("GET {path} answered {}: {}", answer.status, answer.json()))?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

impl Told {
    /// The tables that a person reads.
    pub fn text(&self) -> String {
        let text = |n: &u64| n.to_string();
        let feeds = self.feeds.iter().map(|(name, l)| {
            [name.clone()]
                .into_iter()
                .chain([l.received, l.created, l.updated, l.unchanged, l.skipped, l.rejected].iter().map(text))
                .collect()
        });
        let pairs = |map: &BTreeMap<String, u64>| map.iter().map(|(k, n)| vec![k.clone(), n.to_string()]).collect::<Vec<_>>();
        let answers: Vec<Vec<String>> = self.answers.iter().map(|(k, n)| vec![k.to_string(), n.to_string()]).collect();
        let hires: Vec<Vec<String>> = self.hires.iter().map(|((f, s), n)| vec![f.clone(), s.clone(), n.to_string()]).collect();
        let times: Vec<Vec<String>> = self.times.iter().map(|(k, t)| vec![k.to_string(), format!("{:.2} s", t.as_secs_f64())]).collect();
        [
            format!("\nRegistered: {} invented people.\n", self.registered),
            format!(
                "\nPostings in, by platform\n{}",
                table(&["platform", "received", "created", "updated", "unchanged", "skipped", "rejected"], &feeds.collect::<Vec<_>>())
            ),
            format!("\nRejects, by reason and place\n{}", table(&["reason", "faults"], &pairs(&self.rejects))),
            format!("\nOffers, as they stand\n{}", table(&["state", "offers"], &pairs(&self.offers))),
            format!("\nAnswers\n{}", table(&["answer", "workers"], &answers)),
            format!("\nHires, by the tag flow\n{}", table(&["flow", "status", "hires"], &hires)),
            format!("\nEvents in the platforms' lists and received as signed webhooks by the end of the hires: {}\n", self.webhooks),
            format!("\nEmployment, July 2020\n{}", self.report),
            format!("\nTime\n{}", table(&["part", "took"], &times)),
        ]
        .concat()
    }
}

/// With `--serve`: fresh postings of today, a worker with open offers, an office.
pub async fn invite(stage: &mut Stage, told: &Told) -> Result<String, String> {
    let platform = stage.add(Role::Platform, "invented-works", Region::NATION, "canonical").await?;
    let token = stage.token(&platform).await?;
    let posting = |n: u32, title: &str, place: &str, pay: &str| {
        json!({"source_id": format!("INV-{n}"), "title": title, "job_location": {"text": place}, "base_salary": {"text": pay}, "total_job_openings": 200,
            "hiring_organization": {"name": "虚构用工平台", "kind": "platform"}, "job_benefits": ["lodging", "meals"], "requirements": {"age_min": 18, "age_max": 55}})
    };
    let fresh = json!([
        posting(1, "外卖骑手", "浙江省宁波市鄞州区", "5000-8000元/月"),
        posting(2, "仓库理货员", "广东省东莞市", "4500-6000元/月"),
        posting(3, "家政保洁", "上海市浦东新区", "30元/小时"),
    ]);
    stage.send(&token, "/v1/postings", "application/json", fresh.to_string().into_bytes()).await?;
    stage.gateway.settle().await.map_err(|e| e.to_string())?;
    let offers = stage.all(&told.office_token, "/v1/offers?state=offered").await?;
    let mut held: BTreeMap<&str, u32> = BTreeMap::new();
    offers.iter().filter_map(|o| o["worker"].as_str()).for_each(|w| *held.entry(w).or_insert(0) += 1);
    let worker = held.iter().max_by_key(|(_, n)| **n).map(|(w, _)| *w).ok_or("nobody has an open offer")?;
    let token = stage.token(&told.office).await?;
    let link = stage.call(&token, "POST", &format!("/v1/workers/{worker}/link"), Some(&json!({})), 201).await?;
    let base = &stage.gateway.state.public_url;
    Ok(format!(
        "The gateway stays up on {base}; the clock goes on from {}.\n  a worker's page   {}\n  the office        {base}/office\n    client id       {}\n    client secret   {}\n  the API           {base}/docs/\n\nCtrl-C ends it.",
        stage.clock.now(),
        link["url"].as_str().unwrap_or_default(),
        told.office.id,
        told.office.secret
    ))
}
