//! Killed again and again under load: accepts, hires and webhooks are under way each
//! time. What was answered stands, no posting is over-filled, the list of events has
//! neither a gap nor a double, and each event arrives under its one id.

use super::{Installation, all};
use crate::harness::{Caller, Engine, a_posting, in_region, on_every_engine};
use doorstep::http::sink::Sink;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

on_every_engine![nothing_answered_is_lost_however_often_it_is_killed];

const POSTINGS: usize = 60;
const OPENINGS: usize = 4;
const PEOPLE: usize = 400;
const CALLERS: usize = 8;
/// What is answered in each round before the process is killed.
const AT_LEAST: usize = 8;

/// How often the process is killed.
fn kills() -> usize {
    if std::env::var("DOORSTEP_TEST_DEEP").is_ok_and(|v| v == "1") { 200 } else { 5 }
}

/// What was answered with 200 before a kill.
#[derive(Default)]
struct Acknowledged {
    /// Offers by the state that the answer named.
    accepts: BTreeMap<String, String>,
    /// Offers whose hire was reported, with the hire.
    hires: BTreeMap<String, String>,
}

impl Acknowledged {
    fn count(&self) -> usize {
        self.accepts.len() + self.hires.len()
    }
}

async fn accept(office: &Caller, offer: &str, known: &Mutex<Acknowledged>) {
    let body = json!({"on_behalf": true, "method": "phone"});
    let Ok(answer) = office.request("POST", &format!("/v1/offers/{offer}/accept")).json(&body).send().await else { return };
    if answer.status() == 200
        && let Ok(told) = answer.json::<Value>().await
    {
        known.lock().unwrap().accepts.insert(offer.to_owned(), told["state"].as_str().unwrap().to_owned());
    }
}

