//! The office's overview, trend and flows: their figures are those of the reports, and
//! what is asked of them is never more than the office's own.

use crate::harness::*;
use crate::pages::{Browser, office_browser, office_paths};
use serde_json::json;

/// Somebody of each county who began to work on a day; reported now.
async fn hired(app: &App, people: &[(&str, &str)]) {
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(people.len() as u32)).await;
    let workers = app.workers(people.iter().map(|(county, _)| in_region(county)).collect()).await;
    for (worker, (_, day)) in workers.iter().zip(people) {
        let offer = worker.accepts_offer_for(&posting).await;
        let report = platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": day})).await;
        assert_eq!(report["result"], "created", "{report}");
    }
    app.settle().await;
}

/// Homes and first days: three of Qiandongnan, one of them in an earlier month, one of Zunyi.
const PEOPLE: [(&str, &str); 4] = [("522624", "2020-05-20"), ("522624", "2020-06-02"), ("522601", "2020-06-03"), ("520302", "2020-06-04")];

async fn page(browser: &Browser, path: &str) -> String {
    browser.get(path).await.page(200).replace("&#x2f;", "/")
}

/// The words of an element that begins with this, without markup.
fn words(page: &str, begin: &str, end: &str) -> String {
    let (_, rest) = page.split_once(begin).unwrap_or_else(|| panic!("{begin} in {page}"));
    let mut out = String::new();
    let mut inside = false;
    for c in rest.split(end).next().unwrap().chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[actix_web::test]
async fn the_overview_shows_the_reports_figures_each_with_its_page() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let office = app.office("522600").await;
    let browser = office_browser(&app, "522600").await;
    let report = async |period: &str| office.report(&format!("period={period}")).await["totals"].clone();
    let june = report("2020-06").await;
    assert_eq!((&june["total"], &june["new"], &june["share"]["denominator"]), (&json!(3), &json!(2), &json!(0)));
    let first = page(&browser, "/office").await;
    let figure = |page: &str, title: &str| words(page, &format!("<dt>{title}</dt>"), "</dd>");
    assert_eq!((figure(&first, "今天在岗"), figure(&first, "本月新增")), ("3".to_owned(), "2".to_owned()));
    assert_eq!(figure(&first, "相当于上年末"), "–没有上年末的数据");
    assert_eq!(figure(&first, "待处理预警"), "0");
    for link in [
        "/office/report?period=2020-06",
        "/office/map?period=2020-06",
        "/office/trend?period=2020-06",
        "/office/alerts",
        "/office/approvals?period=2020-05",
    ] {
        assert!(first.contains(&format!("href=\"{link}")), "{link} in {first}");
    }
    assert!(first.contains("请上报本地区数字") && first.contains("2020-05</a> <b>未上报"), "{first}");
    assert!(first.contains("<title>2020-05：1</title>") && first.contains("<title>2020-06：3</title>"), "{first}");

    // What was stated of last year's end is shown with both its counts.
    office.caller.post_bytes("/v1/baselines", "text/csv", "region,period,total\n522600,2019,4\n").await.expect(200);
    let june = report("2020-06").await;
    assert_eq!((&june["share"]["numerator"], &june["share"]["denominator"]), (&json!(3), &json!(4)));
    let first = page(&browser, "/office").await;
    assert_eq!(figure(&first, "相当于上年末"), "75.0%3 / 4 人");
    assert!(first.contains("class=\"then\""), "last year's line");

    // The three newest of five alerts, with what to do.
    let worker = app.workers(vec![in_region("522601")]).await.remove(0);
    for n in 0..5 {
        let sent = Browser::new(&app).post(&format!("/w/{}/complaints", worker.link), &[("text", &format!("第{n}件"))]).await;
        assert!(sent.location().contains("done="), "{n}");
    }
    let open = office.caller.get("/v1/alerts?resolved=false").await.expect(200).json;
    let first = page(&browser, "/office").await;
    assert_eq!(figure(&first, "待处理预警"), open["items"].as_array().unwrap().len().to_string());
    assert_eq!(first.matches("尽快联系本人").count(), open["items"].as_array().unwrap().len().min(3));
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn the_overview_tells_each_office_what_it_has_to_do_about_a_month() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let county = app.office("522624").await;
    let (nation, east) = (office_browser(&app, "000000").await, office_browser(&app, "522600").await);
    let of = async |browser: &Browser| words(&page(browser, "/office").await, "2020-05</a>", "</li>");
    assert_eq!(of(&nation).await, " 未上报1 个下级还没有有效的上报。");
    assert_eq!(of(&east).await, " 未上报1 个下级还没有有效的上报。请上报本地区数字。");
    county.caller.post("/v1/periods/2020-05/submit", &json!({})).await.expect(200);
    assert_eq!(of(&east).await, " 未上报请审批 1 个下级的上报。请上报本地区数字。");
    east.post("/office/approvals/2020-05/approve", &[("region", "522624")]).await;
    east.post("/office/approvals/2020-05/submit", &[]).await;
    assert_eq!(of(&east).await, " 已上报，等待审批已上报，等上级审批。");
    nation.post("/office/approvals/2020-05/approve", &[("region", "522600")]).await;
    assert_eq!(of(&nation).await, " 未上报不用再等下级，可以到审批页锁定。");
    nation.post("/office/approvals/2020-05/lock", &[]).await;
    assert_eq!((of(&nation).await, of(&east).await), (" 已锁定".to_owned(), " 已锁定".to_owned()));
    app.settle().await;
    app.finish().await;
}

