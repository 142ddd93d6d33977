//! Somebody with full access to the database changes what is counted: a recount at the
//! command line names it and fails. What was not changed passes.

use crate::harness::*;
use doorstep::domain::hire::Flow;
use rusqlite::{Connection, params};
use serde_json::json;
use std::process::Command;

/// `doorstep report employment --period 2020-05 --recount`: its exit, and what it said.
fn recounted(app: &App) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command.args(["report", "employment", "--period", "2020-05", "--recount", "--format", "csv"]);
    command.env("DOORSTEP_STORE__URL", format!("sqlite://{}", app.file().display())).env("DOORSTEP_KEYS__FILE", app.keys_file());
    let out = command.output().unwrap();
    (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
}

/// Alters something, has it named, and puts it back.
fn tampered(app: &App, what: &str, set: &dyn Fn(), back: &dyn Fn(), named: &[&str]) {
    set();
    let (code, printed, told) = recounted(app);
    assert_eq!((code, printed.as_str()), (Some(1), ""), "{what}: no report is printed\n{told}");
    named.iter().for_each(|part| assert!(told.contains(part), "{what}: {part:?} is not in {told}"));
    back();
    let (code, _, told) = recounted(app);
    assert_eq!(code, Some(0), "{what}, put back: {told}");
}

