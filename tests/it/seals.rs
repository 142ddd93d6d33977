//! What an office keeps and checks of the sealed log, over HTTP and at the command line.

use crate::harness::*;
use aws_lc_rs::signature::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep::domain::client::Role;
use doorstep::domain::merkle::{leaf_hash, root_from_inclusion};
use doorstep::store::seals::note::{Note, verifier};
use serde_json::{Value, json};
use std::process::{Command, Output};

on_every_engine![an_office_keeps_a_checkpoint_and_proves_a_hire_by_it];

/// A hire of one of the office's people.
async fn hire(app: &App, platform: &Platform<'_>) -> String {
    let posting = platform.publish(a_posting()).await;
    app.settle().await;
    let worker = app.worker(in_region("522624")).await;
    app.settle().await;
    worker.accepts_offer_for(&posting).await;
    let offers = platform.caller.get("/v1/offers?limit=200").await.expect(200).json;
    let offer = offers["items"].as_array().unwrap().iter().find(|o| o["posting"]["id"] == json!(posting.id)).unwrap().clone();
    let report = json!({"offer": offer["id"], "status": "ONBOARDED", "at": "2020-06-15"});
    let answer = platform.caller.post("/v1/hires", &report).await.expect(200).json;
    answer["results"][0]["hire"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn an_office_keeps_a_checkpoint_and_proves_a_hire_by_it(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, office) = (app.platform("example").await, app.office("522600").await);
    office.caller.get("/v1/checkpoint").await.expect_problem(404, "no_checkpoint");
    let id = hire(&app, &platform).await;
    let path = format!("/v1/hires/{id}/proof");
    office.caller.get(&path).await.expect_problem(409, "not_sealed");
    app.settle().await;

    let kept = office.caller.get("/v1/checkpoint").await.expect(200);
    let note = Note::parse(&kept.text).unwrap();
    assert_eq!(note.check(app.keys.seal.pair().public_key().as_ref()), Ok(()));
    assert_eq!((app.admin().await.get("/v1/checkpoint").await.expect(200).text, note.origin.as_str()), (kept.text.clone(), "doorstep"));
    let proof = office.caller.get(&path).await.expect(200).json;
    let number = |name: &str| proof[name].as_u64().unwrap();
    let hashes: Vec<[u8; 32]> = proof["hashes"].as_array().unwrap().iter().map(hash).collect();
    let entry = proof["entry"].as_str().unwrap();
    assert_eq!(root_from_inclusion(leaf_hash(entry.as_bytes()), number("index"), number("size"), &hashes), Some(note.root));
    assert_eq!((proof["checkpoint"].as_str(), note.size), (Some(kept.text.as_str()), number("size")));
    assert!(
        entry.starts_with(&format!("doorstep-ledger-v1\n{}\n", number("index") + 1)) && entry.contains(&format!("\n{id}\n")),
        "{entry}"
    );

    // Who may not see the hire learns nothing, and platforms keep no checkpoints.
    app.office("330000").await.caller.get(&path).await.expect_problem(404, "not_found");
    office.caller.get(&format!("/v1/hires/{}/proof", uuid::Uuid::nil())).await.expect_problem(404, "not_found");
    office.caller.get("/v1/hires/x/proof").await.expect_problem(404, "not_found");
    platform.caller.get(&path).await.expect_problem(403, "role_forbidden");
    platform.caller.get("/v1/checkpoint").await.expect_problem(403, "role_forbidden");
    app.anonymous().get("/v1/checkpoint").await.expect_problem(401, "unauthorized");
    let log = app.client(Role::Admin, "another", "000000", "canonical").await.get("/v1/access-log?limit=200").await.expect(200).json;
    assert!(log["items"].as_array().unwrap().iter().any(|l| l["action"] == "proof" && l["reason"] == json!(id)), "{log}");
    app.finish().await;
}

fn hash(text: &Value) -> [u8; 32] {
    STANDARD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap()
}

/// `doorstep seal …` beside the server.
fn seal(app: &App, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.arg("seal").args(arguments).env("DOORSTEP_STORE__URL", format!("sqlite://{}", app.file().display()));
    command.output().unwrap()
}

#[actix_web::test]
async fn the_command_line_verifies_beside_the_server_and_names_what_was_altered() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    hire(&app, &platform).await;
    app.settle().await;
    let kept = app.admin().await.get("/v1/checkpoint").await.expect(200).text;
    let (file, key) = (app.file().with_file_name("kept"), verifier("doorstep", app.keys.seal.pair().public_key().as_ref()));
    std::fs::write(&file, &kept).unwrap();
    let verify = |more: &[&str]| {
        let out = seal(&app, &[&["verify", "--public-key", &key][..], more].concat());
        (out.status.code(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
    };
    let checkpoint = ["--checkpoint", file.to_str().unwrap()];
    let (code, told) = verify(&checkpoint);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("are as they were sealed, as the kept checkpoint of"), "{told}");
    assert_eq!(verify(&["--period", "2020-06"]).0, Some(0));

    let db = rusqlite::Connection::open(app.file()).unwrap();
    let leaf: String = db.query_row("SELECT leaf FROM ledger WHERE seq = 2", [], |row| row.get(0)).unwrap();
    db.execute("UPDATE ledger SET leaf = '{}' WHERE seq = 2", []).unwrap();
    let (code, told) = verify(&checkpoint);
    assert!(code == Some(1) && told.starts_with("seq 2: is not the one that the checkpoint of 2 covers"), "{told}");
    db.execute("UPDATE ledger SET leaf = ?1 WHERE seq = 2", [leaf]).unwrap();
    assert_eq!(verify(&checkpoint).0, Some(0));

    // What is no key, no checkpoint, or a checkpoint of another key.
    let out = seal(&app, &["verify", "--public-key", "doorstep"]);
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("--public-key"));
    std::fs::write(&file, kept.replace("doorstep\n", "elsewhere\n")).unwrap();
    let (code, told) = verify(&checkpoint);
    assert!(code == Some(1) && told.contains("has no valid signature by this key"), "{told}");
    std::fs::write(&file, "no checkpoint").unwrap();
    assert!(verify(&checkpoint).1.contains("is no checkpoint"));
    app.finish().await;
}