/// The months of a page of the trend, each with its figures.
fn months(page: &str) -> Vec<Vec<String>> {
    let (_, body) = page.split_once("<tbody>").unwrap();
    let rows = body.split("</tbody>").next().unwrap().split("<tr>").skip(1);
    rows.map(|row| row.split("</t").filter(|cell| cell.contains("<t")).map(|cell| words(cell, ">", "</t")).collect()).collect()
}

#[actix_web::test]
async fn each_month_of_the_trend_has_the_figures_of_its_own_report() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let office = app.office("520000").await;
    office.caller.post_bytes("/v1/baselines", "text/csv", "region,period,total\n520000,2019,1200\n").await.expect(200);
    let browser = office_browser(&app, "520000").await;
    for (query, filter, name) in [
        ("", "", "total"),
        ("&show=new&region=522600", "&region=522600", "new"),
        ("&axis=work&show=in_province", "&axis=work", "in_province"),
        ("&region=set:listed-52&months=25", "&region=set:listed-52", "total"),
    ] {
        let shown = months(&page(&browser, &format!("/office/trend?period=2020-06{query}")).await);
        assert_eq!(shown.len(), if query.contains("25") { 25 } else { 13 }, "{query}");
        assert_eq!(
            (shown[0][0].as_str(), shown.last().unwrap()[0].as_str()),
            (if query.contains("25") { "2018-06" } else { "2019-06" }, "2020-06")
        );
        for row in shown {
            let totals = office.report(&format!("period={}{filter}", row[0])).await["totals"].clone();
            assert_eq!(row[1], totals[name].to_string(), "{query} {}", row[0]);
            if query.is_empty() {
                let baseline = totals["baseline"].as_u64().map_or("–".to_owned(), |_| "1,200".to_owned());
                assert_eq!(row[2], baseline, "{}", row[0]);
            }
        }
    }
    // Of a tier, the sum of its rows; of no tier, nobody is left out.
    let of = async |tier: &str| {
        let shown = months(&page(&browser, &format!("/office/trend?tier={tier}")).await);
        shown.last().unwrap()[1].parse::<u64>().unwrap()
    };
    let split = office.report("period=2020-06&by=tier").await;
    let sum = |tier: &str| -> u64 {
        let rows = split["rows"].as_array().unwrap().iter().filter(|row| row["tier"] == tier);
        rows.map(|row| row["total"].as_u64().unwrap()).sum()
    };
    assert_eq!((of("not_lifted").await, of("at_risk").await, of("lifted").await), (sum("not_lifted"), sum("at_risk"), sum("lifted")));
    assert_eq!(sum("not_lifted"), 4);

    let file = browser.get("/office/trend.csv?period=2020-06&region=522600&months=13").await;
    assert_eq!((file.status, file.header("content-type")), (200, "text/csv; charset=utf-8"));
    let lines: Vec<&str> = file.text.trim_end().lines().collect();
    assert_eq!(lines.len(), 15, "names, titles and thirteen months: {}", file.text);
    assert!(
        lines[0].trim_start_matches('\u{feff}').starts_with("period,region,name,total,")
            && lines[14].starts_with("2020-06,522600,黔东南苗族侗族自治州,3,")
    );
    app.finish().await;
}

#[actix_web::test]
async fn a_locked_month_of_the_trend_stays_as_it_was_locked() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let nation = app.office("000000").await;
    nation.caller.post("/v1/periods/2020-05/lock", &json!({})).await.expect(200);
    app.state().store.seal(&app.state().config.seal.origin, app.now()).await.unwrap();
    hired(&app, &[("520302", "2020-05-21")]).await;
    let browser = office_browser(&app, "000000").await;
    let shown = months(&page(&browser, "/office/trend?period=2020-06").await);
    assert_eq!(shown[11][..2], ["2020-05", "1"]);
    assert_eq!(nation.report("period=2020-05").await["totals"]["total"], json!(1));
    assert_eq!(shown[12][..2], ["2020-06", "5"]);
    app.finish().await;
}