#[actix_web::test]
async fn a_recount_at_the_command_line_names_whatever_was_altered() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(2)).await;
    let mut people = Vec::new();
    for worker in app.workers(vec![in_region("522624"), in_region("520302")]).await {
        let offer = worker.accepts_offer_for(&posting).await;
        let told =
            json!([{"offer": offer, "status": "HIRED", "at": "2020-05-10"}, {"offer": offer, "status": "ONBOARDED", "at": "2020-05-20"}]);
        platform.reports(told).await;
        people.push(worker.id);
    }
    let nation = app.office("000000").await;
    nation.caller.post("/v1/periods/2020-05/lock", &json!({})).await.expect(200);
    // What comes later is counted, and no matter of what was locked.
    nation.caller.delete(&format!("/v1/workers/{}", people[1])).await.expect(204);
    app.settle().await;
    let (code, printed, told) = recounted(&app);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 people with hires") && printed.contains("520000"), "{told}{printed}");

    let db = Connection::open(app.file()).unwrap();
    let a_page = |table: &str, at: &str| -> (i64, Vec<u8>) {
        let sql = format!("SELECT cell, page FROM {table} ORDER BY length(page) {at}, cell LIMIT 1");
        db.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    // One page in place of another: well formed, and wrong.
    let ((cell, page), (_, other)) = (a_page("cells", "DESC"), a_page("cells", ""));
    let ((locked, kept), (_, foreign)) = (a_page("locked_cells", "DESC"), a_page("locked_cells", ""));
    let account: Vec<u8> = db.query_row("SELECT packed FROM accounts WHERE LENGTH(packed) > 0", [], |row| row.get(0)).unwrap();
    let (at, figures): (i64, String) =
        db.query_row("SELECT at, figures FROM period_locks", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let (work, home): (i64, i64) = db.query_row("SELECT work, home FROM hires LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!(page != other && kept != foreign && work != home);
    let person = people[0].as_str();
    let mut read = doorstep::domain::account::Account::from_bytes(&account).unwrap();
    for hire in read.hires.values_mut() {
        assert_eq!(std::mem::replace(&mut hire.flow, Flow::InCounty), Flow::OutOfProvince);
    }
    let more = read.to_bytes();
    let set = |sql: &str, values: &[&dyn rusqlite::ToSql]| assert!(db.execute(sql, values).unwrap() > 0, "{sql}");
    let tampered = |what: &str, set: &dyn Fn(), back: &dyn Fn(), named: &[&str]| tampered(&app, what, set, back, named);
    let cell_named = format!("cell {cell} (");
    let page_set = |bytes: &Vec<u8>| set("UPDATE cells SET page = ?2 WHERE cell = ?1", params![cell, bytes]);
    tampered("a page of cells", &|| page_set(&other), &|| page_set(&page), &[&cell_named, "differs from the ledger"]);
    let gone = || set("DELETE FROM cells WHERE cell = ?1", params![cell]);
    let again = || set("INSERT INTO cells (cell, page) VALUES (?1, ?2)", params![cell, page]);
    tampered("a page that is gone", &gone, &again, &[&cell_named, "without its page"]);
    let invented = || set("INSERT INTO cells (cell, page) VALUES (?1, ?2)", params![cell + 1_000_000_000, page]);
    let away = || set("DELETE FROM cells WHERE cell = ?1", params![cell + 1_000_000_000]);
    tampered("a page that was invented", &invented, &away, &["differs from the ledger"]);
    let invented = || set("INSERT INTO cells (cell, page) VALUES (-5, ?1)", params![page]);
    let away = || set("DELETE FROM cells WHERE cell = -5", params![]);
    tampered("a page of no bucket", &invented, &away, &["cell -5 (", "differs from the ledger"]);
    // The place of a page as additions have it: its region's number, then the page's length.
    let add = |counts: &[u8]| set("INSERT INTO additions (strip, pages) VALUES (?1, ?2)", params![cell / 1_000_000, counts]);
    let none = || set("DELETE FROM additions WHERE strip = ?1", params![cell / 1_000_000]);
    let mut counts = Vec::new();
    doorstep::domain::varint::write(&mut counts, doorstep::domain::varint::signed(cell % 1_000_000));
    doorstep::domain::varint::write(&mut counts, other.len() as u64);
    counts.extend_from_slice(&other);
    tampered("an addition that was invented", &|| add(&counts), &none, &[&cell_named, "differs from the ledger"]);
    tampered("an addition cut in two", &|| add(&counts[..counts.len() - 1]), &none, &["additions to cells"]);
    // Roll-ups come after all other pages, and all of theirs wait.
    let (seq, strip, pages): (i64, i64, Vec<u8>) = db
        .query_row("SELECT seq, strip, pages FROM additions WHERE strip >= 10000000 LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    let gone = || set("DELETE FROM additions WHERE seq = ?1", params![seq]);
    let again = || set("INSERT INTO additions (seq, strip, pages) VALUES (?1, ?2, ?3)", params![seq, strip, pages]);
    tampered("what a roll-up adds", &gone, &again, &["there are pages for it to add up"]);
    let rolled_up = strip * 1_000_000 + 520_000;
    let invented = || set("INSERT INTO cells (cell, page) VALUES (?1, ?2)", params![rolled_up, page]);
    let away = || set("DELETE FROM cells WHERE cell = ?1", params![rolled_up]);
    tampered("a roll-up that was invented", &invented, &away, &["贵州省", "differs from the pages it adds up"]);
    let account_set = |bytes: &Vec<u8>| set("UPDATE accounts SET packed = ?1 WHERE LENGTH(packed) > 0", params![bytes]);
    tampered("half of an account", &|| account_set(&account[..account.len() / 2].to_vec()), &|| account_set(&account), &["an account"]);
    tampered("an account", &|| account_set(&more), &|| account_set(&account), &[person, "the account differs"]);
    let placed: i64 = db.query_row("SELECT home FROM accounts WHERE LENGTH(packed) > 0", [], |row| row.get(0)).unwrap();
    let account_at = |home: i64| set("UPDATE accounts SET home = ?1 WHERE LENGTH(packed) > 0", params![home]);
    tampered("an account's place", &|| account_at(330_212), &|| account_at(placed), &[person, "in the place of another"]);
    let locked_named = format!("locked 2020-05, cell {locked} (");
    let locked_set = |bytes: &Vec<u8>| set("UPDATE locked_cells SET page = ?2 WHERE cell = ?1", params![locked, bytes]);
    tampered("a locked page", &|| locked_set(&foreign), &|| locked_set(&kept), &[&locked_named, "differs from the ledger"]);
    let gone = || set("DELETE FROM locked_cells WHERE cell = ?1", params![locked]);
    let again = || set("INSERT INTO locked_cells (period, cell, page) VALUES ('2020-05', ?1, ?2)", params![locked, kept]);
    tampered("a locked page that is gone", &gone, &again, &[&locked_named, "without its page"]);
    let figure_set = |text: &str| set("UPDATE period_locks SET figures = ?2 WHERE at = ?1", params![at, text]);
    let raised = figures.replacen("\"total\":1", "\"total\":7", 1);
    assert_ne!(raised, figures);
    tampered("a locked figure", &|| figure_set(&raised), &|| figure_set(&figures), &["locked 2020-05, figure of 贵州省"]);
    let lock_moved = |by: i64| set("UPDATE period_locks SET position = position + ?1", params![by]);
    tampered("a lock's position", &|| lock_moved(-1), &|| lock_moved(1), &["locked 2020-05", "its position differs"]);
    let lock_dated = |by: i64| set("UPDATE period_locks SET at = at + ?1", params![by]);
    tampered("a lock's time", &|| lock_dated(1), &|| lock_dated(-1), &["locked 2020-05", "its time differs"]);
    for column in ["beside", "seeking"] {
        let text: String = db.query_row(&format!("SELECT {column} FROM period_locks"), [], |row| row.get(0)).unwrap();
        let beside_set = |text: &str| set(&format!("UPDATE period_locks SET {column} = ?1"), params![text]);
        // The same to who reads it, and not what was kept.
        let other = format!(" {text}");
        tampered(column, &|| beside_set(&other), &|| beside_set(&text), &["locked 2020-05", "what stands beside them"]);
    }
    db.execute("CREATE TEMP TABLE aside AS SELECT * FROM period_locks", []).unwrap();
    let gone = || set("DELETE FROM period_locks", params![]);
    let again = || set("INSERT INTO period_locks SELECT * FROM aside", params![]);
    tampered("a lock that is gone", &gone, &again, &["locked 2020-05, 全国: in the ledger, and not kept"]);
    let invented = || {
        set("UPDATE aside SET region = 520000", params![]);
        set("INSERT INTO period_locks SELECT * FROM aside", params![]);
    };
    let away = || set("DELETE FROM period_locks WHERE region = 520000", params![]);
    tampered("a lock that was invented", &invented, &away, &["locked 2020-05, 贵州省: the ledger tells of no such lock"]);
    let day = 24 * 3_600_000i64;
    // Of the one who is still counted.
    let fact = |by: i64| {
        let sql =
            "UPDATE hire_facts SET at = at + ?1 WHERE kind = 'ONBOARDED' AND worker IN (SELECT id FROM workers WHERE erased_at IS NULL)";
        set(sql, params![by]);
    };
    tampered("a fact of a hire", &|| fact(7 * day), &|| fact(-7 * day), &[person, "the facts come to something else"]);
    let place = |code: i64| {
        let sql = "UPDATE hires SET work = ?1 WHERE worker IN (SELECT id FROM workers WHERE erased_at IS NULL)";
        set(sql, params![code]);
    };
    tampered("a hire's place", &|| place(home), &|| place(work), &[person, "the facts come to something else"]);
    for (column, other, own) in
        [("started_on", "started_on - 3", "started_on + 3"), ("ended_on", "started_on + 3", "NULL"), ("status", "'ENDED'", "'ONBOARDED'")]
    {
        let to = |value: &str| {
            set(&format!("UPDATE hires SET {column} = {value} WHERE worker IN (SELECT id FROM workers WHERE erased_at IS NULL)"), params![])
        };
        tampered(column, &|| to(other), &|| to(own), &["lists show another start, end or status"]);
    }
    let (hire, other) = (read.hires.keys().next().unwrap().as_bytes(), people[1].parse::<uuid::Uuid>().unwrap());
    let own = person.parse::<uuid::Uuid>().unwrap();
    let of = |worker: &uuid::Uuid| set("UPDATE hires SET worker = ?2 WHERE id = ?1", params![hire, worker.as_bytes()]);
    tampered("a hire that is gone", &|| of(&other), &|| of(&own), &[person, "the facts come to something else"]);
    let at: i64 = db.query_row("SELECT erased_at FROM workers WHERE erased_at IS NOT NULL", [], |row| row.get(0)).unwrap();
    let erased = |at: Option<i64>| set("UPDATE workers SET erased_at = ?2 WHERE id = ?1", params![other.as_bytes(), at]);
    tampered("one who was erased", &|| erased(None), &|| erased(Some(at)), &[&people[1], "the facts come to something else"]);
    drop(db);
    app.finish().await;
}

#[actix_web::test]
async fn a_recount_names_what_offices_did_not_sign_or_state() {
    let app = spawn().await;
    let (nation, county) = (app.office("000000").await, app.office("522624").await);
    let posted = async |office: &Office<'_>, path: &str, body| office.caller.post(path, &body).await.expect(200).json;
    posted(&county, "/v1/periods/2020-05/submit", json!({})).await;
    posted(&nation, "/v1/periods/2020-05/return", json!({"region": "522624", "reason": "look again"})).await;
    posted(&county, "/v1/periods/2020-05/submit", json!({})).await;
    posted(&nation, "/v1/periods/2020-05/approve", json!({"region": "522624"})).await;
    for total in [13, 14] {
        let stated = format!("region,period,total\n522624,2019,{total}\n");
        county.caller.post_bytes("/v1/baselines", "text/csv", stated).await.expect(200);
    }
    app.settle().await;
    let (code, _, told) = recounted(&app);
    assert_eq!(code, Some(0), "{told}");

    let db = Connection::open(app.file()).unwrap();
    let set = |sql: &str, values: &[&dyn rusqlite::ToSql]| assert_eq!(db.execute(sql, values).unwrap(), 1, "{sql}");
    let figure: String = db.query_row("SELECT figure FROM periods", [], |row| row.get(0)).unwrap();
    let more = figure.replacen("\"total\":0", "\"total\":7", 1);
    assert_ne!(more, figure);
    for (column, other, own, named) in [
        ("state", "'submitted'", "'approved'", "its state differs"),
        ("figure", &*format!("'{more}'"), &*format!("'{figure}'"), "its figure differs"),
        ("position", "position + 1", "position - 1", "its position differs"),
        ("at", "at + 1", "at - 1", "its time differs"),
    ] {
        let to = |value: &str| set(&format!("UPDATE periods SET {column} = {value}"), params![]);
        tampered(&app, column, &|| to(other), &|| to(own), &["signed 2020-05, ", named]);
    }
    let total = |by: i64| set("UPDATE baselines SET total = total + ?1", params![by]);
    tampered(&app, "a baseline", &|| total(1330), &|| total(-1330), &["baseline of 2019, ", "its total differs"]);
    for (table, key, own, other, named) in [
        ("periods", "period", "2020-05", "2020-06", ["signed 2020-06, ", "no such signature", "signed 2020-05, ", "and not kept"]),
        ("baselines", "year", "2019", "2018", ["baseline of 2018, ", "tells of none", "baseline of 2019, ", "and not kept"]),
    ] {
        // As if it was deleted and another one invented.
        let to = |value: &str| set(&format!("UPDATE {table} SET {key} = ?1"), params![value]);
        tampered(&app, table, &|| to(other), &|| to(own), &named);
    }
    drop(db);
    app.finish().await;
}
