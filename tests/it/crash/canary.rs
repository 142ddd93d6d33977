//! A whole story of somebody whose number, name and phone are searched for afterwards,
//! byte by byte, in everything that a real process left or sent: the store with its
//! log, what it wrote to its own log at the most talkative, metrics, webhooks.

use super::{Installation, all};
use crate::harness::{Engine, a_posting, in_region, on_every_engine};
use doorstep::http::sink::Sink;
use doorstep::store::readers::Readers;
use serde_json::json;
use std::time::{Duration, Instant};

on_every_engine![an_id_number_a_name_and_a_phone_stand_nowhere];

/// May stand anywhere, and shows that the search finds what is there.
const CONTROL: &str = "control-that-may-stand";

/// Everything in the store of this engine, as text; bytes as hexadecimal.
async fn everything(installation: &Installation, engine: Engine) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![installation.place.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    if engine == Engine::Postgres {
        let url = installation.place.url.clone();
        let open = move || Readers::start(doorstep::store::engine_of(&url).unwrap(), 1).unwrap();
        let reader = tokio::task::spawn_blocking(open).await.unwrap();
        let dump = reader.read(|s| {
            let sql = "SELECT CAST(table_name AS TEXT), query_to_xml('SELECT * FROM ' || quote_ident(table_name), true, false, '')::text
                       FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";
            s.query(sql, &[])?.iter().map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.as_bytes().to_vec()))).collect()
        });
        let dump: Vec<(String, Vec<u8>)> = dump.await.unwrap();
        assert!(dump.len() > 20, "{} tables", dump.len());
        // Blobs stand there in base64.
        found.extend(dump);
    }
    found
}

fn holding<'a>(all: &'a [(String, Vec<u8>)], text: &str) -> Vec<&'a str> {
    use base64::Engine as _;
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    // In base64 what is inside a longer text begins at any of three places.
    let base64 = (0..3).map(|lead| {
        let coded = base64::engine::general_purpose::STANDARD.encode([&vec![b'.'; lead], text.as_bytes()].concat());
        coded[4..coded.len() - 4].to_owned()
    });
    let forms: Vec<String> = [text.to_owned(), hex.clone(), hex.to_uppercase()].into_iter().chain(base64).collect();
    let has = |bytes: &[u8]| forms.iter().any(|form| bytes.windows(form.len()).any(|w| w == form.as_bytes()));
    all.iter().filter(|(_, bytes)| has(bytes)).map(|(name, _)| name.as_str()).collect()
}

async fn an_id_number_a_name_and_a_phone_stand_nowhere(engine: Engine) {
    let (sink, receiver, _) = Sink::start().unwrap();
    let installation = Installation::new(engine).with("DOORSTEP_OUTBOUND__ALLOW", &receiver.to_string()).with("RUST_LOG", "trace");
    let (platform, office) = (installation.client("platform", "p"), installation.client("office", "nation"));
    let served = installation.serve("2020-06-15T12:00:00+08:00");
    let (platform, office) = (served.caller(&platform).await, served.caller(&office).await);
    let person = in_region("522624").with("name", json!("金丝雀甲乙丙丁")).with("phone", json!("10000076543"));
    let endpoint = json!({"url": format!("http://{receiver}/hooks")});
    platform.post("/v1/webhook-endpoints", &endpoint).await.expect(201);
    let registered = office.post("/v1/workers", &json!([person.json()])).await.expect(200).json;
    let worker = registered["results"][0]["id"].as_str().unwrap().to_owned();
    // Refused, and told with the place: the row itself is not.
    office.post("/v1/workers", &json!([person.clone().with("id_number", json!("52262419800101000X")).json()])).await.expect(200);
    platform.post("/v1/postings", &json!([a_posting().with("title", json!(CONTROL)).json()])).await.expect(200);
    let until = Instant::now() + Duration::from_secs(20);
    let offer = loop {
        if let Some(offer) = all(&office, "/v1/offers").await.first() {
            break offer["id"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < until, "no offer came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let link = office.post(&format!("/v1/workers/{worker}/link"), &json!({})).await.expect(201).json;
    let page = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{}/w/{}", served.url, link["token"].as_str().unwrap()));
    assert_eq!(page.send().await.unwrap().status(), 200);
    office.post(&format!("/v1/offers/{offer}/accept"), &json!({"on_behalf": true, "method": "phone"})).await.expect(200);
    let contact = platform.get(&format!("/v1/offers/{offer}/contact")).await.expect(200).text;
    assert!(contact.contains(person.text("phone")), "whom they accepted is told");
    let asked = json!({"fields": ["id_number", "name", "phone"], "reason": "a visit"});
    let revealed = office.post(&format!("/v1/workers/{worker}/reveal"), &asked).await.expect(200).text;
    assert!(revealed.contains(person.text("id_number")));
    platform.post("/v1/hires", &json!({"offer": offer, "status": "ONBOARDED", "raw_status": "上岗"})).await.expect(200);
    let riders = (0..100).map(|_| in_region("522624")).chain([person.clone()]);
    let lines: Vec<String> = riders
        .enumerate()
        .map(|(n, p)| json!({"id_number": p.text("id_number"), "platform_worker_id": format!("r{n}"), "work_region": "330212"}).to_string())
        .collect();
    let roster = platform.request("POST", "/v1/rosters").header("content-type", "application/x-ndjson").body(lines.join("\n"));
    platform.send(roster).await.expect(200);
    office.get(&format!("/v1/workers/{worker}")).await.expect(200);
    while sink.arrived().len() < 3 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = office.get("/metrics").await.expect(200).text;
    let mut left = everything(&installation, engine).await;
    left.push(("metrics".to_owned(), metrics.into_bytes()));
    let sent = sink.arrived();
    assert!(sent.iter().any(|w| w.body.contains("hire.tagged")), "the hire was told");
    left.extend(sent.into_iter().map(|w| ("webhook".to_owned(), w.body.into_bytes())));
    drop(served);
    assert!(!holding(&left, CONTROL).is_empty(), "the search finds what is there");
    assert!(left.iter().any(|(name, bytes)| name.ends_with("serve.log") && bytes.len() > 10_000), "the log is talkative");
    for field in ["id_number", "name", "phone"] {
        assert_eq!(holding(&left, person.text(field)), Vec::<&str>::new(), "{field}");
    }
    assert_eq!(holding(&left, "52262419800101000X"), Vec::<&str>::new(), "what was refused");
}
