//! Seats and answers over HTTP.

use crate::harness::*;
use futures_util::future::join_all;
use serde_json::{Value, json};

on_every_engine![
    of_two_hundred_who_accept_at_once_exactly_ten_get_the_openings,
    a_seat_given_back_goes_to_the_first_who_waits,
    an_answer_that_comes_too_late_says_why,
    an_office_answers_for_its_own_people_and_says_how,
    name_and_phone_go_to_the_platform_only_while_agreed,
];

async fn of_two_hundred_who_accept_at_once_exactly_ten_get_the_openings(engine: Engine) {
    let app = spawn_with(engine, |c| c.routing.overbook = 20.0).await;
    let platform = app.platform("meituan").with_receiver().await;
    let workers = app.workers((0..200).map(|_| in_region("522624")).collect()).await;
    let posting = platform.publish(a_posting().openings(10)).await;
    app.settle().await;
    let offers = join_all(workers.iter().map(|w| w.offer_for(&posting))).await;
    let ids: Vec<&str> = offers.iter().map(|o| o["id"].as_str().unwrap()).collect();

    let answers = join_all(workers.iter().zip(&ids).map(|(worker, id)| worker.accept(id))).await;
    let states: Vec<String> = answers.into_iter().map(|a| a.expect(200).json["state"].as_str().unwrap().to_owned()).collect();
    let count = |state: &str| states.iter().filter(|s| *s == state).count();
    assert_eq!((count("accepted"), count("waitlisted")), (10, 190));

    let seen = platform.posting(&posting).await;
    assert_eq!((&seen["seats"]["taken"], &seen["status"]), (&json!(10), &json!("filled")));
    let listed = platform.offers(&posting).await;
    assert_eq!(listed.len(), 200);
    assert_eq!(listed.iter().filter(|o| o["state"] == "accepted").count(), 10);
    app.settle().await;
    let sent = platform.all_received();
    assert_eq!(sent.iter().filter(|r| r.body["type"] == "offer.accepted").count(), 10);
    assert_eq!(sent.iter().filter(|r| r.body["type"] == "posting.filled").count(), 1);
    assert!(sent.iter().all(|r| r.signature_is_valid));
    app.finish().await;
}

async fn a_seat_given_back_goes_to_the_first_who_waits(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let workers = app.workers((0..3).map(|_| in_region("522624")).collect()).await;
    let posting = platform.publish(a_posting().openings(1)).await;
    let mut offers = Vec::new();
    for worker in &workers {
        offers.push(worker.accepts_offer_for(&posting).await);
    }
    let waiting = workers[1].offer_for(&posting).await;
    assert_eq!((&waiting["state"], &waiting["position"]), (&json!("waitlisted"), &json!(1)));
    assert_eq!(workers[0].decline(&offers[0]).await.expect(200).json["state"], "declined");
    let promoted = workers[1].offer_for(&posting).await;
    assert_eq!((&promoted["state"], &promoted["promoted"]), (&json!("offered"), &json!(true)));
    assert_eq!(promoted["expires_at"], "2020-06-16T12:00:00+08:00");
    assert_eq!(platform.posting(&posting).await["seats"]["taken"], 1);
    // A day passes without an answer: the next one's turn.
    app.pass_hours(24);
    app.settle().await;
    let next = app.office("522624").await.worker(&workers[2].id).await;
    let promoted = next.offer_for(&posting).await;
    assert_eq!((&promoted["state"], &promoted["promoted"]), (&json!("offered"), &json!(true)));
    assert_eq!(next.accept(&offers[2]).await.expect(200).json["state"], "accepted");
    app.settle().await;
    app.finish().await;
}

async fn an_answer_that_comes_too_late_says_why(engine: Engine) {
    let app = spawn_with(engine, |c| c.token.lifetime = std::time::Duration::from_secs(3600)).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let (closed, declined) = (platform.publish(a_posting()).await, platform.publish(a_posting()).await);
    let waits = platform.publish(a_posting()).await;
    app.settle().await;
    let id = |offer: Value| offer["id"].as_str().unwrap().to_owned();
    let (withdrawn, no, late) =
        (id(worker.offer_for(&closed).await), id(worker.offer_for(&declined).await), id(worker.offer_for(&waits).await));
    platform.caller.delete(&format!("/v1/postings/{}", closed.id)).await.expect(204);
    platform.caller.delete(&format!("/v1/postings/{}", closed.id)).await.expect(204);
    worker.accept(&withdrawn).await.expect_problem(409, "offer_withdrawn");
    worker.decline(&no).await.expect(200);
    worker.decline(&no).await.expect(200);
    worker.accept(&no).await.expect_problem(409, "offer_declined");
    app.pass_hours(72);
    let worker = app.office("522624").await.worker(&worker.id).await;
    worker.accept(&late).await.expect_problem(409, "offer_expired");
    for unknown in ["01890a5d-ac96-774b-bcce-b302099a8057", "none", "%00"] {
        worker.accept(unknown).await.expect_problem(404, "not_found");
    }
    app.settle().await;
    app.finish().await;
}

