//! Lists of people and of hires, page by page, of each kind of region.

use crate::harness::*;
use serde_json::json;

on_every_engine![people_are_listed_page_by_page_by_where_they_are_and_what_they_do, hires_are_listed_page_by_page_on_both_axes,];

/// The ids of all pages of a list, and the total, which each page must tell alike.
async fn paged(caller: &Caller, path: &str, limit: usize) -> (Vec<String>, u64) {
    let (mut ids, mut cursor, mut total) = (Vec::new(), String::new(), None);
    loop {
        let page = caller.get(&format!("{path}&limit={limit}{cursor}")).await.expect(200).json;
        let told = page["total"].as_u64().unwrap();
        assert_eq!(*total.get_or_insert(told), told, "{path}");
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{path}");
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(ids.is_sorted() && ids.windows(2).all(|two| two[0] != two[1]), "{path}: in order, nobody twice");
    (ids, total.unwrap_or_default())
}

async fn people_are_listed_page_by_page_by_where_they_are_and_what_they_do(engine: Engine) {
    let app = spawn_on(engine).await;
    let counties = ["522624", "522601", "522624", "520302", "330106", "441900", "522624", "522624"];
    let workers = app.workers(counties.iter().map(|county| in_region(county)).collect()).await;
    app.run_sql("UPDATE workers SET looking = 0 WHERE handle % 3 = 0; UPDATE workers SET paused = 1 WHERE handle % 4 = 0");
    let office = app.office("000000").await;
    let mut all = Vec::new();
    for worker in &workers {
        let file = office.caller.get(&format!("/v1/workers/{}", worker.id)).await.expect(200).json;
        let (looking, paused) = (file["looking"].as_bool().unwrap(), file["paused"].as_bool().unwrap());
        all.push((worker.id.clone(), file["home_region"].as_str().unwrap().to_owned(), looking, paused));
    }
    all.sort();
    for (region, within) in
        [("000000", ""), ("520000", "52"), ("522600", "5226"), ("522624", "522624"), ("441900", "441900"), ("110000", "11")]
    {
        for (state, fits) in [
            ("", (|_, _| true) as fn(bool, bool) -> bool),
            ("&state=seeking", |looking, paused| looking && !paused),
            ("&state=working", |looking, _| !looking),
            ("&state=paused", |_, paused| paused),
        ] {
            let expected = all.iter().filter(|(_, home, looking, paused)| home.starts_with(within) && fits(*looking, *paused));
            let expected: Vec<String> = expected.map(|(id, ..)| id.clone()).collect();
            for limit in [1, 3, 50] {
                let (ids, total) = paged(&office.caller, &format!("/v1/workers?region={region}{state}"), limit).await;
                assert_eq!((ids.len() as u64, &ids), (total, &expected), "{region}{state}");
            }
        }
    }
    app.settle().await;
    app.finish().await;
}

async fn hires_are_listed_page_by_page_on_both_axes(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(9)).await;
    let places = [("522624", "330106"), ("522601", "522601"), ("522624", "330212"), ("520302", "522624"), ("330106", "330106")];
    let mut hires = Vec::new();
    for (n, worker) in app.workers(places.iter().map(|(home, _)| in_region(home)).collect()).await.into_iter().enumerate() {
        let offer = worker.accepts_offer_for(&posting).await;
        let (home, work) = places[n];
        platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-20", "work_region": work})).await;
        if n == 2 {
            platform.report(json!({"offer": offer, "status": "ENDED", "at": "2020-05-25", "reason": "quit"})).await;
        }
        let file = app.office("000000").await.caller.get(&format!("/v1/workers/{}", worker.id)).await.expect(200).json;
        hires.push((file["hires"][0]["id"].as_str().unwrap().to_owned(), home, work, n == 2));
    }
    hires.sort();
    let office = app.office("000000").await;
    for (region, within) in [("000000", ""), ("520000", "52"), ("522624", "522624"), ("330000", "33"), ("330106", "330106")] {
        for (axis, by_work) in [("home", false), ("work", true)] {
            for (period, may_be_over) in [("", true), ("&period=2020-05", true), ("&period=2020-06", false)] {
                let fits = hires
                    .iter()
                    .filter(|(_, home, work, over)| (if by_work { work } else { home }).starts_with(within) && (may_be_over || !over));
                let expected: Vec<String> = fits.map(|(id, ..)| id.clone()).collect();
                for limit in [1, 2, 50] {
                    let path = format!("/v1/hires?region={region}&axis={axis}{period}");
                    let (ids, total) = paged(&office.caller, &path, limit).await;
                    assert_eq!((ids.len() as u64, &ids), (total, &expected), "{path}");
                }
            }
        }
    }
    app.settle().await;
    app.finish().await;
}