/// What somebody may write into an address.
const HOSTILE: [&str; 12] = [
    "period=2021",
    "period=%00",
    "period=2020-13",
    "period=1980",
    "region=999999",
    "region=set:nowhere",
    "region=%3Cscript%3E",
    "axis=birth",
    "level=village",
    "tier=rich",
    "months=-1&show=%22%3E%3Cscript%3E",
    "months=99999999999999999999&show=&axis=&region=&tier=",
];

#[actix_web::test]
async fn hostile_questions_get_a_page_and_nothing_of_them_runs() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let browser = office_browser(&app, "522624").await;
    for path in office_paths().chain(["/office/trend.csv"]) {
        for query in HOSTILE {
            let got = browser.get(&format!("{path}?{query}")).await;
            assert!(matches!(got.status, 200 | 403 | 422), "{path}?{query}: {}", got.status);
            assert!(!got.text.contains("<script"), "{path}?{query}");
        }
    }
    assert_eq!(browser.get("/office/trend?tier=rich").await.status, 422);
    assert_eq!(browser.get("/office/trend?region=520302").await.status, 403);
    app.finish().await;
}

#[actix_web::test]
async fn an_office_of_one_county_sees_nothing_of_its_neighbour() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let browser = office_browser(&app, "522624").await;
    for path in office_paths().chain(["/office/trend?region=set:listed-52", "/office/trend.csv"]) {
        let text = browser.get(path).await.text.replace("&#x2f;", "/");
        for theirs in ["522601", "520302", "凯里", "红花岗"] {
            assert!(!text.contains(theirs), "{path} tells of {theirs}");
        }
    }
    assert_eq!(app.office("522624").await.report("period=2020-06").await["totals"]["total"], json!(2));
    let shown = months(&page(&browser, "/office/trend").await);
    assert_eq!(shown.last().unwrap()[1], "2");
    app.finish().await;
}

/// The rows of a table of a page, each with the words of its cells.
fn table(page: &str, class: &str) -> Vec<Vec<String>> {
    let (_, rest) = page.split_once(class).unwrap_or_else(|| panic!("{class} in {page}"));
    let cell = |text: &str| text.rfind("<td").or_else(|| text.rfind("<th ")).map(|at| words(&text[at..], ">", "<small>"));
    let cells = |row: &str| -> Vec<String> { row.split("</t").filter_map(cell).collect() };
    rest.split("</table>").next().unwrap().split("<tr>").skip(1).map(cells).collect()
}

#[actix_web::test]
async fn the_matrix_has_the_flows_of_the_report_and_the_sums_of_employment() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let names = ["total", "out_of_province", "in_province", "in_county", "in_place"];
    let number = |text: &String| text.replace(',', "").parse::<u64>().unwrap();
    for (own, query, home, work) in [
        ("520000", "level=prefecture", "name", "work_name"),
        ("520000", "level=county", "name", "work_name"),
        ("000000", "axis=work", "home_name", "name"),
    ] {
        let (office, browser) = (app.office(own).await, office_browser(&app, own).await);
        let flows = office.caller.get(&format!("/v1/reports/flows?period=2020-06&{query}")).await.expect(200).json;
        let shown = page(&browser, &format!("/office/flows?period=2020-06&{query}")).await;
        let matrix = table(&shown, "<table class=\"matrix\">");
        let (zones, works, body, foot) = (&matrix[0], &matrix[1], &matrix[2..matrix.len() - 1], &matrix[matrix.len() - 1]);
        assert!(zones.iter().any(|zone| zone == "东部"), "{zones:?}");
        let mut found: Vec<(String, String, u64)> = Vec::new();
        for row in body {
            let cells = &row[1..=works.len()];
            found.extend(cells.iter().zip(works).map(|(n, work)| (row[0].clone(), work.clone(), number(n))).filter(|(.., n)| *n > 0));
        }
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
        let rows = flows["rows"].as_array().unwrap().iter();
        let mut expected: Vec<_> = rows.map(|row| (text(row, home), text(row, work), row["total"].as_u64().unwrap())).collect();
        found.sort();
        expected.sort();
        assert!(!found.is_empty());
        assert_eq!(found, expected, "{query}");
        let of = |row: &serde_json::Value| names.map(|name| row[name].as_u64().unwrap());
        assert_eq!(foot[works.len() + 1..].iter().map(number).collect::<Vec<_>>(), of(&flows["totals"]), "{query}");
        // The sums of a side are what the other report says of its places.
        let employment = office.report(&format!("period=2020-06&{query}")).await;
        for row in employment["rows"].as_array().unwrap().iter().filter(|row| row["total"] != json!(0)) {
            let place = text(row, "name");
            if home == "name" {
                let line = body.iter().find(|line| line[0] == place).unwrap_or_else(|| panic!("{row} in {body:?}"));
                assert_eq!(line[works.len() + 1..].iter().map(number).collect::<Vec<_>>(), of(row));
            } else {
                let at = works.iter().position(|work| *work == place).unwrap_or_else(|| panic!("{row} in {works:?}"));
                assert_eq!(number(&foot[at + 1]), row["total"].as_u64().unwrap(), "{place}");
            }
        }
    }
    app.finish().await;
}

