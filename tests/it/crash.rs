//! A real process, killed in the middle: what was answered stands, and what was
//! interrupted is finished by the same request once more.

mod canary;
mod load;
mod seals;

use crate::harness::{Called, Caller, Engine, Person, Place, a_posting, in_region, on_every_engine};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

on_every_engine![
    a_batch_cut_short_is_finished_by_the_same_request,
    a_full_feed_cut_short_while_it_closes_is_finished,
    a_roster_cut_short_goes_on_where_it_stopped,
    an_import_cut_short_goes_on_where_it_stopped,
    what_was_answered_outlives_the_process,
];

const RECORDS: usize = 10_000;

/// An installation: keys, a store, and the program itself.
struct Installation {
    place: Place,
    keys: PathBuf,
    settings: Vec<(&'static str, String)>,
}

/// A running `serve`, killed when it is dropped.
struct Served {
    process: Child,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // SIGKILL: no chance to tidy up.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Installation {
    fn new(engine: Engine) -> Self {
        let place = Place::new(engine);
        let keys = place.folder.path().join("keys.toml");
        let made = Self { place, keys, settings: Vec::new() };
        let keys = made.keys.display().to_string();
        made.run(&["keys", "init", &keys]);
        made
    }

    /// The same with one more setting.
    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command
            .args(arguments)
            .env("DOORSTEP_STORE__URL", &self.place.url)
            .env("DOORSTEP_KEYS__FILE", &self.keys)
            .env("DOORSTEP_HTTP__LISTEN", "127.0.0.1:0")
            .envs(self.settings.iter().map(|(name, value)| (*name, value.as_str())))
            .env("DOORSTEP_FEED__HOLD_SHARE", "1")
            .env("DOORSTEP_LIMITS__REQUESTS_BURST", "100000")
            .env("DOORSTEP_LIMITS__ANONYMOUS_BURST", "100000")
            .current_dir(self.place.folder.path());
        command
    }

    /// Runs a command that ends; what it printed.
    fn run(&self, arguments: &[&str]) -> String {
        let out = self.command(arguments).output().unwrap();
        let (told, failed) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
        assert!(out.status.success(), "{arguments:?}: {told}{failed}");
        told
    }

    /// The id and secret of a new client.
    fn client(&self, role: &str, name: &str) -> (String, String) {
        let made: Value = serde_json::from_str(&self.run(&["client", "add", "--role", role, "--name", name])).unwrap();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// Starts the server at a time; ready when it names its address.
    fn serve(&self, now: &str) -> Served {
        let log = std::fs::File::create(self.place.folder.path().join("serve.log")).unwrap();
        let mut command = self.command(&["serve"]);
        let mut process = command.env("DOORSTEP_CLOCK__NOW", now).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_default().to_owned();
        let log = || std::fs::read_to_string(self.place.folder.path().join("serve.log")).unwrap_or_default();
        assert!(!url.is_empty(), "the server did not start: {line}{}", log());
        Served { process, url }
    }
}

impl Served {
    async fn caller(&self, (id, secret): &(String, String)) -> Caller {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap();
        let anonymous = Caller::new(http.clone(), &self.url, None);
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let answer = anonymous.send(anonymous.request("POST", "/oauth/token").form(&form)).await.expect(200);
        Caller::new(http, &self.url, answer.json["access_token"].as_str().map(str::to_owned))
    }
}

async fn count(caller: &Caller) -> usize {
    count_of(caller, "").await
}

async fn count_of(caller: &Caller, query: &str) -> usize {
    caller.get(&format!("/v1/postings?limit=1{query}")).await.expect(200).json["total"].as_u64().unwrap() as usize
}

/// Every item of a list.
async fn all(caller: &Caller, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = caller.get(&format!("{path}?limit=200&cursor={cursor}")).await.expect(200).json;
        items.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return items,
        }
    }
}

/// At how many stored postings the process is killed, one round each.
fn moments() -> Vec<usize> {
    match std::env::var("DOORSTEP_TEST_DEEP").is_ok_and(|v| v == "1") {
        true => vec![0, 1, 501, 1_500, 2_500, 4_000, 5_000, 6_500, 8_000, 9_000, 9_501, RECORDS],
        false => vec![1, 5_000, 9_501],
    }
}

