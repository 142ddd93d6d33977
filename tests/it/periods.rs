//! Closing a period, level by level: who may do what, what voids a signature, and what
//! stays after the lock.

use crate::harness::*;
use crate::pages::office_browser;
use futures_util::future::join3;
use serde_json::{Value, json};

on_every_engine![
    the_public_form_opens_with_the_lock_and_hides_small_counts,
    figures_go_up_level_by_level_and_the_top_office_locks,
    each_act_is_refused_to_whom_it_does_not_belong,
    a_late_hire_voids_what_was_signed_and_shows_the_difference,
    erasure_voids_approvals_and_leaves_what_is_locked,
    what_comes_after_the_lock_is_a_correction_in_the_next_period,
    what_changes_behind_several_locks_is_told_once_by_the_next_open_period,
    acts_at_once_have_the_outcome_of_one_after_the_other,
];

/// A period that is over when tests begin; the hires of these tests began in it.
const MAY: &str = "2020-05";

/// A tree of offices: the nation, Guizhou, two of its prefectures, a county of one.
struct Tree<'a> {
    nation: Office<'a>,
    province: Office<'a>,
    east: Office<'a>,
    zunyi: Office<'a>,
    county: Office<'a>,
}

impl<'a> Tree<'a> {
    async fn of(app: &'a App) -> Self {
        Tree {
            nation: app.office("000000").await,
            province: app.office("520000").await,
            east: app.office("522600").await,
            zunyi: app.office("520300").await,
            county: app.office("522624").await,
        }
    }

    /// Everybody below the nation submits and is approved.
    async fn all_approved(&self) {
        for office in [&self.county, &self.east, &self.zunyi, &self.province] {
            act(office, "submit", json!({})).await.expect(200);
        }
        for (office, child) in [(&self.east, "522624"), (&self.province, "522600"), (&self.province, "520300"), (&self.nation, "520000")] {
            act(office, "approve", json!({"region": child})).await.expect(200);
        }
    }
}

async fn act(office: &Office<'_>, verb: &str, body: Value) -> Called {
    office.caller.post(&format!("/v1/periods/{MAY}/{verb}"), &body).await
}

async fn stands(office: &Office<'_>, region: &str) -> Value {
    office.caller.get(&format!("/v1/periods/{MAY}?region={region}")).await.expect(200).json
}

/// Somebody of each county who began to work in May; reported now.
async fn hired(app: &App, counties: &[&str]) -> Vec<String> {
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(counties.len() as u32)).await;
    let mut ids = Vec::new();
    for worker in app.workers(counties.iter().map(|county| in_region(county)).collect()).await {
        let offer = worker.accepts_offer_for(&posting).await;
        let report = platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-20"})).await;
        assert_eq!(report["result"], "created", "{report}");
        ids.push(worker.id);
    }
    app.settle().await;
    ids
}