#[actix_web::test]
async fn ways_between_pages_keep_what_the_other_page_understands() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let browser = office_browser(&app, "520000").await;
    let shown = page(&browser, "/office/report?period=2020-05&region=522600&axis=work&by=flow&lang=en").await;
    for way in [
        "/office?lang=en",
        "/office/trend?period=2020-05&amp;region=522600&amp;axis=work&amp;lang=en",
        "/office/map?period=2020-05&amp;region=522600&amp;lang=en",
        "/office/flows?period=2020-05&amp;region=522600&amp;axis=work&amp;lang=en",
        "/office/platforms?period=2020-05&amp;region=522600&amp;lang=en",
        "/office/people?region=522600&amp;lang=en",
        "/office/approvals?period=2020-05&amp;lang=en",
        "/office/import?lang=en",
    ] {
        assert!(shown.contains(&format!("<a href=\"{way}\"")), "{way}");
        browser.get(&way.replace("&amp;", "&")).await.page(200);
    }
    // A focus set is no place to list people of, and what is no plain value goes nowhere.
    let of_set = page(&browser, "/office/map?region=set:listed-52&period=").await;
    assert!(of_set.contains("<a href=\"/office/people\"") && of_set.contains("<a href=\"/office/flows?region=set:listed-52\""));
    let odd = page(&browser, "/office/alerts?region=%22%3E%3Cb%3E&period=2020-05").await;
    assert!(odd.contains("<a href=\"/office/flows?period=2020-05\"") && !odd.contains("\"><b>"), "{odd}");
    app.finish().await;
}

#[actix_web::test]
async fn every_file_that_a_page_names_is_there() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let browser = office_browser(&app, "522600").await;
    for (path, least) in [
        ("/office/report?period=2020-06&by=tier", 12),
        ("/office/report?period=2020-06&axis=work&region=set:listed-52", 12),
        ("/office/flows?period=2020-06&axis=work", 6),
        ("/office/platforms?period=2020-06&region=522624", 6),
        ("/office/fairness?period=2020-06", 6),
        ("/office/trend?period=2020-06&tier=lifted&lang=en", 14),
    ] {
        let shown = page(&browser, path).await;
        let links = shown.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).filter(|href| href.starts_with("/office/"));
        let files: Vec<String> = links.filter(|href| href.contains('.')).map(|href| href.replace("&amp;", "&")).collect();
        assert_eq!(files.len(), least, "{path}: {files:?}");
        for file in files {
            let got = browser.get(&file).await;
            assert_eq!(got.status, 200, "{file}: {}", got.text);
            assert!(!got.header("content-type").is_empty() && !got.text.is_empty(), "{file}");
        }
    }
    app.finish().await;
}

#[actix_web::test]
async fn what_is_printed_says_whose_it_is_of_when_and_of_which_record() {
    let app = spawn().await;
    hired(&app, &PEOPLE).await;
    let browser = office_browser(&app, "522600").await;
    let seq = app.office("522600").await.report("period=2020-06").await["as_of"]["seq"].to_string();
    for path in ["/office", "/office/report", "/office/trend", "/office/map", "/office/flows", "/office/platforms", "/office/fairness"] {
        let shown = page(&browser, &format!("{path}?period=2020-06")).await;
        assert!(shown.contains("<div class=\"who\"><span>办公室522600</span>"), "{path}");
        assert!(shown.contains(&format!("截至第 {seq} 条记录")), "{path}");
        assert!(words(&shown, "<h1>", "</h1>").contains("黔东南苗族侗族自治州"), "{path}");
        assert!(shown.contains("@page{size:A4"), "{path}");
    }
    app.finish().await;
}