async fn a_batch_cut_short_is_finished_by_the_same_request(engine: Engine) {
    let batch = json!((0..RECORDS).map(|n| a_posting().source_id(&format!("C-{n}")).json()).collect::<Vec<_>>()).to_string();
    let people: Vec<Value> = (0..100).map(|_| in_region("522624")).map(|p: Person| p.json()).collect();
    for moment in moments() {
        let installation = Installation::new(engine);
        let (platform, office) = (installation.client("platform", "p"), installation.client("office", "nation"));
        let served = installation.serve("2020-06-15T12:00:00+08:00");
        served.caller(&office).await.post("/v1/workers", &json!(people)).await.expect(200);
        let caller = served.caller(&platform).await;
        let push = |caller: &Caller| {
            let request = caller.request("POST", "/v1/postings").header("content-type", "application/json");
            request.header("idempotency-key", "whole").body(batch.clone()).send()
        };
        let pushing = tokio::spawn(push(&caller));
        while count(&caller).await < moment {}
        drop(served);
        let cut = !matches!(pushing.await.unwrap(), Ok(answer) if answer.status() == 200);
        assert!(cut || moment >= 9_000, "killed at {moment}, after the answer");

        // A minute later, past any lease of the dead process.
        let served = installation.serve("2020-06-15T12:01:00+08:00");
        let caller = served.caller(&platform).await;
        let left = count(&caller).await;
        assert!(left >= moment, "{left} of {moment} postings survived");
        assert!(left % 500 == 0, "{left}: a slice stands or falls whole");
        let answer: Value = push(&caller).await.unwrap().json().await.unwrap();
        let told = |name: &str| answer[name].as_u64().unwrap_or_else(|| panic!("{name} in {answer}")) as usize;
        assert_eq!((told("received"), told("created"), told("updated"), told("unchanged")), (RECORDS, RECORDS, 0, 0), "killed at {moment}");
        let again: Value = push(&caller).await.unwrap().json().await.unwrap();
        assert_eq!(again, answer, "and so does every further try");

        let ids: HashSet<String> = all(&caller, "/v1/postings").await.iter().map(|p| p["source_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!((ids.len(), count(&caller).await), (RECORDS, RECORDS), "each is there once");
        let offers = all(&caller, "/v1/offers").await;
        let pairs: HashSet<(String, String)> = offers.iter().map(|o| (o["posting"]["id"].to_string(), o["worker"].to_string())).collect();
        assert_eq!(pairs.len(), offers.len(), "nobody is offered a posting twice");
    }
}

async fn a_roster_cut_short_goes_on_where_it_stopped(engine: Engine) {
    const PEOPLE: usize = 4_000;
    let installation = Installation::new(engine);
    let (platform, office) = (installation.client("platform", "p"), installation.client("office", "nation"));
    let served = installation.serve("2020-06-15T12:00:00+08:00");
    let people: Vec<Person> = (0..PEOPLE).map(|_| in_region("522624")).collect();
    let office_then = served.caller(&office).await;
    office_then.post("/v1/workers", &json!(people.iter().map(Person::json).collect::<Vec<_>>())).await.expect(200);
    let line = |p: &Person| json!({"id_number": p.text("id_number"), "work_region": "330212"}).to_string();
    let roster = people.iter().map(line).collect::<Vec<_>>().join("\n");
    let push = |caller: &Caller| {
        let request = caller.request("POST", "/v1/rosters").header("content-type", "application/x-ndjson");
        request.header("idempotency-key", "whole").body(roster.clone()).send()
    };
    let hires = async |office: &Caller| office.get("/v1/hires?limit=1").await.expect(200).json["total"].as_u64().unwrap() as usize;
    let pushing = tokio::spawn(push(&served.caller(&platform).await));
    while hires(&office_then).await == 0 {}
    drop(served);
    assert!(!matches!(pushing.await.unwrap(), Ok(answer) if answer.status() == 200), "killed after the answer");

    let served = installation.serve("2020-06-15T12:01:00+08:00");
    let (caller, office) = (served.caller(&platform).await, served.caller(&office).await);
    let left = hires(&office).await;
    assert!(left > 0 && left < PEOPLE && left % 500 == 0, "{left}: a slice stands or falls whole");
    let answer: Value = push(&caller).await.unwrap().json().await.unwrap();
    assert_eq!(answer, json!({"received": PEOPLE, "matched": PEOPLE, "already": 0, "invalid": []}), "{left} stood");
    assert_eq!(hires(&office).await, PEOPLE);
}

/// Whether by the same request or, where nobody sends it again, by the next process.
async fn a_full_feed_cut_short_while_it_closes_is_finished(engine: Engine) {
    const CLOSED: usize = 5_000;
    for asked_again in [true, false] {
        let installation = Installation::new(engine);
        let platform = installation.client("platform", "p");
        let served = installation.serve("2020-06-15T12:00:00+08:00");
        let caller = served.caller(&platform).await;
        let all: Vec<Value> = (0..CLOSED).map(|n| a_posting().source_id(&format!("C-{n}")).json()).collect();
        caller.post("/v1/postings", &json!(all)).await.expect(200);
        let path = "/v1/postings?run=empty&complete=true&expected=0";
        let complete = |caller: &Caller| caller.request("POST", path).json(&json!([])).send();
        let closing = tokio::spawn(complete(&caller));
        while count_of(&caller, "&status=closed").await == 0 {}
        drop(served);
        assert!(!matches!(closing.await.unwrap(), Ok(answer) if answer.status() == 200), "killed after the answer");

        let served = installation.serve("2020-06-15T12:01:00+08:00");
        let caller = served.caller(&platform).await;
        if asked_again {
            let answer: Value = complete(&caller).await.unwrap().json().await.unwrap();
            assert_eq!((answer["closed"].as_u64(), &answer["held"]), (Some(CLOSED as u64), &Value::Null), "{answer}");
        }
        while count_of(&caller, "&status=closed").await < CLOSED {}
        let mut told = HashSet::new();
        let (mut events, mut cursor) = (0, String::new());
        loop {
            let page = caller.get(&format!("/v1/events?limit=1000&after={cursor}")).await.expect(200).json;
            let some = page["events"].as_array().unwrap();
            events += some.len();
            told.extend(some.iter().map(|e| e["data"]["source_id"].to_string()));
            cursor = page["next"].as_str().unwrap().to_owned();
            if some.is_empty() {
                break;
            }
        }
        assert_eq!((told.len(), events), (CLOSED, CLOSED), "each close is told once");
    }
}

async fn what_was_answered_outlives_the_process(engine: Engine) {
    let installation = Installation::new(engine);
    let (platform, office) = (installation.client("platform", "p"), installation.client("office", "nation"));
    let served = installation.serve("2020-06-15T12:00:00+08:00");
    let caller = served.caller(&platform).await;
    let answers: Vec<Called> = {
        let pushes = (0..20).map(|_| async { caller.post("/v1/postings", &json!([a_posting().json()])).await.expect(200) });
        futures_util::future::join_all(pushes).await
    };
    let registered = served.caller(&office).await.post("/v1/workers", &json!([in_region("522624").json()])).await.expect(200).json;
    drop(served);
    let served = installation.serve("2020-06-15T12:01:00+08:00");
    assert_eq!(count(&served.caller(&platform).await).await, answers.len());
    let worker = registered["results"][0]["id"].as_str().unwrap();
    served.caller(&office).await.get(&format!("/v1/workers/{worker}")).await.expect(200);
}

#[test]
fn a_second_server_on_one_file_says_so_and_ends() {
    let installation = Installation::new(Engine::Sqlite);
    let _served = installation.serve("2020-06-15T12:00:00+08:00");
    let second = installation.command(&["serve"]).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another doorstep serves"));
    installation.client("admin", "a command works beside the server");
}

#[test]
fn a_server_without_keys_says_how_to_make_them() {
    let place = Place::new(Engine::Sqlite);
    let refused = Command::new(env!("CARGO_BIN_EXE_doorstep"))
        .arg("serve")
        .env("DOORSTEP_STORE__URL", &place.url)
        .env_remove("DOORSTEP_KEYS__FILE")
        .current_dir(place.folder.path())
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("doorstep keys init"));
}

/// Killed when the first slice was just stored; the same command goes on, and its
/// figures speak of the whole file.
async fn an_import_cut_short_goes_on_where_it_stopped(engine: Engine) {
    // More than one slice of each engine.
    let rows = match engine {
        Engine::Sqlite => 20_500,
        Engine::Postgres => 2_000,
    };
    let installation = Installation::new(engine);
    let file = installation.place.folder.path().join("people.ndjson");
    let lines: Vec<String> = (0..rows).map(|_| in_region("522624").json().to_string()).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let import = ["import", "workers", file.to_str().unwrap()];
    let mut first = installation.command(&import).env("RUST_LOG", "doorstep=debug").stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(first.stderr.take().unwrap()).lines().map_while(Result::ok);
    let stored = told.into_iter().any(|line| line.contains("a slice of the registry is stored"));
    first.kill().unwrap();
    assert!(!first.wait().unwrap().success() && stored, "it was to be killed after its first slice");

    let whole = installation.run(&import);
    assert_eq!(whole.trim(), format!("{rows} rows: {rows} created, 0 updated, 0 unchanged, 0 refused"));
    let again = installation.run(&import);
    assert_eq!(again.trim(), format!("{rows} rows: 0 created, 0 updated, {rows} unchanged, 0 refused"));
    let office = installation.client("office", "nation");
    let served = installation.serve("2027-01-01T12:00:00+08:00");
    let listed = served.caller(&office).await.get("/v1/workers?limit=1").await.expect(200).json;
    assert_eq!(listed["total"].as_u64(), Some(rows as u64), "each is there once");
}