async fn hire(platform: &Caller, offer: &str, known: &Mutex<Acknowledged>) {
    let body = json!({"offer": offer, "status": "HIRED", "at": "2020-06-16"});
    let Ok(answer) = platform.request("POST", "/v1/hires").json(&body).send().await else { return };
    if answer.status() == 200
        && let Ok(told) = answer.json::<Value>().await
    {
        let hire = told["results"][0]["hire"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
        known.lock().unwrap().hires.insert(offer.to_owned(), hire);
    }
}

/// Accepts what is offered and hires some of those who accepted, until the server is
/// gone.
async fn load(office: &Caller, platform: &Caller, round: usize, known: &Mutex<Acknowledged>) {
    let Ok(answer) = office.request("GET", "/v1/offers?limit=200&state=offered").send().await else { return };
    let Ok(list) = answer.json::<Value>().await else { return };
    let offers: Vec<String> = list["items"].as_array().into_iter().flatten().map(|o| o["id"].as_str().unwrap().to_owned()).collect();
    let next = AtomicUsize::new(0);
    let caller = || async {
        while let Some(offer) = offers.get(next.fetch_add(1, Ordering::Relaxed)) {
            accept(office, offer, known).await;
            let at = next.load(Ordering::Relaxed);
            if (at + round).is_multiple_of(3) {
                hire(platform, offer, known).await;
            }
        }
    };
    futures_util::future::join_all((0..CALLERS).map(|_| caller())).await;
}

async fn nothing_answered_is_lost_however_often_it_is_killed(engine: Engine) {
    let (sink, receiver, _) = Sink::start().unwrap();
    let installation = Installation::new(engine).with("DOORSTEP_OUTBOUND__ALLOW", &receiver.to_string());
    let (platform, office) = (installation.client("platform", "p"), installation.client("office", "nation"));
    let known = Arc::new(Mutex::new(Acknowledged::default()));
    let mut draw = 7u64;
    for round in 0..=kills() {
        // Minutes apart, past any lease of the dead process.
        let served = installation.serve(&format!("2020-06-{:02}T{:02}:{:02}:00+08:00", 16 + round / 600, round / 60 % 10, round % 60));
        let (platform, office) = (served.caller(&platform).await, served.caller(&office).await);
        if round == 0 {
            let endpoint = platform.post("/v1/webhook-endpoints", &json!({"url": format!("http://{receiver}/hooks")})).await.expect(201);
            sink.expect("/hooks", endpoint.json["secret"].as_str().unwrap());
            let people: Vec<Value> = (0..PEOPLE).map(|_| in_region("522624").json()).collect();
            office.post("/v1/workers", &json!(people)).await.expect(200);
        }
        // There is always something to accept.
        let fresh: Vec<Value> = (0..POSTINGS.div_ceil(kills().min(POSTINGS)))
            .map(|n| {
                a_posting()
                    .source_id(&format!("K-{round}-{n}"))
                    .with("title", format!("K-{round}-{n}").into())
                    .openings(OPENINGS as u32)
                    .json()
            })
            .collect();
        platform.post("/v1/postings", &json!(fresh)).await.expect(200);
        stands(&office, &platform, &known).await;
        if round == kills() {
            return ends_well(&platform, &office, &sink).await;
        }
        draw = doorstep::domain::ranking::mix(draw);
        let moment = Duration::from_millis(20 + draw % 400);
        // A machine that is busy with something else takes a while to have a load.
        let answered = known.lock().unwrap().count();
        let (wanted, until) = (answered + AT_LEAST, Instant::now() + Duration::from_secs(10));
        let seen = known.clone();
        let kill = tokio::spawn(async move {
            while seen.lock().unwrap().count() < wanted && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(moment).await;
            drop(served);
        });
        let under_way = async {
            loop {
                load(&office, &platform, round, &known).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Whatever is still asked of the dead one is given up.
        tokio::select! {
            () = under_way => {}
            killed = kill => killed.unwrap(),
        }
    }
}

/// Every fact that was answered is there, and no posting has more seats taken than its
/// offers say or its openings allow.
async fn stands(office: &Caller, platform: &Caller, known: &Mutex<Acknowledged>) {
    let offers = all(office, "/v1/offers").await;
    let hires: HashSet<String> = all(office, "/v1/hires").await.iter().map(|h| h["id"].as_str().unwrap().to_owned()).collect();
    let states: HashMap<&str, &str> = offers.iter().map(|o| (o["id"].as_str().unwrap(), o["state"].as_str().unwrap())).collect();
    kept(&known.lock().unwrap(), &states, &hires);
    let mut seated: HashMap<String, u64> = HashMap::new();
    for o in &offers {
        let holds = matches!(o["state"].as_str(), Some("accepted" | "hired")) || (o["promoted"] == true && o["state"] == "offered");
        *seated.entry(o["posting"]["id"].to_string()).or_default() += u64::from(holds);
    }
    for p in all(platform, "/v1/postings").await {
        let taken = p["seats"]["taken"].as_u64().unwrap();
        assert!(taken <= p["seats"]["openings"].as_u64().unwrap(), "over-filled: {}", p["seats"]);
        assert_eq!(taken, seated.get(&p["id"].to_string()).copied().unwrap_or(0), "seats that no offer holds: {}", p["seats"]);
    }
}

/// What was answered is still so.
fn kept(known: &Acknowledged, states: &HashMap<&str, &str>, hires: &HashSet<String>) {
    for (offer, told) in &known.accepts {
        let now = states.get(offer.as_str()).copied().unwrap_or("gone");
        let may: &[&str] = if told == "waitlisted" { &["waitlisted", "offered", "accepted", "hired"] } else { &["accepted", "hired"] };
        assert!(may.contains(&now), "an offer that was answered as {told} is {now}");
    }
    for (offer, hire) in &known.hires {
        assert_eq!(states.get(offer.as_str()), Some(&"hired"), "a hire that was answered is lost");
        assert!(hires.contains(hire), "a hire that was answered is not listed");
    }
}

/// The list of events is whole, and all of them arrive.
async fn ends_well(platform: &Caller, office: &Caller, sink: &Arc<Sink>) {
    let mut events: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let query = if after.is_empty() { String::new() } else { format!("&after={after}") };
        let page = platform.get(&format!("/v1/events?limit=1000{query}")).await.expect(200).json;
        let some = page["events"].as_array().unwrap();
        if some.is_empty() {
            break;
        }
        events.extend(some.iter().cloned());
        after = page["next"].as_str().unwrap().to_owned();
    }
    let ids: HashSet<String> = events.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), events.len(), "an event is listed twice");
    let mut sequences: HashMap<String, u64> = HashMap::new();
    for event in &events {
        let last = sequences.entry(event["data"]["posting"].to_string()).or_default();
        *last += 1;
        assert_eq!(event["data"]["sequence"].as_u64(), Some(*last), "a gap or a double in the list of one posting");
    }
    let offers = all(office, "/v1/offers").await;
    let of_kind = |kind: &str, what: &str| -> Vec<String> {
        events.iter().filter(|e| e["type"] == kind).map(|e| e["data"][what].as_str().unwrap().to_owned()).collect()
    };
    let (accepted, tagged) = (of_kind("offer.accepted", "offer"), of_kind("hire.tagged", "hire"));
    let hires = all(office, "/v1/hires").await.len();
    let told: HashSet<&String> = accepted.iter().collect();
    assert_eq!(told.len(), accepted.len(), "an accept is told twice");
    for o in offers.iter().filter(|o| o["state"] == "accepted") {
        assert!(told.contains(&o["id"].as_str().unwrap().to_owned()), "an accept is not told");
    }
    assert_eq!(tagged.iter().collect::<HashSet<_>>().len(), hires, "each hire is told");
    assert_eq!(tagged.len(), hires, "and once");
    assert!(accepted.len() > 20 && hires > 5, "{} accepts and {hires} hires are no load", accepted.len());

    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let arrived: HashSet<String> = sink.received().iter().map(|r| r.id.clone()).collect();
        if ids.is_subset(&arrived) {
            break;
        }
        assert!(Instant::now() < until, "{} of {} events have not arrived", ids.difference(&arrived).count(), ids.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut bodies: HashMap<String, Value> = HashMap::new();
    for webhook in sink.received() {
        assert!(webhook.signature_is_valid && ids.contains(&webhook.id), "a webhook that is no event of the list, or not signed");
        let first = bodies.entry(webhook.id.clone()).or_insert_with(|| webhook.body.clone());
        assert_eq!(*first, webhook.body, "one id, two bodies");
    }
    println!("{} kills: {} accepts, {hires} hires, {} events", kills(), accepted.len(), events.len());
}
