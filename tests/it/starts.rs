//! Starts: the routing index comes from its file and the changes since, or, where the
//! file is no good, from the store; either way it knows the same people.

use crate::harness::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

on_every_engine![
    an_index_from_its_file_knows_what_changed_since,
    a_file_that_is_no_good_is_thrown_away,
    a_file_of_another_state_of_the_store_is_thrown_away,
    an_index_without_a_file_is_read_from_the_store,
    an_idle_gateway_writes_nothing,
];

/// A gateway that keeps its index in a folder.
async fn spawn_keeping(engine: Engine) -> (App, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kept.index");
    let name = file.display().to_string();
    (spawn_with(engine, |c| c.routing.snapshot = name).await, folder, file)
}

async fn index(app: &App) -> Value {
    app.anonymous().get("/readyz").await.expect(200).json["index"].clone()
}

/// Everybody who suits is offered a posting that has room for all.
async fn everybody_is_offered(app: &App, people: usize) {
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(100)).await;
    app.settle().await;
    let offers = platform.caller.get(&format!("/v1/offers?posting={}", posting.id)).await.expect(200);
    assert_eq!(offers.json["total"], people, "{offers:?}");
}

async fn an_index_from_its_file_knows_what_changed_since(engine: Engine) {
    let (mut app, _folder, file) = spawn_keeping(engine).await;
    for _ in 0..20 {
        app.worker(in_region("522624")).await;
    }
    assert_eq!(index(&app).await["started_from"], "store");
    assert!(!file.exists());
    app.restart_with(|_| {}).await;
    assert!(file.exists());
    assert_eq!(index(&app).await, json!({"workers": 20, "behind": 0, "started_from": "snapshot"}));
    // A process that was killed has written nothing: what changed is in the log.
    let kept = std::fs::read(&file).expect("a file");
    for _ in 0..5 {
        app.worker(in_region("522624")).await;
    }
    app.restart_with(|_| {}).await;
    std::fs::write(&file, kept).expect("written");
    app.restart_without_saving().await;
    assert_eq!(index(&app).await, json!({"workers": 25, "behind": 0, "started_from": "snapshot"}));
    everybody_is_offered(&app, 25).await;
    app.finish().await;
}

fn spoil(file: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).expect("a file");
    how(&mut bytes);
    std::fs::write(file, bytes).expect("written");
}

async fn a_file_that_is_no_good_is_thrown_away(engine: Engine) {
    let (mut app, _folder, file) = spawn_keeping(engine).await;
    for _ in 0..10 {
        app.worker(in_region("522624")).await;
    }
    app.restart_with(|_| {}).await;
    let spoilt: [fn(&mut Vec<u8>); 4] = [
        |bytes| {
            let half = bytes.len() / 2;
            bytes[half] ^= 1;
        },
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.clear(),
        |bytes| bytes[30] ^= 1,
    ];
    for how in spoilt {
        app.worker(in_region("522624")).await;
        app.restart_with(|_| {}).await;
        spoil(&file, how);
        app.restart_without_saving().await;
        assert_eq!(index(&app).await["started_from"], "store");
        assert!(!file.exists(), "what was refused is gone");
    }
    // Made for other settings.
    app.worker(in_region("522624")).await;
    app.restart_with(|_| {}).await;
    app.restart_with(|c| c.routing.cap = 2).await;
    assert_eq!(index(&app).await, json!({"workers": 15, "behind": 0, "started_from": "store"}));
    everybody_is_offered(&app, 15).await;
    app.finish().await;
}

async fn a_file_of_another_state_of_the_store_is_thrown_away(engine: Engine) {
    let (mut app, folder, file) = spawn_keeping(engine).await;
    let (mut other, _other_folder, other_file) = spawn_keeping(engine).await;
    // From here on its ids are others.
    other.restart_with(|_| {}).await;
    for n in 0..8 {
        app.worker(in_region("522624")).await;
        if n % 2 == 0 {
            other.worker(in_region("330212")).await;
        }
    }
    app.restart_with(|_| {}).await;
    other.settle().await;
    other.finish().await;
    // Fewer changes than the store has, and none of them its own.
    std::fs::copy(&other_file, &file).expect("copied");
    app.restart_without_saving().await;
    assert_eq!(index(&app).await, json!({"workers": 8, "behind": 0, "started_from": "store"}));
    everybody_is_offered(&app, 8).await;
    drop(folder);
    app.finish().await;
}

async fn an_index_without_a_file_is_read_from_the_store(engine: Engine) {
    let mut app = spawn_with(engine, |c| c.routing.snapshot = "none".to_owned()).await;
    app.worker(in_region("522624")).await;
    app.restart_with(|_| {}).await;
    assert_eq!(index(&app).await, json!({"workers": 1, "behind": 0, "started_from": "store"}));
    app.settle().await;
    app.finish().await;
}

/// What looks for work to do must not wake itself, nor others that then wake it.
async fn an_idle_gateway_writes_nothing(engine: Engine) {
    let mut app = spawn_on(engine).await;
    app.worker(in_region("522624")).await.accepts_offer_for(&app.platform("example").await.publish(a_posting()).await).await;
    app.settle().await;
    app.start_loops();
    let writes = async || -> f64 {
        let text = app.anonymous().get("/metrics").await.expect(200).text;
        let line = text.lines().find_map(|line| line.strip_prefix("doorstep_store_group_jobs_count "));
        line.expect("groups are counted").parse().expect("a number")
    };
    // What was left to do is done in a moment.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let before = writes().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let made = writes().await - before;
    assert!(made <= 4.0, "{made} groups were written in two seconds");
    app.finish().await;
}