async fn figures_go_up_level_by_level_and_the_top_office_locks(engine: Engine) {
    let app = spawn_on(engine).await;
    hired(&app, &["522624", "522624", "520302"]).await;
    let tree = Tree::of(&app).await;
    let open = stands(&tree.nation, "").await;
    assert_eq!((&open["period"], &open["region"], &open["state"]), (&json!(MAY), &json!("000000"), &json!("open")));
    assert_eq!((&open["figure"]["total"], &open["position"], &open["difference"]), (&json!(3), &json!(null), &json!(null)));
    let below =
        |view: &Value| view["children"].as_array().unwrap().iter().map(|c| c["region"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(below(&open), ["520000"]);
    assert_eq!(below(&stands(&tree.nation, "520000").await), ["520300", "522600"]);
    assert_eq!(below(&stands(&tree.east, "").await), ["522624"]);

    let seq = tree.county.report(&format!("period={MAY}")).await["as_of"]["seq"].clone();
    let signed = act(&tree.county, "submit", json!({})).await.expect(200).json;
    assert_eq!((&signed["state"], &signed["region"], &signed["position"]), (&json!("submitted"), &json!("522624"), &seq));
    assert_eq!(
        (&signed["figure"]["total"], &signed["figure"]["out_of_province"], &signed["figure"]["confirmed"]),
        (&json!(2), &json!(2), &json!(0))
    );
    assert_eq!(act(&tree.county, "submit", json!({})).await.expect(200).json, signed, "again is the same");

    let reason = json!({"region": "522624", "reason": "三人中有一人已回乡"});
    let returned = act(&tree.east, "return", reason.clone()).await.expect(200).json;
    assert_eq!((&returned["state"], &returned["reason"]), (&json!("returned"), &reason["reason"]));
    assert_eq!(stands(&tree.county, "").await["reason"], reason["reason"], "the county reads why");
    act(&tree.east, "approve", json!({"region": "522624"})).await.expect_problem(409, "not_submitted");
    assert_eq!(act(&tree.county, "submit", json!({})).await.expect(200).json["reason"], json!(null));
    assert_eq!(act(&tree.east, "approve", json!({"region": "522624"})).await.expect(200).json["state"], "approved");
    assert_eq!(stands(&tree.nation, "522600").await["children"][0]["state"], "approved");

    let refused = act(&tree.nation, "lock", json!({})).await.expect_problem(409, "not_approved").json;
    let lacking: Vec<_> = refused["regions"].as_array().unwrap().iter().map(|r| (&r["region"], &r["state"])).collect();
    assert_eq!(lacking, [(&json!("520000"), &json!("open")), (&json!("520300"), &json!("open")), (&json!("522600"), &json!("open"))]);
    tree.all_approved().await;
    // An office without a signature that is revoked counts no more.
    let gone = app.office("522622").await;
    act(&tree.nation, "lock", json!({})).await.expect_problem(409, "not_approved");
    app.admin().await.delete(&format!("/v1/clients/{}", gone.caller.client)).await.expect(204);

    tree.nation.caller.get(&format!("/v1/periods/{MAY}/seal")).await.expect_problem(409, "period_open");
    let once = async || tree.nation.caller.post_once(&format!("/v1/periods/{MAY}/lock"), "lock-may", &json!({})).await.expect(200).json;
    let locked = once().await;
    assert_eq!((&locked["state"], &locked["figure"]["total"], &locked["locked_at"]), (&json!("locked"), &json!(3), &json!(app.now())));
    assert_eq!((once().await, act(&tree.nation, "lock", json!({})).await.expect(200).json), (locked.clone(), locked.clone()));
    let seal = tree.county.caller.get(&format!("/v1/periods/{MAY}/seal")).await.expect(200).json;
    assert_eq!((&seal["region"], &seal["position"], &seal["locked_at"]), (&json!("000000"), &locked["position"], &locked["locked_at"]));
    for (office, region, total) in
        [(&tree.nation, "000000", 3), (&tree.east, "522600", 2), (&tree.zunyi, "520300", 1), (&tree.county, "522624", 2)]
    {
        let view = stands(office, region).await;
        assert_eq!((&view["state"], &view["figure"]["total"], &view["position"]), (&json!("locked"), &json!(total), &locked["position"]));
    }
    act(&tree.county, "submit", json!({})).await.expect_problem(409, "period_locked");
    act(&tree.east, "approve", json!({"region": "522624"})).await.expect_problem(409, "period_locked");
    act(&tree.east, "return", reason).await.expect_problem(409, "period_locked");
    app.finish().await;
}

/// What anybody may read of a locked period tells no small count.
async fn the_public_form_opens_with_the_lock_and_hides_small_counts(engine: Engine) {
    let app = spawn_on(engine).await;
    hired(&app, &["522624", "522624", "522624", "522624", "522624", "522624", "522624", "520302", "440305"]).await;
    let nation = app.office("000000").await;
    let anybody = app.anonymous();
    let tables = [
        "employment?period=2020-05",
        "employment?period=2020-05&by=tier",
        "employment?period=2020-05&region=set:listed-52",
        "flows?period=2020-05",
    ];
    for table in tables {
        anybody.get(&format!("/v1/reports/{table}&public=true")).await.expect_problem(409, "period_open");
    }
    act(&nation, "lock", json!({})).await.expect(200);
    let read = |body: &Value| -> Vec<(String, Value)> {
        let rows = body["rows"].as_array().unwrap().iter();
        rows.map(|r| (format!("{} {}", r["region"].as_str().unwrap(), r["work_region"].as_str().unwrap_or("")), r["total"].clone()))
            .collect()
    };
    for table in tables {
        let body = anybody.get(&format!("/v1/reports/{table}&public=true")).await.expect(200).json;
        assert_eq!((&body["sealed"], &body["as_of"]["root"].is_string()), (&json!(true), &true), "{table}");
        for (row, total) in read(&body) {
            assert!(total.as_u64().is_none_or(|n| n == 0 || n >= 5), "{table} {row}: {total}");
        }
        let again = anybody.get(&format!("/v1/reports/{table}&public=true")).await.expect(200).json;
        assert_eq!(body, again, "{table}");
    }
    let employment = anybody.get("/v1/reports/employment?period=2020-05&public=true").await.expect(200).json;
    let hidden = employment["rows"].as_array().unwrap().iter().filter(|r| r["total"].is_null()).count();
    assert_eq!(hidden, 2, "one person of Guangdong, and a partner: {employment}");
    let csv = anybody.get("/v1/reports/employment?period=2020-05&public=true&format=csv").await.expect(200).text;
    assert!(csv.contains("<5"), "{csv}");
    anybody.get("/v1/reports/platforms?period=2020-05&public=true").await.expect_problem(404, "not_public");
    app.finish().await;
}

async fn each_act_is_refused_to_whom_it_does_not_belong(engine: Engine) {
    let app = spawn_on(engine).await;
    let tree = Tree::of(&app).await;
    act(&tree.county, "submit", json!({})).await.expect(200);
    for (office, child, code) in [
        (&tree.province, "522624", "not_child_office"),
        (&tree.nation, "522600", "not_child_office"),
        (&tree.east, "522600", "not_child_office"),
        (&tree.east, "522622", "not_child_office"),
        (&tree.zunyi, "522624", "region_forbidden"),
        (&tree.county, "522600", "region_forbidden"),
    ] {
        act(office, "approve", json!({"region": child})).await.expect_problem(403, code);
        act(office, "return", json!({"region": child, "reason": "why"})).await.expect_problem(403, code);
    }
    for (verb, body, pointer) in [
        ("approve", json!({}), "/region"),
        ("approve", json!({"region": "999999"}), "/region"),
        ("return", json!({"region": "522624"}), "/reason"),
        ("return", json!({"region": "522624", "reason": " "}), "/reason"),
        ("return", json!({"region": "522624", "reason": "长".repeat(501)}), "/reason"),
    ] {
        let refused = act(&tree.east, verb, body).await.expect_problem(422, "invalid").json;
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    act(&tree.province, "approve", json!({"region": "520300"})).await.expect_problem(409, "not_submitted");
    act(&tree.province, "return", json!({"region": "520300", "reason": "why"})).await.expect_problem(409, "not_submitted");
    for office in [&tree.province, &tree.county] {
        act(office, "lock", json!({})).await.expect_problem(403, "not_top_office");
    }
    for period in ["2020-06", "2020", "2020Q2", "2021"] {
        tree.nation.caller.post(&format!("/v1/periods/{period}/lock"), &json!({})).await.expect_problem(409, "period_open");
    }
    tree.county.caller.post("/v1/periods/2020-07/submit", &json!({})).await.expect_problem(422, "period_in_future");
    tree.county.caller.post("/v1/periods/May/submit", &json!({})).await.expect_problem(422, "period_invalid");
    for outside in ["522600", "330212"] {
        tree.county.caller.get(&format!("/v1/periods/{MAY}?region={outside}")).await.expect_problem(403, "region_forbidden");
        tree.county.caller.get(&format!("/v1/periods/{MAY}/seal?region={outside}")).await.expect_problem(403, "region_forbidden");
    }
    // A refusal is not kept under its key.
    let path = format!("/v1/periods/{MAY}/approve");
    let body = json!({"region": "520300"});
    tree.province.caller.post_once(&path, "k", &body).await.expect_problem(409, "not_submitted");
    act(&tree.zunyi, "submit", json!({})).await.expect(200);
    let approved = tree.province.caller.post_once(&path, "k", &body).await.expect(200).json;
    act(&tree.province, "return", json!({"region": "520300", "reason": "why"})).await.expect(200);
    assert_eq!(tree.province.caller.post_once(&path, "k", &body).await.expect(200).json, approved, "the first answer again");
    tree.province.caller.post_once(&path, "k", &json!({"region": "522600"})).await.expect_problem(422, "idempotency_key_reused");
    app.finish().await;
}

async fn a_late_hire_voids_what_was_signed_and_shows_the_difference(engine: Engine) {
    let app = spawn_on(engine).await;
    hired(&app, &["522624", "520302"]).await;
    let tree = Tree::of(&app).await;
    tree.all_approved().await;
    hired(&app, &["522624"]).await;
    let view = stands(&tree.nation, "520000").await;
    let changed = json!({"total": {"signed": 2, "now": 3}, "out_of_province": {"signed": 2, "now": 3}, "unconfirmed": {"signed": 2, "now": 3},
        "new": {"signed": 2, "now": 3}});
    assert_eq!((&view["state"], &view["figure"]["total"], &view["difference"]), (&json!("void"), &json!(2), &changed));
    let states: Vec<_> = view["children"].as_array().unwrap().iter().map(|c| (&c["region"], &c["state"])).collect();
    assert_eq!(states, [(&json!("520300"), &json!("approved")), (&json!("522600"), &json!("void"))], "the other prefecture stands");
    let refused = act(&tree.nation, "lock", json!({})).await.expect_problem(409, "not_approved").json;
    assert_eq!(refused["regions"].as_array().unwrap().len(), 3);
    act(&tree.east, "approve", json!({"region": "522624"})).await.expect_problem(409, "submission_void");
    let again = act(&tree.county, "submit", json!({})).await.expect(200).json;
    assert_eq!((&again["state"], &again["figure"]["total"], &again["difference"]), (&json!("submitted"), &json!(2), &json!(null)));
    tree.all_approved().await;
    assert_eq!(act(&tree.nation, "lock", json!({})).await.expect(200).json["figure"]["total"], 3);
    app.finish().await;
}

async fn erasure_voids_approvals_and_leaves_what_is_locked(engine: Engine) {
    let app = spawn_on(engine).await;
    let people = hired(&app, &["522624", "522624"]).await;
    let tree = Tree::of(&app).await;
    tree.all_approved().await;
    tree.county.caller.delete(&format!("/v1/workers/{}", people[0])).await.expect(204);
    let view = stands(&tree.east, "522624").await;
    assert_eq!((&view["state"], &view["difference"]["total"]), (&json!("void"), &json!({"signed": 2, "now": 1})));
    tree.all_approved().await;
    act(&tree.nation, "lock", json!({})).await.expect(200);
    tree.county.caller.delete(&format!("/v1/workers/{}", people[1])).await.expect(204);
    let view = stands(&tree.east, "522624").await;
    assert_eq!((&view["state"], &view["figure"]["total"]), (&json!("locked"), &json!(1)));
    app.settle().await;
    app.finish().await;
}

async fn what_comes_after_the_lock_is_a_correction_in_the_next_period(engine: Engine) {
    let app = spawn_on(engine).await;
    hired(&app, &["522624", "520302"]).await;
    let tree = Tree::of(&app).await;
    let june = async |office: &Office<'_>, query: &str| office.report(&format!("period=2020-06&{query}")).await;
    assert!(june(&tree.nation, "").await.get("corrections").is_none(), "nothing is locked");
    tree.all_approved().await;
    act(&tree.nation, "lock", json!({})).await.expect(200);
    assert_eq!(june(&tree.nation, "").await["corrections"], json!([]));
    hired(&app, &["522624"]).await;
    assert_eq!(stands(&tree.nation, "").await["figure"]["total"], 2, "the locked period stays");
    let report = june(&tree.nation, "level=county").await;
    assert_eq!(report["totals"]["total"], 3, "the open one includes it");
    let expected = |region: &str, locked: u64, now: u64| {
        let of = |column| json!({"period": MAY, "region": region, "column": column, "locked": locked, "now": now});
        json!(["total", "out_of_province", "unconfirmed", "new"].map(of))
    };
    assert_eq!(report["corrections"], expected("522624", 1, 2));
    assert_eq!(june(&tree.nation, "").await["corrections"], expected("520000", 2, 3));
    assert_eq!(june(&tree.county, "").await["corrections"], expected("522624", 1, 2));
    assert_eq!(june(&tree.zunyi, "").await["corrections"], json!([]), "another prefecture has none");
    let set = june(&tree.nation, "region=set:listed-52").await;
    assert_eq!(set["corrections"], json!([]), "nor has a set that the county is not in");
    assert!(june(&tree.nation, "axis=work").await.get("corrections").is_none());
    for other in ["2020-05", "2020Q2", "2020"] {
        assert!(tree.nation.report(&format!("period={other}")).await.get("corrections").is_none(), "{other}");
    }
    app.finish().await;
}

/// Somebody is reported now who worked in April and the first days of May.
async fn worked_in_april(app: &App, county: &str) {
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    let offer = app.worker(in_region(county)).await.accepts_offer_for(&posting).await;
    for (status, at) in [("ONBOARDED", "2020-04-10"), ("ENDED", "2020-05-05")] {
        platform.report(json!({"offer": offer, "status": status, "at": at})).await;
    }
    app.settle().await;
}

async fn what_changes_behind_several_locks_is_told_once_by_the_next_open_period(engine: Engine) {
    let app = spawn_on(engine).await;
    hired(&app, &["522624"]).await;
    let lock = async |period: &str| {
        app.office("000000").await.caller.post(&format!("/v1/periods/{period}/lock"), &json!({})).await.expect(200);
    };
    let told = async |period: &str| app.office("000000").await.report(&format!("period={period}")).await["corrections"].clone();
    lock("2020-04").await;
    lock("2020-05").await;
    assert_eq!(told("2020-06").await, json!([]));
    worked_in_april(&app, "522624").await;
    let april = |locked: u64, now: u64| {
        let of = |column| json!({"period": "2020-04", "region": "520000", "column": column, "locked": locked, "now": now});
        json!(["total", "out_of_province", "unconfirmed", "new"].map(of))
    };
    assert_eq!(told("2020-05").await, json!([]), "May is locked, and stood so in it");
    assert_eq!(told("2020-06").await, april(0, 1));
    let zunyi = app.office("000000").await.report("period=2020-06&region=520300").await;
    assert_eq!(zunyi["corrections"], json!([]), "another prefecture has none");
    let browser = office_browser(&app, "000000").await;
    let page = async |query: &str| browser.get(&format!("/office/report?{query}")).await.page(200);
    let (shown, other) = (page("period=2020-06").await, page("period=2020-05").await);
    assert!(shown.contains("对已封存期间的更正") && shown.contains("<td class=\"k\">2020-04</td><td class=\"k\">贵州省</td>"), "{shown}");
    assert!(!other.contains("更正"), "{other}");
    assert!(page("period=2020-06&lang=en").await.contains("Corrections of locked periods"));
    app.pass_hours(24 * 20);
    lock("2020-06").await;
    let june = async || app.office("000000").await.caller.get("/v1/reports/employment?period=2020-06").await.expect(200).text;
    let (locked, corrections) = (june().await, told("2020-06").await);
    assert_eq!(corrections, april(0, 1), "June goes on telling it");
    assert_eq!(told("2020-07").await, json!([]), "what June told July does not tell again");
    worked_in_april(&app, "522624").await;
    assert_eq!(told("2020-07").await, april(1, 2));
    assert_eq!(june().await, locked, "to the byte");
    app.finish().await;
}

async fn acts_at_once_have_the_outcome_of_one_after_the_other(engine: Engine) {
    let app = spawn_on(engine).await;
    hired(&app, &["522624"]).await;
    let tree = Tree::of(&app).await;
    act(&tree.county, "submit", json!({})).await.expect(200);
    let seq = async || tree.county.report(&format!("period={MAY}")).await["as_of"]["seq"].as_i64().unwrap();
    // Three approvals are one.
    let before = seq().await;
    let approve = || act(&tree.east, "approve", json!({"region": "522624"}));
    let (a, b, c) = join3(approve(), approve(), approve()).await;
    assert_eq!([a.expect(200).json["state"].clone(), b.expect(200).json["state"].clone()], ["approved", "approved"]);
    c.expect(200);
    assert_eq!(seq().await, before + 1, "one entry of the ledger");
    // Approval against return against a new submission: whatever came last stands.
    let back = act(&tree.east, "return", json!({"region": "522624", "reason": "why"}));
    let (approved, returned, submitted) = join3(approve(), back, act(&tree.county, "submit", json!({}))).await;
    returned.expect(200);
    assert!(approved.status == 200 || approved.code() == "not_submitted", "{}", approved.text);
    submitted.expect(200);
    let view = stands(&tree.county, "").await;
    assert!(matches!(view["state"].as_str(), Some("approved" | "returned" | "submitted")), "{view}");
    // The lock against a late hire: either it came first and voids, or it is late.
    act(&tree.county, "submit", json!({})).await.expect(200);
    tree.all_approved().await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    let offer = app.worker(in_region("522624")).await.accepts_offer_for(&posting).await;
    let late = platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-25"}));
    let lock = || act(&tree.nation, "lock", json!({}));
    let (_, first, second) = join3(late, lock(), lock()).await;
    let locked = if first.status == 200 { first } else { second };
    if locked.status == 200 {
        assert_eq!(locked.json["figure"]["total"], 1);
        assert_eq!(locked.json["position"], seq().await, "the locked report stands there");
        assert_eq!(tree.county.report("period=2020-06").await["corrections"][0]["now"], 2);
    } else {
        locked.expect_problem(409, "not_approved");
        assert_eq!(stands(&tree.county, "").await["difference"]["total"], json!({"signed": 1, "now": 2}));
    }
    app.settle().await;
    app.finish().await;
}