async fn an_office_answers_for_its_own_people_and_says_how(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let (posting, second) = (platform.publish(a_posting()).await, platform.publish(a_posting()).await);
    app.settle().await;
    let offer = worker.offer_for(&posting).await["id"].as_str().unwrap().to_owned();
    let other = worker.offer_for(&second).await["id"].as_str().unwrap().to_owned();
    let (home, away) = (app.office("522600").await.caller, app.office("330000").await.caller);
    let accept = format!("/v1/offers/{offer}/accept");
    home.post(&accept, &json!({})).await.expect_problem(422, "invalid");
    home.post(&accept, &json!({"on_behalf": true})).await.expect_problem(422, "invalid");
    home.post(&accept, &json!({"on_behalf": false, "method": "visit"})).await.expect_problem(422, "invalid");
    away.post(&accept, &json!({"on_behalf": true, "method": "visit"})).await.expect_problem(404, "not_found");
    let accepted = home.post(&accept, &json!({"on_behalf": true, "method": "visit"})).await.expect(200).json;
    assert_eq!(accepted["state"], "accepted");
    assert_eq!(accepted["answered_by"], json!({"client": home.client, "method": "visit"}));
    let decline = format!("/v1/offers/{other}/decline");
    home.post(&decline, &json!({"on_behalf": true, "method": "phone"})).await.expect_problem(422, "invalid");
    let body = json!({"on_behalf": true, "method": "phone", "reason": "too far"});
    assert_eq!(home.post(&decline, &body).await.expect(200).json["state"], "declined");
    let log = app.admin().await.get("/v1/access-log?limit=200").await.expect(200).json;
    for action in ["accept_on_behalf", "decline_on_behalf"] {
        let lines = log["items"].as_array().unwrap().iter().filter(|l| l["action"] == action && l["client"] == home.client.as_str());
        assert_eq!(lines.count(), 1, "{action}");
    }
    app.settle().await;
    app.finish().await;
}

async fn name_and_phone_go_to_the_platform_only_while_agreed(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    let person = in_region("522624");
    let (worker, silent) = (app.worker(person.clone()).await, app.worker(in_region("522624")).await);
    let posting = platform.publish(a_posting().openings(3)).await;
    app.settle().await;
    let offer = worker.offer_for(&posting).await["id"].as_str().unwrap().to_owned();
    let contact = format!("/v1/offers/{offer}/contact");
    platform.caller.get(&contact).await.expect_problem(409, "offer_not_accepted");
    worker.accept(&offer).await.expect(200);
    let shown = platform.caller.get(&contact).await.expect(200).json;
    assert_eq!((&shown["name"], &shown["phone"]), (&json!(person.text("name")), &json!(person.text("phone"))));
    assert_ne!(shown["worker"], worker.id.as_str());
    other.caller.get(&contact).await.expect_problem(404, "not_found");
    worker.decline(&offer).await.expect(200);
    platform.caller.get(&contact).await.expect_problem(403, "contact_not_shared");
    // Not even where the platform says that it hired all the same.
    platform.report(json!({"offer": offer, "status": "HIRED"})).await;
    platform.caller.get(&contact).await.expect_problem(403, "contact_not_shared");

    let offer = silent.offer_for(&posting).await["id"].as_str().unwrap().to_owned();
    let accept = format!("/v1/me/offers/{offer}/accept");
    silent.caller.post(&accept, &json!({"share_contact": false})).await.expect(200);
    platform.caller.get(&format!("/v1/offers/{offer}/contact")).await.expect_problem(403, "contact_not_shared");

    let chosen = app.worker(in_region("522624")).await;
    let offer = chosen.accepts_offer_for(&posting).await;
    platform.caller.get(&format!("/v1/offers/{offer}/contact")).await.expect(200);
    platform.report(json!({"offer": offer, "status": "NOT_SELECTED"})).await;
    platform.caller.get(&format!("/v1/offers/{offer}/contact")).await.expect_problem(403, "contact_not_shared");

    let log = app.admin().await.get("/v1/access-log?limit=200").await.expect(200).json;
    let contacts: Vec<&Value> = log["items"].as_array().unwrap().iter().filter(|l| l["action"] == "contact").collect();
    assert_eq!(contacts.len(), 2, "each look is written down: {log}");
    assert_eq!((&contacts[0]["fields"], &contacts[0]["client"]), (&json!("name,phone"), &json!(platform.caller.client)));
    app.settle().await;
    app.finish().await;
}
