//! What leaves no trace in the file, and who may open it.

use super::*;
use crate::harness::{a_posting, in_region, on_every_engine};
use doorstep::store::access::Reveal;
use doorstep::store::links::NewLink;
use doorstep::store::once::{Answer, Once, Reserved};
use serde_json::json;
use uuid::Uuid;

on_every_engine![other_keys_do_not_open_a_store, a_reveal_is_logged_and_counted, a_link_serves_until_it_is_old_or_revoked];

/// Every file of the store in which this text stands.
fn files_with(b: &Bench, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(b.place.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(text.len()).any(|w| w == text.as_bytes()) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[actix_web::test]
async fn no_identity_field_and_no_secret_stands_in_the_file_or_its_log() {
    let b = bench(Engine::Sqlite).await;
    let person = in_region("522624").with("name", json!("虚构·金丝雀")).with("phone", json!("10000077777"));
    let control = a_posting().source_id("canary-that-may-stand");
    let Registered::Created(worker) = b.register(std::slice::from_ref(&person), noon()).await[0] else { panic!("not created") };
    b.post(control).await;
    let base = "http://example".to_owned();
    let link = NewLink { worker, region: Region::NATION, client: "an office".to_owned(), revoke_others: false, lifetime: HOUR, base };
    let once = Once { client: Uuid::from_u128(1), key: "k".to_owned(), body_mac: vec![1] };
    let Reserved::Done(Answer { body, .. }) = b.store.make_link(link, Some(once), noon()).await.unwrap() else { panic!("no link") };
    let endpoint = b.store.add_endpoint(PLATFORM.to_owned(), "https://example.com/".to_owned(), Vec::new(), None, noon()).await.unwrap();
    let Reserved::Done(endpoint) = endpoint else { panic!("no endpoint") };
    let secret = endpoint.body["secret"].as_str().unwrap().trim_start_matches("whsec_").to_owned();
    assert!(b.place.file().exists());
    assert!(!files_with(&b, "canary-that-may-stand").is_empty(), "the search finds what is there");
    for canary in [person.text("id_number"), person.text("name"), person.text("phone"), body["token"].as_str().unwrap(), &secret] {
        assert_eq!(files_with(&b, canary), Vec::<String>::new(), "{canary}");
    }
    // The last digits, which masks show, are masked from the sealed field.
    let file = b.store.worker(worker).await.unwrap().unwrap();
    assert_eq!((file.name_masked.as_str(), file.phone_masked.as_str()), ("虚**", "100******77"));
}

async fn other_keys_do_not_open_a_store(engine: Engine) {
    let b = bench(engine).await;
    let Bench { store, keys, place } = b;
    drop(store);
    assert!(matches!(open_at(&place.url, crate::harness::keys(), false).await, Err(OpenError::OtherKeys)));
    assert!(open_at(&place.url, keys, false).await.is_ok());
}

#[actix_web::test]
async fn a_second_server_on_one_file_is_refused_and_a_command_is_not() {
    let b = bench(Engine::Sqlite).await;
    assert!(matches!(open_at(&b.place.url, b.keys.clone(), true).await, Err(OpenError::Served(_))));
    let command = open_at(&b.place.url, b.keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}"));
    command.ping().await.unwrap();
}

async fn a_reveal_is_logged_and_counted(engine: Engine) {
    let b = bench(engine).await;
    let person = in_region("522624");
    let Registered::Created(worker) = b.register(std::slice::from_ref(&person), noon()).await[0] else { panic!("not created") };
    let asked = Reveal {
        worker,
        fields: vec!["name".to_owned(), "phone".to_owned()],
        reason: "a visit".to_owned(),
        client: "an office".to_owned(),
        action: "reveal",
        quota: 2,
    };
    for _ in 0..2 {
        let shown = b.store.reveal(asked.clone(), noon()).await.unwrap().unwrap();
        assert_eq!(shown, json!({"name": person.text("name"), "phone": person.text("phone")}));
    }
    assert!(b.store.reveal(asked.clone(), noon()).await.unwrap().is_err(), "the quota of a day");
    assert!(b.store.reveal(asked, noon().plus(HOUR * 25)).await.unwrap().is_ok(), "the next day");
    let (log, total) = b.store.access_log(0, 10).await.unwrap();
    assert_eq!(total, 3);
    assert_eq!((log[0].fields.as_str(), log[0].reason.as_str(), log[0].worker), ("name,phone", "a visit", Some(worker)));
}

async fn a_link_serves_until_it_is_old_or_revoked(engine: Engine) {
    let b = bench(engine).await;
    let worker = b.person().await;
    let make = |region: &str, revoke_others| NewLink {
        worker,
        region: Region::parse(region).unwrap(),
        client: "an office".to_owned(),
        revoke_others,
        lifetime: HOUR,
        base: "http://example".to_owned(),
    };
    let token = |r: Reserved| match r {
        Reserved::Done(a) => a.body["token"].as_str().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    assert_eq!(token(b.store.make_link(make("330000", false), None, noon()).await.unwrap()), None, "no link for somebody else's people");
    let first = token(b.store.make_link(make("520000", false), None, noon()).await.unwrap()).unwrap();
    let second = token(b.store.make_link(make("522624", false), None, noon()).await.unwrap()).unwrap();
    assert_eq!(b.store.link(&first, noon()).await.unwrap(), Some(worker), "a new one leaves the old valid");
    assert_eq!(b.store.link(&second, noon()).await.unwrap(), Some(worker));
    assert_eq!(b.store.link(&first, noon().plus(HOUR)).await.unwrap(), None, "old");
    let third = token(b.store.make_link(make("522624", true), None, noon()).await.unwrap()).unwrap();
    assert_eq!(b.store.link(&first, noon()).await.unwrap(), None, "revoked");
    assert_eq!(b.store.link(&third, noon()).await.unwrap(), Some(worker));
    assert_eq!(b.store.link("no link", noon()).await.unwrap(), None);
}
